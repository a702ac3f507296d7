// The lines: all of them, and each with its policy, its pause, and what was done to it.

import { ask, now } from "../api.js";
import { Part, h, show } from "../dom.js";
import { go } from "../frame.js";
import { problem } from "../signing.js";
import { count, moment } from "../words.js";
import { ChangeForm, asking, differences, labelled, page, reading } from "./forms.js";
import { ActionList } from "./journal.js";
import { paged } from "./paged.js";
import { table } from "./table.js";
import { watch } from "./watch.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Draw} Draw */
/** @typedef {import("../types.js").Queue} Queue */

/** What of a policy is a number: how it is called in the API, and its bounds. */
const KNOBS = /** @type {const} */ ([
  ["maxActive", 0, 1_000_000],
  ["maxWaiting", 0, 10_000_000],
  ["admitPerMinute", 1, 10_000_000],
  ["activeTtlSeconds", 1, 86_400],
  ["waitingTtlSeconds", 1, 604_800],
  ["waitingGraceSeconds", 0, 604_800],
  ["showUpWithinSeconds", 0, 86_400],
]);

/** @param {string} queueId */
const addressOf = (queueId) => `/v1/queues/${encodeURIComponent(queueId)}`;

/** All lines. */
export class LinesPage extends Part {
  /** @override */
  begin() {
    const list = paged({ path: "/v1/queues", member: "queues", list: (known) => this.#lines(known) });
    // The looks of the board find the newest ones only.
    watch.addEventListener("change", () => void list.again(), { signal: this.stopped });
    page(this, o.lines, list, this.#new());
  }

  /** @param {Queue[]} queues */
  #lines(queues) {
    const rows = queues.map((queue) => [
      h("a", { href: `/operator/lines/${queue.queueId}` }, queue.queueId),
      stateOf(queue),
      count(queue.waiting + queue.registered),
      o.of(count(queue.active), count(queue.maxActive)),
      count(queue.placesPerMinute),
    ]);
    const columns = /** @type {[string, boolean?][]} */ ([
      [o.line],
      [o.state],
      [o.waiting, true],
      [o.active, true],
      [o.admitted, true],
    ]);
    return table(o.lines, columns, rows);
  }

  /** The form for a new line, which begins with what a policy has by itself. */
  #new() {
    const wrong = h("div", { role: "alert" });
    const onsubmit = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
      const queueId = String(form.get("queueId"));
      try {
        await ask(addressOf(queueId), { method: "PUT", body: {}, signal: this.stopped });
        go(`/operator/lines/${queueId}`);
      } catch (error) {
        if (!this.stopped.aborted) show(wrong, h("p", { class: "notice bad" }, told(error)));
      }
    };
    const field = labelled({
      name: "queueId",
      label: o.lineName,
      kind: "text",
      value: "",
      required: true,
      max: 64,
      pattern: "[a-zA-Z0-9._\\-]{1,64}",
      hint: o.lineNameIs,
    });
    return h(
      "details",
      null,
      h("summary", null, o.newLine),
      h(
        "form",
        { class: "card", onsubmit },
        field,
        wrong,
        h("div", { class: "row" }, h("button", { "data-key": "create" }, o.create)),
      ),
    );
  }
}

/** @param {Queue} queue */
function stateOf({ paused, opensAt, opening, registered, delayReason }) {
  if (paused) return o.paused;
  if (opensAt && Date.parse(opensAt) > now()) return o.opensOn(moment(opensAt));
  if (waitsForDraw({ opensAt, opening, registered })) return o.waitsForDraw;
  return delayReason ? o.delay[delayReason] : o.open;
}

/** After so many milliseconds a beacon is late, as its alert says: until then it is on its way. */
const BEACON_LATE = 30_000;

/**
 * Whether a line should be open, and its draw is not held yet.
 * @param {Pick<Queue, "opensAt" | "opening" | "registered">} queue
 */
const waitsForDraw = ({ opensAt, opening, registered }) =>
  opening === "DRAW" && registered > 0 && opensAt !== null && Date.parse(opensAt) <= now();

/** One line. Set `queueId`. */
export class LinePage extends Part {
  queueId = "";
  /** As it was read, or as the latest look found it. */
  #queue = /** @type {Queue} */ (/** @type {unknown} */ (null));
  #figures = h("div");
  /** That the draw waits for its beacon, and once that is late the question whether to draw without it. */
  #beacon = h("div");
  #asksForDraw = false;

  /** @override */
  async begin() {
    watch.addEventListener("change", () => void this.#follow(), { signal: this.stopped });
    await this.#read();
  }

  /** Shows it as it is after a look at the newest lines; another line is asked for by itself. */
  async #follow() {
    if (!this.#queue) return;
    try {
      const seen = watch.queues.find(({ queueId }) => queueId === this.queueId);
      this.#queue = seen ?? (await this.#ask(1));
      this.#render();
    } catch {
      // It is asked for again after the next look.
    }
  }

  /** @param {number} [tries] @returns {Promise<Queue>} */
  #ask(tries = 4) {
    return ask(addressOf(this.queueId), { signal: this.stopped, tries });
  }

