/* Bag of words: a long row of numbers, nearly all of them 0. */

import { api } from "../api.js";
import { bdi, h, visible } from "../dom.js";
import { stepsOf } from "../flight.js";
import { number, signed, t } from "../i18n.js";

const MOST = 60;

/** What a feature adds to the lead of one class over the others. */
function lead(contributions, best) {
  const others = contributions.filter((_, i) => i !== best);
  return contributions[best] - others.reduce((sum, value) => sum + value, 0) / Math.max(1, others.length);
}

function kindOf(item) {
  if (item.kind === "characters") return "characters";
  const words = item.feature.split(" ").length;
  return words > 2 ? "longer" : words > 1 ? "pairs" : "single";
}

function cell(item, most) {
  const share = item.lead / most;
  return h(
    "li",
    { class: share < 0 ? "feature less" : "feature" },
    h("span", { class: "what" }, bdi(visible(item.feature))),
    h("span", { class: "value" }, number(item.value, 2)),
    h("span", { class: "push", vars: { share: Math.abs(share) } }, signed(item.lead)),
  );
}

export async function draw(run, text) {
  const [step] = stepsOf(run, "bow");
  const [[seen], [said]] = await Promise.all([api.tokens(text, [step.step], false), api.predict(text)]);
  const { features } = seen;
  const title = h("h3", {}, t("bow.title"));
  if (!features || !features.total) return [title, h("p", { class: "soft" }, t("bow.empty"))];
  const best = features.classes.indexOf(said.label);
  const items = features.items.map((item) => ({ ...item, lead: lead(item.contributions, best) }));
  const most = Math.max(...items.map((item) => Math.abs(item.lead)), 1e-9);
  const groups = ["single", "pairs", "longer", "characters"]
    .map((kind) => [kind, items.filter((item) => kindOf(item) === kind).slice(0, MOST)])
    .filter(([, group]) => group.length);
  return [
    title,
    h(
      "p",
      { class: "vector" },
      h("span", { class: "big" }, number(features.vocabulary)),
      t("bow.places"),
      " ",
      h("span", { class: "big accent" }, number(features.total)),
      t("bow.filled"),
    ),
    h("p", { class: "zeros", "aria-hidden": "true" }, strip(items)),
    h("p", { class: "soft small" }, t("bow.how", { label: visible(said.label) })),
    groups.map(([kind, group]) => [
      h("h4", {}, t(`bow.${kind}`)),
      h("ul", { class: "features" }, group.map((item) => cell(item, most))),
    ]),
  ];
}

/** The row of numbers as a reader might picture it: what is not 0 stands out, in what order the zeros lie is left open. */
function strip(items) {
  const shown = items.slice(0, 6);
  const zeros = `${number(0)} ${number(0)} ${number(0)} …`;
  return shown.flatMap((item) => [`${zeros} `, h("b", {}, number(item.value, 2)), " "]).concat(zeros);
}
