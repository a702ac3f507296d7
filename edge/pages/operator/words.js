// The language of the box office: its words, and how it says what a request was refused with.

import { Refusal } from "../api.js";
import { inWords, language, switchLanguage } from "../words.js";
import { english } from "./english.js";
import { korean } from "./korean.js";

/** The words of the language. */
export let o = language === "ko" ? korean : english;

/** Changes the language. */
export function turn() {
  switchLanguage();
  o = language === "ko" ? korean : english;
}

/**
 * A refusal in words, with what exactly is wrong with a request.
 * @param {unknown} error
 * @returns {string}
 */
export function told(error) {
  if (!(error instanceof Refusal)) return inWords(error);
  /** @type {{field?: string, description?: string}[]} */
  const wrong = error.problem.violations ?? [];
  const each = wrong.map(({ field, description }) => `${field}: ${description}`);
  const own = Object.hasOwn(o.refusals, error.code)
    ? o.refusals[/** @type {keyof typeof o.refusals} */ (error.code)]
    : inWords(error);
  return [own, ...each].join(" · ");
}

/** What something is called, or its own name where it has no other. @template {object} T
 * @param {T} names @param {string} name */
export const called = (names, name) =>
  Object.hasOwn(names, name) ? String(names[/** @type {keyof T} */ (name)]) : name;

/** An instant to the second, by this machine's clock. @param {string} instant */
export const second = (instant) =>
  new Intl.DateTimeFormat(language, {
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  }).format(new Date(instant));
