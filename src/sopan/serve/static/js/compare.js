/* What the run measured: the leaderboard, cost against accuracy, and the texts on which steps disagree. */

import { api, into } from "./api.js";
import { costChart } from "./charts.js";
import { bdi, clear, h, visible } from "./dom.js";
import { fullName } from "./flight.js";
import { number, t } from "./i18n.js";
import * as state from "./state.js";

const COSTS = {
  latency: (step) => step.latency_ms?.p50,
  fit: (step) => step.fit_seconds,
  size: (step) => (step.artifact_bytes ? step.artifact_bytes / 1e6 : null),
};

const FEW = 6;

const few = (value) => number(value, value >= 100 || !value ? 0 : value >= 1 ? 1 : 2);

const COLUMNS = [
  ["accuracy", (step) => number(step.accuracy, 3)],
  ["interval", (step) => (step.accuracy_ci ? step.accuracy_ci.map((one) => number(one, 3)).join(" – ") : "–")],
  ["macro_f1", (step) => number(step.macro_f1, 3)],
  ["log_loss", (step) => number(step.log_loss, 3)],
  ["ece", (step) => number(step.ece, 3)],
  ["fit", (step) => few(step.fit_seconds)],
  ["latency", (step) => few(step.latency_ms?.p50)],
  ["size", (step) => few(COSTS.size(step))],
];

function leaderboard(run) {
  const rows = run.steps.map((step) =>
    h(
      "tr",
      { class: step.recommended ? "best" : "" },
      h("th", { scope: "row" }, step.recommended && h("span", { class: "star", title: t("compare.recommended") }, "★ "), fullName(step.step), step.recommended && h("span", { class: "unseen" }, t("compare.recommended"))),
      COLUMNS.map(([, cell]) => h("td", {}, cell(step))),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("compare.board") },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, t("compare.board")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("compare.step")), COLUMNS.map(([key]) => h("th", { scope: "col" }, t(`column.${key}`))))),
      h("tbody", {}, rows),
    ),
  );
}

function chart(run, cost, onpick) {
  const dots = run.steps
    .filter((step) => step.accuracy !== null && COSTS[cost](step) > 0)
    .map((step) => {
      const [low, high] = step.accuracy_ci ?? [step.accuracy, step.accuracy];
      const [x, name] = [COSTS[cost](step), fullName(step.step)];
      const said = t("compare.dot", { name, accuracy: number(step.accuracy, 3), cost: few(x), unit: t(`cost.${cost}`) });
      return { id: step.step, name, x, y: step.accuracy, low, high, best: step.recommended, said };
    });
  if (!dots.length) return null;
  return costChart(dots, { label: t("compare.chart"), xTitle: t(`cost.${cost}`), yTitle: t("column.accuracy"), onpick });
}

/** One answer to a text, and the steps that gave it. */
function answer(label, steps, text, picked) {
  const right = label === text.label;
  return h(
    "li",
    { class: right ? "right" : "wrong" },
    h("span", { "aria-hidden": "true" }, right ? "✓ " : "✗ "),
    h("span", { class: "unseen" }, t(right ? "compare.right" : "compare.wrong")),
    h("strong", {}, bdi(visible(label))),
    " ",
    steps.map((step, i) => [i ? ", " : "", h("span", { class: picked.includes(step) ? "picked" : "" }, `${fullName(step)} ${number(text.confidence[step], 2)}`)]),
  );
}

function disagreement(text, picked) {
  const labels = [...new Set(Object.values(text.predicted))].sort((a, b) => (b === text.label) - (a === text.label));
  const steps = Object.keys(text.predicted);
  const answers = labels.map((label) => answer(label, steps.filter((step) => text.predicted[step] === label), text, picked));
  return h(
    "li",
    {},
    h("blockquote", { dir: "auto" }, text.text.trim() ? visible(text.text) : h("span", { class: "soft" }, t("compare.blank"))),
    h("ul", { class: "said-by" }, answers),
    h("button", { type: "button", class: "link", onclick: () => state.set({ sentence: text.text, view: "climb" }) }, t("compare.climb")),
  );
}

