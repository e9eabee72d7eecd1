// The decoder in the browser: reads an exported model, runs it, and lets one move through its codes.
// One module for a saved file, for a notebook's frame and, as an anywidget, for JupyterLab.

const NEIGHBOURS = 10;
const PRIOR = Math.sqrt(-2 * Math.log(0.05)); // the circle that holds 95 % of the draws from N(0, I)
const STEPS = 48; // of a walk, pictures

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

// Adds `scale * weights[at ...]` to `out[to ...]`: the loop that takes the time.
function addScaled(out, to, weights, at, count, scale) {
  for (let index = 0; index < count; index++) out[to + index] += scale * weights[at + index];
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
  for (let row = 0; row < rows; row++)
    for (let input = 0; input < inputs; input++) {
      const value = data[row * inputs + input];
      if (value !== 0) addScaled(out, row * units, kernel, input * units, units, value);
    }
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
          for (let channel = 0; channel < channels; channel++)
            addScaled(out, into, kernel, at + channel * filters, filters, data[from + channel]);
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

// ---- The plane: maps of codes, and what the decoder draws where the pointer is

class PlaneMap {
  constructor({ name, codes, labels, limits, model }, { classNames, colors, hole }) {
    Object.assign(this, { name, labels, limits, classNames, colors, hole, point: [0, 0] });
    this.codes = float32(codes);
    this.decoder = new Decoder(model);
    this.canvas = element("canvas", {
      className: "map", tabIndex: 0, role: "application", width: 640, height: 640,
      "aria-label": `Map of the codes of ${name}. Arrow keys move the point.`,
    });
    this.picture = element("canvas", { className: "picture grey", role: "img", "aria-label": `What ${name} draws there` });
    this.words = element("p", { className: "words", "aria-live": "polite" });
    this.root = element("section", { className: "panel" }, element("h2", { textContent: name }), this.canvas,
      element("div", { className: "below" }, this.picture, this.words));
    this.canvas.addEventListener("pointerdown", (event) => this.follow(event));
    this.canvas.addEventListener("pointermove", (event) => this.follow(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.drawDots();
  }

  // What the decoder draws for the codes of garments: a hole is where it draws nothing like them.
  prepare() {
    const size = sizeOf(this.decoder.shape);
    this.drawn = new Float32Array(this.labels.length * size);
    this.labels.forEach((_, index) => this.drawn.set(this.decoder.decode(this.codes.subarray(2 * index, 2 * index + 2)), index * size));
  }

  toScreen([x, y]) {
    const { low, high } = this.limits;
    return [((x - low[0]) / (high[0] - low[0])) * 640, (1 - (y - low[1]) / (high[1] - low[1])) * 640];
  }

  follow(event) {
    const box = this.canvas.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    const up = 1 - (event.clientY - box.top) / box.height;
    const { low, high } = this.limits;
    this.moveTo([low[0] + across * (high[0] - low[0]), low[1] + up * (high[1] - low[1])]);
  }

  press(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const { low, high } = this.limits;
    this.moveTo(this.point.map((value, axis) => value + (step[axis] * (high[axis] - low[axis])) / 60));
  }

  drawDots() {
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 0.7;
    this.labels.forEach((label, index) => {
      const [x, y] = this.toScreen([this.codes[2 * index], this.codes[2 * index + 1]]);
      context.fillStyle = this.colors[label % this.colors.length];
      context.fillRect(x - 2, y - 2, 4, 4);
    });
    this.drawPrior(context);
    this.dots = context.getImageData(0, 0, 640, 640);
  }

  // Where the codes would be if they were the prior's, and how wide the map is.
  drawPrior(context) {
    const [x, y] = this.toScreen([0, 0]);
    const [right, top] = this.toScreen([PRIOR, PRIOR]);
    context.globalAlpha = 1;
    context.strokeStyle = context.fillStyle = "#8b949e";
    context.setLineDash([6, 6]);
    context.lineWidth = 2;
    context.beginPath();
    context.ellipse(x, y, right - x, y - top, 0, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.font = "20px system-ui, sans-serif";
    const { low, high } = this.limits;
    context.fillText(low.map((value) => value.toFixed(1)).join(", "), 8, 630);
    context.textAlign = "right";
    context.fillText(high.map((value) => value.toFixed(1)).join(", "), 632, 24);
  }

  moveTo(point) {
    this.point = point;
    const image = this.decoder.decode(point);
    show(this.picture, image, this.decoder.shape);
    const context = this.canvas.getContext("2d");
    context.putImageData(this.dots, 0, 0);
    const [x, y] = this.toScreen(point);
    context.globalAlpha = 1;
    context.lineWidth = 3;
    context.strokeStyle = this.isHole(image) ? "#d1242f" : "#1f883d";
    context.beginPath();
    context.arc(x, y, 10, 0, 2 * Math.PI);
    context.stroke();
    this.words.textContent = this.describe(point, image);
  }

  distance(image) {
    if (!this.drawn) this.prepare();
    const size = image.length;
    let least = Infinity;
    for (let start = 0; start < this.drawn.length; start += size) {
      let sum = 0;
      for (let pixel = 0; pixel < size && sum < least; pixel++) sum += (image[pixel] - this.drawn[start + pixel]) ** 2;
      least = Math.min(least, sum);
    }
    return Math.sqrt(least / size);
  }

  isHole(image) {
    return this.distance(image) > this.hole;
  }

  nearestClass([x, y]) {
    const squares = this.labels.map((label, index) => [(this.codes[2 * index] - x) ** 2 + (this.codes[2 * index + 1] - y) ** 2, label]);
    const near = squares.sort((one, other) => one[0] - other[0]).slice(0, NEIGHBOURS);
    const counts = near.reduce((sum, [, label]) => ({ ...sum, [label]: (sum[label] || 0) + 1 }), {});
    const [label, count] = Object.entries(counts).sort((one, other) => other[1] - one[1])[0];
    return `${this.classNames[label]} (${count} of the ${near.length} nearest codes)`;
  }

  describe(point, image) {
    const away = this.distance(image);
    const prior = Math.exp(-(point[0] ** 2 + point[1] ** 2) / 2);
    const hole = away > this.hole ? "a hole: it draws this for no garment" : "no hole";
    return `z = (${point.map((value) => value.toFixed(2)).join(", ")}). ${this.nearestClass(point)}. ` +
      `Density of the prior: ${percent(prior)} of its peak. ${away.toFixed(3)} from the nearest picture of a garment: ${hole}.`;
  }
}

function plane(data, root) {
  const maps = data.panels.map((panel) => new PlaneMap(panel, data));
  let mark = null;
  const button = (label, action) => element("button", { textContent: label, onclick: action });
  const every = (code) => maps.forEach((map) => map.moveTo(code));
  const bar = element("div", { className: "bar" },
    button("Draw from the prior", () => every([normal(), normal()])),
    button("Mark this point", () => { mark = maps.map((map) => map.point); }),
    button("Walk here from the mark", () => maps.forEach((map, index) => mark && walk(mark[index], map.point, (code) => map.moveTo(code)))));
  const legend = element("p", { className: "legend" }, ...data.classNames.map((name, label) =>
    element("span", {}, element("i", { style: `background:${data.colors[label % data.colors.length]}` }), name)));
  const help = element("p", { className: "help", textContent:
    "Move the pointer, a finger or the arrow keys over a map: the decoder draws what lies there. A red ring is a hole. " +
    "Dots are codes of garments; in the corners stand the coordinates; the dashed circle holds 95 % of the draws from the prior N(0, I)." });
  root.append(help, bar, element("div", { className: "panels" }, ...maps.map((map) => map.root)), legend);
  every([0, 0]);
  return Object.fromEntries(maps.map((map) => [map.name, map.decoder]));
}

// ---- Attributes: a face, and a slider for each direction that has a name

class Face {
  constructor(data) {
    this.data = data;
    this.decoder = new Decoder(data.model);
    this.codes = float32(data.codes);
    this.vectors = float32(data.vectors);
    this.size = sizeOf(data.model.codeShape);
    this.first = this.code(0);
    this.second = this.code(1);
    this.strengths = data.names.map(() => 0);
    this.morph = 0;
    this.picture = element("canvas", { className: "picture face", role: "img", "aria-label": "The decoded face" });
  }

  code(index) {
    const start = (index % (this.codes.length / this.size)) * this.size;
    return Array.from(this.codes.subarray(start, start + this.size));
  }

  another() {
    return this.code(Math.floor((Math.random() * this.codes.length) / this.size));
  }

  now() {
    const code = this.first.map((value, index) => value + this.morph * (this.second[index] - value));
    this.strengths.forEach((strength, number) => {
      if (strength) code.forEach((_, index) => { code[index] += strength * this.vectors[number * this.size + index]; });
    });
    return code;
  }

  draw() {
    show(this.picture, this.decoder.decode(this.now()), this.decoder.shape);
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
  const face = new Face(data);
  const measured = (name) => {
    const found = data.measured[name];
    return found ? `at 1.0 seen on ${percent(found[0])}, changes ${percent(found[1])} of other verdicts` : "";
  };
  const sliders = data.names.map((name, number) =>
    slider(name, measured(name), { min: -2, max: 2 }, (value) => { face.strengths[number] = value; face.draw(); }));
  const morph = slider("morph", "from this face to a second one", { min: 0, max: 1 }, (value) => { face.morph = value; face.draw(); });
  const reset = () => {
    face.strengths.fill(0);
    face.morph = 0;
    [...sliders, morph].forEach((some) => some.set(0));
    face.draw();
  };
  const button = (label, action) => element("button", { textContent: label, onclick: action });
  const drawFrom = (codes) => () => {
    const start = Math.floor((Math.random() * codes.length) / face.size) * face.size;
    face.first = Array.from(codes.subarray(start, start + face.size));
    face.draw();
  };
  const bar = element("div", { className: "bar" },
    button("Another face", () => { face.first = face.another(); face.draw(); }),
    button("Another second face", () => { face.second = face.another(); face.draw(); }),
    button("New face from the prior", () => { face.first = face.first.map(normal); face.draw(); }),
    ...Object.entries(data.samples).map(([name, codes]) => button(`New face from the ${name}`, drawFrom(float32(codes)))),
    button("Reset", reset));
  root.append(bar, element("div", { className: "panels" }, element("section", { className: "panel" }, face.picture),
    element("section", { className: "panel" }, ...sliders.map((some) => some.root), morph.root)));
  face.draw();
  return { [data.name]: face.decoder };
}

// ---- Where it is shown

export function mount(data, root) {
  root.classList.add("vae-keras");
  const models = { plane, attributes }[data.kind](data, root);
  return {
    models,
    decode(name, code) {
      if (!(name in models)) throw new Error(`A model's name is one of ${Object.keys(models).join(", ")}. Received: ${name}`);
      return Array.from(models[name].decode(code));
    },
  };
}

// The convention of anywidget: the same module in JupyterLab, Colab and VS Code.
export default {
  render({ model, el }) {
    const style = element("style", { textContent: model.get("style") });
    const root = element("div");
    el.append(style, root);
    mount(JSON.parse(model.get("data")), root);
  },
};
