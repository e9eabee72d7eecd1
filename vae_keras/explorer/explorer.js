// The decoder in the browser: reads an exported model, runs it, and lets one move through its codes.
// One module for a saved file, for a notebook's frame and, as an anywidget, for JupyterLab.

const NEIGHBOURS = 10;
const PRIOR = Math.sqrt(-2 * Math.log(0.05)); // the circle that holds 95 % of the draws from N(0, I)
const STEPS = 48; // of a walk, pictures
const SIDE = 640; // of a map, dots
const CELLS = 40; // along a side of a map, where holes are shaded
const RINGS = 20; // draws from the prior lie on as many rings, and as many on each
const SHOWN = 6; // small pictures in a row
const SLICE = 12; // milliseconds of work at a time

// ---- Numbers

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const float32 = (text) => new Float32Array(bytesOf(text).buffer);

// Sixteen bits for a weight, and for each output the scale of its weights.
function weightsOf(integers, floats, { kernel, scale, bias }) {
  const scales = floats.subarray(...scale);
  const values = Float32Array.from(integers.subarray(...kernel), (integer, index) => integer * scales[index % scales.length]);
  return [values, bias && floats.subarray(...bias)];
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

// ---- Layers: each takes tensors `{shape, data}` of one example, and returns one

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const ACTIVATIONS = {
  linear: null,
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x) => (x > 0 ? x : 0.2 * x),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  silu: (x) => x * sigmoid(x),
  sigmoid,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  tanh: Math.tanh,
};

function activated(data, name) {
  const f = ACTIVATIONS[name];
  if (f) for (let index = 0; index < data.length; index++) data[index] = f(data[index]);
  return data;
}

// Adds to `out[to ...]` the product of `data[from ...]`, a row of `inputs` numbers, and a matrix of `inputs`
// rows and `outputs` columns: the loop that takes the time. Four rows at once read and write `out` once for four.
function addProduct(out, to, outputs, data, from, inputs, matrix, at) {
  let input = 0;
  for (; input + 4 <= inputs; input += 4) {
    const [a, b, c, d] = [data[from + input], data[from + input + 1], data[from + input + 2], data[from + input + 3]];
    if (a === 0 && b === 0 && c === 0 && d === 0) continue; // of a relu
    const first = at + input * outputs;
    const [second, third, fourth] = [first + outputs, first + 2 * outputs, first + 3 * outputs];
    for (let i = 0; i < outputs; i++)
      out[to + i] += a * matrix[first + i] + b * matrix[second + i] + c * matrix[third + i] + d * matrix[fourth + i];
  }
  for (; input < inputs; input++) {
    const [value, row] = [data[from + input], at + input * outputs];
    for (let i = 0; i < outputs; i++) out[to + i] += value * matrix[row + i];
  }
}

function filled(size, bias) {
  const out = new Float32Array(size);
  if (bias) for (let at = 0; at < size; at += bias.length) out.set(bias, at);
  return out;
}

function dense({ shape, data }, { units, activation }, [kernel, bias]) {
  const inputs = shape[shape.length - 1];
  const rows = data.length / inputs;
  const out = filled(rows * units, bias);
  for (let row = 0; row < rows; row++) addProduct(out, row * units, units, data, row * inputs, inputs, kernel, 0);
  return { shape: [...shape.slice(0, -1), units], data: activated(out, activation) };
}

// A convolution, or the same steps from its output to its input: a transposed one, whose kernel is
// exported with the outputs last, too. The places a stride apart are those of the smaller image.
function convolved({ shape, data }, { size, filters, stride, before, out: to, activation }, [kernel, bias], isTransposed) {
  const [rows, columns, channels] = shape;
  const [apart, all] = isTransposed ? [[rows, columns], to] : [to, [rows, columns]];
  const out = filled(to[0] * to[1] * filters, bias);
  for (let y = 0; y < apart[0]; y++)
    for (let x = 0; x < apart[1]; x++)
      for (let ky = 0; ky < size[0]; ky++) {
        const row = y * stride[0] + ky - before[0];
        if (row < 0 || row >= all[0]) continue;
        for (let kx = 0; kx < size[1]; kx++) {
          const column = x * stride[1] + kx - before[1];
          if (column < 0 || column >= all[1]) continue;
          const [near, far] = [y * apart[1] + x, row * all[1] + column];
          const from = (isTransposed ? near : far) * channels;
          const into = (isTransposed ? far : near) * filters;
          const at = (ky * size[1] + kx) * channels * filters;
          addProduct(out, into, filters, data, from, channels, kernel, at);
        }
      }
  return { shape: [...to, filters], data: activated(out, activation) };
}

