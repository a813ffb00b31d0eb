/* What a step answers, how sure it is, and the words behind it. */

import { api } from "../api.js";
import { bdi, h, visible } from "../dom.js";
import { stepsOf, variantName } from "../flight.js";
import { number, signed, t } from "../i18n.js";
import { level, sentence } from "../words.js";

const MOST_CLASSES = 6;

export function probabilities(said) {
  const ranked = Object.entries(said.probabilities).sort((a, b) => b[1] - a[1]);
  const rows = ranked.slice(0, MOST_CLASSES).map(([label, share], i) =>
    h(
      "li",
      { class: i ? "" : "first" },
      h("span", { class: "label" }, bdi(visible(label))),
      h("span", { class: "sure" }, number(share, 2)),
      h("span", { class: i ? "bar second" : "bar", vars: { share } }),
    ),
  );
  return h("ul", { class: "probabilities", "aria-label": t("verdict.probabilities") }, rows);
}

function cautions(said) {
  return [said.no_known_words && t("verdict.unknown"), said.truncated && t("verdict.truncated")]
    .filter(Boolean)
    .map((line) => h("p", { class: "caution" }, line));
}

/** What a word did, in one line. */
function tell(word, said) {
  if (!word.read) return t("verdict.unread", { word: visible(word.word) });
  const values = { word: visible(word.word), by: signed(word.support), label: visible(said.label) };
  const fall = word.fall === null ? "" : " " + t("verdict.fall", { from: number(said.confidence, 2), to: number(said.confidence - word.fall, 2) });
  return t("verdict.adds", values) + fall;
}

function one(text, said, several) {
  const most = Math.max(...said.words.map((word) => Math.abs(word.support)), 0);
  const readout = h("p", { class: "readout", "aria-live": "polite" }, t("verdict.point"));
  const line = sentence(text, said.words, {
    name: t("verdict.words", { label: visible(said.label) }),
    levels: said.words.map((word) => level(word.support, most)),
    unread: (i) => !said.words[i].read,
    label: (i) => `${visible(said.words[i].word)}, ${said.words[i].read ? signed(said.words[i].support) : t("verdict.not_read")}`,
    onpoint: (i) => {
      readout.textContent = tell(said.words[i], said);
      readout.dataset.told = "";
    },
  });
  return h(
    "section",
    { class: "verdict", "data-step": said.step },
    several && h("h3", {}, variantName(said.step)),
    h("div", { class: "told" }, line, readout, said.answered_by && h("p", { class: "soft" }, t("verdict.answered", { who: said.answered_by })), cautions(said)),
    probabilities(said),
  );
}

export async function verdicts(run, idea, text) {
  const steps = stepsOf(run, idea).map((step) => step.step);
  const said = await api.explain(text, steps);
  const legend = h(
    "p",
    { class: "legend" },
    h("span", { class: "w for3" }, t("legend.for")),
    " ",
    h("span", { class: "w against3" }, t("legend.against")),
    " ",
    h("span", { class: "w unread" }, t("legend.unread")),
    h("span", { class: "soft" }, t(said.some((each) => each.method === "exact") ? "legend.exact" : "legend.occlusion")),
  );
  return [h("div", { class: said.length > 1 ? "verdicts pair" : "verdicts" }, said.map((each) => one(text, each, said.length > 1))), legend];
}
