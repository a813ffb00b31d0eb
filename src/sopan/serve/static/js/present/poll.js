/* A poll with the run's own class names: what the room says, beside what each step says of the same sentence. */

import { api } from "../api.js";
import { bdi, h, visible } from "../dom.js";
import { fullName } from "../flight.js";
import { number, percent, t } from "../i18n.js";

function row(name, shares, options, kind) {
  const bars = options.map((option, i) =>
    h("span", { class: `slice slice${i % 4}`, vars: { share: shares[option] ?? 0 } }, shares[option] >= 0.12 ? percent(shares[option]) : ""),
  );
  const said = options.map((option) => `${visible(option)} ${percent(shares[option] ?? 0)}`).join(", ");
  return h("div", { class: `tally ${kind}` }, h("span", {}, name), h("span", { class: "slices", role: "img", "aria-label": said }, bars));
}

/** Show the poll in `place`; `open`: whether the answers are shown (to a voter only after the vote). */
export async function pollPanel(run, room, yours, { place, vote, open }) {
  const { poll } = room;
  const votes = poll.options.map((option) => poll.votes[option] ?? 0);
  const total = votes.reduce((sum, one) => sum + one, 0);
  const buttons = poll.options.map((option, i) =>
    h(
      "button",
      { type: "button", class: `ballot slice${i % 4}`, "aria-pressed": String(yours === option), disabled: !poll.open, onclick: () => vote(option) },
      bdi(visible(option)),
    ),
  );
  const question = poll.question || t("poll.question", { options: poll.options.map(visible).join(t("poll.or")) });
  const results = h("div", { class: "tallies" });
  const focused = place.contains(document.activeElement) ? [...place.querySelectorAll("button")].indexOf(document.activeElement) : -1;
  place.replaceChildren(
    h("h2", {}, visible(question)),
    h("blockquote", { dir: "auto" }, visible(room.text)),
    h("div", { class: "choices" }, buttons, h("span", { class: "soft", role: "status" }, t(poll.open ? "poll.count" : "poll.closed", { n: number(total) }))),
    results,
  );
  if (focused >= 0) place.querySelectorAll("button")[focused]?.focus();
  if (!open) return;
  const shares = Object.fromEntries(poll.options.map((option, i) => [option, total ? votes[i] / total : 0]));
  results.append(row(t("poll.room"), shares, poll.options, "crowd"));
  if (!room.text || !run.labels.every((label) => poll.options.includes(label))) return;
  const said = await api.predict(room.text).catch(() => []);
  if (results.isConnected) results.append(...said.map((one) => row(fullName(one.step), one.probabilities, poll.options, "model")));
}
