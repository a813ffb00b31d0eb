/* The words on a map: search one, see its neighbours on every step that has vectors. */

import { api, into } from "./api.js";
import { bdi, byId, clear, h, visible } from "./dom.js";
import { canDo, fullName } from "./flight.js";
import { number, t } from "./i18n.js";
import { neighborList, wordMap } from "./map.js";
import * as state from "./state.js";

const TOP = 12;
const FEW = 5;
const chosen = { step: "", view: "tsne" };
let drawn = "";
let current;

const look = (word) => state.set({ word: word.trim() });

/** A word's neighbours on the map's step, and marks for them. */
async function nearest(word) {
  const [here] = await api.neighbors(word, TOP, [chosen.step]);
  current?.mark([word], here.neighbors.map((one) => one.word));
  return [h("h2", {}, t("words.near"), " ", bdi(visible(word))), neighborList(here, number, look)];
}

/** The same word's first neighbours on every step that has vectors. */
async function across(word) {
  const found = await api.neighbors(word, FEW);
  const side = (one) => h("section", { class: "side" }, h("h3", {}, fullName(one.step)), neighborList(one, number, look));
  return [h("h2", {}, t("words.across")), h("div", { class: "sides narrow" }, found.map(side))];
}

function landmarks(map) {
  const step = Math.max(1, Math.floor(map.words.length / 60));
  return map.words.filter((word, i) => i % step === 0 && word.length > 3).slice(0, 45);
}

/** Show the neighbours of the word that the state names, or a map with some words named. */
function refresh(run) {
  const { word } = state.get();
  byId("word").value = word;
  const place = byId("near");
  if (!word) {
    clear(place, h("p", { class: "soft" }, t("words.pick")));
    clear(byId("across"));
    return;
  }
  into(place, () => nearest(word));
  if (canDo(run, "vectors").length > 1) into(byId("across"), () => across(word));
}

function drawMap(run, place) {
  into(
    place,
    async () => {
      const map = await api.vectors(chosen.step, chosen.view);
      current = wordMap(map, { onpick: look });
      if (!state.get().word) current.mark([], landmarks(map), "landmark");
      else refresh(run);
      const of = { shown: number(map.words.length), of: number(map.of) };
      const kept = map.explained ? " " + t("words.explained", { share: number(100 * (map.explained[0] + map.explained[1]), 0) }) : "";
      return [current.node, h("p", { class: "soft small" }, t("words.shown", of) + kept)];
    },
    { waiting: t("words.waiting") },
  );
}

/** A row of buttons of which one is chosen. */
function choice(name, options, label, now, choose) {
  const buttons = options.map((option) =>
    h("button", { type: "button", "aria-pressed": String(option === now), onclick: () => choose(option) }, label(option)),
  );
  return h("div", { class: "choices tight", role: "group", "aria-label": name }, buttons);
}

export function show(run, place) {
  const steps = canDo(run, "vectors").map((step) => step.step);
  if (!steps.length) {
    clear(place, h("h1", {}, t("words.title")), h("p", { class: "soft" }, t("words.empty"), " ", h("code", {}, `sopan compare ${run.data?.name ?? "DATA"} --steps bow,cbow`)));
    return;
  }
  if (!steps.includes(chosen.step)) [chosen.step] = steps;
  const key = [document.documentElement.lang, chosen.step, chosen.view].join();
  if (drawn === key && place.childElementCount) {
    refresh(run);
    return;
  }
  drawn = key;
  const again = (patch) => {
    Object.assign(chosen, patch);
    show(run, place);
  };
  const field = h("input", { type: "search", id: "word", maxlength: "100", autocomplete: "off", spellcheck: "false", dir: "auto" });
  const form = h(
    "form",
    { class: "search", onsubmit: (event) => (event.preventDefault(), look(field.value)) },
    h("label", { for: "word" }, t("words.search")),
    field,
    h("button", { type: "submit", class: "go" }, t("words.find")),
  );
  const mapped = h("div", { class: "map-place" });
  clear(
    place,
    h("h1", {}, t("words.title")),
    h("p", { class: "soft" }, t("words.how")),
    h(
      "div",
      { class: "tools" },
      form,
      steps.length > 1 && choice(t("words.step"), steps, fullName, chosen.step, (step) => again({ step })),
      choice(t("words.view"), ["tsne", "pca"], (view) => t(`words.${view}`), chosen.view, (view) => again({ view })),
    ),
    h("div", { class: "mapped" }, mapped, h("section", { id: "near", "aria-live": "polite" })),
    h("section", { id: "across" }),
  );
  drawMap(run, mapped);
  refresh(run);
}
