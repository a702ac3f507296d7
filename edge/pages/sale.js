// What is on.

import { ask, now } from "./api.js";
import { Part, entitle, focusOn, h, show } from "./dom.js";
import { problem } from "./signing.js";
import { beginning, count, money, moment, w } from "./words.js";

/** @typedef {import("./types.js").Concert} Concert */
/** @typedef {import("./types.js").Show} Show */

/** How many concerts are read at once: each is one more request, for its shows. */
const PAGE = 12;

/** The most shows of a concert that are listed, a hundred with each request. */
const SHOWS = 500;

/** The first page: what is to come, concerts and their shows in the order of the calendar. */
export class OnSale extends Part {
  /** @type {{concert: Concert, shows: Show[]}[]} */
  #known = [];
  #next = "";
  /** What is to come, from this instant on. */
  #from = "";

  /** @override */
  begin() {
    entitle(w.onSale);
    show(this, h("h1", null, w.onSale), h("p", { class: "faint" }, w.loading));
    this.#known = [];
    this.#next = "";
    this.#from = encodeURIComponent(new Date(now()).toISOString());
    return this.#more();
  }

  async #more() {
    try {
      const after = encodeURIComponent(this.#next);
      const path = `/v1/concerts?from=${this.#from}&pageSize=${PAGE}&pageToken=${after}`;
      const { concerts, nextPageToken } = await ask(path, { signal: this.stopped });
      const all = concerts.map(async (/** @type {Concert} */ concert) => {
        return { concert, shows: await this.#shows(concert) };
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

  /** The shows of a concert that will take place. @param {Concert} concert */
  async #shows({ concertId }) {
    /** @type {Show[]} */
    const all = [];
    for (let next = "", first = true; (first || next) && all.length < SHOWS; first = false) {
      const page = `pageSize=100&pageToken=${encodeURIComponent(next)}`;
      const path = `/v1/concerts/${concertId}/shows?from=${this.#from}&order=startsAt&${page}`;
      const { shows, nextPageToken } = await ask(path, { signal: this.stopped });
      all.push(...shows);
      next = nextPageToken;
    }
    return all.filter((one) => one.status === "SCHEDULED");
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

customElements.define("on-sale", OnSale);