  async #read() {
    page(this, o.lineOf(this.queueId), reading());
    try {
      this.#queue = await this.#ask();
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.lineOf(this.queueId),
          problem(error, () => this.#read()),
        );
      return;
    }
    const queue = this.#queue;
    const actions = new ActionList();
    Object.assign(actions, { of: { target: this.queueId }, most: 10 });
    const form = new ChangeForm();
    Object.assign(form, {
      fields: fieldsOf(queue),
      read: async () => fieldsOf(await this.#ask()),
      save: (/** @type {object} */ changes) => this.#put(changes),
      done: () => this.#read(),
    });
    page(
      this,
      o.lineOf(this.queueId),
      this.#figures,
      h("h2", null, o.pauseOrOpen),
      h("div", { class: "row" }, this.#pause(queue), this.#open(queue)),
      this.#beacon,
      h("h2", null, o.policyIs),
      form,
      h("h2", null, o.journal),
      actions,
    );
    this.#render();
  }

  #render() {
    const queue = this.#queue;
    const figures = [
      [o.state, stateOf(queue)],
      [o.waiting, o.of(count(queue.waiting), count(queue.maxWaiting))],
      [o.registered, count(queue.registered)],
      [o.active, o.of(count(queue.active), count(queue.maxActive))],
      [o.admitted, count(queue.placesPerMinute)],
    ];
    show(
      this.#figures,
      h(
        "dl",
        { class: "figures" },
        figures.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
      ),
    );
    if (!waitsForDraw(queue) || queue.withoutBeacon) show(this.#beacon);
    else if (!this.#beacon.querySelector("[data-key]")) void this.#lookAtDraw();
  }

  /** Finds out whether the draw waits for its beacon. An edge of an earlier release tells of none. */
  async #lookAtDraw() {
    if (this.#asksForDraw) return;
    this.#asksForDraw = true;
    try {
      /** @type {Draw} */
      const draw = await ask(`${addressOf(this.queueId)}/draw`, { signal: this.stopped, tries: 1 });
      if (draw.root == null || draw.secret !== null || draw.beaconRound == null) return;
      const beacon = o.beaconRound(count(draw.beaconRound), moment(draw.beaconAt ?? ""));
      const late = Date.parse(draw.beaconAt ?? "") + BEACON_LATE <= now();
      if (!late && this.#beacon.hasChildNodes()) return;
      const waits = h("p", { class: "notice", role: "status" }, o.waitsForBeacon(beacon));
      show(this.#beacon, waits, ...(late ? [this.#drawWithout(beacon)] : []));
    } catch {
      // It is looked at again with the next look at all lines.
    } finally {
      this.#asksForDraw = false;
    }
  }

  /** @param {string} beacon */
  #drawWithout(beacon) {
    const content = () =>
      h("div", null, h("p", null, o.withoutBeaconMeans), differences([[o.beacon, beacon, o.nothing]]));
    return asking({
      key: "withoutBeacon",
      label: o.withoutBeacon,
      content,
      run: () => this.#put({ withoutBeacon: true }),
      done: () => this.#read(),
    });
  }

  /** @param {object} policy */
  async #put(policy) {
    await ask(addressOf(this.queueId), { method: "PUT", body: policy, signal: this.stopped });
    void watch.look();
  }

  /** @param {Queue} queue */
  #pause({ paused }) {
    return asking({
      key: paused ? "resume" : "pause",
      label: paused ? o.resume : o.pause,
      content: () => differences([[o.state, paused ? o.paused : o.open, paused ? o.open : o.paused]]),
      run: () => this.#put({ paused: !paused }),
      done: () => this.#read(),
    });
  }

  /** Opens a line now that would open later. @param {Queue} queue */
  #open({ opensAt, opening, registered }) {
    if (!opensAt || Date.parse(opensAt) <= now()) return null;
    // What was announced to those who registered for a draw holds.
    if (opening === "DRAW" && registered > 0) return null;
    return asking({
      key: "open",
      label: o.openNow,
      content: () => differences([[o.opensAt, moment(opensAt), o.atOnce]]),
      run: () => this.#put({ opensAt: new Date(now()).toISOString() }),
      done: () => this.#read(),
    });
  }
}

/** @param {Queue} queue @returns {import("./forms.js").Field[]} */
function fieldsOf(queue) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const numbers = KNOBS.map(([name, min, max]) => ({
    name,
    label: o.knobs[name],
    kind: /** @type {const} */ ("number"),
    value: queue[name],
    required: true,
    min,
    max,
  }));
  const is = (/** @type {Record<string, string>} */ names) => Object.entries(names);
  return [
    ...numbers,
    {
      name: "onExpiry",
      label: o.knobs.onExpiry,
      kind: "choice",
      value: queue.onExpiry,
      options: is(o.onExpiry),
    },
    {
      name: "opensAt",
      label: o.opensAt,
      kind: "time",
      value: queue.opensAt,
      // It can be moved, and not be taken away.
      required: queue.opensAt !== null,
      timeZone,
      hint: o.byYourClock(timeZone),
    },
    { name: "opening", label: o.knobs.opening, kind: "choice", value: queue.opening, options: is(o.opening) },
  ];
}

customElements.define("lines-page", LinesPage);
customElements.define("line-page", LinePage);
