/* Ask the server. A busy one is asked again when it says so, with a quiet notice; an error is one clear line. */

import { h, byId } from "./dom.js";
import { number, t } from "./i18n.js";

const PATIENCE = { 429: 30, 503: 90 }; // seconds in all; a server that starts may take longer than a busy one
const LONGEST_WAIT = 15;

export class Failed extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Whether a question was dropped because another took its place. */
export const dropped = (error) => error.name === "AbortError";

async function ask(path, { quiet = false, ...options } = {}) {
  const started = performance.now();
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch (error) {
      if (dropped(error)) throw error;
      throw new Failed(t("error.unreachable"));
    }
    if (answer.ok) {
      if (!quiet) notice("");
      return answer.json();
    }
    const wait = Number(answer.headers.get("Retry-After"));
    const waited = (performance.now() - started) / 1000;
    if (!wait || !(waited + wait < PATIENCE[answer.status])) throw await failure(answer);
    if (!quiet) notice(t(answer.status === 429 ? "busy" : "loading", { seconds: number(Math.max(1, Math.round(wait))) }));
    await pause(Math.min(wait, LONGEST_WAIT), options.signal);
  }
}

async function failure(answer) {
  notice("");
  const told = await answer.json().catch(() => ({}));
  if (told.error_type === "late") return new Failed(t("error.late"), answer.status);
  if (answer.status === 429 || answer.status === 503) return new Failed(t("error.busy"), answer.status);
  return new Failed(typeof told.error === "string" ? told.error : t("error.status", { status: answer.status }), answer.status);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("dropped", "AbortError"));
    });
  });
}

function notice(line) {
  const place = byId("notice");
  if (place.textContent !== line) place.textContent = line;
}

const post = (path, body, { signal, token } = {}) =>
  ask(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });

/* ---- answers that are kept, so that walking up and down the flight asks once ------------------------ */

const kept = new Map();
const MOST_KEPT = 60;

function once(path, body, options) {
  const key = path + JSON.stringify(body ?? null);
  if (!kept.has(key)) {
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value);
    const answer = body === undefined ? ask(path, options) : post(path, body);
    kept.set(key, answer);
    answer.catch(() => kept.delete(key));
  }
  return kept.get(key);
}

export const api = {
  run: () => once("/run"),
  predict: (text) => once("/predict", { text }).then((answer) => answer.results[0].steps),
  explain: (text, steps) => once("/explain", { text, steps }).then((answer) => answer.steps),
  tokens: (text, steps, attention) => once("/tokens", { text, steps, attention }).then((answer) => answer.steps),
  neighbors: (word, top, steps) => once("/neighbors", { word, top, ...(steps ? { steps } : {}) }).then((answer) => answer.steps),
  guess: (context, word, top, step) => once("/guess", { context, word, top, steps: [step] }).then((answer) => answer.steps[0]),
  embed: (texts, step) => once("/embed", { texts, steps: [step] }).then((answer) => answer.steps[0].vectors),
  vectors: (step, view) => once(`/vectors?${new URLSearchParams({ step, view })}`, undefined, { quiet: true }),
  disagreements: (a, b) => once(`/disagreements${a ? `?${new URLSearchParams(b ? { a, b } : { a })}` : ""}`),
  table: (file, type) => ask("/table", { method: "POST", headers: { "Content-Type": type }, body: file }),
  fill: (text, top, leftOnly) => once("/fill", { text, top, left_only: leftOnly }),
  score: (text) => once("/score", { text }).then((answer) => answer.results[0]),
  room: () => ask("/room"),
  vote: (choice) => post("/room/vote", { choice }),
  show: (patch, token) => post("/room/show", patch, { token }),
};

/** Show in `place` what `make` gives once it is there; meanwhile a quiet line, and a clear one if it fails. */
export async function into(place, make, { waiting = t("waiting") } = {}) {
  const ticket = Symbol("ticket");
  place.ticket = ticket;
  place.setAttribute("aria-busy", "true");
  const timer = setTimeout(() => place.ticket === ticket && place.replaceChildren(h("p", { class: "waiting" }, waiting)), 150);
  let shown;
  try {
    shown = await make();
  } catch (error) {
    if (!(error instanceof Failed)) console.error(error);
    shown = h("p", { class: "error", role: "alert" }, error instanceof Failed ? error.message : t("error.page"));
  }
  clearTimeout(timer);
  if (place.ticket !== ticket) return false;
  place.replaceChildren(...[shown].flat(Infinity).filter(Boolean));
  place.removeAttribute("aria-busy");
  return true;
}
