/* A table of one's own: chosen or dropped, then its audit, and every step on its texts. */

import { api, Failed, into } from "./api.js";
import { texts } from "./compare.js";
import { bdi, byId, clear, h, visible } from "./dom.js";
import { fullName } from "./flight.js";
import { has, number, percent, t } from "./i18n.js";
import * as state from "./state.js";

const TYPES = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  tab: "text/tab-separated-values",
  jsonl: "application/x-ndjson",
  ndjson: "application/x-ndjson",
};
const MOST_CLASSES = 12;
const MEGA = 2 ** 20;

let run;
let last; // what was found, to be told again in another language

/* ---- what was found ---------------------------------------------------------------------------------- */

/** A table in a frame of its own, which scrolls where it is too wide. */
function board(name, kind, heads, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    h("table", { class: kind }, h("caption", { class: "unseen" }, name), h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)),
  );
}

const row = (head, ...cells) => h("tr", {}, h("th", { scope: "row" }, head), cells.map((cell) => h("td", {}, cell)));

/** What a finding says: in the page's words, or, of a kind that it does not know, in the server's. */
function sentence(found, audit) {
  if (!has(`finding.${found.code}`)) return h("span", { lang: "en" }, visible(found.message));
  const single = audit.classes.filter((one) => one.texts === 1).map((one) => visible(one.class));
  const named = single.slice(0, MOST_CLASSES).join(", ") + (single.length > MOST_CLASSES ? ", …" : "");
  return h("span", {}, t(`finding.${found.code}`, { n: number(found.count), ratio: number(audit.imbalance), classes: named }));
}

function finding(found, audit) {
  const more = found.count > found.rows.length ? ", …" : "";
  return h(
    "li",
    {},
    h("span", { class: `level ${found.level}` }, t(`level.${found.level}`)),
    h("span", {}, sentence(found, audit), found.rows.length > 0 && h("small", {}, " ", t("table.rows", { rows: found.rows.map((one) => number(one)).join(", ") + more }))),
  );
}

function classes(audit) {
  const ranked = [...audit.classes].sort((a, b) => b.texts - a.texts);
  const shown = ranked.length > MOST_CLASSES ? ranked.slice(0, MOST_CLASSES - 1) : ranked;
  const rest = ranked.slice(shown.length);
  const line = (name, count, share) => row(name, number(count), percent(share, 1), h("span", { class: "bar", vars: { share } }));
  const sum = (key) => rest.reduce((total, one) => total + one[key], 0);
  const rows = shown.map((one) => line(bdi(visible(one.class)), one.texts, one.share));
  if (rest.length) rows.push(line(t("table.more_classes", { n: number(rest.length) }), sum("texts"), sum("share")));
  return board(t("table.classes"), "counts", [t("table.class"), t("table.texts"), t("table.share"), ""], rows);
}

/** The numbers of an audit, a line each. */
function facts(audit) {
  const { words } = audit.lengths;
  const scripts = Object.entries(audit.scripts).filter(([, share]) => share >= 0.001);
  const lines = [
    ["duplicates", number(audit.duplicates)],
    ["near_duplicates", number(audit.near_duplicates)],
    audit.classes.length && ["conflicts", number(audit.conflicts)],
    ["empty", number(audit.empty)],
    ["median", number(words.median)],
    ["p95", number(words.p95)],
    ["longest", number(words.max)],
    audit.imbalance !== null && ["imbalance", number(audit.imbalance, 1)],
    scripts.length && ["scripts", scripts.map(([name, share]) => `${name} ${percent(share)}`).join(", ")],
  ];
  const pairs = lines.filter(Boolean).map(([key, value]) => h("div", {}, h("dt", {}, t(`fact.${key}`)), h("dd", {}, value)));
  return h("dl", { class: "facts" }, pairs);
}

function audited(audit) {
  return [
    audit.findings.length ? h("ul", { class: "findings" }, audit.findings.map((found) => finding(found, audit))) : h("p", {}, t("table.fine")),
    h("div", { class: "audit" }, facts(audit), audit.classes.length > 0 && classes(audit)),
  ];
}

/** Where a score lies, and how far other texts could move it, beside the other steps' scores. */
function strip([low, high], at, [least, most]) {
  const place = (value) => (value - least) / (most - least || 1);
  return h("span", { class: "strip", "aria-hidden": "true", vars: { low: place(low), high: place(high), at: place(at) } });
}