/** The first few, and the rest on demand. */
function list(items) {
  const place = h("ol", { class: "texts" }, items.slice(0, FEW));
  if (items.length <= FEW) return place;
  const more = h("button", { type: "button", onclick: () => (place.append(...items.slice(FEW)), items[FEW].querySelector("button").focus(), more.remove()) }, t("compare.more", { n: number(items.length - FEW) }));
  return [place, more];
}

/** Texts on which steps disagree, with what each said. */
export const texts = (found, picked = []) => list(found.map((text) => disagreement(text, picked)));

async function disagreements(picked) {
  const found = await api.disagreements(...picked);
  const [a, b] = picked;
  const counts = found.pairs.filter((pair) => picked.length === 2 && picked.includes(pair.a) && picked.includes(pair.b));
  const about = picked.length === 1 ? found.texts.filter((text) => Object.values(text.predicted).some((label) => label !== text.predicted[a])) : found.texts;
  const line = (pair) =>
    t("compare.pair", {
      a: fullName(pair.a),
      b: fullName(pair.b),
      differ: number(pair.differ),
      test: number(found.test),
      a_right: number(pair.only_a_right),
      b_right: number(pair.only_b_right),
    });
  return [
    h("h2", { tabindex: "-1" }, t(b ? "compare.two" : a ? "compare.one" : "compare.any", { a: a && fullName(a), b: b && fullName(b) })),
    counts.map((pair) => h("p", {}, line(pair))),
    about.length ? texts(about, picked) : h("p", { class: "soft" }, t("compare.none")),
  ];
}

/** A sentence of the verdict; step names stand between backticks. */
const verdictLine = (line) =>
  h("p", { class: "lead", lang: "en" }, line.split(/`([^`]*)`/).map((part, i) => (i % 2 ? h("strong", {}, part.includes(" ") ? part : fullName(part)) : part)));

/** How it ended, and the rest for those who want it. */
function verdict(lines) {
  const ends = lines.length > 2 ? [lines[0], lines.at(-1)] : lines;
  const rest = lines.slice(1, -1);
  return [ends.map(verdictLine), lines.length > 2 && h("details", {}, h("summary", {}, t("compare.verdict")), rest.map(verdictLine))];
}

export function show(run, place) {
  const measured = run.steps.some((step) => step.accuracy !== null);
  const title = h("h1", {}, t("compare.title", { name: visible(run.data?.name ?? run.name) }));
  if (!measured) {
    clear(place, title, h("p", { class: "soft" }, t("compare.empty")));
    return;
  }
  let picked = [];
  let drawn;
  const drawing = h("div", { class: "drawing" });
  const beneath = h("section", { "aria-live": "polite" });
  const pick = (id) => {
    picked = picked.includes(id) ? picked.filter((one) => one !== id) : [...picked, id].slice(-2);
    drawn.mark(picked);
    into(beneath, () => disagreements(picked));
  };
  const buttons = Object.keys(COSTS).map((cost) => h("button", { type: "button", onclick: () => costs(cost) }, t(`cost.${cost}`)));
  const costs = (cost) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(Object.keys(COSTS)[i] === cost)));
    drawn = chart(run, cost, pick);
    clear(drawing, drawn ? drawn.svg : h("p", { class: "soft" }, t("compare.no_cost")));
    drawn?.mark(picked);
  };
  clear(
    place,
    title,
    run.data?.test ? h("p", { class: "soft" }, t("compare.data", { train: number(run.data.train), val: number(run.data.val), test: number(run.data.test) })) : null,
    verdict(run.verdict ?? []),
    leaderboard(run),
    h("h2", {}, t("compare.cost")),
    h("p", { class: "soft" }, t("compare.pick")),
    h("div", { class: "choices tight", role: "group", "aria-label": t("compare.against") }, buttons),
    drawing,
    beneath,
  );
  costs("latency");
  into(beneath, () => disagreements(picked));
}
