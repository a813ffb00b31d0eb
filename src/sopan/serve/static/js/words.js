/* A sentence whose words are coloured, underlined and told: never by colour alone. */

import { bdi, h, roving, visible } from "./dom.js";

export const LEVELS = 5;

/** A word's shade among its fellows: 0 to ±LEVELS. */
export const level = (value, most) => (most > 0 && value ? Math.sign(value) * Math.ceil((LEVELS * Math.abs(value)) / most) : 0);

const shade = (at) => (at > 0 ? ` for${at}` : at < 0 ? ` against${-at}` : "");

/** Cut a text at its words: strings between them, and each word's index and own text. Places are code points. */
function pieces(text, words) {
  const letters = Array.from(text);
  const found = [];
  let end = 0;
  words.forEach((word, i) => {
    if (word.start < end) return; // stands in one that was shown
    if (word.start > end) found.push({ text: letters.slice(end, word.start).join("") });
    found.push({ text: letters.slice(word.start, word.end).join(""), i });
    end = word.end;
  });
  found.push({ text: letters.slice(end).join("") });
  return found;
}

/**
 * The text, each word a button that the pointer, the finger and the arrow keys reach.
 *
 * Args:
 *   words: each with `start` and `end` in code points.
 *   levels: a number each, -LEVELS to LEVELS.
 *   label: i -> what a screen reader says of word i.
 *   onpoint: i -> called when word i is pointed at or focused.
 *   onpress: i -> called when it is pressed.
 */
export function sentence(text, words, { levels = [], label, onpoint, onpress, name, unread = () => false, pressed } = {}) {
  const buttons = [];
  const shown = pieces(text, words).map((piece) => {
    if (piece.i === undefined) return visible(piece.text);
    const { i } = piece;
    const button = h(
      "button",
      {
        type: "button",
        class: `w${shade(levels[i] ?? 0)}${unread(i) ? " unread" : ""}`,
        "data-word": i,
        "aria-label": label ? label(i, piece.text) : false,
        "aria-pressed": pressed ? String(pressed(i)) : false,
        onpointerenter: () => onpoint?.(i, piece.text),
        onfocus: () => onpoint?.(i, piece.text),
        onclick: () => (onpress ?? onpoint)?.(i, piece.text),
      },
      bdi(visible(piece.text)),
    );
    buttons.push(button);
    return button;
  });
  const line = h("p", { class: "sentence", role: "group", "aria-label": name, dir: "auto" }, shown);
  if (buttons.length) roving(line, buttons);
  return line;
}

/**
 * Words in a row, a bar over each, as high as its value: where a step looks.
 *
 * Returns the node and `raise(values, here)`, which sets the bars (0 to 1) and marks a word as the one that looks.
 */
export function skyline(words, { name, label, onpoint, pickable = false }) {
  const bars = words.map(() => h("span", { class: "tower", "aria-hidden": "true" }));
  const items = words.map((word, i) => {
    const inside = [bars[i], h("bdi", { class: "what" }, visible(word.text))];
    if (!pickable) return h("span", { class: "column", role: "listitem" }, inside);
    const tell = () => onpoint(i);
    return h("button", { type: "button", class: "column", onpointerenter: tell, onfocus: tell, onclick: tell }, inside);
  });
  const node = h("div", { class: "skyline", role: pickable ? "group" : "list", "aria-label": name, dir: "auto" }, items);
  if (pickable && items.length) roving(node, items);
  const raise = (values, here = -1) => {
    const most = Math.max(...values, 1e-9);
    items.forEach((item, i) => {
      bars[i].style.setProperty("--share", values[i] / most);
      item.classList.toggle("here", i === here);
      item.classList.toggle("tall", values[i] >= 0.5 * most && values[i] > 0);
      if (label) item.setAttribute("aria-label", label(i, values[i]));
    });
  };
  return { node, raise };
}
