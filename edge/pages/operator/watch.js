// What is known of a sale: of the last hour what the edges have written down, and since then what this tab
// has seen, lines every two seconds and books every ten. Nothing is asked for while nobody looks.

import { Refusal, ask, now } from "../api.js";
import { person } from "../person.js";
import { HOUR } from "./chart.js";
import { isKnown, may } from "./person.js";

/** @typedef {import("./chart.js").Sample} Sample */
/** @typedef {import("../types.js").Alerts} Alerts */
/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").History} History */
/** @typedef {import("../types.js").Payment} Payment */
/** @typedef {import("../types.js").Queue} Queue */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("../types.js").ShowSales} ShowSales */
/** @typedef {{concert: Concert, show: Show, sales: ShowSales}} Books */
/** What is known of figures, by their names. @typedef {Map<string, Sample[]>} Series */

/** How often lines are looked at, in milliseconds. */
const PERIOD = 2_000;
/** Every how many looks the books, the alerts and the samples of the edges are read, too. */
const SELDOM = 5;
/** Of how many lines, concerts and shows a concert it is kept. The sums are of these, as are the edges'. */
const LINES = 50;
const CONCERTS = 10;
const SHOWS = 3;
/** What of the books of all these shows is added up. */
const SUMS = /** @type {const} */ (["held", "sold", "net"]);
/** How long the list of shows is believed, in milliseconds. */
const STALE = 60_000;

/**
 * From when on shows are to come, with the one of tonight that has begun: it is still looked at, and what it
 * has sold does not go from the sums.
 */
export const tonight = () => new Date(now() - 12 * HOUR).toISOString();

/** Tells `change` when something new is known. */
class Watch extends EventTarget {
  /** @type {Queue[]} */
  queues = [];
  /** The shows that come next. @type {Books[]} */
  books = [];
  /** Payments that wait for an operator. @type {Payment[]} */
  parked = [];
  /** What needs a person; `null` before anything is known. @type {Alerts | null} */
  alerts = null;
  /** The edges that have written down samples within the last hour. @type {History["edges"]} */
  edges = [];
  /** Why nothing new is known. @type {unknown} */
  trouble = null;
  /** What the edges have written down, and which of it was the latest. @type {Series} */
  #told = new Map();
  #latest = "";
  /** What this tab has seen. @type {Series} */
  #seen = new Map();
  /** Looks that were begun, and those of them since `renew` that found all there was to find. */
  #looks = 0;
  #nth = 0;
  #isLooking = false;
  /** What is asked for at this moment beside the lines. @type {Set<string>} */
  #underWay = new Set();
  /** Whose requests are refused, so that they are not made again. @type {string | null | undefined} */
  #refused;
  /** @type {{concert: Concert, show: Show}[]} */
  #shows = [];
  #listed = Number.NEGATIVE_INFINITY;
  #timer = 0;

