// Finding a user, a reservation or a payment, and what can be done for them: read the story of a payment,
// have it tried again, give the money back, give a hold back.

import { Refusal, ask } from "../api.js";
import { Part, h, show } from "../dom.js";
import { go } from "../frame.js";
import { isSecured } from "../person.js";
import { problem } from "../signing.js";
import { beginning, count, money, moment, w } from "../words.js";
import { asking, labelled, page, reading } from "./forms.js";
import { paged } from "./paged.js";
import { may } from "./person.js";
import { table } from "./table.js";
import { called, o, second, told } from "./words.js";

/** @typedef {import("../types.js").Payment} Payment */
/** @typedef {import("../types.js").Priced} Priced */
/** @typedef {import("../types.js").Reservation} Reservation */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("../types.js").Story} Story */
/** @typedef {import("../types.js").Wallet} Wallet */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** How often what is under way is read again, in milliseconds. */
const PERIOD = 2_000;

/** Seats as people call them. @param {Reservation} of */
export function seatsOf({ seats, seatNumbers }) {
  if (seats.length === 0) return seatNumbers.map((seat) => `${o.seat} ${seat}`).join(", ");
  const named = seats.map(({ section, row, label }) => [section, row, label].filter(Boolean).join(" "));
  return named.length > 6 ? `${named.slice(0, 6).join(", ")} …` : named.join(", ");
}

/** `null` instead of a refusal that says that there is none. @template T @param {Promise<T>} asked */
const orNothing = (asked) =>
  asked.catch((error) => {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  });

/** @param {[string, import("../dom.js").Child | import("../dom.js").Child[]][]} facts */
const facts = (facts) =>
  h(
    "dl",
    { class: "figures" },
    facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );

/** @param {string} userId */
const user = (userId) => h("a", { href: `/operator/users/${encodeURIComponent(userId)}` }, userId);

/** The form to find something, and the payments that need somebody. */
export class FindPage extends Part {
  #wrong = h("div", { role: "alert" });
  #parked = h("div");

  /** @override */
  begin() {
    const onsubmit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
      void this.#find(String(form.get("what")).trim());
    };
    const field = labelled({
      name: "what",
      label: o.findWhat,
      kind: "text",
      value: "",
      required: true,
      max: 64,
      hint: o.findHow,
    });
    page(
      this,
      o.find,
      h(
        "form",
        { class: "card", onsubmit },
        field,
        this.#wrong,
        h("div", { class: "row" }, h("button", { class: "main", "data-key": "find" }, o.find)),
      ),
      this.#parked,
    );
    this.#wanted();
  }

  /** @param {string} what */
  async #find(what) {
    show(this.#wrong);
    if (!UUID.test(what)) return go(`/operator/users/${encodeURIComponent(what)}`);
    try {
      const signal = this.stopped;
      const reservation = await orNothing(ask(`/v1/reservations/${what}`, { signal }));
      if (reservation) return go(`/operator/reservations/${what}`);
      const payment = await orNothing(ask(`/v1/payments/${what}`, { signal }));
      if (payment) return go(`/operator/payments/${what}`);
      // Issuers may give their users such ids, too.
      const path = `/v1/users/${what}`;
      const { reservations } = await ask(`${path}/reservations?pageSize=1`, { signal });
      const { payments } = await ask(`${path}/payments?pageSize=1`, { signal });
      if (reservations.length + payments.length > 0) return go(`/operator/users/${what}`);
      show(this.#wrong, h("p", { class: "notice bad" }, o.notFound));
    } catch (error) {
      if (!this.stopped.aborted) show(this.#wrong, h("p", { class: "notice bad" }, told(error)));
    }
  }

  /** The payments that cannot go on. */
  #wanted() {
    if (!may("operator", "support")) return;
    const list = (/** @type {Payment[]} */ known) => listOf(known, null, o.noneParked);
    const parked = paged({ path: "/v1/payments?parked=true", member: "payments", list });
    show(this.#parked, h("h2", null, o.parked), parked);
  }
}

/** @param {Payment[]} payments @param {Priced | null} priced @param {string} none where there are none */
function listOf(payments, priced, none) {
  if (payments.length === 0) return h("p", null, none);
  const rows = payments.map((one) => [
    h("a", { href: `/operator/payments/${one.paymentId}` }, moment(one.createdAt)),
    user(one.userId),
    statusOf(one),
    priced ? money(one.amount, priced) : count(one.amount),
  ]);
  return table(o.payments, [[o.when], [o.user], [o.state], [o.amount, true]], rows);
}

/** @param {Payment} payment */
function statusOf({ status, reason, refundAskedAt, refundedAt }) {
  if (refundAskedAt && !refundedAt) return o.beingRefunded;
  if (refundedAt) return o.refundedNow;
  return reason ? `${o.paymentStatus[status]}: ${reason}` : o.paymentStatus[status];
}

/** What one user has. Set `userId`. */
export class UserPage extends Part {
  userId = "";

  /** @override */
  async begin() {
    const name = o.userOf(this.userId);
    page(this, name, reading());
    const [id, signal] = [encodeURIComponent(this.userId), this.stopped];
    try {
      // Its currency is that of all amounts.
      const wallet = await orNothing(ask(`/v1/wallets/${id}`, { signal }));
      const had = (/** @type {string} */ member, /** @type {(known: any[]) => Node} */ list) =>
        paged({ path: `/v1/users/${id}/${member}`, member, list });
      page(
        this,
        name,
        h("h2", null, o.reservations),
        had("reservations", (known) => this.#reservations(known, wallet)),
        h("h2", null, o.payments),
        had("payments", (known) => listOf(known, wallet, o.none)),
        h("h2", null, w.wallet),
        wallet ? this.#wallet(wallet, id) : h("div", null, h("p", null, o.noWallet), this.#topUp()),
      );
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          name,
          problem(error, () => this.begin()),
        );
    }
  }

  /** @param {Reservation[]} all @param {Priced | null} priced */
  #reservations(all, priced) {
    if (all.length === 0) return h("p", null, o.none);
    const rows = all.map((one) => [
      h("a", { href: `/operator/reservations/${one.reservationId}` }, seatsOf(one)),
      may("operator")
        ? h("a", { href: `/operator/shows/${one.showId}` }, String(one.showId))
        : String(one.showId),
      o.status[one.status],
      priced ? money(one.amount, priced) : count(one.amount),
    ]);
    return table(o.reservations, [[o.seats], [o.show], [o.state], [o.amount, true]], rows);
  }

  /** The way to the till, for who may use it. */
  #topUp() {
    if (!may("cashier")) return null;
    const href = `/operator/wallets?user=${encodeURIComponent(this.userId)}`;
    return h("p", null, h("a", { class: "button", href, "data-key": "toTill" }, o.topUpWallet));
  }

  /** @param {Wallet} wallet @param {string} id as a part of paths */
  #wallet(wallet, id) {
    const list = (/** @type {import("../types.js").Entry[]} */ entries) => {
      const rows = entries.map(({ kind, amount, balanceAfter, createdAt }) => [
        moment(createdAt),
        w.kind[kind],
        money(amount, wallet),
        money(balanceAfter, wallet),
      ]);
      return table(w.movements, [[o.when], [o.what], [o.amount, true], [w.balance, true]], rows);
    };
    return h(
      "div",
      null,
      facts([[w.balance, money(wallet.balance, wallet)]]),
      this.#topUp(),
      paged({ path: `/v1/wallets/${id}/entries`, member: "entries", list }),
    );
  }
}

