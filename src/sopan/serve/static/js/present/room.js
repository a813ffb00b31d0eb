/* The room: everyone hears what the presenter shows, follows it or wanders off, and answers the poll. */

import { api, Failed } from "../api.js";
import { byId, clear, h } from "../dom.js";
import { IDEAS, ideaOf, nameOf } from "../flight.js";
import { number, t } from "../i18n.js";
import * as state from "../state.js";
import { pollPanel } from "./poll.js";

/** Slide 0 is the sentence and the flight, then one for each step, then what the run measured. */
export const LAST_SLIDE = IDEAS.length + 1;

let run;
let room = null;
let yours = null;
let following = true;
let applying = false;
let token = "";
const listeners = [];

export const now = () => room;
export const onStage = () => token !== "";

/** Call `listener(room)` whenever the room has changed. */
export const watch = (listener) => listeners.push(listener);

/* ---- presenting ------------------------------------------------------------------------------------- */

/** Take the stage: everyone who follows sees this page's sentence and step from now on. */
export async function take(given) {
  const told = await api.show({ presenting: true, ...shown() }, given);
  token = given; // before it is heard: who presents does not follow
  heard(told);
  sessionStorage.setItem("sopan-token", given);
}

export async function leave() {
  const given = token;
  token = "";
  sessionStorage.removeItem("sopan-token");
  heard(await api.show({ presenting: false, poll: null }, given));
}

export async function show(patch) {
  if (!onStage()) return;
  try {
    heard(await api.show(patch, token));
  } catch (error) {
    byId("notice").textContent = error instanceof Failed ? error.message : t("error.page");
  }
}

/** What the room is to see: a sentence, and a slide, of which the last is what the run measured. */
function shown() {
  const { sentence, step, view } = state.get();
  return { text: sentence, step, slide: view === "compare" ? LAST_SLIDE : IDEAS.indexOf(step) + 1 };
}

/* ---- listening -------------------------------------------------------------------------------------- */

function heard(told) {
  if (room && told.version < room.version) return;
  if ("yours" in told) yours = told.yours;
  if (!told.poll) yours = null;
  if (told.presenting && !room?.presenting) following = state.get().view !== "present"; // whoever knocks is let in
  room = told;
  if (following) follow();
  tell();
}

function follow() {
  if (onStage() || !room?.presenting) return;
  applying = true;
  const step = IDEAS.includes(ideaOf(room.step ?? "")) ? ideaOf(room.step) : state.get().step;
  state.set({ view: room.slide === LAST_SLIDE ? "compare" : "climb", step, ...(room.text ? { sentence: room.text } : {}) });
  applying = false;
}

function tell() {
  speak();
  listeners.forEach((listener) => listener(room));
}

async function vote(choice) {
  try {
    yours = choice;
    heard(await api.vote(choice));
  } catch (error) {
    byId("notice").textContent = error instanceof Failed ? error.message : t("error.page");
  }
}

/** Write the banner and the poll anew, as when the language has changed. */
export function speak() {
  const banner = byId("following");
  banner.hidden = !room?.presenting;
  if (room?.presenting) {
    const place = nameOf(ideaOf(room.step || "bow"));
    const line = onStage() ? t("room.yours", { here: number(room.here) }) : t(following ? "room.following" : "room.wandering", { step: place });
    const flip = h(
      "button",
      {
        type: "button",
        onclick: () => {
          following = !following;
          if (following) follow();
          tell();
        },
      },
      t(following ? "room.wander" : "room.follow"),
    );
    clear(banner, h("span", {}, line), !onStage() && flip);
  }
  const place = byId("poll");
  place.hidden = !room?.poll;
  if (room?.poll) pollPanel(run, room, yours, { place, vote, open: onStage() || yours !== null || !room.poll.open });
}

export async function start(served) {
  run = served;
  const wanders = (_, changed) => {
    if (!["view", "step", "sentence"].some((name) => changed.has(name))) return;
    if (onStage()) show(shown());
    else if (!applying && room?.presenting && following) {
      following = false;
      tell();
    }
  };
  state.watch(wanders);
  const events = new EventSource("/room/events");
  events.addEventListener("room", (event) => heard(JSON.parse(event.data)));
  try {
    heard(await api.room());
  } catch {
    return; // the events will tell
  }
  const kept = sessionStorage.getItem("sopan-token");
  if (kept && room.presenting) take(kept).catch(() => sessionStorage.removeItem("sopan-token"));
}
