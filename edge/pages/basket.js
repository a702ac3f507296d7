// The basket: seats that are held, the time that is left, the wallet, the payment and its receipt.

import { Once, Refusal, ask, now } from "./api.js";
import { Part, focusOn, h, say, show, sleep } from "./dom.js";
import { person } from "./person.js";
import { seatList } from "./seats.js";
import { figure } from "./waiting.js";
import { clock, inWords, moment, money, w } from "./words.js";

/** @typedef {import("./types.js").Payment} Payment */
/** @typedef {import("./types.js").Reservation} Reservation */
/** @typedef {import("./types.js").Show} Show */

/** How often a payment is tried while the server is away: whatever it was, it is the same payment. */
const TRIES = 40;

/**
 * Held seats and their payment. Set `show`, `reservation` and `place`; it tells `done` when others may be
 * chosen.
 */
export class SeatBasket extends Part {
  /** @type {Show} */
  show = /** @type {any} */ (null);
  /** @type {Reservation} */
  reservation = /** @type {any} */ (null);
  /** The queue token. */
  place = "";
  /** What is in the wallet; `null` as long as that is not known. @type {number | null} */
  #balance = null;
  #message = "";
  /** What is being done: nothing else is done meanwhile. */
  #doing = "";
  /** When the server may be asked again whether the time is up, and the pause after that, in milliseconds. */
  #askedFrom = Number.NEGATIVE_INFINITY;
  #pause = 1_000;
  /** @type {Payment | null} */
  #payment = null;
  #topUp = new Once();
  #pay = new Once();

  /** @override */
  begin() {
    this.#render();
    focusOn(this.querySelector("h2"));
    this.every(500, () => this.#tick());
    void this.#do("", () => this.#readWallet());
  }

  async #readWallet() {
    try {
      const path = `/v1/wallets/${encodeURIComponent(person()?.userId ?? "")}`;
      this.#balance = (await ask(path, { signal: this.stopped })).balance;
    } catch (error) {
      if (!(error instanceof Refusal && error.code === "WALLET_NOT_FOUND")) throw error;
      this.#balance = 0;
    }
  }