function permuted({ shape, data }, { dims }) {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const order = dims.map((dim) => dim - 1); // Keras counts the axis of the batch
  const to = order.map((axis) => shape[axis]);
  const steps = order.map((axis) => strides[axis]);
  const out = new Float32Array(data.length);
  const index = to.map(() => 0);
  let from = 0;
  for (let place = 0; place < out.length; place++) {
    out[place] = data[from];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < to[axis]) break;
      from -= to[axis] * steps[axis];
      index[axis] = 0;
    }
  }
  return { shape: to, data: out };
}

function concatenated(tensors) {
  const sizes = tensors.map(({ shape }) => shape[shape.length - 1]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const rows = tensors[0].data.length / sizes[0];
  const out = new Float32Array(rows * total);
  for (let row = 0, to = 0; row < rows; row++)
    tensors.forEach(({ data }, part) => {
      out.set(data.subarray(row * sizes[part], (row + 1) * sizes[part]), to);
      to += sizes[part];
    });
  return { shape: [...tensors[0].shape.slice(0, -1), total], data: out };
}

const LAYERS = {
  Dense: ([tensor], config, weights) => dense(tensor, config, weights),
  Conv2D: ([tensor], config, weights) => convolved(tensor, config, weights, false),
  Conv2DTranspose: ([tensor], config, weights) => convolved(tensor, config, weights, true),
  Reshape: ([{ data }], { shape }) => ({ shape, data }),
  Permute: ([tensor], config) => permuted(tensor, config),
  Concatenate: (tensors) => concatenated(tensors),
  Activation: ([{ shape, data }], { activation }) => ({ shape, data: activated(data.slice(), activation) }),
};

const MEANS = {
  sigmoid,
  clip: (x) => Math.min(Math.max(x, 0), 1),
  continuous_bernoulli: (x) => (Math.abs(x) < 0.1 ? 0.5 + x / 12 : 0.5 + 0.5 / Math.tanh(x / 2) - 1 / x),
};

export class Decoder {
  constructor({ nodes, integers, floats, shape, codeShape, mean }) {
    const [small, exact] = [new Int16Array(bytesOf(integers).buffer), float32(floats)];
    this.nodes = nodes.map((node) => ({ ...node, weights: node.kernel && weightsOf(small, exact, node) }));
    Object.assign(this, { shape, codeShape, mean });
  }

  // Decodes one code to an array of numbers in [0, 1], height by width by channels.
  decode(code) {
    const values = [{ shape: this.codeShape, data: Float32Array.from(code) }];
    if (values[0].data.length !== sizeOf(this.codeShape))
      throw new Error(`A code has ${sizeOf(this.codeShape)} numbers. Received: ${values[0].data.length}`);
    for (const { layer, inputs, config, weights } of this.nodes)
      values.push(LAYERS[layer](inputs.map((input) => values[input]), config, weights));
    return values[values.length - 1].data.map(MEANS[this.mean]);
  }
}

// ---- Drawing

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  for (const [name, value] of Object.entries(attributes)) if (name.includes("-") || name === "role") made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const button = (label, action) => element("button", { type: "button", textContent: label, onclick: action });

function show(canvas, image, [height, width, channels]) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++)
      pixels.data[4 * pixel + channel] = 255 * image[pixel * channels + (channels === 3 ? channel : 0)];
    pixels.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// Goes from one code to another, a picture at a time.
function walk(from, to, visit) {
  let step = 0;
  const next = () => {
    const share = step / STEPS;
    visit(from.map((value, index) => value + share * (to[index] - value)));
    if (step++ < STEPS) requestAnimationFrame(next);
  };
  next();
}

// Does a long task, a generator, a few steps at a time: between them the page answers the reader.
function inSlices(task, root) {
  const until = performance.now() + SLICE;
  while (performance.now() < until)
    if (task.next().done) {
      if (root) root.dataset.ready = "true";
      return;
    }
  setTimeout(() => inSlices(task, root));
}

function* together(tasks) {
  for (const task of tasks) yield* task;
}

// ---- The plane: maps of codes, and what the decoder draws where the pointer is

