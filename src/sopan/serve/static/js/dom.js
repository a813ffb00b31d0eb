/* Make elements. What comes from outside goes in as text, never as markup; there is no innerHTML anywhere. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, given, children) {
  for (const [name, value] of Object.entries(given || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) node.style.setProperty(`--${key}`, one);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element: attributes, `onclick` and the like for listeners, `vars` for custom properties. */
export const h = (tag, given, ...children) => fill(document.createElement(tag), given, children);

/** The same in SVG. */
export const s = (tag, given, ...children) => fill(document.createElementNS(SVG, tag), given, children);

export const byId = (id) => document.getElementById(id);

/** Text from outside beside text of the page: its direction is its own. */
export const bdi = (text) => h("bdi", {}, text);

/** Characters that would reorder or hide their neighbours, made visible. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
export const visible = (text) =>
  text.replace(UNSEEN, (one) => `⟨${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

export function clear(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** One of a row of things has the tab stop; arrow keys, Home and End move it. */
export function roving(row, items, onMove = () => {}) {
  let at = 0;
  items.forEach((item, i) => (item.tabIndex = i ? -1 : 0));
  const go = (to) => {
    items[at].tabIndex = -1;
    at = Math.min(items.length - 1, Math.max(0, to));
    items[at].tabIndex = 0;
    items[at].focus();
    onMove(at);
  };
  row.addEventListener("keydown", (event) => {
    const here = items.indexOf(event.target);
    if (here < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    at = here;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (!(event.key in to)) return;
    event.preventDefault();
    event.stopPropagation();
    go(to[event.key]);
  });
}
