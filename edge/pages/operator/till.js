// The till: a cashier fills users' wallets. What is in a wallet a cashier is told by the answer alone.

import { Once } from "../api.js";
import { Part, focusOn, h, show } from "../dom.js";
import { problem } from "../signing.js";
import { money, w } from "../words.js";
import { UNKNOWN, currencyOf } from "./currency.js";
import { ChangeForm, page, reading } from "./forms.js";
import { may } from "./person.js";
import { table } from "./table.js";
import { o, second } from "./words.js";

/** @typedef {import("../types.js").Wallet} Wallet */
/** @typedef {{wallet: Wallet, amount: number, at: string}} Filled */

/** The most that is put into a wallet at once, in minor units. */
const MOST = 1_000_000_000;
/** How many of the latest are shown. */
const SHOWN = 20;

/** The page of the till. */
export class TillPage extends Part {
  #priced = UNKNOWN;
  /** What was done in this visit, the latest first. @type {Filled[]} */
  #filled = [];
  #result = h("div", { role: "status" });
  #form = h("div");
  /** A top-up whose outcome is not known is the same one when it is sent again. */
  #charge = new Once();
  #charged = "";

  /** @override */
  async begin() {
    page(this, o.wallets, reading());
    try {
      this.#priced = await currencyOf(this.stopped);
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.wallets,
          problem(error, () => this.begin()),
        );
      return;
    }
    page(
      this,
      o.wallets,
      h("p", { class: "prose" }, o.tillIs),
      h("h2", null, w.topUp),
      this.#form,
      this.#result,
    );
    this.#offer(new URLSearchParams(location.search).get("user") ?? "");
    this.#tell();
  }

  /** @param {string} user whose wallet is meant at first */
  #offer(user) {
    const { currency, currencyExponent: exponent } = this.#priced;
    const named = this.#priced === UNKNOWN ? o.minor : currency;
    const form = new ChangeForm();
    Object.assign(form, {
      fields: [
        { name: "userId", label: o.user, kind: "text", value: "", required: true, max: 64 },
        {
          name: "amount",
          label: `${o.topUpBy} (${named})`,
          kind: "money",
          value: null,
          required: true,
          min: 10 ** -exponent,
          max: MOST / 10 ** exponent,
          exponent,
        },
      ],
      save: (/** @type {{userId: string, amount: number}} */ asked) => this.#fill(asked),
      done: () => {
        this.#offer("");
        this.#tell();
        focusOn(this.#result.querySelector("p"));
      },
    });
    this.#form.replaceChildren(form);
    const field = this.#form.querySelector("input");
    if (field && user) field.value = user;
  }

  /** @param {{userId: string, amount: number}} asked */
  async #fill({ userId, amount }) {
    const path = `/v1/wallets/${encodeURIComponent(userId.trim())}/charges`;
    if (this.#charged !== `${path} ${amount}`) this.#charge = new Once();
    this.#charged = `${path} ${amount}`;
    const wallet = await this.#charge.ask(path, { body: { amount }, signal: this.stopped });
    this.#filled = [{ wallet, amount, at: new Date().toISOString() }, ...this.#filled].slice(0, SHOWN);
  }

  #tell() {
    const [last] = this.#filled;
    if (!last) return show(this.#result);
    const user = (/** @type {string} */ userId) =>
      may("operator", "support")
        ? h("a", { href: `/operator/users/${encodeURIComponent(userId)}` }, userId)
        : userId;
    const rows = this.#filled.map(({ wallet, amount, at }) => [
      second(at),
      user(wallet.userId),
      money(amount, wallet),
      money(wallet.balance, wallet),
    ]);
    show(
      this.#result,
      h("p", { class: "notice good" }, o.nowHas(last.wallet.userId, money(last.wallet.balance, last.wallet))),
      table(o.filledHere, [[o.when], [o.user], [o.topUpBy, true], [o.balanceAfter, true]], rows),
    );
  }
}

customElements.define("till-page", TillPage);
