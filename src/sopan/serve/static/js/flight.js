/* The six ideas, lowest first, and which steps of the served run stand on each. */

import { has, t } from "./i18n.js";

export const IDEAS = ["bow", "cbow", "attention", "self_attention", "transformer", "bert"];

/** What is made of steps. */
export const COMBINED = ["stack", "cascade"];

/** The idea of a step's name: `attention:local` is `attention`, `bert@minilm` is `bert`. */
export const ideaOf = (step) => step.split(/[:@]/)[0];

/** What follows it: `local`, `minilm`, `frozen@minilm`. */
export const variantOf = (step) => step.slice(ideaOf(step).length + 1);

/** An idea's name: translated where the catalogue knows it; whoever comes from outside goes by the own name. */
export const nameOf = (idea) => (has(`idea.${idea}`) ? t(`idea.${idea}`) : idea);

/** A variant's name: translated where the catalogue knows it. */
export function variantName(step) {
  const variant = variantOf(step);
  const key = `variant.${variant}`;
  return has(key) ? t(key) : variant;
}

/** A step's name in a sentence or a chart. */
export function fullName(step) {
  const variant = variantOf(step);
  return variant ? `${nameOf(ideaOf(step))}: ${variantName(step)}` : nameOf(ideaOf(step));
}

export const stepsOf = (run, idea) => run.steps.filter((step) => ideaOf(step.step) === idea);

/** The variants worth asking for, so that what a step teaches can be seen side by side. */
export const PAIRS = {
  attention: ["attention:global", "attention:local"],
  self_attention: ["self_attention:single", "self_attention:multi"],
  transformer: ["transformer:none", "transformer:sinusoidal"],
};

/** What to type to have a step, or its pair, in the run. */
export const command = (run, steps) => `sopan compare ${run.data?.name ?? "DATA"} --steps ${steps.join(",")}`;

export const canDo = (run, what) => run.steps.filter((step) => step.has.includes(what));