/** One reservation. Set `reservationId`. */
export class ReservationPage extends Part {
  reservationId = "";

  /** @override */
  async begin() {
    page(this, o.reservation, reading());
    const path = `/v1/reservations/${encodeURIComponent(this.reservationId)}`;
    try {
      /** @type {Reservation} */
      const one = await ask(path, { signal: this.stopped });
      /** @type {Show} */
      const of = await ask(`/v1/shows/${one.showId}`, { signal: this.stopped });
      page(
        this,
        o.reservation,
        h("p", null, h("code", null, one.reservationId)),
        facts([
          [o.state, o.status[one.status]],
          [o.user, user(one.userId)],
          [o.show, may("operator") ? h("a", { href: `/operator/shows/${one.showId}` }, of.title) : of.title],
          [o.startsAt, beginning(of)],
          [o.seats, seatsOf(one)],
          [o.amount, money(one.amount, of)],
          one.status === "HELD"
            ? [o.until, moment(one.expiresAt)]
            : [
                o.payment,
                one.paymentId
                  ? h("a", { href: `/operator/payments/${one.paymentId}` }, one.paymentId)
                  : o.none,
              ],
        ]),
        // Where nobody is asked who they are, only who has the place can.
        isSecured &&
          one.status === "HELD" &&
          may("support") &&
          asking({
            key: "release",
            level: "h2",
            label: o.release,
            content: () => h("p", null, o.releaseMeans),
            run: () => ask(path, { method: "DELETE", signal: this.stopped }),
            done: () => this.begin(),
          }),
      );
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.reservation,
          problem(error, () => this.begin()),
        );
    }
  }
}

/** One payment with its story. Set `paymentId`. */
export class PaymentPage extends Part {
  paymentId = "";
  #payment = /** @type {Payment} */ (/** @type {unknown} */ (null));
  #facts = h("div");
  #story = h("div");
  #acts = h("div", { class: "row" });
  /** What the buttons are for, so that they are made anew only when that is another thing. */
  #offered = "";

