/* The step on which one stands: its name, what it adds and lacks, what it answers, and what it alone can show. */

import { into } from "../api.js";
import { byId, clear, h } from "../dom.js";
import { COMBINED, command, IDEAS, nameOf, PAIRS, stepsOf } from "../flight.js";
import { number, t } from "../i18n.js";
import { draw as attention } from "./attention.js";
import { draw as bert } from "./bert.js";
import { draw as bow } from "./bow.js";
import { draw as cbow } from "./cbow.js";
import { draw as selfAttention } from "./self_attention.js";
import { draw as transformer } from "./transformer.js";
import { verdicts } from "./verdict.js";

const FIGURES = { bow, cbow, attention, self_attention: selfAttention, transformer, bert };

function head(idea) {
  const n = IDEAS.indexOf(idea) + 1;
  return h(
    "header",
    { class: "about" },
    h("p", { class: "over" }, t("step.over", { n: number(n), of: number(IDEAS.length) })),
    h("h2", {}, nameOf(idea)),
    h("p", { class: "adds" }, h("strong", {}, t("step.adds")), " ", t(`adds.${idea}`)),
    h("p", { class: "lacks" }, h("strong", {}, t("step.lacks")), " ", t(`lacks.${idea}`)),
  );
}

function missing(run, steps, key) {
  return h("p", { class: "missing" }, t(key), " ", h("code", {}, command(run, steps)));
}

/** Which variant pairs the run lacks, and how to have them. */
function unpaired(run, idea) {
  const pair = PAIRS[idea];
  if (!pair || stepsOf(run, idea).length > 1) return null;
  const steps = IDEAS.flatMap((one) => (one === idea ? pair : stepsOf(run, one).map((step) => step.step)));
  return missing(run, steps, `pair.${idea}`);
}

/** What the run's stack and cascade answer: they stand on no step of their own. */
function together(run, text) {
  return COMBINED.filter((one) => stepsOf(run, one).length).map((one) => {
    const answers = h("div", { class: "answers" });
    into(answers, () => verdicts(run, one, text));
    return h("section", { class: "figure", "data-combined": one }, h("h3", {}, nameOf(one)), answers);
  });
}

/** Show a step's section for a sentence. */
export async function show(run, idea, text) {
  const place = byId("step");
  const answers = h("div", { class: "answers" });
  const figure = h("section", { class: "figure", "aria-label": t(`figure.${idea}`) });
  clear(place, head(idea), answers, figure);
  place.dataset.idea = idea;
  const ours = stepsOf(run, idea);
  if (!ours.length) answers.append(missing(run, [...run.steps.map((step) => step.step), idea], "absent.long"));
  if (!text.trim()) {
    figure.append(h("p", { class: "soft" }, t("climb.empty")));
    return;
  }
  place.append(...together(run, text));
  if (!ours.length && !(idea === "bert" && run.language_model)) {
    figure.remove();
    return;
  }
  if (ours.length) into(answers, () => verdicts(run, idea, text));
  await into(figure, async () => [await FIGURES[idea](run, text), unpaired(run, idea)]);
}
