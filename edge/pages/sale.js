// What is on.

import { ask, cameWith, now } from "./api.js";
import { Part, entitle, focusOn, h, show } from "./dom.js";
import { problem } from "./signing.js";
import { beginning, count, money, moment, w } from "./words.js";

/** @typedef {import("./types.js").Concert} Concert */
/** @typedef {import("./types.js").Show} Show */
/** @typedef {import("./types.js").Shows} Shows */
/** @typedef {import("./types.js").ToCome} ToCome */

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
    const came = cameWith((of) => of.sale !== undefined)?.sale;
    entitle(w.onSale);
    if (!came) show(this, h("h1", null, w.onSale), h("p", { class: "faint" }, w.loading));
    this.#known = [];
    this.#next = "";
    this.#from = came?.from ?? new Date(now()).toISOString();
    return this.#more(came);
  }

  /** Goes on with the next page, or with what the document came with. @param {ToCome} [came] */
  async #more(came) {
    try {
      const { concerts, nextPageToken } = came ?? (await this.#page());
      const all = concerts.map(async ({ concert, page }) => {
        return { concert, shows: await this.#shows(concert, page) };
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

  /** The next page of concerts, whose shows are not known. */
  async #page() {
    const query = new URLSearchParams({ from: this.#from, pageSize: `${PAGE}`, pageToken: this.#next });
    const { concerts, nextPageToken } = await ask(`/v1/concerts?${query}`, { signal: this.stopped });
    /** @type {{concert: Concert, page?: Shows}[]} */
    const alone = concerts.map((/** @type {Concert} */ concert) => ({ concert }));
    return { concerts: alone, nextPageToken };
  }

  /**
   * The shows of a concert that will take place.
   * @param {Concert} concert
   * @param {Shows} [first] their first page, where it is known
   */
  async #shows({ concertId }, first) {
    const after = async (/** @type {string} */ token) => {
      const from = { from: this.#from, order: "startsAt" };
      const query = new URLSearchParams({ ...from, pageSize: "100", pageToken: token });
      return ask(`/v1/concerts/${concertId}/shows?${query}`, { signal: this.stopped });
    };
    /** @type {Shows} */
    let page = first ?? (await after(""));
    const all = [...page.shows];
    while (page.nextPageToken && all.length < SHOWS) {
      page = await after(page.nextPageToken);
      all.push(...page.shows);
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
