"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const LEVELS = 6;
const byId = (id) => document.getElementById(id);
const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(3);

/* What colours the words: a name, a number for each word (null: not known), and how a number reads. */
const measures = [];
if (byId("words")) {
  measures.push(["its part in the lead of " + data.predicted, data.support]);
  if (data.contributions.length > 2)
    for (const one of data.contributions) measures.push(["its part in the logit of " + one.class, one.values]);
  measures.push(["how far the probability falls without it", data.occlusion]);
  if (data.rollout) measures.push(["the attention that reached it through all layers", data.rollout]);
}

function shade(value, most, read) {
  if (!read) return "unread";
  const level = most && value !== null ? Math.round((Math.abs(value) / most) * LEVELS) : 0;
  return level ? (value > 0 ? "for" : "against") + level : "";
}

function largest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value || 0)), 0);
}

function colour(text, values) {
  const most = largest(values);
  for (const span of text.querySelectorAll("[data-word]")) {
    const word = Number(span.dataset.word);
    span.className = shade(values[word], most, data.read[word]);
  }
}

function say(place, parts) {
  place.replaceChildren(...parts.map((part) => {
    if (typeof part === "string") return part;
    const name = document.createElement("bdi");
    name.textContent = part.word;
    return name;
  }));
}

/* Follow the pointer, the finger and the arrow keys from word to word of a text. */
function walk(text, tell) {
  const spans = [...text.querySelectorAll("[data-word]")];
  let here = null;
  const go = (span) => {
    if (!span || span === here) return;
    if (here) here.classList.remove("here");
    here = span;
    tell(Number(span.dataset.word));
    span.classList.add("here");
  };
  text.addEventListener("pointerover", (event) => go(event.target.closest("[data-word]")));
  text.addEventListener("click", (event) => go(event.target.closest("[data-word]")));
  text.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !spans.length) return;
    event.preventDefault();
    const next = here ? spans.indexOf(here) + step : 0;
    go(spans[Math.min(spans.length - 1, Math.max(0, next))]);
    here.scrollIntoView({ block: "nearest" });
  });
  return () => here && Number(here.dataset.word);
}

function tellWord(word) {
  const parts = [{ word: data.words[word] }];
  if (!data.read[word]) parts.push(" was not read, or is not known to the model.");
  else {
    parts.push(` adds ${signed(data.support[word])} to the lead of `, { word: data.predicted }, ".");
    const fall = data.occlusion[word];
    if (fall !== null)
      parts.push(` Without it the probability goes from ${data.probability.toFixed(3)} to ${(data.probability - fall).toFixed(3)}.`);
    if (data.rollout) parts.push(` ${(100 * data.rollout[word]).toFixed(1)} % of the attention reached it.`);
  }
  say(byId("readout"), parts);
}

if (byId("words")) {
  walk(byId("words"), tellWord);
  byId("readout").hidden = false;
  const choice = byId("measure");
  measures.forEach(([name], i) => choice.add(new Option(name, i)));
  choice.addEventListener("change", () => colour(byId("words"), measures[choice.value][1]));
  choice.parentElement.hidden = measures.length < 2;
}

/* ---- attention ------------------------------------------------------------------------------------ */

function unpack(text) {
  return Float32Array.from(atob(text), (byte) => (byte.charCodeAt(0) / 255) ** 2);
}

/* One pixel a weight, in the colour of the style, deeper for more. */
function draw(canvas, weights, queries, n) {
  canvas.width = n;
  canvas.height = queries;
  canvas.style.aspectRatio = queries === n ? "1" : `${n} / ${Math.max(queries, n / 10)}`;
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--for").trim();
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  const picture = pen.createImageData(n, queries);
  const most = weights.reduce((a, b) => Math.max(a, b), 1e-9);
  weights.forEach((weight, i) => picture.data.set([red, green, blue, 255 * Math.sqrt(weight / most)], 4 * i));
  pen.putImageData(picture, 0, 0);
}

if (data.attention) {
  const { words, layers, left_out } = data.attention;
  const n = words.length;
  const column = new Map(words.map((word, i) => [word, i]));
  const pictures = [];
  let current = null;
  const looked = byId("looked");
  for (const node of byId("words").childNodes) looked.append(node.cloneNode(true));

  const show = (word) => {
    const { weights, layer } = current;
    const rows = layer.words ? [column.get(word)] : [...Array(layer.queries).keys()];
    const place = byId("weight");
    if (rows[0] === undefined) return say(place, [{ word: data.words[word] }, " was not read here."]);
    const mean = words.map((_, i) => rows.reduce((sum, row) => sum + weights[row * n + i], 0) / rows.length);
    const values = new Array(data.words.length).fill(0);
    words.forEach((other, i) => (values[other] = mean[i]));
    colour(looked, values);
    const order = words.map((_, i) => i).sort((a, b) => mean[b] - mean[a]);
    const parts = layer.words ? [{ word: data.words[word] }, " looks at "] : ["The model looks at "];
    order.slice(0, 5).forEach((i, k) => {
      parts.push(k ? ", " : "", { word: data.words[words[i]] }, ` ${mean[i].toFixed(3)}`);
    });
    if (rows.length > 1) parts.push(`, on the mean of ${rows.length} readings`);
    say(place, [...parts, "."]);
  };
  const here = walk(looked, (word) => show(word));

  const choose = (picture) => {
    for (const one of pictures) one.button.setAttribute("aria-pressed", String(one === picture));
    current = picture;
    byId("looking").hidden = false;
    byId("head-name").textContent = picture.name + (left_out ? ` (the first ${n} words)` : "");
    const word = here();
    if (n) show(word === null || !column.has(word) ? words[0] : word);
  };

  const tellCell = ({ canvas, layer, name, weights }, event) => {
    const within = (at, size, count) => Math.min(count - 1, Math.max(0, Math.floor((at / size) * count)));
    const row = within(event.offsetY, canvas.clientHeight, layer.queries);
    const other = within(event.offsetX, canvas.clientWidth, n);
    const looks = layer.words ? [{ word: data.words[words[row]] }] : [`reading ${row + 1}`];
    const weight = weights[row * n + other].toFixed(3);
    say(byId("cell"), [`${name}: `, ...looks, " looks at ", { word: data.words[words[other]] }, `, ${weight}.`]);
  };

  layers.forEach((layer, l) => {
    const line = document.createElement("div");
    line.className = "row";
    line.style.setProperty("--heads", layer.heads.length);
    const label = document.createElement("span");
    label.textContent = `layer ${l + 1}`;
    line.append(label);
    layer.heads.forEach((packed, h) => {
      const button = document.createElement("button");
      button.type = "button";
      const canvas = document.createElement("canvas");
      button.append(canvas, `head ${h + 1}`);
      const name = `Layer ${l + 1}, head ${h + 1}`;
      button.setAttribute("aria-label", name);
      const picture = { button, canvas, layer, name, weights: unpack(packed) };
      pictures.push(picture);
      button.addEventListener("click", () => choose(picture));
      canvas.addEventListener("pointermove", (event) => tellCell(picture, event));
      line.append(button);
    });
    byId("heads").append(line);
  });
  byId("cell").hidden = n === 0;
  const paint = () => pictures.forEach((one) => draw(one.canvas, one.weights, one.layer.queries, n));
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  if (pictures.length) choose(pictures[pictures.length - 1]);
}
