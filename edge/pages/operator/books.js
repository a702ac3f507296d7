// One show: its books, its hall with who has what, what can be mended of it, and calling it off.

import { Refusal, ask, askTagged } from "../api.js";
import { Part, h, show } from "../dom.js";
import { Picture } from "../picture.js";
import { Seating } from "../seating.js";
import { problem } from "../signing.js";
import { beginning, count, money } from "../words.js";
import { ChangeForm, asking, page, reading } from "./forms.js";
import { seatsOf } from "./find.js";
import { paged } from "./paged.js";
import { fieldsOfShow } from "./shows.js";
import { table } from "./table.js";
import { watch } from "./watch.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").Plan} Plan */
/** @typedef {import("../types.js").Reservation} Reservation */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("../types.js").ShowSales} ShowSales */

/** How often the books are read, in milliseconds, and after how many times also who has the seats. */
const PERIOD = 2_000;
const SELDOM = 5;
/** How many reservations are read at once for the picture, which shows all: no seat is in two of them. */
const PAGE = 1_000;

/** Set `showId`. */
export class BooksPage extends Part {
  showId = "";
  #show = /** @type {Show} */ (/** @type {unknown} */ (null));
  #seating = new Seating({ showId: 0, sections: [] });
  /** @type {Picture | null} */
  #picture = null;
  /** Who has which seat. @type {Map<number, Reservation>} */
  #who = new Map();
  #seat = 0;
  #off = h("div", { role: "status" });
  #sums = h("div");
  #trouble = h("div", { role: "alert" });
  /** Who has the seats, as a list. @type {import("./paged.js").PagedList | null} */
  #list = null;
  #one = h("div", { role: "status" });
  #nth = 0;
  #isReading = false;
  #isReadingWho = false;
  /** How many pages of reservations there were. */
  #pages = 1;

