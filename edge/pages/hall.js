// The hall: a picture, and beside it lists with which a keyboard or a screen reader does everything, too.

import { Once, Refusal, ask } from "./api.js";
import { Part, h, show } from "./dom.js";
import { person } from "./person.js";
import { Picture } from "./picture.js";
import { Seating, broken, many } from "./seating.js";
import { seatName } from "./seats.js";
import { followSeats, freeSeats } from "./states.js";
import { count, inWords, money, w } from "./words.js";

/** @typedef {import("./types.js").Show} Show */
/**
 * How many of the best seats somebody wants, of which section (`null`: any), and whether side by side.
 * @typedef {{count: number, section: number | null, together: boolean}} Wish
 */

/** The most seats that are chosen at once, where the show has no limit of its own. */
const MOST = 10;

/** The most seats of a row that the lists show at once: each is a stop for the keyboard. */
const LISTED = 50;

/** Choosing seats of a show. Set `show` and `place`; it tells `held` with the reservation. */
export class SeatHall extends Part {
  /** @type {Show} */
  show = /** @type {any} */ (null);
  /** The queue token. */
  place = "";
  #seating = new Seating({ showId: 0, sections: [] });
  /** Whether seat `n` can be had, at `n - 1`. @type {Uint8Array} */
  #free = new Uint8Array(0);
  /** @type {Set<number>} */
  #mine = new Set();
  #hold = new Once();
  /** The best seats are chosen by the server, so that a crowd that asks for them gets different ones. */
  #best = new Once();
  #message = "";
  #isHolding = false;
  /** Which section and which of its rows the lists show. */
  #at = { section: 0, row: 0 };
  /** @type {Wish} */
  #wish = { count: 2, section: null, together: true };
  /** @type {Picture | null} */
  #picture = null;
  #chosen = h("div");
  #lists = h("div");
  #alert = h("div", { role: "alert" });

