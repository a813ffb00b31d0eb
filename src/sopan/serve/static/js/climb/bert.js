/* BERT: blank a word and see it filled, from both sides and from the left alone; how likely each word was. */

import { api, into } from "../api.js";
import { bdi, h, visible } from "../dom.js";
import { number, percent, t } from "../i18n.js";
import { level, sentence } from "../words.js";

const MOST_BLANKS = 4;
const TOP = 6;

/** The text with some of its words taken out. */
function blanked(text, words, blanks) {
  const letters = Array.from(text);
  let out = "";
  let end = 0;
  for (const i of [...blanks].sort((a, b) => a - b)) {
    out += letters.slice(end, words[i].start).join("") + "[MASK]";
    end = words[i].end;
  }
  return out + letters.slice(end).join("");
}

function candidates(filled, words, blanks) {
  return filled.blanks.map((list, k) => {
    const own = words[blanks[k]]?.text ?? "";
    const rows = list.map((one) =>
      h(
        "li",
        { class: one.text === own.toLowerCase() ? "own" : "" },
        h("span", { class: "what" }, bdi(visible(one.text))),
        h("span", { class: "sure" }, percent(one.probability, 1)),
        h("span", { class: "bar", vars: { share: one.probability } }),
      ),
    );
    return h("ol", { class: "candidates", "aria-label": t("bert.candidates", { n: number(k + 1) }) }, rows);
  });
}

async function side(masked, leftOnly, words, blanks) {
  const filled = await api.fill(masked, TOP, leftOnly);
  const asked = leftOnly ? blanks.slice(0, filled.blanks.length) : blanks;
  return [
    h("h4", {}, t(leftOnly ? "bert.left" : "bert.both")),
    h("p", { class: "read", dir: "auto" }, visible(leftOnly ? masked.slice(0, masked.lastIndexOf("[MASK]") + 6) : masked).replaceAll("[MASK]", "____")),
    candidates(filled, words, asked),
  ];
}

/** The words to press, and below them what may fill the blanks. */
function filling(text, scored, first) {
  const { words } = scored;
  const blanks = new Set();
  const results = h("div", { class: "sides", "aria-live": "polite" });
  const hint = h("p", { class: "soft small" });
  const line = sentence(text, words, {
    name: t("bert.press"),
    label: (i) => t("bert.blank_it", { word: visible(words[i].text) }),
    pressed: () => false,
    onpress: (i) => toggle(i),
  });
  const buttons = new Map([...line.querySelectorAll("[data-word]")].map((one) => [Number(one.dataset.word), one]));
  const show = () => {
    for (const [i, button] of buttons) {
      button.classList.toggle("blank", blanks.has(i));
      button.setAttribute("aria-pressed", String(blanks.has(i)));
    }
    hint.textContent = blanks.size ? t("bert.again") : t("bert.press");
    const masked = blanked(text, words, blanks);
    const order = [...blanks].sort((a, b) => a - b);
    if (!blanks.size) return results.replaceChildren();
    const sides = [false, true].map((leftOnly) => {
      const place = h("section", { class: "side" });
      into(place, () => side(masked, leftOnly, words, order));
      return place;
    });
    results.replaceChildren(...sides);
  };
  const toggle = (i) => {
    if (!blanks.delete(i) && blanks.size < MOST_BLANKS) blanks.add(i);
    show();
  };
  if (first !== undefined) blanks.add(first);
  show();
  return [line, hint, results];
}

/** Each word as surprising as it was: deeper for less likely. */
function likelihood(text, scored) {
  const { words } = scored;
  const surprise = words.map((word) => -word.log_probability);
  const most = Math.max(...surprise, 1e-9);
  const tell = (i) => t("bert.likely", { word: visible(words[i].text), share: percent(Math.exp(words[i].log_probability), 2) });
  const readout = h("p", { class: "readout", "aria-live": "polite" }, t("bert.point"));
  const line = sentence(text, words, {
    name: t("bert.score_title"),
    levels: surprise.map((value) => -level(value, most)),
    label: tell,
    onpoint: (i) => (readout.textContent = tell(i)),
  });
  const total = t("bert.total", { total: number(scored.total, 1), perplexity: number(scored.perplexity_per_word, 1) });
  return [h("h3", { class: "second" }, t("bert.score_title")), h("p", { class: "soft" }, t("bert.score_how")), line, readout, h("p", { class: "soft small" }, total)];
}

/** The first word to blank: the longest of those that the model knows, as it is likely to carry meaning. */
function telling(words) {
  let best;
  words.forEach((word, i) => {
    if (word.known && (best === undefined || word.text.length > words[best].text.length)) best = i;
  });
  return best;
}

export async function draw(run, text) {
  if (!run.language_model) return [h("h3", {}, t("bert.title")), h("p", { class: "soft" }, t("bert.no_model"))];
  const scored = await api.score(text);
  if (!scored.words.length) return [h("h3", {}, t("bert.title")), h("p", { class: "soft" }, t("bert.no_words"))];
  return [
    h("h3", {}, t("bert.title")),
    h("p", { class: "soft" }, t("bert.how", { model: visible(run.language_model) })),
    filling(text, scored, telling(scored.words)),
    likelihood(text, scored),
  ];
}
