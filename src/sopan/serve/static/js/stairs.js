/* The flight of stairs: where one is, what each step says, and the way from one to the next. */

import { api } from "./api.js";
import { bdi, byId, clear, h, roving, visible } from "./dom.js";
import { IDEAS, ideaOf, nameOf, stepsOf, variantName } from "./flight.js";
import { number, t } from "./i18n.js";
import * as state from "./state.js";

/** One step's answer in the fewest signs. */
function answer(said, several) {
  return h(
    "span",
    { class: "answer" },
    several && h("span", { class: "variant" }, variantName(said.step)),
    h("span", { class: "label" }, bdi(visible(said.label))),
    h("span", { class: "sure" }, number(said.confidence, 2)),
    h("span", { class: "bar", vars: { share: said.confidence } }),
  );
}

function tread(run, idea, i, said) {
  const ours = stepsOf(run, idea);
  const current = state.get().step === idea;
  const button = h(
    "button",
    {
      type: "button",
      class: ours.length ? "tread" : "tread missing",
      "aria-current": current ? "step" : false,
      "data-idea": idea,
      onclick: () => state.set({ step: idea }),
    },
    h("span", { class: "n" }, number(i + 1)),
    h("span", { class: "name" }, nameOf(idea)),
    i > 1 && h("span", { class: "sub" }, t(`gist.${idea}`)),
  );
  const told = ours.length
    ? said.filter((one) => ideaOf(one.step) === idea).slice(0, 2).map((one) => answer(one, ours.length > 1))
    : h("span", { class: "absent" }, t("absent.short"));
  return h("li", { vars: { i } }, h("div", { class: "said" }, told), button);
}

/** Draw the flight with what the steps said (maybe nothing yet). */
export function draw(run, said, climbing = false) {
  const stairs = byId("stairs");
  const focused = stairs.contains(document.activeElement);
  stairs.classList.toggle("climbing", climbing);
  stairs.setAttribute("aria-label", t("stairs.label"));
  clear(stairs, IDEAS.map((idea, i) => tread(run, idea, i, said)));
  const treads = [...stairs.querySelectorAll(".tread")];
  roving(stairs, treads, (at) => state.set({ step: IDEAS[at] }));
  const here = IDEAS.indexOf(state.get().step);
  treads.forEach((one, i) => (one.tabIndex = i === here ? 0 : -1));
  if (focused) treads[here]?.focus();
}

/** Mark where one is, without drawing anew. */
export function mark(step) {
  for (const one of byId("stairs").querySelectorAll(".tread")) {
    const here = one.dataset.idea === step;
    if (here) one.setAttribute("aria-current", "step");
    else one.removeAttribute("aria-current");
    one.tabIndex = here ? 0 : -1;
  }
}

/** Let a sentence climb, unless another has taken its place meanwhile. */
export async function climb(run, text) {
  const said = await api.predict(text);
  if (state.get().sentence === text) draw(run, said, true);
}
