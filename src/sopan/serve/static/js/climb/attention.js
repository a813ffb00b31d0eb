/* Attention: where a reader looks, everywhere at once (global) or around a few places (local). */

import { api } from "../api.js";
import { h, visible } from "../dom.js";
import { stepsOf, variantName } from "../flight.js";
import { number, t } from "../i18n.js";
import { skyline } from "../words.js";

const mean = (rows) => rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);

/** The mean over heads of the highest layer: one row of weights for each time that the step read. */
function reads(attention) {
  const heads = attention.layers.at(-1);
  return heads[0].map((_, query) => mean(heads.map((head) => head[query])));
}

function one(seen, several) {
  const { attention } = seen;
  const title = several && h("h4", {}, variantName(seen.step));
  if (!attention?.words.length) return h("section", { class: "side" }, title, h("p", { class: "soft" }, t("attention.none")));
  const looks = reads(attention);
  const label = (i, value) => `${visible(attention.words[i].text)}, ${number(value, 3)}`;
  const { node, raise } = skyline(attention.words, { name: t("attention.where"), label });
  const told = h("p", { class: "readout", "aria-live": "polite" });
  const choose = (row) => {
    raise(row);
    const order = row.map((_, i) => i).sort((a, b) => row[b] - row[a]).slice(0, 3);
    told.textContent = t("attention.most", { words: order.map((i) => `${visible(attention.words[i].text)} ${number(row[i], 2)}`).join(" · ") });
  };
  choose(mean(looks));
  return h("section", { class: "side" }, title, looks.length > 1 && choices(looks, choose), node, told);
}

/** Buttons for the mean of all reads and for each. */
function choices(looks, choose) {
  const rows = [mean(looks), ...looks];
  const buttons = rows.map((row, i) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(!i),
        onclick: () => {
          buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === i)));
          choose(row);
        },
      },
      i ? t("attention.read", { n: number(i) }) : t("attention.all"),
    ),
  );
  return h("div", { class: "choices" }, buttons);
}

export async function draw(run, text) {
  const ours = stepsOf(run, "attention").map((step) => step.step);
  const seen = await api.tokens(text, ours, true);
  return [
    h("h3", {}, t("attention.title")),
    h("div", { class: "sides" }, seen.map((each) => one(each, ours.length > 1))),
    h("p", { class: "soft small" }, t("attention.caution")),
  ];
}
