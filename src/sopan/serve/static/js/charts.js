/* Charts of our own: a scale, its ticks, dots with intervals. */

import { s } from "./dom.js";
import { number } from "./i18n.js";

/** Round numbers inside [low, high]. */
export function ticks(low, high, about = 5) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? power;
  const found = [];
  for (let at = Math.ceil(low / size - 1e-9) * size; at <= high + 1e-9; at += size) found.push(Number(at.toPrecision(12)));
  return found;
}

/** Powers of ten inside [low, high], or 1, 2 and 5 times those where they are few. */
export function decades(low, high) {
  const steps = high / low < 30 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const step of steps) found.push(Number((step * 10 ** power).toPrecision(6)));
  return found.filter((at) => at >= low && at <= high);
}

const places = (value) => (value >= 1 || value === 0 ? 0 : Math.min(4, Math.ceil(-Math.log10(value))));

const WIDTH = 760;
const HEIGHT = 380;
const EDGE = { left: 62, right: 120, top: 16, bottom: 52 };

/**
 * Cost on a logarithmic axis against a score with its interval; each dot is a button.
 *
 * Args:
 *   dots: {id, name, x, y, low, high, best}, x above 0.
 *   onpick: called with a dot's id.
 *
 * Returns the SVG and `mark(ids)`.
 */
export function costChart(dots, { label, xTitle, yTitle, onpick }) {
  const xs = dots.map((dot) => dot.x);
  const [xLow, xHigh] = [Math.min(...xs) / 1.8, Math.max(...xs) * 1.8];
  const lows = dots.map((dot) => dot.low);
  const highs = dots.map((dot) => dot.high);
  const margin = 0.15 * (Math.max(...highs) - Math.min(...lows)) || 0.01;
  const [yLow, yHigh] = [Math.min(...lows) - margin, Math.min(1, Math.max(...highs) + margin)];
  const x = (value) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * Math.log(value / xLow)) / Math.log(xHigh / xLow);
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (value - yLow)) / (yHigh - yLow);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "group", "aria-label": label });
  for (const at of ticks(yLow, yHigh, 6))
    svg.append(
      s("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(at), y2: y(at) }),
      s("text", { x: EDGE.left - 10, y: y(at) + 5, "text-anchor": "end" }, number(at, 2)),
    );
  for (const at of decades(xLow, xHigh))
    svg.append(
      s("line", { class: "tick", x1: x(at), x2: x(at), y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 6 }),
      s("text", { x: x(at), y: HEIGHT - EDGE.bottom + 23, "text-anchor": "middle" }, number(at, places(at))),
    );
  svg.append(
    s("line", { class: "axis", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom }),
    s("text", { class: "title", x: WIDTH - EDGE.right, y: HEIGHT - 8, "text-anchor": "end" }, xTitle),
    s("text", { class: "title", x: EDGE.left - 48, y: 12 }, yTitle),
  );
  const taken = [];
  const marks = new Map();
  for (const dot of [...dots].sort((a, b) => b.y - a.y)) {
    let top = y(dot.y) + 5;
    while (taken.some(([left, at]) => Math.abs(left - x(dot.x)) < 130 && Math.abs(at - top) < 17)) top += 17;
    taken.push([x(dot.x), top]);
    const node = s(
      "g",
      { class: dot.best ? "dot best" : "dot", tabindex: "0", role: "button", "aria-pressed": "false", "aria-label": dot.said },
      s("line", { class: "interval", x1: x(dot.x), x2: x(dot.x), y1: y(dot.low), y2: y(dot.high) }),
      s("circle", { class: "target", cx: x(dot.x), cy: y(dot.y), r: 22 }),
      s("circle", { cx: x(dot.x), cy: y(dot.y), r: 8 }),
      s("text", { x: x(dot.x) + 15, y: top }, dot.name),
    );
    node.addEventListener("click", () => onpick(dot.id));
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      onpick(dot.id);
    });
    marks.set(dot.id, node);
    svg.append(node);
  }
  const mark = (ids) => marks.forEach((node, id) => node.setAttribute("aria-pressed", String(ids.includes(id))));
  return { svg, mark };
}
