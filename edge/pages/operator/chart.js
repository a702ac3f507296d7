// A chart of one figure over the last hour: a line in an SVG, and the same in words for who does not see it.

import { now } from "../api.js";
import { Part, h, show } from "../dom.js";
import { span } from "../words.js";
import { o } from "./words.js";

/** @typedef {{at: number, value: number}} Sample */

/** How far back a chart goes, in milliseconds. */
export const HOUR = 3_600_000;
/** The least that it shows, so that the first minute is not stretched over all of it. */
const LEAST = 120_000;
/** After a longer pause than this nothing is known of what was between. */
const GAP = 90_000;
const [WIDTH, HEIGHT] = [300, 80];

const NAMESPACE = "http://www.w3.org/2000/svg";

/** @param {string} name @param {Record<string, string | number>} attributes @param {...Node} children */
function draw(name, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** One figure: its value now, and its line. */
export class TrendChart extends Part {
  #name = h("h3");
  #value = h("p", { class: "figure" });
  #picture = h("div", { class: "trend" });
  #axis = h("p", { class: "axis faint", "aria-hidden": "true" });

  /** @override */
  begin() {
    show(this, this.#name, this.#value, this.#picture, this.#axis);
  }

  /**
   * @param {string} name
   * @param {readonly Sample[]} known in their order
   * @param {(value: number) => string} format
   * @param {string} [note] said after the value
   */
  trace(name, known, format, note) {
    // The right edge is this moment. Nothing may have been counted for a while: then nothing is known now.
    const end = Math.max(now(), known.at(-1)?.at ?? 0);
    const samples = known.filter(({ at }) => at >= end - HOUR);
    const last = samples.at(-1);
    const value = last && end - last.at <= GAP ? format(last.value) : "–";
    show(this.#name, name);
    show(this.#value, value, note && h("span", { class: "faint" }, ` ${note}`));
    const values = samples.map(({ value }) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const long = Math.min(HOUR, Math.max(LEAST, end - (samples[0]?.at ?? end)));
    const said = last
      ? o.trend(name, value, format(least), format(most), span(long / 1_000))
      : o.noSamples(name);
    const top = most > 0 ? most * 1.1 : 1;
    const x = (/** @type {number} */ at) => (WIDTH * (at - end + long)) / long;
    const y = (/** @type {number} */ value) => HEIGHT - 2 - ((HEIGHT - 4) * value) / top;
    const svg = draw("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": said,
    });
    for (const part of unbroken(samples)) {
      const points = part.map(({ at, value }) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
      const [from, to] = [x(part[0]?.at ?? 0).toFixed(1), x(part.at(-1)?.at ?? 0).toFixed(1)];
      const area = `M${from} ${HEIGHT}L${points.join("L")}L${to} ${HEIGHT}Z`;
      svg.append(
        draw("path", { class: "area", d: area }),
        draw("path", { class: "line", d: `M${points.join("L")}` }),
      );
    }
    this.#picture.replaceChildren(svg);
    const before = `−${span(long / 1_000)}`;
    show(
      this.#axis,
      h("span", null, before),
      h("span", null, last ? `${format(least)} – ${format(most)}` : ""),
    );
  }
}

/** The parts of a line between which nothing is known. @param {readonly Sample[]} samples */
function unbroken(samples) {
  /** @type {Sample[][]} */
  const parts = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const sample of samples) {
    if (sample.at - before > GAP) parts.push([]);
    parts.at(-1)?.push(sample);
    before = sample.at;
  }
  return parts;
}

customElements.define("trend-chart", TrendChart);
