/* The presenter's door: the token, the deck and the poll; for everyone else, what goes on in the room. */

import { Failed } from "../api.js";
import { byId, clear, h } from "../dom.js";
import { t } from "../i18n.js";
import * as state from "../state.js";
import * as deck from "./deck.js";
import * as room from "./room.js";

let shown;
let typed = ""; // of the token: the room may stir while it is being typed, and the door is drawn anew

function door(problem) {
  const keep = () => (typed = field.value);
  const field = h("input", { type: "password", id: "token", autocomplete: "off", maxlength: "200", required: true, oninput: keep });
  field.value = typed;
  const enter = async (event) => {
    event.preventDefault();
    try {
      await room.take(field.value);
      typed = "";
    } catch (error) {
      problem.textContent = error instanceof Failed ? (error.status === 401 ? t("present.wrong") : error.message) : t("error.page");
    }
  };
  return h(
    "form",
    { class: "search", onsubmit: enter },
    h("label", { for: "token" }, t("present.token")),
    field,
    h("button", { type: "submit", class: "go" }, t("present.take")),
  );
}

function pollButtons(run) {
  const poll = room.now()?.poll;
  const fresh = () => room.show({ poll: { question: "", options: run.labels, open: true } });
  if (!poll) return [h("button", { type: "button", onclick: fresh }, t("poll.start"))];
  const { question, options } = poll;
  return [
    h("button", { type: "button", onclick: () => room.show({ poll: { question, options, open: !poll.open } }) }, t(poll.open ? "poll.shut" : "poll.reopen")),
    h("button", { type: "button", onclick: () => room.show({ poll: null }) }, t("poll.stop")),
  ];
}

function stage(run) {
  return [
    h(
      "div",
      { class: "choices" },
      h("button", { type: "button", class: "go", onclick: () => deck.open() }, t("deck.open")),
      pollButtons(run),
      h("button", { type: "button", onclick: () => room.leave() }, t("present.leave")),
    ),
    h("p", { class: "soft small" }, t("deck.keys")),
  ];
}

function audience() {
  const problem = h("p", { class: "error", role: "alert" });
  return [
    h("p", {}, t(room.now()?.presenting ? "present.live" : "present.quiet")),
    h("h2", {}, t("present.door")),
    h("p", { class: "soft" }, t("present.how")),
    door(problem),
    problem,
    h("h2", {}, t("present.alone")),
    h("p", { class: "soft" }, t("present.alone_how")),
    h("button", { type: "button", onclick: () => deck.open() }, t("deck.open")),
  ];
}

export function show(run, place) {
  const draw = () => {
    const typing = document.activeElement?.id === "token";
    clear(place, h("h1", {}, t("present.title")), room.onStage() ? stage(run) : audience());
    if (typing) byId("token")?.focus();
  };
  if (!shown) {
    let before = "";
    room.watch((now) => {
      const key = JSON.stringify([room.onStage(), now?.presenting, now?.poll?.open]);
      if (state.get().view === "present" && key !== before) shown();
      before = key;
    });
  }
  shown = draw;
  draw();
}