  get #path() {
    return `/v1/shows/${encodeURIComponent(this.showId)}`;
  }

  /** @override */
  async begin() {
    await this.#read();
    this.every(PERIOD, () => void this.#follow());
  }

  async #read() {
    page(this, o.show, reading());
    try {
      const { json, tag } = await askTagged(this.#path, { signal: this.stopped });
      this.#show = json;
      const concert = await ask(`/v1/concerts/${json.concertId}`, { signal: this.stopped });
      /** @type {Plan} */
      const plan = await ask(`${this.#path}/plan`, { signal: this.stopped });
      this.#lay(concert, plan, tag);
      this.#nth = 0;
      await this.#follow();
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.show,
          problem(error, () => this.#read()),
        );
    }
  }

  /** @param {Concert} concert @param {Plan} plan @param {string} tag of the show as it was read */
  #lay(concert, plan, tag) {
    const one = this.#show;
    this.#seating = new Seating(plan);
    const state = (/** @type {number} */ seat) => {
      const status = this.#who.get(seat)?.status;
      return status === "CONFIRMED" ? "gone" : status === "HELD" ? "mine" : "free";
    };
    const touched = (/** @type {number} */ seat) => {
      this.#seat = seat;
      this.#tell();
    };
    this.#picture = new Picture(this.#seating, one, state, touched, this.stopped);
    this.#picture.canvas.setAttribute("aria-label", o.hallPicture);
    const legend = [
      ["free", o.freeSeat],
      ["yours", o.heldSeat],
      ["taken", o.soldSeat],
    ].map(([name, text]) => h("li", { class: name }, text));
    const chosen = (/** @type {Event} */ { target }) => {
      this.#seat = Number(/** @type {HTMLInputElement} */ (target).value);
      this.#tell();
    };
    const number = { type: "number", min: 1, max: one.seatCount, "data-key": "seat", onchange: chosen };
    const { status } = one;
    this.#list = paged({
      path: `${this.#path}/reservations`,
      member: "reservations",
      list: (known) => this.#reservations(known),
    });
    this.#standing();
    page(
      this,
      one.title,
      h("p", { class: "lead" }, beginning(one, concert.timeZone)),
      h("p", null, h("a", { href: `/operator/concerts/${concert.concertId}` }, concert.title)),
      this.#off,
      this.#trouble,
      this.#sums,
      h("h2", null, o.hall),
      h(
        "div",
        { class: "hall" },
        h("div", null, this.#picture.canvas, h("ul", { class: "legend" }, legend)),
        h("div", null, h("label", null, o.seatNumber, h("input", number)), this.#one, this.#list),
      ),
      status === "SCHEDULED" && h("h2", null, o.mend),
      status === "SCHEDULED" && this.#mending(plan, concert, tag),
      status === "SCHEDULED" && h("h2", null, o.callOff),
      status === "SCHEDULED" && this.#callOff(),
    );
  }

  /** Says whether it is called off, and how far its refunds are. */
  #standing() {
    const { status } = this.#show;
    if (status === "SCHEDULED") return show(this.#off);
    show(this.#off, h("p", { class: "notice bad" }, o.showStatus[status], this.#refunds()));
  }

  #refunds() {
    const { refunds } = this.#show;
    if (!refunds) return "";
    return ` ${o.refunds(count(refunds.done), count(refunds.total), count(refunds.parked))}`;
  }

  /** @param {Plan} plan @param {Concert} concert @param {string} tag */
  #mending(plan, concert, tag) {
    const form = new ChangeForm();
    const prices = plan.sections.map(({ name, price }, at) => ({
      name: `price${at}`,
      label: name ? o.priceOf(name) : o.price,
      kind: /** @type {const} */ ("money"),
      value: price,
      required: true,
      min: 0,
      exponent: this.#show.currencyExponent,
    }));
    const save = async (/** @type {Record<string, any>} */ changes) => {
      const changed = plan.sections
        .map(({ name }, at) => ({ section: name, price: changes[`price${at}`] }))
        .filter(({ price }) => price !== undefined);
      const rest = Object.entries(changes).filter(([name]) => !name.startsWith("price"));
      const body = { ...Object.fromEntries(rest), ...(changed.length > 0 && { prices: changed }) };
      await ask(this.#path, { method: "PATCH", body, match: tag, signal: this.stopped });
    };
    const done = () => {
      watch.renew();
      return this.#read();
    };
    return Object.assign(form, {
      fields: [...fieldsOfShow(this.#show, concert.timeZone), ...prices],
      save,
      done,
    });
  }

  #callOff() {
    return asking({
      key: "callOff",
      label: o.callOffShow,
      content: () => h("p", null, o.callOffMeans),
      run: () => ask(`${this.#path}/cancel`, { method: "POST", body: {}, signal: this.stopped }),
      done: () => this.#read(),
    });
  }

  /** Reads what has become of it, while somebody looks. */
  async #follow() {
    if (document.hidden || this.#isReading || !this.#picture) return;
    this.#isReading = true;
    try {
      const sales = await ask(`${this.#path}/sales`, { tries: 1, signal: this.stopped });
      this.#books(sales);
      if (this.#show.status === "CANCELLING") {
        this.#show = await ask(this.#path, { tries: 1, signal: this.stopped });
        this.#standing();
      }
      // The more there is to read, the less often. The books do not wait for it.
      if (this.#nth === 0) void this.#people();
      this.#nth = (this.#nth + 1) % (SELDOM * this.#pages);
      show(this.#trouble);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isReading = false;
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (this.stopped.aborted) return;
    show(this.#trouble, h("p", { class: "notice bad" }, told(error)));
    // What is refused now is refused again.
    if (error instanceof Refusal && !error.isAway) this.#picture = null;
  }

  /** Reads who has which seat: a page after the other, the first time with each of them in the picture. */
  async #people() {
    if (this.#isReadingWho) return;
    this.#isReadingWho = true;
    try {
      /** @type {Map<number, Reservation>} */
      const who = new Map();
      if (this.#who.size === 0) this.#who = who;
      let [next, pages] = ["", 0];
      do {
        const path = `${this.#path}/reservations?pageSize=${PAGE}&pageToken=${encodeURIComponent(next)}`;
        /** @type {{reservations: Reservation[], nextPageToken: string}} */
        const read = await ask(path, { tries: 1, signal: this.stopped });
        for (const one of read.reservations) for (const seat of one.seatNumbers) who.set(seat, one);
        this.#picture?.draw();
        next = read.nextPageToken;
        pages += 1;
      } while (next);
      this.#pages = pages;
      this.#who = who;
      this.#picture?.draw();
      this.#tell();
      await this.#list?.again();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isReadingWho = false;
    }
  }

  /** @param {Reservation[]} known */
  #reservations(known) {
    if (known.length === 0) return h("p", { class: "faint" }, o.nobodyYet);
    const rows = known.map((one) => [
      h("a", { href: `/operator/reservations/${one.reservationId}` }, seatsOf(one)),
      h("a", { href: `/operator/users/${encodeURIComponent(one.userId)}` }, one.userId),
      o.status[one.status],
      money(one.amount, this.#show),
    ]);
    return table(o.whoHas, [[o.seats], [o.user], [o.state], [o.price, true]], rows);
  }

  /** Says who has the seat that was chosen. */
  #tell() {
    const seat = this.#seat;
    if (!seat || seat > this.#show.seatCount) return show(this.#one);
    const { section, row, label } = this.#seating.name(seat);
    const named = [section, row && `${o.row} ${row}`, `${o.seat} ${label}`].filter(Boolean).join(", ");
    const one = this.#who.get(seat);
    show(
      this.#one,
      h(
        "p",
        { class: "notice" },
        h("strong", null, named),
        ": ",
        one
          ? [
              h(
                "a",
                { href: `/operator/reservations/${one.reservationId}` },
                `${o.status[one.status]}, ${one.userId}`,
              ),
            ]
          : o.freeSeat,
      ),
    );
  }

  /** @param {ShowSales} sales */
  #books(sales) {
    const line = (
      /** @type {import("../types.js").Sales & {name?: string}} */ of,
      /** @type {string} */ name,
    ) => [
      name,
      ...[of.free, of.held, of.sold].map(count),
      ...[of.gross, of.refunded, of.net].map((amount) => money(amount, sales)),
    ];
    const columns = [o.free, o.held, o.sold, o.gross, o.refunded, o.net];
    const each = sales.sections.map((one) => line(one, one.name || o.hall));
    show(
      this.#sums,
      table(
        o.books,
        [[o.section], ...columns.map((name) => /** @type {[string, boolean]} */ ([name, true]))],
        sales.sections.length > 1 ? [...each, line(sales, o.all)] : each,
      ),
    );
  }
}

customElements.define("books-page", BooksPage);
