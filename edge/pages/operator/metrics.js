// The figures of the edge that answers: how long requests take, and how many are refused. An address may lead
// to several edges; each is compared with itself.

import { ask } from "../api.js";

/** @typedef {{buckets: Map<number, number>, answers: number, refused: number, at: number}} Reading */

/** What `/metrics` said, and what became of it since. */
export class Metrics {
  /** The last reading of each edge, by when it began. @type {Map<string, Reading>} */
  #before = new Map();

  /**
   * Reads them: seconds, and refusals since the last reading.
   * @returns {Promise<{p99?: number, refusedPerMinute?: number}>}
   */
  async read() {
    const { text } = await ask("/v1/operator/metrics", { tries: 1 });
    const began = /^process_start_time_seconds (\S+)$/m.exec(text)?.[1] ?? "";
    const [now, before] = [reading(text), this.#before.get(began)];
    this.#before.set(began, now);
    if (this.#before.size > 64) this.#before.clear();
    if (!before || now.answers < before.answers) return {};
    const minutes = (now.at - before.at) / 60_000;
    const found = { refusedPerMinute: (now.refused - before.refused) / minutes };
    const p99 = quantile(now, before, 0.99);
    return p99 === undefined ? found : { ...found, p99 };
  }
}

/** @param {string} text in Prometheus' format @returns {Reading} */
function reading(text) {
  const buckets = new Map();
  let [answers, refused] = [0, 0];
  for (const line of text.split("\n")) {
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (line.startsWith("http_request_seconds_bucket{")) {
      const told = /le="([^"]+)"/.exec(line)?.[1] ?? "";
      const most = told === "+Inf" ? Number.POSITIVE_INFINITY : Number(told);
      buckets.set(most, (buckets.get(most) ?? 0) + value);
    } else if (line.startsWith("http_requests_total{")) {
      answers += value;
      if (/status="[45]/.test(line)) refused += value;
    }
  }
  return { buckets, answers, refused, at: Date.now() };
}

/**
 * How long the slowest of a part of the requests took at most, read between the bounds of its bucket.
 * @param {Reading} now @param {Reading} before @param {number} part
 */
function quantile(now, before, part) {
  const bounds = [...now.buckets.keys()].sort((a, b) => a - b);
  const upTo = (/** @type {number} */ bound) =>
    (now.buckets.get(bound) ?? 0) - (before.buckets.get(bound) ?? 0);
  const wanted = upTo(Number.POSITIVE_INFINITY) * part;
  if (!(wanted > 0)) return undefined;
  let [lower, below] = [0, 0];
  for (const bound of bounds) {
    const many = upTo(bound);
    if (many >= wanted)
      return Number.isFinite(bound) ? lower + ((bound - lower) * (wanted - below)) / (many - below) : lower;
    [lower, below] = [bound, many];
  }
  return lower;
}