function scored({ texts: n, steps, disagreements }) {
  const range = [Math.min(...steps.map((step) => step.accuracy_ci[0])), Math.max(...steps.map((step) => step.accuracy_ci[1]))];
  const rows = steps.map((step) =>
    row(fullName(step.step), number(step.accuracy, 3), step.accuracy_ci.map((end) => number(end, 3)).join(" – "), strip(step.accuracy_ci, step.accuracy, range), number(step.macro_f1, 3)),
  );
  const heads = [t("compare.step"), t("column.accuracy"), t("column.interval"), "", t("column.macro_f1")];
  const { count } = disagreements;
  return [
    h("h3", {}, t("table.board")),
    h("p", { class: "soft" }, t("table.board_how", { n: number(n) })),
    board(t("table.board"), "scores", heads, rows),
    h("h3", {}, t("compare.any")),
    h("p", { class: "soft" }, count ? t("table.disagree", { n: number(count), of: number(n) }) : t("table.agree")),
    count > 0 && texts(disagreements.texts),
  ];
}

function unmeasured({ reason, detail }) {
  const told = t(`table.${reason}`, { labels: run.labels.map(visible).join(", ") });
  return h("p", { class: "caution" }, told, " ", h("span", { class: "soft", lang: "en" }, `(${detail})`));
}

function told({ name, found }) {
  const title = t("table.found", { name: visible(name), texts: number(found.audit.texts) });
  return [
    h("h3", { class: "name", tabindex: "-1" }, title),
    audited(found.audit),
    found.leaderboard ? scored(found.leaderboard) : unmeasured(found.unmeasured),
  ];
}

/* ---- taking one in ----------------------------------------------------------------------------------- */

/** Hold that a file is worth sending, and return its type. */
function typeOf(file) {
  const type = TYPES[file.name.toLowerCase().split(".").pop()];
  const name = visible(file.name);
  if (!type) throw new Failed(t("table.kind", { name }));
  const size = (bytes) => number(bytes / MEGA, 1);
  if (file.size > run.limits.table_bytes) throw new Failed(t("table.size", { name, size: size(file.size), most: size(run.limits.table_bytes) }));
  return type;
}

async function take(files) {
  if (!files.length) return;
  const place = byId("own-found");
  last = undefined;
  byId("own").scrollIntoView({ block: "start" });
  const waiting = t("table.waiting", { name: visible(files[0].name) });
  const drawn = await into(
    place,
    async () => {
      if (files.length > 1) throw new Failed(t("table.one"));
      const found = await api.table(files[0], typeOf(files[0]));
      last = { name: files[0].name, found };
      return told(last);
    },
    { waiting },
  );
  if (!drawn) return;
  byId("own").scrollIntoView({ block: "start" }); // there was no room for it before
  place.querySelector("h3")?.focus({ preventScroll: true });
}

/** A file that is dropped is taken wherever on the page it falls; none is ever opened in place of the page. */
function listenToDrops() {
  const frame = byId("drop");
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    frame.hidden = state.get().view !== "climb";
    event.dataTransfer.dropEffect = frame.hidden ? "none" : "copy";
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) frame.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    frame.hidden = true;
    if (state.get().view === "climb") take([...event.dataTransfer.files]);
  });
}

/** Draw the section in the page's language, with what was found before. */
export function draw() {
  if (!run) return;
  const limits = { rows: number(run.limits.table_rows), size: number(run.limits.table_bytes / MEGA) };
  const accept = Object.keys(TYPES).map((suffix) => `.${suffix}`).join(",");
  const choose = (event) => {
    take([...event.target.files]);
    event.target.value = ""; // the same file may be chosen again, mended
  };
  clear(
    byId("own"),
    h("h2", { id: "own-title" }, t("table.title")),
    h("p", { class: "soft", id: "own-how" }, t("table.how", limits)),
    h("label", { class: "file" }, h("input", { type: "file", id: "own-file", class: "unseen", accept, "aria-describedby": "own-how", onchange: choose }), t("table.choose")),
    h("div", { id: "own-found", "aria-live": "off" }, last && told(last)),
  );
}

export function start(served) {
  run = served;
  byId("invite").addEventListener("click", () => {
    byId("own").scrollIntoView({ block: "start" });
    byId("own-file").focus({ preventScroll: true });
  });
  byId("invite").hidden = false;
  draw();
  listenToDrops();
}
