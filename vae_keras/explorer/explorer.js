// The decoder in the browser: reads an exported model, runs it, and lets one move through its codes.
// One module for a saved file, for a notebook's frame and, as an anywidget, for JupyterLab.

const NEIGHBOURS = 10;
const PRIOR = Math.sqrt(-2 * Math.log(0.05)); // the circle that holds 95 % of the draws from N(0, I)
const SECONDS = 4; // that a walk takes
const STATIONS = 10; // pictures of draws, or of a walk, below a map
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

// Calls `visit` with the share of the way that is behind, until all of it is, or `isOver` says so.
function stroll(visit, isOver) {
  const begin = performance.now();
  const length = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 1000 * SECONDS;
  const next = () => {
    if (isOver()) return;
    const share = Math.min((performance.now() - begin) / length, 1);
    visit(share);
    if (share < 1) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
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

function* inTurn(tasks) {
  for (let left = tasks; left.length; yield) left = left.filter((task) => !task.next().done);
}

// ---- The plane: maps of codes, and what the decoder draws where the pointer is

const RED = "#d1242f";
const GREY = "#6e7781";
const NORMAL = "N(0,\u00a0I)"; // on one line
const between = (from, to, share) => from.map((value, index) => value + share * (to[index] - value));
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];

function circle(context, [x, y], radius, color, width) {
  Object.assign(context, { strokeStyle: color, lineWidth: width });
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

class PlaneMap {
  constructor({ name, variational, codes, labels, limits, model }, { classNames, colors, hole, what }) {
    Object.assign(this, { name, labels, limits, classNames, colors, hole, what });
    Object.assign(this, { point: [0, 0], pin: null, drawn: null, share: 0, stations: [], reached: 0, cells: [], isSearched: false });
    this.codes = float32(codes);
    this.decoder = new Decoder(model);
    this.dots = element("canvas", { className: "dots", width: SIDE, height: SIDE });
    this.canvas = element("canvas", { // over it: what changes
      className: "map", tabIndex: 0, role: "application", width: SIDE, height: SIDE,
      "aria-label": `Map of the codes of ${name}. Arrow keys move the point, Enter pins it, Escape lets go.`,
    });
    this.picture = element("canvas", { className: "picture grey", role: "img", "aria-label": `What ${name} draws there` });
    this.closest = element("canvas", { className: "picture closest", role: "img", "aria-label": `The ${what} whose picture by ${name} is nearest` });
    const below = (canvas, text) => element("figure", {}, canvas, element("figcaption", { textContent: text }));
    this.words = element("div", { className: "words", "aria-live": "polite" });
    this.looked = element("span");
    this.facts = element("div", { className: "facts" });
    this.caption = element("p", { className: "caption", role: "status" });
    this.strip = element("div", { className: "strip" });
    const kind = variational
      ? `A variational autoencoder: trained to redraw each ${what} from its code with noise added, and to keep the codes where ${NORMAL} draws.`
      : `An autoencoder: trained to redraw each ${what} from its code, and nothing else. Nothing tells it where to put the codes.`;
    this.scale = element("p", { className: "scale" });
    this.root = element("section", { className: "panel" }, element("h2", { textContent: name }), element("p", { className: "kind", textContent: kind }),
      element("div", { className: "inside" },
        element("div", { className: "chart" }, this.dots, ...this.names(), this.canvas),
        element("div", { className: "found" }, this.scale, this.facts, this.caption, this.strip),
        element("div", { className: "below" }, below(this.picture, "drawn here"), below(this.closest, `nearest ${what}, redrawn`), this.words)));
    this.drawDots();
    const on = (name, action) => this.canvas.addEventListener(name, (event) => this.isWalking || action(event));
    ["pointerdown", "pointermove"].forEach((name) => on(name, (event) => this.moveTo(this.codeAt(event))));
    on("click", (event) => this.onPin(this.codeAt(event)));
    on("keydown", (event) => this.press(event));
    ["pointerleave", "blur"].forEach((name) => on(name, () => this.moveTo(this.pin ?? this.point)));
  }

  code(index) { return Array.from(this.codes.subarray(2 * index, 2 * index + 2)); }

  // The names of the classes at the medians of their codes, and that of the prior's circle, none on another.
  names() {
    if (this.classNames.length < 2) return [];
    const half = (name) => 6 * name.length + 21; // of its width: a letter takes 12 dots of the map, what is around them 42
    const [x, y] = this.toScreen([0, PRIOR]);
    const written = [{ name: NORMAL, color: "transparent", place: [x, y - 18] }];
    const classes = this.classNames.flatMap((name, label) => {
      const own = this.labels.flatMap((other, index) => (other === label ? [this.code(index)] : []));
      const place = this.toScreen([0, 1].map((axis) => median(own.map((code) => code[axis]))));
      place[0] = Math.min(Math.max(place[0], half(name)), SIDE - half(name));
      return own.length ? [{ name, color: this.colors[label % this.colors.length], place }] : [];
    });
    for (const some of classes.sort((one, other) => one.place[1] - other.place[1])) {
      for (const { name, place } of written.sort((one, other) => one.place[1] - other.place[1])) { // a line takes 32 dots
        const isApart = Math.abs(place[0] - some.place[0]) > half(name) + half(some.name);
        if (!isApart && Math.abs(place[1] - some.place[1]) < 32) some.place[1] = place[1] + 32;
      }
      written.push(some);
    }
    return written.map(({ name, color, place: [left, top] }) => element("span", { className: "name", "aria-hidden": "true",
      style: `left:${(100 * left) / SIDE}%; top:${(100 * top) / SIDE}%` }, element("i", { style: `background:${color}` }), name));
  }

  // What the decoder draws for the codes: a hole is where it draws nothing like them. Then evenly chosen draws from the prior.
  *prepare() {
    const [size, count, steps] = [sizeOf(this.decoder.shape), this.labels.length, this.labels.length + RINGS ** 2];
    const drawn = new Float32Array(count * size);
    for (let index = 0; index < count; index++) {
      drawn.set(this.decoder.decode(this.code(index)), index * size);
      this.progress(index / steps);
      yield;
    }
    this.drawn = drawn;
    this.judge();
    this.describe();
    const [seen, missed] = [new Set(), []];
    for (let index = 0; index < RINGS ** 2; index++) {
      const radius = Math.sqrt(-2 * Math.log(1 - (Math.floor(index / RINGS) + 0.5) / RINGS));
      const draw = [Math.cos, Math.sin].map((side) => radius * side((2 * Math.PI * (index + 0.5)) / RINGS));
      missed.push(this.isHole(this.decoder.decode(draw)));
      seen.add(this.nearest(draw).label);
      this.progress((count + index) / steps);
      yield;
    }
    this.tell(percent(missed.filter(Boolean).length / RINGS ** 2), `${seen.size} of ${this.classNames.length}`);
  }

  progress(share) {
    if (Math.floor(100 * share) === Math.floor(100 * this.share)) return;
    this.share = share;
    this.tell("…", "…");
    if (!this.drawn) this.describe();
  }

  // The three numbers by which maps are compared.
  tell(missed, classes) {
    const inside = this.labels.filter((_, index) => Math.hypot(...this.code(index)) < PRIOR).length / this.labels.length;
    const fact = (number, words) => element("div", {}, element("b", { textContent: number }),
      element("span", { textContent: number === "…" ? `counting: ${percent(this.share)}` : words }));
    this.facts.replaceChildren(
      fact(percent(inside), `of its ${this.what}s' codes lie in the circle of ${NORMAL}`),
      fact(missed, `of ${RINGS ** 2} draws from ${NORMAL} are holes`),
      ...(this.classNames.length > 1 ? [fact(classes, "classes lie nearest to those draws")] : []));
  }

  toScreen([x, y]) {
    const { low, high } = this.limits;
    return [((x - low[0]) / (high[0] - low[0])) * SIDE, (1 - (y - low[1]) / (high[1] - low[1])) * SIDE];
  }

  // On the map, or at its edge.
  onScreen(code) { return this.toScreen(code).map((place) => Math.min(Math.max(place, 12), SIDE - 12)); }

  toCode(across, up) {
    return [across, up].map((share, axis) => this.limits.low[axis] + share * (this.limits.high[axis] - this.limits.low[axis]));
  }

  codeAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return this.toCode((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
  }

  press(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const { low, high } = this.limits;
    if (step) this.moveTo(this.point.map((value, axis) => value + (step[axis] * (high[axis] - low[axis])) / 60));
    else if (event.key === "Enter") this.onPin(this.point);
    else return;
    event.preventDefault();
  }

  putPin(code) {
    this.pin = code;
    this.moveTo(code ?? this.point);
  }

  drawDots() {
    const context = this.dots.getContext("2d");
    context.globalAlpha = 0.7;
    this.labels.forEach((label, index) => {
      const [x, y] = this.toScreen(this.code(index));
      context.fillStyle = this.colors[label % this.colors.length];
      context.fillRect(x - 2, y - 2, 4, 4);
    });
  }

  paint(kind) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, SIDE, SIDE);
    if (this.isShaded) {
      Object.assign(context, { globalAlpha: 0.3, fillStyle: RED });
      this.cells.forEach(([row, column]) => context.fillRect((column * SIDE) / CELLS, (row * SIDE) / CELLS, SIDE / CELLS, SIDE / CELLS));
      context.globalAlpha = 1;
    }
    // Where the codes would be if they were the prior's.
    const [middle, edge] = [this.toScreen([0, 0]), this.toScreen([PRIOR, 0])];
    circle(context, middle, edge[0] - middle[0], "#ffffff", 6);
    context.setLineDash([8, 5]);
    circle(context, middle, edge[0] - middle[0], "#24292f", 4);
    context.setLineDash([]);
    this.paintStations(context);
    if (this.pin) [["#ffffff", 12], ["#24292f", 6]].forEach((ink) => circle(context, this.onScreen(this.pin), 20, ...ink));
    circle(context, this.onScreen(this.point), 13, { hole: RED, none: "#1f883d", unknown: GREY }[kind], 4);
  }

  // The codes whose pictures stand below the map, with their numbers; of a walk with the line from first to last.
  paintStations(context) {
    Object.assign(context, { lineWidth: 4, strokeStyle: GREY, font: "bold 15px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    context.beginPath();
    if (this.isWalk) this.stations.forEach(({ code }) => context.lineTo(...this.onScreen(code)));
    context.stroke();
    const isCrowded = !this.isWalk && this.toScreen([PRIOR, 0])[0] - this.toScreen([0, 0])[0] < 80; // numbers would hide each other
    this.stations.slice(0, this.reached).forEach(({ code, isHole }, index) => {
      const [x, y] = this.onScreen(code);
      circle(context, [x, y], isCrowded ? 5 : 10, "#ffffff", 2);
      context.fillStyle = isHole ? RED : "#24292f";
      context.fill();
      if (isCrowded) return;
      context.fillStyle = "#ffffff";
      context.fillText(index + 1, x, y + 1);
    });
  }

  moveTo(point) {
    this.point = point;
    this.image = this.decoder.decode(point);
    show(this.picture, this.image, this.decoder.shape);
    this.describe();
  }

  // Which of the pictures that are drawn for codes is nearest, and how far it is: the root mean square of the difference as a
  // share of the picture's own, so that a dim smear is not near to all that is dark. One that is near enough ends the search.
  closestTo(image, enough = 0) {
    const own = Math.max(image.reduce((sum, value) => sum + value ** 2, 0), 1e-12);
    let [least, found] = [Infinity, 0];
    for (let start = 0; start < this.drawn.length && least > enough ** 2 * own; start += image.length) {
      let sum = 0;
      for (let pixel = 0; pixel < image.length && sum < least; pixel++) sum += (image[pixel] - this.drawn[start + pixel]) ** 2;
      if (sum < least) [least, found] = [sum, start];
    }
    return { away: Math.sqrt(least / own), picture: this.drawn.subarray(found, found + image.length) };
  }

  isHole(image) { return this.closestTo(image, this.hole).away > this.hole; }

  // The nearest code, the class that most of the nearest codes have, and how many of them.
  nearest([x, y]) {
    const squares = this.labels.map((label, index) => [(this.codes[2 * index] - x) ** 2 + (this.codes[2 * index + 1] - y) ** 2, label, index]);
    const near = squares.sort((one, other) => one[0] - other[0]).slice(0, NEIGHBOURS);
    const counts = near.reduce((sum, [, label]) => ({ ...sum, [label]: (sum[label] || 0) + 1 }), {});
    const [label, count] = Object.entries(counts).sort((one, other) => other[1] - one[1])[0];
    return { index: near[0][2], label, count, of: near.length };
  }

  // Says what lies at the point, and rings it.
  describe() {
    const { away, picture } = this.drawn ? this.closestTo(this.image) : {};
    if (picture) show(this.closest, picture, this.decoder.shape);
    const kind = !this.drawn ? "unknown" : away > this.hole ? "hole" : "none";
    const verdict = {
      hole: `A hole: unlike all of its ${this.what}s`,
      none: `No hole: like one of its ${this.what}s`,
      unknown: `Drawing its ${this.what}s, to compare: ${percent(this.share)}`,
    }[kind];
    const { label, count, of } = this.nearest(this.point);
    const prior = Math.exp(-(this.point[0] ** 2 + this.point[1] ** 2) / 2);
    const lines = [
      this.drawn && `The nearest differs by ${percent(away)}; more than ${percent(this.hole)} is a hole.`,
      this.classNames.length > 1 && `${count} of the ${of} nearest codes: ${this.classNames[label]}`,
      `z = (${this.point.map((value) => value.toFixed(2)).join(", ")}), where ${NORMAL} draws ${percent(prior)} as often as at (0, 0)`,
      this.pin && this.point === this.pin && "Pinned, until another click or Escape.",
    ];
    this.words.replaceChildren(element("strong", { className: kind, textContent: verdict }),
      ...lines.filter(Boolean).map((line) => element("span", { textContent: line })));
    this.paint(kind);
  }

  // Puts codes on the map, and their pictures below it.
  lay(codes, title, isWalk) {
    Object.assign(this, { stations: codes.map((code) => ({ code, image: this.decoder.decode(code) })), title, isWalk });
    this.rest(!isWalk);
    this.strip.replaceChildren(...this.stations.map(({ code, image }, index) => {
      const canvas = element("canvas", { className: "picture" });
      show(canvas, image, this.decoder.shape);
      const thumb = element("button", { type: "button", className: "thumb" }, canvas, element("small"));
      const on = (name, action) => thumb.addEventListener(name, () => this.isWalking || action());
      on("click", () => this.onStation(index));
      ["pointerenter", "focus"].forEach((name) => on(name, () => this.moveTo(code)));
      ["pointerleave", "blur"].forEach((name) => on(name, () => this.moveTo(this.pin ?? this.point)));
      return thumb;
    }));
    this.judge();
    this.reach(isWalk ? 0 : codes.length);
  }

  // Says which of the pictures below the map are holes, once there is something to compare with.
  judge() {
    this.stations.forEach((station, index) => {
      station.isHole = this.drawn !== null && this.isHole(station.image);
      const thumb = this.strip.children[index];
      thumb.classList.toggle("hole", station.isHole);
      thumb.lastChild.textContent = `${index + 1}${station.isHole ? "\nhole" : ""}`;
      thumb.setAttribute("aria-label", `Picture ${index + 1} of ${this.name}${station.isHole ? ", a hole" : ""}`);
    });
    const holes = this.stations.filter(({ isHole }) => isHole).length;
    this.caption.textContent = this.title + (this.drawn ? `: ${holes} of ${this.stations.length} are holes` : "");
  }

  reach(count) {
    this.reached = count;
    [...this.strip.children].forEach((thumb, index) => { thumb.style.visibility = index < count ? "" : "hidden"; });
    this.describe();
  }

  // While a walk is under way the pointer is not followed, nor are the words read out.
  rest(isAtRest) {
    this.isWalking = !isAtRest;
    this.words.setAttribute("aria-busy", this.isWalking);
  }

  walk(from, to, share) {
    this.rest(share === 1);
    this.moveTo(between(from, to, share));
    this.reach(Math.floor(share * (STATIONS - 1) + 1e-9) + 1);
  }

  // Looks for the places of the map that are holes.
  *findHoles() {
    while (!this.drawn) yield;
    for (let row = 0; row < CELLS; row++) {
      for (let column = 0; column < CELLS; column++) {
        const code = this.toCode((column + 0.5) / CELLS, 1 - (row + 0.5) / CELLS);
        if (this.isHole(this.decoder.decode(code))) this.cells.push([row, column]);
        yield;
      }
      this.looked.textContent = ` Looking for holes: ${percent((row + 1) / CELLS)}.`;
      this.describe();
    }
    this.looked.textContent = ` Holes: ${percent(this.cells.length / CELLS ** 2)} of this map.`;
    this.isSearched = true;
    this.shade(this.isShaded);
  }

  shade(isShaded) {
    this.isShaded = isShaded;
    this.root.toggleAttribute("data-shaded", isShaded && this.isSearched);
    this.describe();
  }
}

function plane(data, root) {
  const { what } = data;
  const maps = data.panels.map((panel) => new PlaneMap(panel, data));
  let turn = 0; // what was asked for last ends a walk that is under way
  const draw = button(`Draw ten new ${what}s`, () => {
    turn++;
    const codes = Array.from({ length: STATIONS }, () => [normal(), normal()]);
    maps.forEach((map) => map.lay(codes, `Ten draws from ${NORMAL}${maps.length > 1 ? ", the same on each map" : ""}`, false));
  });
  draw.classList.add("first");
  const walk = button(`Walk between two ${what}s`, () => {
    const mine = ++turn;
    const { labels } = maps[0];
    const any = () => Math.floor(Math.random() * labels.length);
    const first = maps[0].pin ? maps[0].nearest(maps[0].pin).index : any();
    let last = any();
    for (let tries = 0; tries < 100 && labels[last] === labels[first]; tries++) last = any(); // there may be one class
    const [start, end] = [first, last].map((index) => data.classNames[labels[index]]);
    const ways = maps.map((map) => [map.pin ?? map.code(first), map.code(last)]);
    maps.forEach((map, index) =>
      map.lay(Array.from({ length: STATIONS }, (_, step) => between(...ways[index], step / (STATIONS - 1))), `From ${map.pin ? "the pin" : start} to ${end}`, true));
    stroll((share) => maps.forEach((map, index) => map.walk(...ways[index], share)), () => mine !== turn);
  });
  let isShaded = null;
  const shade = button("Shade the holes", () => {
    if (isShaded === null) inSlices(inTurn(maps.map((map) => map.findHoles())));
    isShaded = !isShaded;
    shade.setAttribute("aria-pressed", isShaded);
    maps.forEach((map) => map.shade(isShaded));
  });
  shade.setAttribute("aria-pressed", false);
  const unpin = () => maps.forEach((map) => map.isWalking || map.putPin(null));
  root.addEventListener("keydown", (event) => { if (event.key === "Escape") unpin(); });
  const widths = maps.map(({ limits: { low, high } }) => high[0] - low[0]);
  const least = Math.min(...widths);
  maps.forEach((map, index) => {
    // On the other maps lies a pin, too: at the code of the same image, so that a walk is the same on each.
    map.onPin = (code) => {
      const { index: nearest } = map.nearest(code);
      maps.forEach((other) => other.putPin(other === map ? code : other.code(nearest)));
    };
    map.onStation = (number) => maps.forEach((other) => other.putPin(other.stations[number].code));
    const times = widths[index] > 1.2 * least ? `, ${(widths[index] / least).toFixed(1)} times as wide as that of ${maps[widths.indexOf(least)].name}` : "";
    map.scale.append(`This map is ${widths[index].toFixed(1)} wide`, element("b", { textContent: times }), ".", map.looked);
    map.moveTo(map.code(0));
    map.tell("…", "…");
  });
  const { help, details } = planeWords(data);
  root.append(element("h1", { textContent: `Drawing new ${what}s from two numbers` }), help,
    element("div", { className: "bar" }, draw, walk, shade), element("div", { className: "panels" }, ...maps.map((map) => map.root)), details);
  draw.click();
  inSlices(inTurn(maps.map((map) => map.prepare())), root);
  return Object.fromEntries(maps.map((map) => [map.name, map.decoder]));
}

// What the page says before its maps, and after them.
function planeWords({ what, hole, panels }) {
  const term = (textContent) => element("b", { textContent });
  const help = element("p", { className: "help" },
    `Each dot is one of ${panels[0].labels.length.toLocaleString("en")} ${what}s: an `, term("encoder"), " has turned its picture into a ", term("code"),
    ", two numbers z, and a ", term("decoder"), ` draws a picture of any code, also of one where there is no dot. For a new ${what} one lets chance choose the code, by `,
    term(NORMAL), ", the standard normal distribution around (0, 0): 95 % of its draws fall into the dashed circle. A ", term("hole"),
    ` (red) is a code whose picture is unlike what the decoder draws for any ${what}. `,
    term(`${panels.length > 1 ? "Compare the" : "See the"} ten draws, then move over ${panels.length > 1 ? "the maps" : "the map"}; a click pins a point.`));
  const details = element("details", {}, element("summary", { textContent: "How to move, and what exactly a hole is" }), ...[
    `Move the pointer, a finger or the arrow keys over a map: the decoder draws what lies there. A click, a tap or Enter pins the point, and on another map the nearest ${what}; a walk begins there. Escape takes the pins away.`,
    `A hole is a code whose picture differs by more than ${percent(hole)} from what the same decoder draws for the code of any ${what}: the root mean square of the difference over the ` +
      `pixels, as a share of the picture's own. So a picture may be dim or ugly and no hole: some ${what} is then redrawn as badly.`,
    `The numbers are of ${RINGS ** 2} codes that are spread evenly over ${NORMAL}, so that they do not change with chance; each counts for the class that most of the ${NEIGHBOURS} nearest codes have. ` +
      `A walk goes straight from the code of one ${what} to that of another of a different class, the same two on each map.`,
  ].map((textContent) => element("p", { textContent })));
  return { help, details };
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
    this.onBegin?.();
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
    Object.assign(this, { codes, face, at: 0, shown: [] });
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
    this.mark();
    for (const [number, thumb] of this.thumbs.entries()) {
      this.face.draw(thumb.firstChild, this.shown[number]);
      yield;
    }
  }

  // Shows which of the pictures was taken up, if one of these was.
  mark() {
    const isTaken = (code) => Boolean(code?.every((value, index) => value === this.face.first[index]));
    this.thumbs.forEach((thumb, number) => thumb.setAttribute("aria-pressed", isTaken(this.shown[number])));
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
    `A click on one of the small ${what}s takes it up, and a frame stays around it: decoded codes of images, or new ones, by what their codes were drawn from.` });
  const small = (canvas, label) => element("figure", {}, canvas, element("figcaption", { textContent: label }));
  const left = element("section", { className: "panel pictures" }, face.picture,
    element("div", { className: "pair" }, small(face.before, "without the sliders"), small(face.after, "the second one")));
  const bar = element("div", { className: "bar" }, button("Reset", reset), button(`Another second ${what}`, () => face.goTo(rows[0].next())));
  root.append(help, element("div", { className: "panels" }, left,
    element("section", { className: "panel" }, ...sliders.map((some) => some.root), morph.root, bar)),
    element("div", { className: "rows" }, ...rows.map((row) => row.root)));
  face.onBegin = () => rows.forEach((row) => row.mark());
  const list = new Row("", what, sources.decoded, face);
  face.begin(list.next());
  face.goTo(list.next());
  inSlices(inTurn(rows.map((row) => row.fill())), root);
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
