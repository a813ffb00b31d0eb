/* Words as places on a plane: one path for all of them, names for those that matter. */

import { h, s, visible } from "./dom.js";
import { t } from "./i18n.js";

const SIZE = 1000;
const place = (value) => ((value + 1.06) / 2.12) * SIZE;

/**
 * Draw a map.
 *
 * Args:
 *   map: what `/vectors` gives.
 *   onpick: called with the word that was pressed.
 *   wide: flat, to stand beside a list.
 *   bare: few words, all of them named, and no dots beneath.
 *
 * Returns the node and `mark(main, others, kind)`, which names words: the main ones in the accent, the others beside
 * them. `kind` is `other`, or `landmark` for words that are left out where there is no room for their names.
 */
export function wordMap(map, { onpick, wide = false, bare = false } = {}) {
  const height = (wide ? 0.52 : 0.68) * SIZE;
  const squeeze = height / SIZE;
  const x = map.words.map((_, i) => place(map.x[i]));
  const y = map.words.map((_, i) => (SIZE - place(map.y[i])) * squeeze);
  const index = new Map(map.words.map((word, i) => [word, i]));
  const dots = s("path", { class: "dots", d: x.map((at, i) => `M${at.toFixed(1)} ${y[i].toFixed(1)}h0`).join("") });
  if (bare) dots.setAttribute("class", "unseen-dots");
  const marks = s("g", {});
  const hover = s("g", { class: "hover" });
  const svg = s("svg", { viewBox: `0 0 ${SIZE} ${height}`, class: "map", role: "img", "aria-label": t("map.label") }, dots, marks, hover);
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const [px, py] = [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * height];
    let best = -1;
    let least = 30 ** 2;
    x.forEach((at, i) => {
      const away = (at - px) ** 2 + (y[i] - py) ** 2;
      if (away < least) [best, least] = [i, away];
    });
    return best;
  };
  svg.addEventListener("pointermove", (event) => {
    const i = nearest(event);
    hover.replaceChildren(...(i < 0 ? [] : name(i, "near")));
    svg.classList.toggle("on", i >= 0);
  });
  svg.addEventListener("pointerleave", () => hover.replaceChildren());
  svg.addEventListener("click", (event) => {
    const i = nearest(event);
    if (i >= 0) onpick?.(map.words[i]);
  });
  const taken = [];
  const free = (left, top, width) => {
    const clash = taken.some(([l, u, w]) => left < l + w && l < left + width && Math.abs(top - u) < 26);
    if (!clash) taken.push([left, top, width]);
    return !clash;
  };
  const name = (i, kind) => {
    const word = visible(map.words[i]);
    const end = x[i] > SIZE - 160;
    const width = 12 * word.length + 14;
    const dot = s("circle", { cx: x[i], cy: y[i], r: kind === "main" ? 7 : 5, class: kind });
    if (kind !== "near" && !free(end ? x[i] - width : x[i], y[i], width)) return kind === "landmark" ? [] : [dot];
    return [dot, s("text", { x: x[i] + (end ? -11 : 11), y: y[i] + 7, "text-anchor": end ? "end" : "start", class: kind }, word)];
  };
  const mark = (main, others = [], kind = "other") => {
    taken.length = 0;
    const nodes = [];
    const beside = others.filter((word) => !main.includes(word));
    for (const [list, role] of [[main, "main"], [beside, kind]])
      for (const word of new Set(list)) if (index.has(word)) nodes.push(...name(index.get(word), role));
    marks.replaceChildren(...nodes);
  };
  return { node: h("div", { class: "mapping" }, svg), mark, has: (word) => index.has(word) };
}

/** A word's neighbours, nearest first, with their cosines as bars. */
export function neighborList(found, number, onpick) {
  if (!found.known) return h("p", { class: "soft" }, t("words.unknown"));
  return h(
    "ol",
    { class: "candidates" },
    found.neighbors.map((one) =>
      h(
        "li",
        {},
        h("button", { type: "button", class: "what link", onclick: () => onpick(one.word) }, h("bdi", {}, visible(one.word))),
        h("span", { class: "sure" }, number(one.cosine, 2)),
        h("span", { class: "bar", vars: { share: Math.max(0, one.cosine) } }),
      ),
    ),
  );
}