  get #path() {
    return `/v1/payments/${encodeURIComponent(this.paymentId)}`;
  }

  /** @override */
  async begin() {
    page(
      this,
      o.payment,
      h("p", null, h("code", null, this.paymentId)),
      this.#facts,
      this.#acts,
      this.#story,
    );
    await this.#read();
    this.every(PERIOD, () => {
      const isUnderWay =
        this.#payment &&
        (this.#payment.status === "PENDING" || (this.#payment.refundAskedAt && !this.#payment.refundedAt));
      if (isUnderWay && !document.hidden) void this.#read();
    });
  }

  async #read() {
    try {
      const signal = this.stopped;
      this.#payment = await ask(this.#path, { signal });
      const [story, one] = await Promise.all([
        orNothing(ask(`${this.#path}/story`, { signal })),
        orNothing(ask(`/v1/reservations/${this.#payment.reservationId}`, { signal })),
      ]);
      /** @type {Show | null} */
      const of = one && (await orNothing(ask(`/v1/shows/${one.showId}`, { signal })));
      this.#render(story, of);
    } catch (error) {
      if (!this.stopped.aborted)
        show(
          this.#facts,
          problem(error, () => this.#read()),
        );
    }
  }

  /** @param {Story | null} story @param {Show | null} of */
  #render(story, of) {
    const one = this.#payment;
    /** @type {[string, import("../dom.js").Child][]} */
    const all = [
      [o.state, statusOf(one)],
      [o.user, user(one.userId)],
      [o.amount, of ? money(one.amount, of) : count(one.amount)],
      [o.reservation, h("a", { href: `/operator/reservations/${one.reservationId}` }, one.reservationId)],
      [o.begun, moment(one.createdAt)],
      [o.settled, one.settledAt ? moment(one.settledAt) : o.notYet],
    ];
    if (of) all.push([o.show, of.title]);
    if (one.refundAskedAt)
      all.push([o.refundAsked, `${moment(one.refundAskedAt)} ${one.refundReason ?? ""}`]);
    if (one.refundedAt) all.push([o.refundedOn, moment(one.refundedAt)]);
    if (story?.parkedAt) all.push([o.parkedSince, moment(story.parkedAt)]);
    show(this.#facts, facts(all), this.#owed(story));
    this.#offer(story);
    show(this.#story, h("h2", null, o.story), story ? storyOf(story) : h("p", null, o.noStory));
  }

  /** What is still owed, in a sentence. @param {Story | null} story */
  #owed(story) {
    const { status, refundAskedAt, refundedAt } = this.#payment;
    if (story?.parkedAt) return h("p", { class: "notice bad" }, o.owed.parked);
    if (status === "PENDING") return h("p", { class: "notice" }, o.owed.pending);
    if (refundAskedAt && !refundedAt) return h("p", { class: "notice" }, o.owed.refund);
    return h("p", { class: "faint" }, o.owed.nothing);
  }

  /** @param {Story | null} story */
  #offer(story) {
    if (!may("operator", "support")) return;
    const { status, refundAskedAt } = this.#payment;
    const canRetry = Boolean(story?.parkedAt);
    const canRefund = status === "COMPLETED" && !refundAskedAt;
    const offered = `${canRetry} ${canRefund}`;
    if (offered === this.#offered) return;
    this.#offered = offered;
    const done = () => this.#read();
    const why = h("input", { maxlength: 200, "data-key": "why", autocomplete: "off", class: "wide" });
    this.#acts.replaceChildren(
      ...[
        canRetry &&
          asking({
            key: "retry",
            level: "h2",
            label: o.retry,
            content: () => h("p", null, o.retryMeans),
            run: () => ask(`${this.#path}/retry`, { method: "POST", signal: this.stopped }),
            done,
          }),
        canRefund &&
          asking({
            key: "refund",
            level: "h2",
            label: o.refund,
            content: () => h("div", null, h("p", null, o.refundMeans), h("label", null, o.refundWhy, why)),
            run: () =>
              ask(`${this.#path}/refund`, { body: { reason: why.value.trim() }, signal: this.stopped }),
            done,
          }),
      ].filter((one) => one !== false),
    );
  }
}

/** @param {Story} story */
function storyOf({ attempts, steps }) {
  const rows = steps.map(({ step, outcome, reason, firstAt, lastAt, times }) => [
    called(o.steps, step),
    [o.stepOutcome[outcome], reason && ` (${reason})`],
    count(times),
    second(firstAt),
    times > 1 ? second(lastAt) : "",
  ]);
  return h(
    "div",
    null,
    h("p", { class: "faint" }, o.attempts(attempts)),
    steps.length === 0
      ? h("p", null, o.noSteps)
      : table(o.story, [[o.step], [o.outcome], [o.times, true], [o.first], [o.last]], rows),
  );
}

customElements.define("find-page", FindPage);
customElements.define("user-page", UserPage);
customElements.define("reservation-page", ReservationPage);
customElements.define("payment-page", PaymentPage);
