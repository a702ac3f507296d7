// The public API, as the pages use it: JSON in and out, refusals as `Refusal`, the server's clock, and how
// many streams there may be.

import { sleep } from "./dom.js";
import { person } from "./person.js";

/** @typedef {import("./types.js").Place} Place */

/** A refusal of the API, or that there was no answer (`code` OFFLINE). */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} problem
   * @param {number} [retryAfter] in seconds
   */
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? problem.code);
    this.status = status;
    /** @type {string} The stable word to branch on. */
    this.code = problem.code ?? "INTERNAL";
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** Whether nobody knows what has become of the request, so that it is to be sent again. */
  get isAway() {
    return ["OFFLINE", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"].includes(this.code);
  }
}

/** By how many milliseconds the server's clock is ahead of this machine's. */
let ahead = 0;
/** How exactly that is known: half the time that the best answer took. */
let within = Number.POSITIVE_INFINITY;

/** The time by the server's clock, in milliseconds since 1970. */
export const now = () => Date.now() + ahead;

/**
 * Sets the clock by an instant of the server's between two of this machine's.
 * @param {number} at
 * @param {number} asked
 * @param {number} answered
 */
function setClock(at, asked, answered) {
  const half = (answered - asked) / 2;
  // It was half-way. A machine whose clock was set makes the best answer stale.
  const seems = at - (asked + half);
  if (half > within + 250 && Math.abs(seems - ahead) < 2_000) return;
  ahead = seems;
  within = half;
}

/** Sets it by an answer. @param {Response} response @param {number} asked when the request was sent */
function setClockBy(response, asked) {
  const date = Date.parse(response.headers.get("date") ?? "");
  // An answer from a cache has the date of its making.
  if (!Number.isFinite(date) || response.headers.has("age")) return;
  // The header is cut to whole seconds, so half a second is added.
  setClock(date + 500, asked, Date.now());
}

/**
 * What the document came with, which nobody has to ask for: a show with its concert and its line, or a place.
 * It is told once, to whom it is about, and not where the browser had kept the document from an earlier
 * visit.
 * @param {(known: import("./types.js").Known) => boolean} isMine
 * @returns {import("./types.js").Known | null}
 */
export function cameWith(isMine) {
  const element = document.getElementById("known");
  const [came] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  element?.remove();
  if (!element?.textContent || !came?.transferSize) return null;
  /** @type {import("./types.js").Known} */
  const known = JSON.parse(element.textContent);
  const zero = Date.now() - performance.now();
  setClock(Date.parse(known.now), zero + came.requestStart, zero + came.responseStart);
  return isMine(known) ? known : null;
}

/** A key that no other request has. `crypto.randomUUID` is missing where a page comes over plain HTTP. */
const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );

/**
 * How something is asked: `place` is the queue token, `match` the tag of what is to be changed.
 * @typedef {{method?: string, body?: unknown, key?: string, place?: string, match?: string,
 *   signal?: AbortSignal, tries?: number}} Options
 */

/**
 * Asks the API. A request that may be sent again (it reads, or has an idempotency key) is sent again while
 * the network or the server is away, `tries` times in all.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} the JSON of the answer, `null` without one
 */
export const ask = async (path, options = {}) => (await askTagged(path, options)).json;

/**
 * Asks the API like [`ask`], for the tag of the answer, too.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<{json: any, tag: string}>}
 */
export async function askTagged(path, { tries = 4, ...options } = {}) {
  const mayRepeat = options.body === undefined || options.key !== undefined;
  for (let nth = 1; ; nth += 1) {
    try {
      return await once(path, options);
    } catch (error) {
      if (!(error instanceof Refusal && error.isAway && mayRepeat) || nth >= tries) throw error;
      const seconds = Math.min(5, error.retryAfter ?? 2 ** (nth - 1));
      await sleep(seconds * 1_000 * (0.75 + Math.random() / 2), options.signal);
    }
  }
}

/** Headers that say who asks, and with which queue token. @param {string} [place] */
export function identified(place) {
  const headers = new Headers();
  if (place) headers.set("x-queue-token", place);
  const bearer = person()?.bearer;
  if (bearer) headers.set("authorization", `Bearer ${bearer}`);
  return headers;
}

/** @param {string} path @param {Options} options */
async function once(path, { method, body, key, place, match, signal }) {
  const headers = identified(place);
  headers.set("accept", "application/json");
  if (body !== undefined) headers.set("content-type", "application/json");
  if (key !== undefined) headers.set("idempotency-key", key);
  if (match) headers.set("if-match", match);
  const sent = body === undefined ? null : JSON.stringify(body);
  const asked = Date.now();
  /** @type {Response} */
  let response;
  try {
    const verb = method ?? (sent === null ? "GET" : "POST");
    response = await fetch(path, {
      method: verb,
      headers,
      body: sent,
      signal: signal ?? null,
      cache: "no-cache",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, { code: "OFFLINE" });
  }
  setClockBy(response, asked);
  const text = await response.text().catch(() => {
    throw new Refusal(0, { code: "OFFLINE" });
  });
  const json = read(text);
  if (response.ok) return { json, tag: response.headers.get("etag") ?? "" };
  const after = Number(response.headers.get("retry-after"));
  const problem = json ?? { code: response.status >= 500 ? "UNAVAILABLE" : "INTERNAL" };
  throw new Refusal(response.status, problem, after > 0 ? after : undefined);
}

/**
 * @param {string} text
 * @returns {any} the JSON, `null` where it is none, as of something between here and the edge
 */
function read(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/**
 * So many streams all tabs have together, at most: HTTP/1.1 lets a browser open six connections to an origin,
 * and what is asked needs some of them.
 */
const STREAMS = 3;

/**
 * Does something that keeps a connection for itself, if there may be one more of them. Where the browser has
 * no locks (a page that came over plain HTTP) tabs do not know of each other, and there is none.
 * @template {{}} T
 * @param {() => Promise<T>} work
 * @param {AbortSignal} signal
 * @returns {Promise<T | null>} what became of it; `null` if it was not done
 */
export async function streamed(work, signal) {
  const asked = { ifAvailable: true };
  for (let nth = 1; navigator.locks && nth <= STREAMS; nth += 1) {
    const done = await navigator.locks.request(`boxoffice.stream.${nth}`, asked, (lock) =>
      // The page may have gone on to something else while it asked.
      lock && !signal.aborted ? work() : null,
    );
    if (done !== null) return done;
  }
  return null;
}

/**
 * Something that is to happen once. However often it is asked for, it is the same request until its outcome
 * is known.
 */
export class Once {
  /** @type {string | undefined} */
  #key;

  /** @param {string} path @param {Options & {body: unknown}} options @returns {Promise<any>} */
  async ask(path, options) {
    this.#key ??= newKey();
    try {
      const answer = await ask(path, { ...options, key: this.#key });
      this.#key = undefined;
      return answer;
    } catch (error) {
      if (error instanceof Refusal && !error.isAway) this.#key = undefined;
      throw error;
    }
  }
}
