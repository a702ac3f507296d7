// Which seats of a show can be had: the one place that knows how the API tells it.

import { ask } from "./api.js";
import { sleep } from "./dom.js";

/**
 * Reads which seats can be had: seat `n` if the entry `n - 1` is 1.
 * @param {{showId: number, seatCount: number}} show
 * @param {string} place the queue token
 * @param {AbortSignal} signal
 * @returns {Promise<Uint8Array>}
 */
export async function freeSeats({ showId, seatCount }, place, signal) {
  const { seats } = await ask(`/v1/shows/${showId}/seats`, { place, signal });
  const free = new Uint8Array(seatCount);
  for (const { seatNumber, status } of seats) free[seatNumber - 1] = Number(status === "AVAILABLE");
  return free;
}

/**
 * Goes on reading them while the page is looked at, the more calmly the larger the hall is, until the signal
 * is aborted or `tell` throws.
 * @param {{showId: number, seatCount: number}} show
 * @param {string} place the queue token
 * @param {AbortSignal} signal
 * @param {(free: Uint8Array | null, error: unknown) => void} tell what can be had, or why that is unknown
 */
export async function followSeats(show, place, signal, tell) {
  for (;;) {
    await sleep(2_000 + show.seatCount / 4, signal);
    if (document.hidden) continue;
    const [free, error] = await freeSeats(show, place, signal).then(
      (free) => [free, null],
      (error) => [null, error],
    );
    signal.throwIfAborted();
    tell(free, error);
  }
}