  /** Begins to look, once. */
  begin() {
    if (this.#timer) return;
    this.#timer = setInterval(() => void this.look(), PERIOD);
    document.addEventListener("visibilitychange", () => void this.look());
    void this.look();
  }

  /** What is known of a figure. @param {string} name @returns {readonly Sample[]} */
  series(name) {
    const told = this.#told.get(name) ?? [];
    const until = told.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    return [...told, ...(this.#seen.get(name) ?? []).filter(({ at }) => at > until)];
  }

  /** @param {Series} series @param {string} name @param {number} value @param {number} [at] */
  #note(series, name, value, at = now()) {
    const all = series.get(name) ?? [];
    all.push({ at, value });
    const old = all.findIndex((sample) => sample.at >= now() - HOUR);
    if (old > 0) all.splice(0, old);
    series.set(name, all);
  }

  /** Takes what the edges have written down since the latest sample. @param {History} history */
  #recall({ samples, edges }) {
    this.edges = edges;
    for (const { at, refusedPerMinute, p99Seconds, lines, shows, parked } of samples) {
      const when = Date.parse(at);
      const note = (/** @type {string} */ name, /** @type {number | null} */ value) => {
        if (value !== null) this.#note(this.#told, name, value, when);
      };
      note("refused", refusedPerMinute);
      note("p99", p99Seconds === null ? null : p99Seconds * 1_000);
      note("parked", parked);
      for (const { queueId, waiting, registered, active, placesPerMinute } of lines) {
        note(`waiting ${queueId}`, waiting + registered);
        note(`active ${queueId}`, active);
        note(`pace ${queueId}`, placesPerMinute);
      }
      if (shows.length > 0)
        for (const what of SUMS) note(what, shows.reduce((all, show) => all + show[what], 0));
      this.#latest = at;
    }
  }

  /** Looks, unless nobody is there to see it. */
  async look() {
    const bearer = person()?.bearer;
    if (document.hidden || this.#isLooking || !isKnown() || !may("operator")) return;
    if (this.#refused !== undefined && this.#refused === bearer) return;
    this.#isLooking = true;
    if (this.#looks++ % SELDOM === 0) {
      // Alerts are asked of all programs, and matter most when some are away.
      void this.#beside("/v1/operator/alerts", "", (/** @type {Alerts} */ alerts) => (this.alerts = alerts));
      const since = this.#latest && `?since=${encodeURIComponent(this.#latest)}`;
      void this.#beside("/v1/operator/history", since, (/** @type {History} */ told) => this.#recall(told));
    }
    try {
      const { queues } = await ask(`/v1/queues?pageSize=${LINES}`, { tries: 1 });
      this.queues = queues;
      for (const { queueId, waiting, registered, active, placesPerMinute } of this.queues) {
        this.#note(this.#seen, `waiting ${queueId}`, waiting + registered);
        this.#note(this.#seen, `active ${queueId}`, active);
        this.#note(this.#seen, `pace ${queueId}`, placesPerMinute);
      }
      if (this.#nth % SELDOM === 0) await this.#seldom();
      this.#nth += 1;
      this.trouble = null;
    } catch (error) {
      this.trouble = error;
      const isFinal = error instanceof Refusal && (error.status === 401 || error.status === 403);
      this.#refused = isFinal ? bearer : undefined;
    } finally {
      this.#isLooking = false;
    }
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Asks for something that nothing else waits for, once at a time.
   * @template T
   * @param {string} path
   * @param {string} query
   * @param {(told: T) => void} take
   */
  async #beside(path, query, take) {
    if (this.#underWay.has(path)) return;
    this.#underWay.add(path);
    try {
      take(await ask(`${path}${query}`, { tries: 1 }));
    } catch {
      // What was known stays, beside the trouble that the other requests tell. An edge of an earlier release
      // has none.
    } finally {
      this.#underWay.delete(path);
    }
    this.dispatchEvent(new Event("change"));
  }

  async #seldom() {
    const { payments } = await ask("/v1/payments?parked=true&pageSize=20", { tries: 1 });
    this.parked = payments;
    if (Date.now() - this.#listed > STALE) await this.#list();
    /** @type {Books[]} */
    const books = [];
    for (const one of this.#shows)
      books.push({ ...one, sales: await ask(`/v1/shows/${one.show.showId}/sales`, { tries: 1 }) });
    this.books = books;
    for (const what of SUMS)
      this.#note(this.#seen, what, books.reduce((all, { sales }) => all + sales[what], 0));
  }

  /** Finds out which shows come next. */
  async #list() {
    const from = encodeURIComponent(tonight());
    const { concerts } = await ask(`/v1/concerts?from=${from}&pageSize=${CONCERTS}`, { tries: 1 });
    this.#shows = [];
    for (const concert of concerts) {
      const path = `/v1/concerts/${concert.concertId}/shows?from=${from}&order=startsAt&pageSize=50`;
      const { shows } = await ask(path, { tries: 1 });
      const begun = shows.filter((/** @type {Show} */ { startsAt }) => Date.parse(startsAt) <= now()).length;
      const first = Math.max(0, begun - 1);
      for (const show of shows.slice(first, first + SHOWS)) this.#shows.push({ concert, show });
    }
    this.#listed = Date.now();
  }

  /** Forgets which shows come next, because one was made or changed. */
  renew() {
    this.#listed = Number.NEGATIVE_INFINITY;
    this.#nth = 0;
  }
}

/** There is one a tab, whichever page it shows. */
export const watch = new Watch();
