// What is on.

import { ask, now } from "./api.js";
import { Part, entitle, focusOn, h, show } from "./dom.js";
import { problem } from "./signing.js";
import { beginning, count, money, moment, w } from "./words.js";

/** @typedef {import("./types.js").Concert} Concert */
/** @typedef {import("./types.js").Show} Show */

/** How many concerts are read at once: each is one more request, for its shows. */
const PAGE = 12;

/** The first page: concerts, newest first, with their shows in the order of the calendar. */
export class OnSale extends Part {
  /** @type {{concert: Concert, shows: Show[]}[]} */
  #known = [];
  #next = "";

  /** @override */
  begin() {
    entitle(w.onSale);
    show(this, h("h1", null, w.onSale), h("p", { class: "faint" }, w.loading));
    this.#known = [];
    this.#next = "";
    return this.#more();
  }

  async #more() {
    try {
      const path = `/v1/concerts?pageSize=${PAGE}&pageToken=${encodeURIComponent(this.#next)}`;
      const { concerts, nextPageToken } = await ask(path, { signal: this.stopped });
      const all = concerts.map(async (/** @type {Concert} */ concert) => {
        const { shows } = await ask(`/v1/concerts/${concert.concertId}/shows?pageSize=100`, {
          signal: this.stopped,
        });
        return { concert, shows: upcoming(shows) };
      });
      this.#known.push(...(await Promise.all(all)));
      this.#next = nextPageToken;
      this.#render();
    } catch (error) {
      if (!this.stopped.aborted)
        show(
          this,
          h("h1", null, w.onSale),
          problem(error, () => this.begin()),
        );
    }
  }

  #render() {
    const shown = this.#known.filter(({ shows }) => shows.length > 0);
    const more = async () => {
      const before = shown.length;
      await this.#more();
      focusOn(this.querySelectorAll("h2")[before] ?? null);
    };
    show(
      this,
      h("h1", null, w.onSale),
      shown.length === 0 && !this.#next && h("p", null, w.empty),
      h(
        "div",
        { class: "concerts" },
        shown.map(({ concert, shows }) => this.#concert(concert, shows)),
      ),
      this.#next && h("button", { "data-key": "more", onclick: more }, w.more),
    );
  }

  /** @param {Concert} concert @param {Show[]} shows */
  #concert(concert, shows) {
    const line = (/** @type {Show} */ one) => {
      const opens = one.opensAt && Date.parse(one.opensAt) > now();
      return h(
        "li",
        null,
        h(
          "div",
          { class: "grow" },
          h("a", { class: "name", href: `/shows/${one.showId}` }, one.title),
          h("div", { class: "faint" }, beginning(one, concert.timeZone)),
          opens && h("div", { class: "faint" }, w.saleOpens(moment(/** @type {string} */ (one.opensAt)))),
        ),
        h(
          "div",
          { class: "end" },
          w.from(money(one.price, one)),
          h("div", { class: "faint" }, w.seats(count(one.seatCount))),
        ),
      );
    };
    return h(
      "section",
      { class: "card" },
      h("h2", null, concert.title),
      h("ul", { class: "list" }, shows.map(line)),
    );
  }
}

/** The shows that will begin, in the order of the calendar. @param {Show[]} shows */
const upcoming = (shows) =>
  shows
    .filter((one) => one.status === "SCHEDULED" && Date.parse(one.startsAt) > now())
    .sort((a, b) => Date.parse(a.startsAt) - Date.parse(b.startsAt));

customElements.define("on-sale", OnSale);
