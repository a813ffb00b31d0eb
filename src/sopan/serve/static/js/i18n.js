/* The page's own words, in English and Bengali, from plain catalogues with the same keys. */

export const LANGUAGES = { en: "English", bn: "বাংলা" };

let catalogue = {};
let language = "en";
let decimals = {};

export const lang = () => language;

/** Read a language's catalogue and put its words wherever the document asks for some. */
export async function speak(wanted) {
  language = wanted in LANGUAGES ? wanted : "en";
  const answer = await fetch(new URL(`../i18n/${language}.json`, import.meta.url));
  catalogue = await answer.json();
  decimals = {};
  document.documentElement.lang = language;
  translate(document);
}

/** The sentence of a key, with its {names} filled in. */
export function t(key, values = {}) {
  return (catalogue[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

export const has = (key) => key in catalogue;

/** A number as the language writes it, with so many decimals. */
export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  decimals[digits] ??= new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return decimals[digits].format(value).replace("-", "−");
}

export const percent = (share, digits = 0) => `${number(100 * share, digits)}%`;

/** A number with its sign, a true minus. */
export function signed(value, digits = 2) {
  const size = number(Math.abs(value), digits);
  return size === number(0, digits) ? size : (value < 0 ? "−" : "+") + size;
}

export function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-hint]")) node.setAttribute("placeholder", t(node.dataset.tHint));
}
