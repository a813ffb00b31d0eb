/* Transformer: words have places, and layers lie on one another. Shuffle the words to see whether it minds. */

import { api, into } from "../api.js";
import { bdi, h, visible } from "../dom.js";
import { fullName, stepsOf } from "../flight.js";
import { number, signed, t } from "../i18n.js";
import { among } from "./heads.js";

/** The same words from last to first: a bag of words cannot tell it from the text. */
export const reversed = (text) => text.trim().split(/\s+/).reverse().join(" ");

/** What every step says of the text, and of its words in reverse. */
async function order(run, text) {
  const other = reversed(text);
  const [straight, turned] = await Promise.all([api.predict(text), api.predict(other)]);
  const rows = straight.map((said, i) => {
    const moved = turned[i].probabilities[said.label] - said.confidence;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, fullName(said.step)),
      h("td", {}, bdi(visible(said.label)), ` ${number(said.confidence, 2)}`),
      h("td", {}, bdi(visible(said.label)), ` ${number(turned[i].probabilities[said.label], 2)}`),
      h("td", { class: Math.abs(moved) >= 0.005 ? "moved" : "soft" }, signed(moved)),
    );
  });
  const heads = ["order.step", "order.straight", "order.turned", "order.moved"];
  return [
    h("p", { class: "turned" }, bdi(visible(other))),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("order.title") },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((key) => h("th", { scope: "col" }, t(key))))), h("tbody", {}, rows)),
    ),
  ];
}

export async function draw(run, text) {
  const ours = stepsOf(run, "transformer").map((step) => step.step);
  const seen = await api.tokens(text, ours, true);
  const turned = h("div", {});
  into(turned, () => order(run, text));
  return [
    h("h3", {}, t("transformer.title")),
    h("p", { class: "soft" }, t("transformer.how")),
    h("div", { class: "sides" }, seen.map((each) => among(each, ours.length > 1))),
    h("p", { class: "soft small" }, t("attention.caution")),
    h("h3", { class: "second" }, t("order.title")),
    h("p", { class: "soft" }, t("order.how")),
    turned,
  ];
}
