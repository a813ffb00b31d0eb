/* Start the page, and show what the state says. */

import { api, dropped, Failed } from "./api.js";
import { show as showStep } from "./climb/index.js";
import { show as showCompare } from "./compare.js";
import { byId, clear, h, visible } from "./dom.js";
import { IDEAS, ideaOf } from "./flight.js";
import { lang, LANGUAGES, speak, t } from "./i18n.js";
import * as deck from "./present/deck.js";
import * as room from "./present/room.js";
import { show as showPresent } from "./present/present.js";
import * as stairs from "./stairs.js";
import * as state from "./state.js";
import * as table from "./table.js";
import * as theme from "./theme.js";
import { show as showWords } from "./words_view.js";

const MOST_EXAMPLES = 4;
let run;

/* ---- the sentence ----------------------------------------------------------------------------------- */

function examples() {
  const given = run.examples.length ? run.examples : [t("example.1"), t("example.2"), t("example.3")];
  const shown = [...given].sort((a, b) => a.length - b.length).slice(0, MOST_EXAMPLES);
  const buttons = shown.map((text) =>
    h("button", { type: "button", lang: "", title: visible(text), onclick: () => state.set({ sentence: text }) }, visible(text)),
  );
  clear(byId("examples"), h("span", {}, t("climb.try")), buttons);
  return shown;
}

async function climb() {
  const { sentence } = state.get();
  if (byId("sentence").value !== sentence) byId("sentence").value = sentence;
  step();
  if (!sentence.trim()) return stairs.draw(run, []);
  try {
    await stairs.climb(run, sentence);
  } catch (error) {
    if (!dropped(error) && state.get().sentence === sentence) {
      stairs.draw(run, []);
      clear(byId("step"), h("p", { class: "error", role: "alert" }, error instanceof Failed ? error.message : t("error.page")));
    }
  }
}

const step = () => showStep(run, state.get().step, state.get().sentence);

function listenToSentence() {
  const field = byId("sentence");
  field.maxLength = run.limits.characters;
  byId("asking").querySelector(".go").disabled = false;
  byId("asking").addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value === state.get().sentence) climb();
    else state.set({ sentence: field.value });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("asking").requestSubmit();
  });
}

/* ---- views ------------------------------------------------------------------------------------------ */

const VIEWS = {
  climb: () => climb(),
  compare: () => showCompare(run, byId("compare")),
  words: () => showWords(run, byId("words")),
  present: () => showPresent(run, byId("present")),
};

function view() {
  const { view: current } = state.get();
  for (const page of document.querySelectorAll("[data-page]")) page.hidden = page.id !== current;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(`nav.${current}`)} – sopan`;
  VIEWS[current]();
}

/** Follow the state: each part of the page is drawn anew only when what it shows has changed. */
async function follow(now, changed) {
  if (changed.has("lang")) await language(now.lang);
  if (changed.has("view") || changed.has("lang")) return view();
  if (now.view === "climb" && changed.has("sentence")) climb();
  else if (now.view === "climb" && changed.has("step")) {
    stairs.mark(now.step);
    step();
  } else if (now.view === "words" && changed.has("word")) VIEWS.words();
}

function links() {
  for (const link of document.querySelectorAll("[data-view]"))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      state.set({ view: link.dataset.view });
    });
  window.addEventListener("popstate", () => {
    const changed = state.readAddress();
    if (changed.size) state.tell(changed);
  });
}

/* ---- language --------------------------------------------------------------------------------------- */

async function language(wanted) {
  await speak(wanted);
  const other = Object.keys(LANGUAGES).find((one) => one !== lang());
  const button = byId("language");
  clear(button, LANGUAGES[other]);
  button.lang = other;
  if (!run) return;
  clear(byId("foot"), h("span", {}, t("foot.run", { name: visible(run.name) })), h("span", {}, t("foot.model"), " ", h("code", {}, run.model)), h("span", {}, t("foot.real")));
  examples();
  table.draw();
  room.speak();
}

async function start() {
  state.readAddress();
  theme.start();
  await language(state.get().lang || (navigator.language.startsWith("bn") ? "bn" : "en"));
  byId("language").addEventListener("click", () => state.set({ lang: Object.keys(LANGUAGES).find((one) => one !== lang()) }));
  clear(byId("step"), h("p", { class: "waiting" }, t("waiting")));
  try {
    run = await api.run();
  } catch (error) {
    clear(byId("step"), h("p", { class: "error", role: "alert" }, error instanceof Failed ? error.message : t("error.page")));
    return;
  }
  await language(lang());
  const now = state.get();
  if (!IDEAS.includes(now.step)) now.step = IDEAS.includes(ideaOf(now.step)) ? ideaOf(now.step) : "bow";
  if (!now.sentence) now.sentence = byId("sentence").value || (examples()[0] ?? "");
  history.replaceState(null, "", state.address()); // a link to share from the first moment
  listenToSentence();
  table.start(run);
  links();
  state.watch(follow);
  deck.start(run);
  room.start(run);
  view();
}

start();
