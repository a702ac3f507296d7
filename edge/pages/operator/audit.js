// The audit with one button: whether the books of all shows and the payments tell the same. Both are read
// through the public API, and what seems wrong is read once more, since a sale goes on meanwhile.

import { Refusal, ask } from "../api.js";
import { Part, h, show } from "../dom.js";
import { count, money } from "../words.js";
import { page } from "./forms.js";
import { table } from "./table.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").Payment} Payment */
/** @typedef {import("../types.js").Reservation} Reservation */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("../types.js").ShowSales} ShowSales */
/** @typedef {{what: string, id: string, path: string}} Finding */

const PAGE = 1_000;
/** More payments than this are too many for a page to keep in mind. */
const MOST = 200_000;

/** The page of the audit. */
export class AuditPage extends Part {
  #button = h("button", { class: "main", "data-key": "audit" });
  #progress = h("p", { role: "status" });
  #result = h("div");
  #isRunning = false;

  /** @override */
  begin() {
    this.#button.onclick = () => void this.#run();
    show(this.#button, o.auditNow);
    page(
      this,
      o.audit,
      h("p", { class: "prose" }, o.auditIs),
      h("p", null, this.#button),
      this.#progress,
      this.#result,
    );
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#button.setAttribute("aria-disabled", "true");
    show(this.#result);
    try {
      const audit = new Audit(this.stopped, (shows, payments) =>
        show(this.#progress, o.auditProgress(count(shows), count(payments))),
      );
      const findings = await audit.run();
      if (findings) show(this.#result, ...this.#told(audit, findings));
      else show(this.#result, h("p", { class: "notice", role: "status" }, o.auditTooMany(count(MOST))));
    } catch (error) {
      if (!this.stopped.aborted)
        show(this.#result, h("p", { class: "notice bad", role: "alert" }, told(error)));
    } finally {
      this.#isRunning = false;
      this.#button.removeAttribute("aria-disabled");
    }
  }

  /** @param {Audit} audit @param {Finding[]} findings */
  #told(audit, findings) {
    const { sold, priced, paid } = audit;
    const amount = (/** @type {number} */ many) => (priced ? money(many, priced) : count(many));
    const summary = table(
      o.auditSums,
      [[o.what], [o.amount, true]],
      [
        [o.auditBooks, amount(sold)],
        [o.auditPaid, amount(paid)],
      ],
    );
    if (findings.length === 0)
      return [h("p", { class: "notice good", role: "status" }, o.auditGood), summary];
    const rows = findings.map(({ what, id, path }) => [what, h("a", { href: path }, id)]);
    return [
      h("p", { class: "notice bad", role: "alert" }, o.auditBad(findings.length)),
      summary,
      table(o.findings, [[o.what], [o.target]], rows),
    ];
  }
}

/** One run. */
class Audit {
  /** What the books say was earned and kept, and what payments say was paid and kept. */
  sold = 0;
  paid = 0;
  /** @type {import("../types.js").Priced | null} */
  priced = null;
  /** The reservations that are sold, by id. @type {Map<string, Reservation>} */
  #sales = new Map();
  /** The payments that are complete, by id. @type {Map<string, Payment>} */
  #payments = new Map();
  #shows = 0;

  /** @param {AbortSignal} signal @param {(shows: number, payments: number) => void} tell */
  constructor(signal, tell) {
    this.signal = signal;
    this.tell = tell;
  }

  get #isTooMuch() {
    return this.#payments.size > MOST || this.#sales.size > MOST;
  }

  /** @param {string} path @returns {Promise<any>} */
  #ask = (path) => ask(path, { signal: this.signal });

  /**
   * All of a list.
   * @param {string} path
   * @param {string} member
   * @param {(one: any) => void | Promise<void>} take
   */
  async #each(path, member, take) {
    let next = "";
    do {
      if (this.#isTooMuch) return;
      const joint = path.includes("?") ? "&" : "?";
      const answer = await this.#ask(`${path}${joint}pageSize=${PAGE}&pageToken=${encodeURIComponent(next)}`);
      for (const one of answer[member]) await take(one);
      next = answer.nextPageToken;
      this.tell(this.#shows, this.#payments.size);
    } while (next);
  }

  /** @returns {Promise<Finding[] | null>} what does not fit together; `null`: there is too much to look at */
  async run() {
    await this.#each("/v1/concerts", "concerts", (/** @type {Concert} */ { concertId }) =>
      this.#each(`/v1/concerts/${concertId}/shows`, "shows", (/** @type {Show} */ one) => this.#show(one)),
    );
    await this.#each("/v1/payments?status=COMPLETED", "payments", (/** @type {Payment} */ one) => {
      this.#payments.set(one.paymentId, one);
      this.paid += one.amount;
    });
    if (this.#isTooMuch) return null;
    const suspects = [];
    for (const one of this.#sales.values())
      if (this.#wrong(one, this.#payments.get(one.paymentId ?? ""))) suspects.push(one.reservationId);
    for (const { paymentId, reservationId } of this.#payments.values())
      if (this.#sales.get(reservationId)?.paymentId !== paymentId) suspects.push(reservationId);
    const findings = [];
    for (const id of new Set(suspects)) findings.push(...(await this.#again(id)));
    return findings;
  }

  /** @param {Show} one */
  async #show({ showId }) {
    /** @type {ShowSales} */
    const sales = await this.#ask(`/v1/shows/${showId}/sales`);
    this.priced ??= sales;
    this.sold += sales.net;
    await this.#each(`/v1/shows/${showId}/reservations`, "reservations", (/** @type {Reservation} */ one) => {
      if (one.status === "CONFIRMED") this.#sales.set(one.reservationId, one);
    });
    this.#shows += 1;
  }

  /**
   * Whether a sale has no payment that fits.
   * @param {Reservation} sale
   * @param {Payment | null | undefined} payment
   */
  #wrong(sale, payment) {
    return (
      payment?.status !== "COMPLETED" ||
      payment.reservationId !== sale.reservationId ||
      payment.userId !== sale.userId ||
      payment.amount !== sale.amount
    );
  }

  /** Reads a reservation and its payment once more. @param {string} id @returns {Promise<Finding[]>} */
  async #again(id) {
    const none = (/** @type {unknown} */ error) => {
      if (error instanceof Refusal && error.status === 404) return null;
      throw error;
    };
    const path = `/operator/reservations/${id}`;
    /** @type {Reservation | null} */
    const sale = await this.#ask(`/v1/reservations/${id}`).catch(none);
    const known = [...this.#payments.values()].find(({ reservationId }) => reservationId === id);
    const paymentId = sale?.paymentId ?? known?.paymentId;
    /** @type {Payment | null} */
    const payment = paymentId ? await this.#ask(`/v1/payments/${paymentId}`).catch(none) : null;
    // On its way to either side.
    if (payment && (payment.status === "PENDING" || (payment.refundAskedAt && !payment.refundedAt)))
      return [];
    if (sale?.status === "CONFIRMED" && this.#wrong(sale, payment)) return [{ what: o.soldUnpaid, id, path }];
    if (sale?.status !== "CONFIRMED" && payment?.status === "COMPLETED")
      return [{ what: o.paidUnsold, id: payment.paymentId, path: `/operator/payments/${payment.paymentId}` }];
    return [];
  }
}

customElements.define("audit-page", AuditPage);
