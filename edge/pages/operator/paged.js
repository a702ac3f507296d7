// A list that may be longer than what is read of it at once: it goes on for whoever wants to see more.

import { ask } from "../api.js";
import { Part, focusOn, h, show } from "../dom.js";
import { problem } from "../signing.js";
import { w } from "../words.js";
import { reading } from "./forms.js";

/** Set `path`, `member` and `list`. */
export class PagedList extends Part {
  /** What is asked, with the query that narrows it. */
  path = "";
  /** What the answers call the list. */
  member = "";
  /** How many are read at once. */
  most = 50;
  /** Shows all that are known. @type {(known: any[]) => import("../dom.js").Child} */
  list = () => null;
  /** Which elements show one each. */
  each = "tbody > tr";
  /** @type {any[]} */
  #known = [];
  #next = "";
  /** Counts what was asked for, of which only the latest is shown: nothing comes twice. */
  #nth = 0;
  /** Which of that was answered last. */
  #answered = 0;
  #isRenewing = false;

  /** @override */
  async begin() {
    this.#known = [];
    this.#next = "";
    show(this, reading());
    await this.#more();
  }

  /** @param {string} after which page @param {number} most @param {number} [tries] */
  async #read(after, most, tries = 4) {
    const [route, narrowed] = this.path.split("?");
    const query = new URLSearchParams(narrowed);
    query.set("pageSize", String(most));
    query.set("pageToken", after);
    const answer = await ask(`${route}?${query}`, { signal: this.stopped, tries });
    return { found: answer[this.member], next: answer.nextPageToken };
  }

  async #more() {
    this.#nth += 1;
    const nth = this.#nth;
    try {
      const { found, next } = await this.#read(this.#next, this.most);
      if (nth !== this.#nth) return;
      this.#answered = nth;
      this.#known = [...this.#known, ...found];
      this.#next = next;
    } catch (error) {
      if (this.stopped.aborted || nth !== this.#nth) return;
      this.#answered = nth;
      const again = problem(error, () => void this.#more());
      return show(this, this.#known.length > 0 && this.list(this.#known), again);
    }
    this.#render();
  }

  /** Reads anew what is known, without a word where that cannot be done: it stays as it was. */
  async again() {
    const [nth, many] = [this.#nth, this.#known.length];
    // What is just asked for goes first.
    if (nth === 0 || this.#isRenewing || nth !== this.#answered) return;
    this.#isRenewing = true;
    try {
      const all = [];
      let next = "";
      do {
        const page = await this.#read(next, Math.max(this.most, many - all.length), 1);
        all.push(...page.found);
        next = page.next;
      } while (next && all.length < many);
      if (nth !== this.#nth) return;
      this.#known = all;
      this.#next = next;
      this.#render();
    } catch {
      // Whoever asks for this asks again.
    } finally {
      this.#isRenewing = false;
    }
  }

  #render() {
    const more = async () => {
      const before = this.#known.length;
      await this.#more();
      const first = this.querySelectorAll(this.each)[before];
      focusOn(first?.querySelector("a") ?? first ?? null);
    };
    show(
      this,
      this.list(this.#known),
      this.#next && h("button", { "data-key": "more", onclick: more }, w.more),
    );
  }
}

/** @param {Partial<PagedList>} how */
export const paged = (how) => Object.assign(new PagedList(), how);

customElements.define("paged-list", PagedList);
