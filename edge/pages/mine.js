// What a person has: tickets and a wallet; and who they are.

import { Refusal, ask } from "./api.js";
import { Part, entitle, h, show } from "./dom.js";
import { isSecured, person, signOut } from "./person.js";
import { seatList } from "./seats.js";
import { problem, signInForm } from "./signing.js";
import { beginning, money, moment, w } from "./words.js";

/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").Reservation} Reservation */
/** @typedef {import("./types.js").Show} Show */
/** @typedef {import("./types.js").Wallet} Wallet */

/** The page of what a person has. */
export class MyPage extends Part {
  /** @override */
  async begin() {
    entitle(w.mine);
    const user = person();
    const title = h("h1", null, w.mine);
    if (user === null)
      return show(
        this,
        title,
        signInForm(() => this.begin()),
      );
    show(this, title, h("p", { class: "faint" }, w.loading));
    const path = `/v1/users/${encodeURIComponent(user.userId)}/reservations?pageSize=50`;
    try {
      /** @type {{reservations: Reservation[]}} */
      const { reservations } = await ask(path, { signal: this.stopped });
      const wallet = await this.#wallet(user.userId);
      const shows = await this.#shows(reservations);
      show(this, title, this.#who(user.userId), ...tickets(reservations, shows), ...purse(wallet));
    } catch (error) {
      if (!this.stopped.aborted)
        show(
          this,
          title,
          this.#who(user.userId),
          problem(error, () => this.begin()),
        );
    }
  }

  /**
   * @param {string} userId
   * @returns {Promise<{wallet: Wallet, entries: Entry[]} | null>} `null` before the first top-up
   */
  async #wallet(userId) {
    const path = `/v1/wallets/${encodeURIComponent(userId)}`;
    try {
      const wallet = await ask(path, { signal: this.stopped });
      const { entries } = await ask(`${path}/entries?pageSize=20`, { signal: this.stopped });
      return { wallet, entries };
    } catch (error) {
      if (error instanceof Refusal && error.code === "WALLET_NOT_FOUND") return null;
      throw error;
    }
  }

  /** @param {Reservation[]} reservations @returns {Promise<Map<number, Show>>} */
  async #shows(reservations) {
    const ids = [...new Set(reservations.map(({ showId }) => showId))];
    const read = ids.map(
      async (id) => /** @type {const} */ ([id, await ask(`/v1/shows/${id}`, { signal: this.stopped })]),
    );
    return new Map(await Promise.all(read));
  }

  /** @param {string} userId */
  #who(userId) {
    const out = () => {
      signOut();
      void this.begin();
    };
    const change = h(
      "details",
      null,
      h("summary", null, w.otherName),
      signInForm(() => this.begin(), userId),
    );
    return h(
      "div",
      null,
      h(
        "p",
        null,
        `${w.asWho} `,
        h("strong", null, userId),
        " ",
        isSecured && h("button", { class: "small", onclick: out }, w.signOut),
      ),
      !isSecured && change,
    );
  }
}

/** @param {Reservation[]} reservations @param {Map<number, Show>} shows */
function tickets(reservations, shows) {
  const one = (/** @type {Reservation} */ reservation) => {
    const show = shows.get(reservation.showId);
    if (!show) return false;
    return h(
      "section",
      { class: "card" },
      h("h3", null, show.title),
      h("p", { class: "faint" }, `${beginning(show)} · ${w.status[reservation.status]}`),
      seatList(reservation, show),
      h("p", null, `${w.total}: `, h("strong", null, money(reservation.amount, show))),
      reservation.status === "HELD" &&
        h("a", { class: "button main", href: `/shows/${show.showId}` }, w.toPay),
    );
  };
  const none = h("p", { class: "faint" }, w.nothingBought);
  return [h("h2", null, w.tickets), reservations.length === 0 && none, ...reservations.map(one)];
}

/** @param {{wallet: Wallet, entries: Entry[]} | null} of */
function purse(of) {
  if (of === null) return [h("h2", null, w.wallet), h("p", { class: "faint" }, w.refusals.WALLET_NOT_FOUND)];
  const { wallet, entries } = of;
  const line = (/** @type {Entry} */ { createdAt, kind, amount }) =>
    h(
      "tr",
      null,
      h("td", null, moment(createdAt)),
      h("td", null, w.kind[kind]),
      h("td", { class: "end" }, money(amount, wallet)),
    );
  const heads = h(
    "tr",
    null,
    h("th", null, w.when),
    h("th", null, w.what),
    h("th", { class: "end" }, w.amount),
  );
  return [
    h("h2", null, w.wallet),
    h("p", null, `${w.balance}: `, h("strong", null, money(wallet.balance, wallet))),
    h(
      "table",
      null,
      h("caption", { class: "unseen" }, w.movements),
      h("thead", null, heads),
      h("tbody", null, entries.map(line)),
    ),
  ];
}

customElements.define("my-page", MyPage);
