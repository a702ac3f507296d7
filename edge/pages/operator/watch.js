// What is seen of a sale while the box office is open in a tab: lines every two seconds, books and this
// edge's own figures every ten, and of all of it the last hour. Nothing is asked for while nobody looks.

import { Refusal, ask, now } from "../api.js";
import { person } from "../person.js";
import { HOUR } from "./chart.js";
import { Metrics } from "./metrics.js";
import { isKnown, may } from "./person.js";

/** @typedef {import("./chart.js").Sample} Sample */
/** @typedef {import("../types.js").Alerts} Alerts */
/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").Payment} Payment */
/** @typedef {import("../types.js").Queue} Queue */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("../types.js").ShowSales} ShowSales */
/** @typedef {{concert: Concert, show: Show, sales: ShowSales}} Books */

/** How often lines are looked at, in milliseconds. */
const PERIOD = 2_000;
/** Every how many looks the books are read, too. */
const SELDOM = 5;
/** Of how many lines, concerts and shows a concert it is kept: the sums are of these. */
const LINES = 50;
const CONCERTS = 10;
const SHOWS = 3;
/** How long the list of shows is believed, in milliseconds. */
const STALE = 60_000;

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
  /** Why nothing new is known. @type {unknown} */
  trouble = null;
  /** @type {Map<string, Sample[]>} */
  #series = new Map();
  #metrics = new Metrics();
  /** Looks that were begun, and those of them since `renew` that found all there was to find. */
  #looks = 0;
  #nth = 0;
  #isLooking = false;
  #asksForAlerts = false;
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
    return this.#series.get(name) ?? [];
  }

  /** @param {string} name @param {number} value */
  #note(name, value) {
    const at = Date.now();
    const all = this.#series.get(name) ?? [];
    all.push({ at, value });
    const old = all.findIndex((sample) => sample.at >= at - HOUR);
    if (old > 0) all.splice(0, old);
    this.#series.set(name, all);
  }

  /** Looks, unless nobody is there to see it. */
  async look() {
    const bearer = person()?.bearer;
    if (document.hidden || this.#isLooking || !isKnown() || !may("operator")) return;
    if (this.#refused !== undefined && this.#refused === bearer) return;
    this.#isLooking = true;
    // Nothing waits for them: they are asked of all programs, and matter most when some are away.
    if (this.#looks++ % SELDOM === 0) void this.#lookForAlerts();
    try {
      const { queues } = await ask(`/v1/queues?pageSize=${LINES}`, { tries: 1 });
      this.queues = queues;
      for (const { queueId, waiting, registered, active, placesPerMinute } of this.queues) {
        this.#note(`waiting ${queueId}`, waiting + registered);
        this.#note(`active ${queueId}`, active);
        this.#note(`pace ${queueId}`, placesPerMinute);
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

  async #lookForAlerts() {
    if (this.#asksForAlerts) return;
    this.#asksForAlerts = true;
    try {
      this.alerts = await ask("/v1/operator/alerts", { tries: 1 });
    } catch {
      // What was known stays, beside the trouble that the other requests tell. An edge of an earlier release
      // has none.
    } finally {
      this.#asksForAlerts = false;
    }
    this.dispatchEvent(new Event("change"));
  }

  async #seldom() {
    const { payments } = await ask("/v1/payments?parked=true&pageSize=20", { tries: 1 });
    this.parked = payments;
    this.#note("parked", payments.length);
    if (Date.now() - this.#listed > STALE) await this.#list();
    /** @type {Books[]} */
    const books = [];
    for (const one of this.#shows)
      books.push({ ...one, sales: await ask(`/v1/shows/${one.show.showId}/sales`, { tries: 1 }) });
    this.books = books;
    const sum = (/** @type {"held" | "sold" | "net"} */ what) =>
      books.reduce((all, { sales }) => all + sales[what], 0);
    for (const what of /** @type {const} */ (["held", "sold", "net"])) this.#note(what, sum(what));
    const measured = await this.#metrics.read();
    if (measured.refusedPerMinute !== undefined) this.#note("refused", measured.refusedPerMinute);
    if (measured.p99 !== undefined) this.#note("p99", measured.p99 * 1_000);
  }

  /** Finds out which shows come next. */
  async #list() {
    // With the one of tonight that has begun: what it has sold does not go from the sums.
    const from = encodeURIComponent(new Date(now() - 12 * HOUR).toISOString());
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