  get #most() {
    return Math.min(this.show.maxSeatsPerUser ?? MOST, MOST);
  }

  /** @override */
  async begin() {
    show(this, h("p", { class: "faint" }, w.loading));
    try {
      const [plan, free] = await Promise.all([
        ask(`/v1/shows/${this.show.showId}/plan`, { signal: this.stopped }),
        freeSeats(this.show, this.place, this.stopped),
      ]);
      this.#seating = new Seating(plan);
      this.#free = free;
    } catch (error) {
      if (this.stopped.aborted) return;
      const again = h("button", { onclick: () => this.begin() }, w.again);
      return show(this, h("p", { class: "notice bad", role: "alert" }, inWords(error)), again);
    }
    this.#wish.count = Math.min(2, this.#most);
    const first = this.#free.indexOf(1) + 1;
    if (first > 0) this.#lead(first);
    const state = (/** @type {number} */ seat) =>
      this.#mine.has(seat) ? "mine" : this.#isFree(seat) ? "free" : "gone";
    const picture = new Picture(
      this.#seating,
      this.show,
      state,
      (seat, close) => this.#touched(seat, close),
      this.stopped,
    );
    this.#picture = picture;
    show(
      this,
      h("h2", null, w.hall),
      this.#alert,
      h("div", { class: "hall" }, this.#framed(picture), h("div", null, this.#chosen, this.#lists)),
    );
    this.#render();
    followSeats(this.show, this.place, this.stopped, (free, error) => this.#learn(free, error)).catch(
      () => {},
    );
  }

  /** The picture with what belongs to it. @param {Picture} picture */
  #framed(picture) {
    const legend = /** @type {const} */ (["free", "taken", "yours"]).map((name) =>
      h("li", { class: name }, w[name]),
    );
    const button = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {() => void} */ work) =>
      h("button", { class: "small", "aria-label": name, title: name, onclick: work }, sign);
    return h(
      "div",
      { class: "frame" },
      picture.canvas,
      h(
        "div",
        { class: "row tools" },
        h("ul", { class: "legend" }, legend),
        button("+", w.closer, () => picture.closer(1.5)),
        button("−", w.farther, () => picture.closer(1 / 1.5)),
        button("⤢", w.whole, () => picture.fit()),
      ),
    );
  }

  /**
   * What can be had by now, or why that is not known.
   * @param {Uint8Array | null} free
   * @param {unknown} error
   */
  #learn(free, error) {
    if (free === null) {
      if (error instanceof Refusal && error.isAway) return this.#warn(w.stale);
      this.#warn(inWords(error));
      throw error;
    }
    if (this.#message === w.stale) this.#warn("");
    this.#free = free;
    const lost = [...this.#mine].filter((seat) => !this.#isFree(seat));
    if (lost.length > 0 && !this.#isHolding) {
      for (const seat of lost) this.#mine.delete(seat);
      this.#warn(w.wentAway);
    }
    this.#render();
  }

  /** @param {string} message */
  #warn(message) {
    if (message === this.#message) return;
    this.#message = message;
    show(this.#alert, message && h("p", { class: "notice bad" }, message));
  }

  #isFree = (/** @type {number} */ seat) => this.#free[seat - 1] === 1;

  /** The rows of a section as the lists show them. @param {number} section */
  #rows(section) {
    return (this.#seating.sections[section]?.rows ?? []).flatMap((row) => broken(row, LISTED));
  }

  /** Shows in the lists the first row of a section in which something is free. @param {number} section */
  #enterSection(section) {
    const row = this.#rows(section).findIndex((one) => this.#many(one) > 0);
    this.#at = { section, row: Math.max(0, row) };
  }

  /** Shows in the lists the row of a seat. @param {number} seat */
  #lead(seat) {
    const section = this.#seating.sectionOf(seat);
    const row = this.#rows(section).findIndex((one) => seat >= one.firstSeat && seat <= one.lastSeat);
    this.#at = { section, row: Math.max(0, row) };
  }

  /**
   * A seat of the picture. One that is too small to be meant only leads to its row.
   * @param {number} seat
   * @param {boolean} isClose
   */
  #touched(seat, isClose) {
    this.#lead(seat);
    if (isClose) this.#toggle(seat);
    else this.#render();
  }

  /** @param {number} seat */
  #toggle(seat) {
    if (this.#isHolding) return;
    this.#warn("");
    if (this.#mine.has(seat)) this.#mine.delete(seat);
    else if (!this.#isFree(seat)) return;
    else if (this.#mine.size >= this.#most) return this.#warn(w.noMore(this.#most));
    else this.#mine.add(seat);
    this.#hold = new Once();
    this.#render();
  }

  /** Another wish is another request. @param {Partial<Wish>} wish */
  #wished(wish) {
    this.#wish = { ...this.#wish, ...wish };
    this.#best = new Once();
    this.#warn("");
  }

  #takeBest() {
    const { count, section, together } = this.#wish;
    const name = section === null ? undefined : this.#seating.sections[section]?.name;
    return this.#take(this.#best, { count, together, section: name || undefined });
  }

  /** @param {Once} hold @param {object} seats which ones */
  async #take(hold, seats) {
    if (this.#isHolding) return;
    this.#isHolding = true;
    this.#warn("");
    this.#render();
    const body = { userId: person()?.userId, showId: this.show.showId, ...seats };
    try {
      const held = await hold.ask("/v1/reservations", { body, place: this.place, signal: this.stopped });
      return this.tell("held", held);
    } catch (error) {
      if (this.stopped.aborted) return;
      this.#isHolding = false;
      this.#warn(inWords(error));
      for (const seat of (error instanceof Refusal && error.problem.seatNumbers) || []) {
        this.#free[seat - 1] = 0;
        this.#mine.delete(seat);
      }
      this.#render();
    }
  }

  get #sorted() {
    return [...this.#mine].sort((a, b) => a - b);
  }

  #render() {
    const seats = this.#sorted;
    const total = seats.reduce((sum, seat) => sum + this.#seating.priceOf(seat), 0);
    show(
      this.#chosen,
      h("h3", null, w.yours),
      seats.length === 0 && h("p", { class: "faint" }, w.none),
      seats.length > 0 &&
        h(
          "ul",
          { class: "list" },
          seats.map((seat) => this.#line(seat)),
        ),
      seats.length > 0 &&
        h(
          "div",
          { class: "row" },
          h("p", { class: "grow" }, `${w.total}: `, h("strong", null, money(total, this.show))),
          h(
            "button",
            {
              class: "main",
              "data-key": "hold",
              "aria-disabled": this.#isHolding && "true",
              onclick: () => this.#take(this.#hold, { seatNumbers: this.#sorted }),
            },
            this.#isHolding ? w.working : w.hold,
          ),
        ),
    );
    show(this.#lists, ...this.#choices());
    this.#picture?.draw();
  }

  /** @param {number} seat */
  #line(seat) {
    const name = seatName(this.#seating.name(seat));
    const drop = {
      class: "small",
      "data-key": `drop${seat}`,
      "aria-label": `${w.drop}: ${name}`,
      onclick: () => this.#toggle(seat),
    };
    return h(
      "li",
      null,
      h("span", { class: "grow" }, name),
      h("span", null, money(this.#seating.priceOf(seat), this.show)),
      h("button", drop, "×"),
    );
  }

  #choices() {
    const { sections } = this.#seating;
    const section = sections[this.#at.section];
    const rows = this.#rows(this.#at.section);
    const row = rows[this.#at.row];
    if (!section || !row) return [];
    return [
      h("h3", null, w.best),
      ...this.#bestOf(),
      h(
        "fieldset",
        null,
        h("legend", null, w.chooseSeats),
        h(
          "div",
          { class: "row" },
          sections.length > 1 &&
            this.#select(
              w.section,
              "section",
              sections.map((one, at) => [at, this.#sectionName(one)]),
              this.#at.section,
              (at) => this.#enterSection(Number(at)),
            ),
          rows.length > 1 &&
            this.#select(
              w.row,
              "row",
              rows.map((one, at) => [at, `${rowName(one)} · ${this.#freeOf(one)}`]),
              this.#at.row,
              (at) => (this.#at = { ...this.#at, row: Number(at) }),
            ),
        ),
        h(
          "div",
          { class: "seats" },
          Array.from({ length: many(row) }, (_, nth) => this.#seat(row.firstSeat + nth)),
        ),
      ),
    ];
  }

  /** @param {import("./types.js").Section} section */
  #sectionName(section) {
    return [section.name, money(section.price, this.show), this.#freeOf(section)].filter(Boolean).join(" · ");
  }

  /** Asks for the best seats. */
  #bestOf() {
    const { sections } = this.#seating;
    const { count: wanted, section, together } = this.#wish;
    const numbers = Array.from({ length: this.#most }, (_, nth) => [nth + 1, count(nth + 1)]);
    const named = sections.map((one, at) => [at, this.#sectionName(one)]);
    const side = (/** @type {Event} */ { target }) => {
      this.#wished({ together: /** @type {HTMLInputElement} */ (target).checked });
      this.#render();
    };
    const box = { type: "checkbox", "data-key": "together", checked: together, onchange: side };
    const take = {
      class: "main",
      "data-key": "best",
      "aria-disabled": this.#isHolding && "true",
      onclick: () => this.#takeBest(),
    };
    return [
      h(
        "div",
        { class: "row" },
        this.#select(w.howMany, "howMany", numbers, wanted, (n) => this.#wished({ count: Number(n) })),
        sections.length > 1 &&
          this.#select(w.section, "where", [["", w.anywhere], ...named], section ?? "", (at) =>
            this.#wished({ section: at === "" ? null : Number(at) }),
          ),
        wanted > 1 && h("label", { class: "check" }, h("input", box), w.together),
        h("button", take, this.#isHolding ? w.working : w.holdBest(wanted)),
      ),
    ];
  }

  /**
   * @param {string} name
   * @param {string} key
   * @param {(string | number)[][]} options
   * @param {string | number} selected
   * @param {(value: string) => void} pick
   */
  #select(name, key, options, selected, pick) {
    const onchange = (/** @type {Event} */ { target }) => {
      pick(/** @type {HTMLSelectElement} */ (target).value);
      this.#render();
    };
    const shown = options.map(([value, text]) => h("option", { value, selected: value === selected }, text));
    return h("label", null, name, h("select", { "data-key": key, onchange }, shown));
  }

  /** How many of these can be had. @param {{firstSeat: number, lastSeat: number}} of */
  #many({ firstSeat, lastSeat }) {
    return this.#free.subarray(firstSeat - 1, lastSeat).reduce((sum, one) => sum + one, 0);
  }

  /** @param {{firstSeat: number, lastSeat: number}} of */
  #freeOf(of) {
    return w.freeOf(count(this.#many(of)), count(many(of)));
  }

  /** A seat as a button. @param {number} seat */
  #seat(seat) {
    const [isFree, isMine] = [this.#isFree(seat), this.#mine.has(seat)];
    const name = this.#seating.name(seat);
    const state = isMine ? w.yours : isFree ? w.free : w.taken;
    const attributes = {
      "data-key": `seat${seat}`,
      "data-seat": seat,
      "aria-pressed": String(isMine),
      "aria-disabled": !isFree && !isMine && "true",
      "aria-label": `${seatName(name)}, ${state}`,
      onclick: () => this.#toggle(seat),
    };
    return h("button", attributes, name.label);
  }
}

/** @param {{name: string, firstLabel: number, firstSeat: number, lastSeat: number}} row */
const rowName = (row) =>
  [row.name, `${row.firstLabel}–${row.firstLabel + many(row) - 1}`].filter(Boolean).join(" · ");

customElements.define("seat-hall", SeatHall);
