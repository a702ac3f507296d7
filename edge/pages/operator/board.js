// Now: one line and the shows behind it, as figures and as charts over the last hour.

import { now } from "../api.js";
import { Part, entitle, h, show } from "../dom.js";
import { problem } from "../signing.js";
import { beginning, count, language, money, moment } from "../words.js";
import { TrendChart } from "./chart.js";
import { table } from "./table.js";
import { watch } from "./watch.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Alert} Alert */
/** @typedef {import("../types.js").Queue} Queue */

/** After so long without a sample an edge is taken to be gone, in milliseconds. */
const GONE = 45_000;

/** A figure with one digit after the point where it is small. @param {number} value */
const few = (value) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);

/** The first page of the box office. */
export class NowBoard extends Part {
  /** Which line is looked at; at first the one with the most people. */
  #queueId = "";
  #charts = new Map();
  #head = h("div");
  #line = h("div", { class: "charts" });
  #sales = h("div", { class: "charts" });
  #edges = h("div", { class: "charts" });
  #counting = h("div");
  #shows = h("div");
  #parked = h("div");
  #alerts = h("div");

  /** @override */
  begin() {
    entitle(o.now);
    show(
      this,
      h("h1", null, o.now),
      this.#head,
      h("h2", { class: "unseen" }, o.line),
      this.#line,
      this.#parked,
      this.#alerts,
      h("h2", null, o.salesNow),
      this.#sales,
      this.#shows,
      h("h2", null, o.edges),
      this.#edges,
      this.#counting,
    );
    watch.addEventListener("change", () => this.#render(), { signal: this.stopped });
    this.#render();
  }

  #render() {
    const { queues, trouble } = watch;
    const people = (/** @type {Queue} */ { waiting, registered, active }) => waiting + registered + active;
    const [busiest] = queues.toSorted((a, b) => people(b) - people(a));
    const queue = queues.find(({ queueId }) => queueId === this.#queueId) ?? busiest;
    if (queue) this.#queueId = queue.queueId;
    // Also while nothing is known of the lines: that may be what they are about.
    show(this.#alerts, ...this.#told());
    if (!queue) {
      const again = () => void watch.look();
      return show(this.#head, trouble ? problem(trouble, again) : h("p", { class: "faint" }, o.reading));
    }
    show(
      this.#head,
      trouble ? h("p", { class: "notice bad", role: "alert" }, told(trouble)) : null,
      this.#choice(queue),
    );
    const of = (/** @type {string} */ name) => watch.series(`${name} ${queue.queueId}`);
    show(
      this.#line,
      this.#chart("waiting", o.waiting, of("waiting"), count, o.atMost(count(queue.maxWaiting))),
      this.#chart("active", o.active, of("active"), count, o.atMost(count(queue.maxActive))),
      this.#chart("pace", o.admitted, of("pace"), few, o.atMost(count(queue.admitPerMinute))),
    );
    const [first] = watch.books;
    const priced = (/** @type {number} */ amount) => (first ? money(amount, first.sales) : few(amount));
    show(
      this.#sales,
      this.#chart("held", o.held, watch.series("held"), count),
      this.#chart("sold", o.sold, watch.series("sold"), count),
      this.#chart("net", o.net, watch.series("net"), priced),
    );
    show(
      this.#edges,
      this.#chart("p99", o.p99, watch.series("p99"), (value) => `${few(value)} ms`),
      this.#chart("refused", o.refused, watch.series("refused"), few),
      this.#chart("parked", o.parked, watch.series("parked"), count),
    );
    show(this.#counting, this.#who());
    show(this.#parked, this.#waiting());
    show(this.#shows, this.#table());
  }

  /** @param {Queue} queue */
  #choice(queue) {
    const { queues } = watch;
    const onchange = (/** @type {Event} */ { target }) => {
      this.#queueId = /** @type {HTMLSelectElement} */ (target).value;
      this.#render();
    };
    const option = (/** @type {Queue} */ { queueId }) =>
      h("option", { value: queueId, selected: queueId === queue.queueId }, queueId);
    const opens = queue.opensAt && Date.parse(queue.opensAt) > Date.now() ? queue.opensAt : null;
    return h(
      "div",
      { class: "row" },
      h("label", null, o.line, h("select", { "data-key": "line", onchange }, queues.map(option))),
      h("a", { class: "button", href: `/operator/lines/${queue.queueId}`, "data-key": "toLine" }, o.policy),
      queue.paused && h("p", { class: "tag bad" }, o.paused),
      opens && h("p", { class: "tag" }, o.opensOn(moment(opens))),
      queue.delayReason && h("p", { class: "tag" }, o.delay[queue.delayReason]),
    );
  }

  /**
   * @param {string} key
   * @param {string} name
   * @param {readonly import("./chart.js").Sample[]} samples
   * @param {(value: number) => string} format
   * @param {string} [note]
   * @returns {TrendChart}
   */
  #chart(key, name, samples, format, note) {
    const chart = this.#charts.get(key) ?? new TrendChart();
    this.#charts.set(key, chart);
    chart.trace(name, samples, format, note);
    return chart;
  }

  /** The edges whose counts these are, and until when those that are gone have counted. */
  #who() {
    if (watch.edges.length === 0) return null;
    const names = watch.edges.map(({ name, latestAt }) =>
      Date.parse(latestAt) < now() - GONE ? o.countedUntil(name, moment(latestAt)) : name,
    );
    return h("p", { class: "faint" }, o.countedBy(names.join(", ")));
  }

  /** The payments that wait for an operator. */
  #waiting() {
    if (watch.parked.length === 0) return null;
    const line = (/** @type {import("../types.js").Payment} */ one) =>
      h(
        "li",
        null,
        h("a", { class: "grow", href: `/operator/payments/${one.paymentId}` }, one.paymentId),
        h("span", null, one.userId),
        h("span", { class: "faint" }, moment(one.createdAt)),
      );
    return h(
      "section",
      { class: "notice bad" },
      h("h2", null, o.parkedNow(watch.parked.length)),
      h("ul", { class: "list" }, watch.parked.map(line)),
    );
  }

  /** What needs a person, of all programs. */
  #told() {
    if (watch.alerts === null) return [];
    const { alerts, unread } = watch.alerts;
    const line = (/** @type {Alert} */ { program, kind, text, times, since, latestAt, silenced }) =>
      h(
        "li",
        { class: "alert" },
        h(
          "div",
          { class: "grow" },
          h("a", { href: `/manual#${kind}`, "data-key": kind }, h("code", { class: "name" }, kind)),
          ` ${program}`,
          h("p", { class: "faint" }, text),
        ),
        silenced && h("span", { class: "tag" }, o.silenced),
        h(
          "div",
          { class: "end" },
          o.alertTimes(times, moment(since)),
          times > 1 && h("div", { class: "faint" }, o.alertLatest(moment(latestAt))),
        ),
      );
    return [
      h("h2", null, o.alerts),
      unread.length > 0 && h("p", { class: "notice bad", role: "alert" }, o.unread(unread.join(", "))),
      alerts.length > 0
        ? h("div", { class: "card" }, h("ul", { class: "list" }, alerts.map(line)))
        : h("p", { class: "faint" }, o.noAlerts),
    ];
  }

  #table() {
    if (watch.books.length === 0) return h("p", { class: "faint" }, o.noShows);
    const rows = watch.books.map(({ concert, show: one, sales }) => [
      [
        h("a", { href: `/operator/shows/${one.showId}` }, one.title),
        h("br"),
        beginning(one, concert.timeZone),
      ],
      ...[sales.free, sales.held, sales.sold].map(count),
      money(sales.net, sales),
    ]);
    const columns = [o.free, o.held, o.sold, o.net].map(
      (name) => /** @type {[string, boolean]} */ ([name, true]),
    );
    return table(o.nextShows, [[o.show], ...columns], rows);
  }
}

customElements.define("now-board", NowBoard);
