// Which seats of a show can be had: the one place that knows how the API tells it. A page that is looked at
// follows a stream of events; where it may not have one, none gets through, and between two, it polls.

import { ask, identified, streamed } from "./api.js";
import { sleep } from "./dom.js";

/** A stream whose first event does not come within this is held back by something in between. */
const FIRST = 8_000;
/** After so many polls a stream is tried again. */
const POLLS = 10;

/**
 * Reads which seats can be had: seat `n` if the entry `n - 1` is 1.
 * @param {{showId: number}} show
 * @param {string} place the queue token
 * @param {AbortSignal} signal
 * @returns {Promise<Uint8Array>}
 */
export async function freeSeats({ showId }, place, signal) {
  return read(await ask(`/v1/shows/${showId}/availability`, { place, signal }));
}

/** A bit for each seat, set if it cannot be had. @param {{seatCount: number, taken: string}} told */
function read({ seatCount, taken }) {
  const bytes = atob(taken);
  const isFree = (/** @type {unknown} */ _, /** @type {number} */ nth) =>
    1 - ((bytes.charCodeAt(nth >> 3) >> (nth & 7)) & 1);
  return Uint8Array.from({ length: seatCount }, isFree);
}

/**
 * Goes on reading them while the page is looked at, until the signal is aborted or `tell` throws.
 * @param {{showId: number}} show
 * @param {string} place the queue token
 * @param {AbortSignal} signal
 * @param {(free: Uint8Array | null, error: unknown) => void} tell what can be had, or why that is unknown
 */
export async function followSeats(show, place, signal, tell) {
  for (;;) {
    const follow = () => listen(show, place, signal, tell);
    const got = document.hidden ? null : await streamed(follow, signal);
    const polls = got === false ? POLLS : 1;
    for (let nth = 0; nth < polls; nth += 1) {
      await sleep(1_000 + 2_000 * Math.random(), signal);
      if (document.hidden) continue;
      const [free, error] = await freeSeats(show, place, signal).then(
        (free) => [free, null],
        (error) => [null, error],
      );
      signal.throwIfAborted();
      tell(free, error);
    }
  }
}

/**
 * One stream, until it is cut or the page is no longer looked at: a browser opens six connections to a
 * server, for all its tabs together. Answers whether anything came.
 * @param {{showId: number}} show
 * @param {string} place
 * @param {AbortSignal} signal
 * @param {(free: Uint8Array | null, error: unknown) => void} tell
 */
async function listen({ showId }, place, signal, tell) {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const stop = () => over.abort();
  document.addEventListener("visibilitychange", stop, { signal: either });
  const late = setTimeout(stop, FIRST);
  /** @type {Uint8Array | null} */
  let free = null;
  try {
    const path = `/v1/shows/${showId}/availability/events`;
    const asked = { headers: identified(place), signal: either, cache: /** @type {const} */ ("no-store") };
    const response = await fetch(path, asked).catch(() => null);
    if (response?.ok && response.body) {
      for await (const { event, data } of events(response.body)) {
        clearTimeout(late);
        free = event === "snapshot" || free === null ? read(data) : free.slice();
        for (const seat of data.freed ?? []) free[seat - 1] = 1;
        if (event === "changes") for (const seat of data.taken) free[seat - 1] = 0;
        tell(free, null);
      }
    }
  } finally {
    clearTimeout(late);
    stop();
  }
  signal.throwIfAborted();
  return free !== null;
}

/**
 * The events of a stream, until it ends or is cut.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, data: any}>}
 */
async function* events(body) {
  const [reader, decoder] = [body.getReader(), new TextDecoder()];
  let text = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const field = (/** @type {string} */ name) =>
        part
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const [event, data] = [field("event"), field("data")];
      if (event && data) yield { event, data: JSON.parse(data) };
    }
  }
}