  async #readAgain() {
    this.reservation = await ask(`/v1/reservations/${this.reservation.reservationId}`, {
      signal: this.stopped,
    });
    const { paymentId } = this.reservation;
    if (paymentId) this.#payment = await ask(`/v1/payments/${paymentId}`, { signal: this.stopped });
  }

  get #left() {
    return Date.parse(this.reservation.expiresAt) - now();
  }

  #tick() {
    const left = this.querySelector(".clock");
    if (left) left.textContent = clock(this.#left);
    if (this.#left > 0 || this.#doing || this.reservation.status !== "HELD" || now() < this.#askedFrom)
      return;
    // How it ended is the server's to say, whose clock may be half a second behind what it is taken for here.
    if (this.#askedFrom < Date.parse(this.reservation.expiresAt)) say(w.timeUp);
    // One at a time, and ever less often.
    this.#askedFrom = Number.POSITIVE_INFINITY;
    void this.#do("", () => this.#readAgain()).finally(() => {
      this.#askedFrom = now() + this.#pause;
      this.#pause = Math.min(2 * this.#pause, 30_000);
    });
  }

  /**
   * Does something with the buttons off, and tells what became of it.
   * @param {string} doing what is said meanwhile
   * @param {() => Promise<unknown>} work
   */
  async #do(doing, work) {
    if (this.#doing) return;
    this.#doing = doing;
    this.#message = "";
    this.#render();
    try {
      await work();
    } catch (error) {
      if (this.stopped.aborted) return;
      this.#message = inWords(error);
    }
    this.#doing = "";
    this.#render();
  }

  /** @param {SubmitEvent} event */
  #toppedUp(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const amount = Math.round(Number(new FormData(form).get("amount")) * 10 ** this.show.currencyExponent);
    return this.#do(w.working, async () => {
      const path = `/v1/wallets/${encodeURIComponent(person()?.userId ?? "")}/charges`;
      try {
        this.#balance = (await this.#topUp.ask(path, { body: { amount }, signal: this.stopped })).balance;
      } catch (error) {
        if (error instanceof Refusal && error.code === "NOT_ALLOWED")
          throw new Refusal(403, { code: "NO_TOP_UP" });
        throw error;
      }
    });
  }

  /** Pays: a payment that is still settling goes on by itself and is asked for. */
  #paid() {
    return this.#do(w.paying, async () => {
      const body = { userId: person()?.userId, reservationId: this.reservation.reservationId };
      const options = { body, place: this.place, signal: this.stopped, tries: TRIES };
      try {
        let payment = await this.#pay.ask("/v1/payments", options);
        while (payment.status === "PENDING") {
          await sleep(1_000, this.stopped);
          payment = await ask(`/v1/payments/${payment.paymentId}`, { signal: this.stopped, tries: TRIES });
        }
        this.#payment = payment;
        say(payment.status === "COMPLETED" ? w.paid : w.refused);
      } finally {
        // A payment that was refused may have ended the hold.
        await this.#readAgain();
        await this.#readWallet();
      }
    });
  }

  #givenBack() {
    return this.#do(w.working, async () => {
      const path = `/v1/reservations/${this.reservation.reservationId}`;
      await ask(path, { method: "DELETE", place: this.place, signal: this.stopped });
      this.tell("done");
    });
  }

  #render() {
    if (this.stopped.aborted) return;
    const { status } = this.reservation;
    const message = this.#message && h("p", { class: "notice bad", role: "alert" }, this.#message);
    if (status === "CONFIRMED")
      return show(this, h("section", { class: "card" }, message, ...this.#receipt()));
    if (status === "HELD") return show(this, h("section", { class: "card" }, ...this.#held(message)));
    const ended = status === "EXPIRED" ? w.timeUp : status === "CANCELLED" ? w.givenBack : w.status[status];
    const done = { class: "main", "data-key": "done", onclick: () => this.tell("done") };
    show(
      this,
      h(
        "section",
        { class: "card" },
        message,
        this.#refused(),
        h("p", null, ended),
        h("button", done, w.chooseAgain),
      ),
    );
  }

  /** @param {Node | ""} message */
  #held(message) {
    const { amount } = this.reservation;
    const missing = this.#balance === null ? null : amount - this.#balance;
    const off = this.#doing && "true";
    const key = (/** @type {string} */ name) => ({ "data-key": name, "aria-disabled": off });
    return [
      h("h2", { "data-key": "title" }, w.basket),
      h("p", null, `${w.timeLeft}: `, h("span", { class: "clock", role: "timer" }, clock(this.#left))),
      seatList(this.reservation, this.show),
      h(
        "dl",
        { class: "figures" },
        figure(w.total, money(amount, this.show)),
        figure(w.balance, this.#balance === null ? "…" : money(this.#balance, this.show)),
      ),
      message,
      this.#refused(),
      this.#doing && h("p", { class: "notice", role: "status" }, this.#doing),
      missing !== null && missing > 0 ? this.#missing(missing, key("topUp")) : null,
      h(
        "div",
        { class: "row" },
        missing !== null &&
          missing <= 0 &&
          h(
            "button",
            { class: "main", ...key("pay"), onclick: () => this.#paid() },
            w.pay(money(amount, this.show)),
          ),
        h("button", { ...key("giveBack"), onclick: () => this.#givenBack() }, w.giveBack),
      ),
    ];
  }

  /** @param {number} missing @param {Record<string, unknown>} button */
  #missing(missing, button) {
    const unit = 10 ** this.show.currencyExponent;
    const field = {
      name: "amount",
      type: "number",
      min: 1 / unit,
      step: 1 / unit,
      value: missing / unit,
      required: true,
    };
    return h(
      "form",
      { class: "row", onsubmit: (/** @type {SubmitEvent} */ event) => this.#toppedUp(event) },
      h("label", null, w.missing(money(missing, this.show)), h("input", { ...field, "data-key": "amount" })),
      h("button", { class: "main", ...button }, w.topUp),
    );
  }

  /** @returns {Node | false} */
  #refused() {
    const status = this.#payment?.status;
    if (status !== "FAILED" && status !== "CANCELLED") return false;
    return h("p", { class: "notice bad" }, status === "FAILED" ? w.refused : w.undone);
  }

  #receipt() {
    const payment = this.#payment;
    return [
      h("h2", { "data-key": "title" }, w.receipt),
      h("p", { class: "notice good", role: "status" }, w.paid),
      seatList(this.reservation, this.show),
      h(
        "dl",
        { class: "figures" },
        figure(w.total, money(this.reservation.amount, this.show)),
        payment && figure(w.paidAt, moment(payment.settledAt ?? payment.createdAt)),
        payment && figure(w.paymentId, payment.paymentId),
      ),
      h("a", { class: "button", href: "/me" }, w.mine),
    ];
  }
}

customElements.define("seat-basket", SeatBasket);