class PlaneMap {
  constructor({ name, codes, labels, limits, model }, { classNames, colors, hole, what }) {
    Object.assign(this, { name, labels, limits, classNames, colors, hole, what, point: [0, 0], drawn: null });
    this.codes = float32(codes);
    this.decoder = new Decoder(model);
    this.canvas = element("canvas", {
      className: "map", tabIndex: 0, role: "application", width: SIDE, height: SIDE,
      "aria-label": `Map of the codes of ${name}. Arrow keys move the point.`,
    });
    this.picture = element("canvas", { className: "picture grey", role: "img", "aria-label": `What ${name} draws there` });
    this.words = element("div", { className: "words", "aria-live": "polite" });
    this.facts = element("p", { className: "facts", textContent: `${percent(this.within())} of its codes lie in the dashed circle; 95 % of the draws from N(0, I) do.` });
    this.root = element("section", { className: "panel" }, element("h2", { textContent: name }), this.canvas,
      element("div", { className: "below" }, this.picture, this.words), this.facts);
    this.canvas.addEventListener("pointerdown", (event) => this.follow(event));
    this.canvas.addEventListener("pointermove", (event) => this.follow(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.drawDots();
  }

  code(index) {
    return this.codes.subarray(2 * index, 2 * index + 2);
  }

  // The share of the codes inside the prior's circle.
  within() {
    return this.labels.filter((_, index) => Math.hypot(...this.code(index)) < PRIOR).length / this.labels.length;
  }

  // What the decoder draws for the codes: a hole is where it draws nothing like them.
  *prepare() {
    const size = sizeOf(this.decoder.shape);
    const drawn = new Float32Array(this.labels.length * size);
    for (let index = 0; index < this.labels.length; index++) {
      drawn.set(this.decoder.decode(this.code(index)), index * size);
      yield;
    }
    this.drawn = drawn;
    this.moveTo(this.point);
  }

  toScreen([x, y]) {
    const { low, high } = this.limits;
    return [((x - low[0]) / (high[0] - low[0])) * SIDE, (1 - (y - low[1]) / (high[1] - low[1])) * SIDE];
  }

  toCode(across, up) {
    const { low, high } = this.limits;
    return [low[0] + across * (high[0] - low[0]), low[1] + up * (high[1] - low[1])];
  }

  follow(event) {
    const box = this.canvas.getBoundingClientRect();
    this.moveTo(this.toCode((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height));
  }

  press(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const { low, high } = this.limits;
    this.moveTo(this.point.map((value, axis) => value + (step[axis] * (high[axis] - low[axis])) / 60));
  }

  drawDots() {
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.globalAlpha = 0.7;
    this.labels.forEach((label, index) => {
      const [x, y] = this.toScreen(this.code(index));
      context.fillStyle = this.colors[label % this.colors.length];
      context.fillRect(x - 2, y - 2, 4, 4);
    });
    this.drawPrior(context);
    this.keep();
  }

  keep() {
    this.dots = this.canvas.getContext("2d").getImageData(0, 0, SIDE, SIDE);
  }

  // Where the codes would be if they were the prior's, and how wide the map is.
  drawPrior(context) {
    const [x, y] = this.toScreen([0, 0]);
    const [right, top] = this.toScreen([PRIOR, PRIOR]);
    context.globalAlpha = 1;
    context.strokeStyle = context.fillStyle = "#818b98";
    context.setLineDash([8, 6]);
    context.lineWidth = 3;
    context.beginPath();
    context.ellipse(x, y, right - x, y - top, 0, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.font = "20px system-ui, sans-serif";
    const { low, high } = this.limits;
    context.fillText(low.map((value) => value.toFixed(1)).join(", "), 8, SIDE - 10);
    context.textAlign = "right";
    context.fillText(high.map((value) => value.toFixed(1)).join(", "), SIDE - 8, 24);
  }

  moveTo(point) {
    this.point = point;
    const image = this.decoder.decode(point);
    const away = this.distance(image);
    show(this.picture, image, this.decoder.shape);
    const context = this.canvas.getContext("2d");
    context.putImageData(this.dots, 0, 0);
    const [x, y] = this.toScreen(point);
    context.globalAlpha = 1;
    context.lineWidth = 4;
    context.strokeStyle = { hole: "#d1242f", none: "#1f883d", unknown: "#818b98" }[this.kind(away)];
    context.beginPath();
    context.arc(x, y, 11, 0, 2 * Math.PI);
    context.stroke();
    this.words.replaceChildren(...this.describe(point, away));
  }

  // How far a picture is from the nearest of those that are drawn for codes: per pixel, root mean square.
  distance(image) {
    if (!this.drawn) return NaN;
    const size = image.length;
    let least = Infinity;
    for (let start = 0; start < this.drawn.length; start += size) {
      let sum = 0;
      for (let pixel = 0; pixel < size && sum < least; pixel++) sum += (image[pixel] - this.drawn[start + pixel]) ** 2;
      least = Math.min(least, sum);
    }
    return Math.sqrt(least / size);
  }

  kind(away) {
    return Number.isNaN(away) ? "unknown" : away > this.hole ? "hole" : "none";
  }

  // The class that most of the nearest codes have, and how many of them.
  nearest([x, y]) {
    const squares = this.labels.map((label, index) => [(this.codes[2 * index] - x) ** 2 + (this.codes[2 * index + 1] - y) ** 2, label]);
    const near = squares.sort((one, other) => one[0] - other[0]).slice(0, NEIGHBOURS);
    const counts = near.reduce((sum, [, label]) => ({ ...sum, [label]: (sum[label] || 0) + 1 }), {});
    const [label, count] = Object.entries(counts).sort((one, other) => other[1] - one[1])[0];
    return { label, count, of: near.length };
  }

  describe(point, away) {
    const prior = Math.exp(-(point[0] ** 2 + point[1] ** 2) / 2);
    const kind = this.kind(away);
    const verdict = {
      hole: `A hole: none of its ${this.what}s looks like this`,
      none: `No hole: one of its ${this.what}s looks like this`,
      unknown: `Drawing all of its ${this.what}s, to compare …`,
    }[kind];
    const { label, count, of } = this.nearest(point);
    return [
      element("strong", { className: kind, textContent: verdict }),
      element("span", { textContent: kind === "unknown" ? "" : `The nearest differs by ${away.toFixed(3)} per pixel; from ${this.hole} on it is a hole.` }),
      element("span", { textContent: `${count} of the ${of} nearest codes: ${this.classNames[label]}` }),
      element("span", { textContent: `z = (${point.map((value) => value.toFixed(2)).join(", ")}), where N(0, I) has ${percent(prior)} of its highest density` }),
    ];
  }

  // Whether a picture is a hole; faster than its distance, which of most pictures need not be known.
  isHole(image) {
    const size = image.length;
    const limit = this.hole ** 2 * size;
    for (let start = 0; start < this.drawn.length; start += size) {
      let sum = 0;
      for (let pixel = 0; pixel < size && sum <= limit; pixel++) sum += (image[pixel] - this.drawn[start + pixel]) ** 2;
      if (sum <= limit) return false;
    }
    return true;
  }

  // Shades the places of the map that are holes, and counts: there, and among evenly chosen draws from the prior.
  *shade() {
    while (!this.drawn) yield;
    const width = SIDE / CELLS;
    let holes = 0;
    for (let row = 0; row < CELLS; row++) {
      const found = [];
      for (let column = 0; column < CELLS; column++) {
        const code = this.toCode((column + 0.5) / CELLS, 1 - (row + 0.5) / CELLS);
        if (this.isHole(this.decoder.decode(code))) found.push(column);
        yield;
      }
      holes += found.length;
      const context = this.canvas.getContext("2d");
      context.putImageData(this.dots, 0, 0);
      context.globalAlpha = 0.3;
      context.fillStyle = "#d1242f";
      found.forEach((column) => context.fillRect(column * width, row * width, width, width));
      this.keep();
      this.moveTo(this.point);
    }
    const draws = Array.from({ length: RINGS ** 2 }, (_, index) => {
      const [ring, turn] = [Math.floor(index / RINGS), (2 * Math.PI * (index + 0.5)) / RINGS];
      const radius = Math.sqrt(-2 * Math.log(1 - (ring + 0.5) / RINGS));
      return [radius * Math.cos(turn), radius * Math.sin(turn)];
    });
    let missed = 0;
    const seen = new Set();
    for (const draw of draws) {
      missed += this.isHole(this.decoder.decode(draw));
      seen.add(this.nearest(draw).label);
      yield;
    }
    this.facts.append(
      element("br"), `Holes: ${percent(holes / CELLS ** 2)} of this map, ${percent(missed / draws.length)} of what N(0, I) draws, ` +
      `which reaches ${seen.size} of ${this.classNames.length} classes.`);
    this.root.dataset.shaded = "true";
  }
}

function plane(data, root) {
  const maps = data.panels.map((panel) => new PlaneMap(panel, data));
  let mark = null;
  const every = (code) => maps.forEach((map) => map.moveTo(code));
  const walkHere = button("Walk here from the mark", () =>
    maps.forEach((map, index) => walk(mark[index], map.point, (code) => map.moveTo(code))));
  walkHere.disabled = true;
  const shade = button("Shade the holes", () => {
    shade.disabled = true;
    maps.forEach((map) => inSlices(map.shade()));
  });
  const bar = element("div", { className: "bar" }, shade,
    button("Draw a code from N(0, I)", () => every([normal(), normal()])),
    button("Mark this point", () => { mark = maps.map((map) => map.point); walkHere.disabled = false; }), walkHere);
  const legend = element("p", { className: "legend" }, ...data.classNames.map((name, label) =>
    element("span", {}, element("i", { style: `background:${data.colors[label % data.colors.length]}` }), name)));
  const help = element("p", { className: "help" },
    `Each dot is the code of one of the ${data.what}s. Move the pointer, a finger or the arrow keys over a map: below it the decoder draws what ` +
    `lies there. Green ring: like one of the ${data.what}s. Red ring: a hole, like none of them. The dashed circle holds 95 % of the draws from N(0, I). ` +
    "In the corners stand the coordinates. ",
    element("b", { textContent: `Find the holes, then let them be shaded. Where would you draw the code of a new ${data.what}?` }));
  root.append(help, bar, element("div", { className: "panels" }, ...maps.map((map) => map.root)), legend);
  every([0, 0]);
  inSlices(together(maps.map((map) => map.prepare())), root);
  return Object.fromEntries(maps.map((map) => [map.name, map.decoder]));
}

// ---- Attributes: an image, and a slider for each direction that has a name

class Face {
  constructor(data) {
    this.decoder = new Decoder(data.model);
    this.vectors = float32(data.vectors);
    this.size = sizeOf(data.model.codeShape);
    this.strengths = data.names.map(() => 0);
    this.morph = 0;
    const canvas = (className, label) => element("canvas", { className: `picture ${className}`, role: "img", "aria-label": label });
    this.picture = canvas("face", `The decoded ${data.what}, with what the sliders add`);
    this.before = canvas("small", `The ${data.what} without the sliders`);
    this.after = canvas("small", `The second ${data.what}, for morphing`);
  }

  begin(code) {
    this.first = code;
    this.draw(this.before, code);
    this.refresh();
  }

  goTo(code) {
    this.second = code;
    this.draw(this.after, code);
    this.refresh();
  }

  now() {
    const code = this.first.map((value, index) => value + this.morph * (this.second[index] - value));
    this.strengths.forEach((strength, number) => {
      if (strength) code.forEach((_, index) => { code[index] += strength * this.vectors[number * this.size + index]; });
    });
    return code;
  }

  refresh() {
    if (this.second) this.draw(this.picture, this.now());
  }

  draw(canvas, code) {
    show(canvas, this.decoder.decode(code), this.decoder.shape);
  }
}

// Codes of one origin: some of them as pictures, each of which is taken up by a click.
class Row {
  constructor(name, what, codes, face) {
    Object.assign(this, { codes, face, at: 0 });
    const thumbs = Array.from({ length: Math.min(SHOWN, codes ? codes.length / face.size : SHOWN) }, (_, number) =>
      element("button", { type: "button", className: "thumb", "aria-label": `${what} ${number + 1}, ${name}` }, element("canvas", { className: "picture" })));
    thumbs.forEach((thumb, number) => { thumb.onclick = () => face.begin(this.shown[number]); });
    this.thumbs = thumbs;
    this.root = element("div", { className: "row" }, element("b", { textContent: name }), ...thumbs,
      button("others", () => inSlices(this.fill())));
  }

  // The next code of the list, from its beginning again where it ends; or a draw from N(0, I).
  next() {
    if (!this.codes) return Array.from({ length: this.face.size }, normal);
    const start = (this.at++ * this.face.size) % this.codes.length;
    return Array.from(this.codes.subarray(start, start + this.face.size));
  }

  *fill() {
    this.shown = this.thumbs.map(() => this.next());
    for (const [number, thumb] of this.thumbs.entries()) {
      this.face.draw(thumb.firstChild, this.shown[number]);
      yield;
    }
  }
}

function slider(label, note, { min, max }, change) {
  const input = element("input", { type: "range", min, max, step: 0.05, value: 0, "aria-label": label });
  const value = element("output", { textContent: "0.0" });
  input.addEventListener("input", () => { value.textContent = Number(input.value).toFixed(1); change(Number(input.value)); });
  const root = element("label", { className: "slider" }, element("b", { textContent: label }), input, value, element("small", { textContent: note }));
  return { root, set(number) { input.value = number; value.textContent = number.toFixed(1); } };
}

function attributes(data, root) {
  const { what } = data;
  const face = new Face(data);
  const measured = (name) => {
    const found = data.measured[name];
    return found ? `at 1.0 seen on ${percent(found[0])}, changes ${percent(found[1])} of the other verdicts` : "";
  };
  const sliders = data.names.map((name, number) =>
    slider(name.replaceAll("_", " "), measured(name), { min: -2, max: 2 }, (value) => { face.strengths[number] = value; face.refresh(); }));
  const morph = slider("morph", `0: this ${what}; 1: the second one`, { min: 0, max: 1 }, (value) => { face.morph = value; face.refresh(); });
  const reset = () => {
    face.strengths.fill(0);
    face.morph = 0;
    [...sliders, morph].forEach((some) => some.set(0));
    face.refresh();
  };
  const sources = { decoded: float32(data.codes), "prior N(0, I)": null };
  Object.entries(data.samples).forEach(([name, codes]) => { sources[name] = float32(codes); });
  const rows = Object.entries(sources).map(([name, codes]) => new Row(name, what, codes, face));
  const judge = Object.keys(data.measured).length ? " Below it stands what a judge has counted at 1.0, on many of them." : "";
  const help = element("p", { className: "help", textContent:
    `Every picture is drawn here, by the decoder, from a code of ${face.size} numbers. A slider adds a direction to the code of this ${what}.${judge} ` +
    `A click on one of the small ${what}s takes it up: decoded codes of images, or new ones, by what their codes were drawn from.` });
  const small = (canvas, label) => element("figure", {}, canvas, element("figcaption", { textContent: label }));
  const left = element("section", { className: "panel pictures" }, face.picture,
    element("div", { className: "pair" }, small(face.before, "without the sliders"), small(face.after, "the second one")));
  const bar = element("div", { className: "bar" }, button("Reset", reset), button(`Another second ${what}`, () => face.goTo(rows[0].next())));
  root.append(help, element("div", { className: "panels" }, left,
    element("section", { className: "panel" }, ...sliders.map((some) => some.root), morph.root, bar)),
    element("div", { className: "rows" }, ...rows.map((row) => row.root)));
  const list = new Row("", what, sources.decoded, face);
  face.begin(list.next());
  face.goTo(list.next());
  inSlices(together(rows.map((row) => row.fill())), root);
  return { [data.name]: face.decoder };
}

// ---- Where it is shown

// Whether the page around is dark: as JupyterLab, VS Code, Colab or a site says there, else as the reader's system is.
function isDark({ documentElement: html, body }) {
  const said = { true: "light", false: "dark" }[body.dataset.jpThemeLight] ?? body.dataset.vscodeThemeKind ?? html.dataset.theme ?? html.getAttribute("theme") ?? "";
  return /dark|high-contrast$/.test(said) || (!/light/.test(said) && matchMedia("(prefers-color-scheme: dark)").matches);
}

function pageAround() {
  try {
    return window.parent.document.body ? window.parent.document : document;
  } catch {
    return document; // of another origin
  }
}

function dress(root) {
  const around = pageAround();
  const change = () => root.classList.toggle("dark", isDark(around));
  const observer = new MutationObserver(change);
  [around.body, around.documentElement].forEach((node) => observer.observe(node, { attributes: true }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
  change();
}

// In a notebook's frame: as high as what it shows.
export function fit(root) {
  const frame = window.frameElement;
  if (!frame) return;
  document.documentElement.style.overflow = "hidden";
  new ResizeObserver(() => { frame.style.height = `${Math.ceil(root.getBoundingClientRect().height)}px`; }).observe(root);
}

export function mount(data, root) {
  root.classList.add("vae-keras");
  // Arrow keys move the point and the sliders, not a notebook's selection: JupyterLab asks for this.
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.addEventListener("keydown", (event) => event.stopPropagation());
  dress(root);
  const models = { plane, attributes }[data.kind](data, root);
  return {
    models,
    decode(name, code) {
      if (!(name in models)) throw new Error(`A model's name is one of ${Object.keys(models).join(", ")}. Received: ${name}`);
      return Array.from(models[name].decode(code));
    },
  };
}

// The convention of anywidget: the same module as a widget.
export default {
  render({ model, el }) {
    const root = element("div");
    el.append(element("style", { textContent: model.get("style") }), root);
    window.vaeKeras = mount(JSON.parse(model.get("data")), root);
  },
};
