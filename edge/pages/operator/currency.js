// The one currency of the mesh, which every show tells.

import { ask } from "../api.js";

/** @typedef {import("../types.js").Priced} Priced */

/** How amounts are written where there is no show yet that tells the currency: as they are. @type {Priced} */
export const UNKNOWN = { currency: "XXX", currencyExponent: 0 };
/** How many concerts are looked through for a show. */
const CONCERTS = 10;

/** The currency, as some show tells it. @param {AbortSignal} signal @returns {Promise<Priced>} */
export async function currencyOf(signal) {
  const { concerts } = await ask(`/v1/concerts?pageSize=${CONCERTS}`, { signal });
  for (const { concertId } of concerts) {
    const { shows } = await ask(`/v1/concerts/${concertId}/shows?pageSize=1`, { signal });
    if (shows[0]) return shows[0];
  }
  return UNKNOWN;
}
