/* What the page shows, in one place and in the address: a link shows another person the same.
 *
 *   #climb?s=SENTENCE&step=bert&lang=bn
 *
 * It stands behind the hash, so that no sentence is sent to a server or written to its log by following a link.
 */

export const VIEWS = ["climb", "compare", "words", "present"];
const KEYS = { s: "sentence", step: "step", lang: "lang", word: "word", theme: "theme" };

const state = { view: "climb", sentence: "", step: "bow", lang: "", word: "", theme: "" };
const listeners = [];

export const get = () => state;

/** Call `listener(state, changed)` after each change; `changed` is a set of names. */
export const watch = (listener) => listeners.push(listener);

/** Change what is shown, and the address with it; a new view is a new entry of the browser's history. */
export function set(patch) {
  const changed = take(patch);
  if (!changed.size) return;
  const write = changed.has("view") ? "pushState" : "replaceState";
  history[write](null, "", address());
  tell(changed);
}

/** The address of what is shown now. */
export function address() {
  const query = new URLSearchParams();
  for (const [short, name] of Object.entries(KEYS)) if (state[name]) query.set(short, state[name]);
  return `${location.pathname}#${state.view}?${query}`;
}

/** Read the address, as when a link was followed. */
export function readAddress() {
  const [view, query] = location.hash.slice(1).split(/\?(.*)/s);
  const found = new URLSearchParams(query || "");
  const patch = { view: VIEWS.includes(view) ? view : "climb" };
  for (const [short, name] of Object.entries(KEYS)) if (found.has(short)) patch[name] = found.get(short).slice(0, 10_000);
  return take(patch);
}

export const tell = (changed) => listeners.forEach((listener) => listener(state, changed));

function take(patch) {
  const changed = new Set(Object.keys(patch).filter((name) => name in state && state[name] !== patch[name]));
  for (const name of changed) state[name] = patch[name];
  return changed;
}
