// The language of the pages, and how they write dates, times, counts and money in it.

import { Refusal } from "./api.js";
import { english } from "./english.js";
import { korean } from "./korean.js";
import { recall, remember } from "./person.js";

/** @typedef {import("./types.js").Priced} Priced */

/** @returns {"en" | "ko"} what the person has chosen, and else what the browser's user likes best */
function chosen() {
  const kept = recall("language");
  if (kept === "ko" || kept === "en") return kept;
  return document.documentElement.lang === "ko" ? "ko" : "en";
}

/** The language of the page. */
export let language = chosen();
/** The words of that language. */
export let w = language === "ko" ? korean : english;
document.documentElement.lang = language;

/** Changes the language, for now and for the next visit. */
export function switchLanguage() {
  language = language === "ko" ? "en" : "ko";
  w = language === "ko" ? korean : english;
  remember("language", language);
  document.documentElement.lang = language;
}

/** A refusal in words that help. @param {unknown} error @returns {string} */
export function inWords(error) {
  if (!(error instanceof Refusal)) {
    console.error(error);
    return w.refusals.INTERNAL;
  }
  const { code, problem, retryAfter } = error;
  if (code === "HOLD_LIMIT")
    return retryAfter ? w.coolDown(span(retryAfter)) : w.holdLimit(problem.maxHeldSeats);
  if (code === "SEATS_UNAVAILABLE") return w.notSoMany(problem.available, problem.together);
  if (code === "SALES_NOT_OPEN" && problem.opensAt) return w.saleOpens(moment(problem.opensAt));
  return Object.hasOwn(w.refusals, code)
    ? w.refusals[/** @type {keyof typeof w.refusals} */ (code)]
    : w.refusals.INTERNAL;
}

/** @param {number} amount in minor units @param {Priced} of */
export function money(amount, { currency, currencyExponent }) {
  const digits = { minimumFractionDigits: currencyExponent, maximumFractionDigits: currencyExponent };
  return new Intl.NumberFormat(language, { style: "currency", currency, ...digits }).format(
    amount / 10 ** currencyExponent,
  );
}

/** @param {number} n */
export const count = (n) => new Intl.NumberFormat(language).format(n);

/**
 * When a show begins, as the venue's clock has it; the time zone is named where this machine is in another
 * one.
 * @param {{localDate: string, localTime: string}} show
 * @param {string} [timeZone] of the venue
 */
export function beginning({ localDate, localTime }, timeZone) {
  const shape = /** @type {const} */ ({ dateStyle: "full", timeStyle: "short", timeZone: "UTC" });
  const there = new Intl.DateTimeFormat(language, shape).format(new Date(`${localDate}T${localTime}Z`));
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return timeZone && timeZone !== here ? `${there} (${timeZone.replaceAll("_", " ")})` : there;
}

/** An instant by this machine's clock. @param {string} instant */
export const moment = (instant) =>
  new Intl.DateTimeFormat(language, {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    timeZoneName: "short",
  }).format(new Date(instant));

/** A while, roughly. @param {number} seconds */
export function span(seconds) {
  if (seconds < 60) return w.lessThanAMinute;
  const inHours = seconds >= 5_400;
  const many = inHours ? Math.round(seconds / 360) / 10 : Math.round(seconds / 60);
  const shape = /** @type {const} */ ({
    style: "unit",
    unit: inHours ? "hour" : "minute",
    unitDisplay: "long",
  });
  return new Intl.NumberFormat(language, shape).format(many);
}

/** Minutes and seconds that are left, as a clock shows them. @param {number} milliseconds */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1_000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24];
  const rest = `${two(Math.floor((seconds % 3_600) / 60))}:${two(seconds % 60)}`;
  return `${days ? `${w.days(days)} ` : ""}${days || hours ? `${hours}:` : ""}${rest}`;
}
