/* CBOW: words have places, those used alike lie near each other, and the words around one point at it. */

import { api, into } from "../api.js";
import { bdi, calm, h, roving, visible } from "../dom.js";
import { canDo, stepsOf } from "../flight.js";
import { number, t } from "../i18n.js";
import { neighborList, wordMap } from "../map.js";
import { project } from "../pca.js";

const AROUND = 4;
const TOP = 8; // neighbours of a word, for the map and the list, and guesses
const MOST_WORDS = 8;
const EACH = 3;
const MOST_TEXTS = 32;

const unit = (vector) => {
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
};

/** Let the model guess a word from those around it. */
async function guess(step, words, missing) {
  const around = words.slice(Math.max(0, missing - AROUND), missing).concat(words.slice(missing + 1, missing + 1 + AROUND));
  return { around, ...(await api.guess(around, words[missing], TOP, step)) };
}

/** The guess as a scene: the words around fall into their mean, and the mean names its neighbours. */
function scene(found) {
  const right = found.asked;
  const shown = right.rank > TOP ? [...found.guesses, right] : found.guesses;
  const chips = found.around.map((word, i) => h("span", { class: "chip", vars: { i } }, bdi(visible(word))));
  const rows = shown.map((one, i) =>
    h(
      "li",
      { class: one.word === right.word ? "own" : "", value: one === right ? right.rank : false, vars: { i } },
      h("span", { class: "what" }, bdi(visible(one.word))),
      h("span", { class: "sure" }, number(one.cosine, 2)),
      h("span", { class: "bar", vars: { share: Math.max(0, one.cosine) } }),
    ),
  );
  const told = t("cbow.rank", { word: visible(right.word), rank: number(right.rank), of: number(found.of) });
  return [
    h(
      "div",
      { class: calm() ? "scene" : "scene playing" },
      h("div", { class: "around", "aria-label": t("cbow.around"), role: "group" }, chips),
      h("div", { class: "mean" }, h("span", {}, t("cbow.mean"))),
      h("ol", { class: "candidates", "aria-label": t("cbow.guesses") }, rows),
    ),
    h("p", { class: "readout", role: "status" }, told),
  ];
}

/** Buttons for words, one of them chosen. */
function picker(words, name, choose) {
  const buttons = words.map((word, i) =>
    h("button", { type: "button", "aria-pressed": "false", onclick: () => pick(i) }, bdi(visible(word))),
  );
  const pick = (i) => {
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === i)));
    choose(i);
  };
  const node = h("div", { class: "choices words", role: "group", "aria-label": name }, buttons);
  if (buttons.length) roving(node, buttons);
  return { node, pick };
}

export async function draw(run, text) {
  const step = (canDo(run, "vectors")[0] ?? stepsOf(run, "cbow")[0]).step;
  const [seen] = await api.tokens(text, [step], false);
  const words = seen.tokens.filter((token) => token.known).map((token) => token.text);
  const distinct = [...new Set(words)];
  if (!words.length) return [h("h3", {}, t("cbow.title")), h("p", { class: "soft" }, t("cbow.empty"))];
  const near = h("div", {});
  const plane = h("div", {});
  let mark = () => {};
  const look = (word) =>
    into(near, async () => {
      const [nearest] = await api.neighbors(word, TOP, [step]);
      mark(word, nearest.neighbors.map((one) => one.word));
      return [h("h4", {}, t("cbow.near"), " ", bdi(visible(word))), neighborList(nearest, number, look)];
    });
  const chosen = picker(distinct, t("cbow.pick"), (i) => look(distinct[i]));
  into(plane, async () => {
    const [map, ours] = await surroundings(step, distinct);
    const plot = wordMap(map, { wide: true, onpick: look, bare: true });
    mark = (word, others) => plot.mark([word, ...ours], [...others, ...map.words]);
    chosen.pick(longest(distinct));
    return [plot.node, h("p", { class: "soft small" }, t("cbow.how", { share: number(100 * map.share) }))];
  });
  return [
    h("h3", {}, t("cbow.title")),
    chosen.node,
    h("div", { class: "mapped" }, plane, near),
    words.length > 1 && predicting(step, words),
  ];
}

/** The sentence's longest words and the neighbours of each, placed by the two directions in which these differ most. */
async function surroundings(step, distinct) {
  const ours = [...distinct].sort((a, b) => b.length - a.length).slice(0, MOST_WORDS);
  const found = await Promise.all(ours.map((word) => api.neighbors(word, TOP, [step])));
  const near = found.flatMap(([one]) => one.neighbors.slice(0, EACH).map((neighbor) => neighbor.word));
  const words = [...new Set([...ours, ...near])].slice(0, MOST_TEXTS);
  const vectors = await api.embed(words, step);
  return [{ words, ...project(vectors.map(unit)) }, ours]; // directions, as neighbours are by cosine
}

const longest = (words) => words.reduce((best, word, i) => (word.length > words[best].length ? i : best), 0);

/** The guess from context, for any word of the sentence. */
function predicting(step, words) {
  const stage = h("div", {});
  const { node, pick } = picker(words, t("cbow.miss"), (i) => into(stage, async () => scene(await guess(step, words, i))));
  pick(longest(words));
  return [h("h3", { class: "second" }, t("cbow.guess_title")), h("p", { class: "soft" }, t("cbow.guess_how")), node, stage];
}
