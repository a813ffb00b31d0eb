/* Light or dark: as the reader's system says, until a button was pressed. */

import { byId } from "./dom.js";
import * as state from "./state.js";

const system = matchMedia("(prefers-color-scheme: dark)");

const now = () => document.documentElement.dataset.theme || (system.matches ? "dark" : "light");

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  byId("theme").setAttribute("aria-pressed", String(now() === "dark"));
}

export function start() {
  apply(state.get().theme);
  byId("theme").addEventListener("click", () => state.set({ theme: now() === "dark" ? "light" : "dark" }));
  state.watch(({ theme }, changed) => changed.has("theme") && apply(theme));
}
