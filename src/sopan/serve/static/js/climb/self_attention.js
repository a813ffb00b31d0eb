/* Self-attention: every word looks at every other, with one head or several. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { stepsOf } from "../flight.js";
import { t } from "../i18n.js";
import { among } from "./heads.js";

export async function draw(run, text) {
  const ours = stepsOf(run, "self_attention").map((step) => step.step);
  const seen = await api.tokens(text, ours, true);
  return [
    h("h3", {}, t("self_attention.title")),
    h("p", { class: "soft" }, t("self_attention.how")),
    h("div", { class: "sides" }, seen.map((each) => among(each, ours.length > 1))),
    h("p", { class: "soft small" }, t("attention.caution")),
  ];
}
