/* The same page as a deck: one thing at a time, large, moved by the arrow keys or a clicker. */

import { byId, clear, h } from "../dom.js";
import { IDEAS } from "../flight.js";
import { number, t } from "../i18n.js";
import * as state from "../state.js";
import * as room from "./room.js";

const LAST = room.LAST_SLIDE;
const FORWARD = ["ArrowRight", "ArrowDown", "PageDown", " "];
const BACK = ["ArrowLeft", "ArrowUp", "PageUp"];

let run;
let slide = 0;

export const isOpen = () => document.body.classList.contains("deck");

/** Show a slide; the room hears of it through the state. */
function go(to) {
  slide = Math.min(LAST, Math.max(0, to));
  document.body.dataset.slide = slide === 0 ? "title" : slide === LAST ? "compare" : "step";
  state.set(slide === LAST ? { view: "compare" } : { view: "climb", ...(slide ? { step: IDEAS[slide - 1] } : {}) });
  window.scrollTo({ top: 0 });
  controls();
}

function controls() {
  const poll = room.now()?.poll;
  const ask = () => room.show({ poll: poll ? null : { question: "", options: run.labels, open: true } });
  clear(
    byId("deck"),
    h("button", { type: "button", onclick: () => go(slide - 1), "aria-label": t("deck.back"), disabled: slide === 0 }, "←"),
    h("span", { role: "status" }, t("deck.at", { n: number(slide + 1), of: number(LAST + 1) })),
    h("button", { type: "button", onclick: () => go(slide + 1), "aria-label": t("deck.next"), disabled: slide === LAST }, "→"),
    room.onStage() && h("button", { type: "button", onclick: ask }, t(poll ? "poll.stop" : "poll.start")),
    h("button", { type: "button", onclick: close }, t("deck.close")),
  );
}

function close() {
  document.body.classList.remove("deck");
  delete document.body.dataset.slide;
  byId("deck").hidden = true;
  if (document.fullscreenElement) document.exitFullscreen();
  state.set({ view: "present" });
}

export function open() {
  document.body.classList.add("deck");
  byId("deck").hidden = false;
  document.documentElement.requestFullscreen?.().catch(() => {}); // not everywhere, and not needed
  document.activeElement?.blur();
  go(0);
}

function key(event) {
  if (!isOpen() || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest?.("input, textarea")) return;
  if (event.key === " " && event.target.closest?.("button")) return;
  if (event.key === "Escape") return close();
  const by = FORWARD.includes(event.key) ? 1 : BACK.includes(event.key) ? -1 : 0;
  if (!by) return;
  event.preventDefault();
  go(slide + by);
}

export function start(served) {
  run = served;
  document.addEventListener("keydown", key);
  room.watch(() => isOpen() && controls());
  state.watch(({ step }, changed) => {
    if (isOpen() && changed.has("step") && slide > 0 && slide < LAST) slide = IDEAS.indexOf(step) + 1;
  });
}
