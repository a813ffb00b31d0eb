/* Heads and layers: a picture of each head, and, for the one that is chosen, whom each word attends to. */

import { h, roving, visible } from "../dom.js";
import { variantName } from "../flight.js";
import { number, t } from "../i18n.js";
import { skyline } from "../words.js";

/** One pixel a weight, deeper for more. */
function paint(canvas, weights) {
  canvas.height = weights.length;
  canvas.width = weights[0].length;
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(canvas).color;
  const most = Math.max(...weights.flat(), 1e-9);
  weights.forEach((row, y) =>
    row.forEach((weight, x) => {
      pen.globalAlpha = Math.sqrt(weight / most);
      pen.fillRect(x, y, 1, 1);
    }),
  );
}

/** Where a head looks, in words: how much of its weight stays on the word itself, or goes to its neighbours. */
function habit(weights) {
  const n = weights.length;
  if (n < 3) return "";
  const share = (away) => weights.reduce((sum, row, q) => sum + (row[q + away] ?? 0), 0) / n;
  return t("heads.habit", { self: number(100 * share(0)), left: number(100 * share(-1)), right: number(100 * share(1)) });
}

/** The matrices of a step as buttons, one for each head, lowest layer first. */
function gallery(layers, choose) {
  const buttons = [];
  const rows = layers.map((heads, l) =>
    h(
      "div",
      { class: "layer" },
      layers.length > 1 && h("span", { class: "soft small" }, t("heads.layer", { n: number(l + 1) })),
      heads.map((weights, k) => {
        const canvas = h("canvas", { "aria-hidden": "true" });
        const name = t(layers.length > 1 ? "heads.name" : "heads.head", { layer: number(l + 1), head: number(k + 1) });
        const button = h("button", { type: "button", class: "head", "aria-pressed": "false", "aria-label": name, title: name }, canvas);
        button.addEventListener("click", () => {
          buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
          choose(weights, name);
        });
        requestAnimationFrame(() => paint(canvas, weights));
        buttons.push(button);
        return button;
      }),
    ),
  );
  const node = h("div", { class: "heads", role: "group", "aria-label": t("heads.title") }, rows);
  roving(node, buttons);
  return { node, first: buttons.at(-1) };
}

/** The view of one step's attention among words: what `/tokens` gave of it. */
export function among(seen, several) {
  const { attention } = seen;
  const title = several && h("h4", {}, variantName(seen.step));
  if (!attention?.words.length) return h("section", { class: "side" }, title, h("p", { class: "soft" }, t("attention.none")));
  const { words, layers } = attention;
  let weights = layers[0][0];
  let here = Math.min(1, words.length - 1);
  const name = h("h5", {});
  const told = h("p", { class: "readout", "aria-live": "polite" });
  const { node, raise } = skyline(words, { name: t("heads.whom"), pickable: true, onpoint: (i) => look(i) });
  const look = (i) => {
    here = i;
    const row = weights[Math.min(i, weights.length - 1)];
    raise(row, i);
    const order = row.map((_, k) => k).sort((a, b) => row[b] - row[a]).slice(0, 3);
    const list = order.map((k) => `${visible(words[k].text)} ${number(row[k], 2)}`).join(" · ");
    told.textContent = t("heads.looks", { word: visible(words[i].text), words: list });
  };
  const habits = h("p", { class: "soft small" });
  const choose = (chosen, title) => {
    weights = chosen;
    name.textContent = title;
    habits.textContent = habit(chosen);
    look(here);
  };
  const { node: pictures, first } = gallery(layers, choose);
  first.click();
  return h("section", { class: "side" }, title, h("div", { class: "attending" }, pictures, h("div", {}, name, node, told, habits)));
}
