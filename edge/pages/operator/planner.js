// A new show: when it is, and its hall, as a table of sections and rows with the picture of it beside.

import { Once, ask } from "../api.js";
import { Part, h, show } from "../dom.js";
import { go } from "../frame.js";
import { Picture } from "../picture.js";
import { Seating } from "../seating.js";
import { problem } from "../signing.js";
import { count } from "../words.js";
import { UNKNOWN, currencyOf } from "./currency.js";
import { clockOf, instantOf, labelled, meant, page, reading } from "./forms.js";
import { fieldsOfShow } from "./shows.js";
import { watch } from "./watch.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").Plan} Plan */
/** @typedef {import("../types.js").Priced} Priced */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {{shows: Show[], nextPageToken: string}} Shows */
/** @typedef {{name: string, seats: number, firstSeat: number}} NewRow */
/**
 * Where there are no rows, so many people stand.
 * @typedef {{name: string, price: number, capacity: number, rows: NewRow[]}} NewSection
 */

/** How many shows are offered at once whose halls can be taken over: a select can be long. */
const HALLS = 100;
/** What the API takes at most. */
const [SECTIONS, SEATS, ROWS] = [500, 100_000, 2_000];

/** A hall of rows, as it is proposed. @returns {NewSection[]} */
const proposed = () => [
  {
    name: o.stalls,
    price: 50_000,
    capacity: 0,
    rows: ["A", "B", "C", "D"].map((name) => ({ name, seats: 12, firstSeat: 1 })),
  },
];

/** The form for a new show. Set `concertId`. */
export class NewShow extends Part {
  concertId = "";
  /** @type {NewSection[]} */
  #sections = [];
  /** @type {Concert} */
  #concert = /** @type {any} */ (null);
  /** @type {Priced} */
  #priced = UNKNOWN;
  #once = new Once();
  #plan = h("div", { class: "plan" });
  #sum = h("p", { role: "status" });
  #wrong = h("div", { role: "alert" });
  /** @type {Picture | null} */
  #picture = null;

  /** @override */
  async begin() {
    page(this, o.newShow, reading());
    const path = `/v1/concerts/${encodeURIComponent(this.concertId)}`;
    try {
      this.#concert = await ask(path, { signal: this.stopped });
      const first = await this.#shows("");
      this.#priced = first.shows[0] ?? (await currencyOf(this.stopped));
      this.#sections = proposed();
      this.#form(first);
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.newShow,
          problem(error, () => this.begin()),
        );
    }
  }

  /** A page of the concert's shows, newest first. @param {string} after @returns {Promise<Shows>} */
  #shows(after) {
    const page = `pageSize=${HALLS}&pageToken=${encodeURIComponent(after)}`;
    return ask(`/v1/concerts/${this.#concert.concertId}/shows?${page}`, { signal: this.stopped });
  }

  /** @param {Shows} first whose halls can be taken over */
  #form(first) {
    const { timeZone } = this.#concert;
    const [day = ""] = clockOf(Date.now() + 7 * 86_400_000, timeZone).split("T");
    const none = { opensAt: null, closesAt: null, maxSeatsPerUser: null, description: "", title: "" };
    const start = {
      ...none,
      startsAt: new Date(instantOf(`${day}T19:30`, timeZone)).toISOString(),
      durationMinutes: 120,
    };
    const fields = fieldsOfShow(/** @type {any} */ (start), timeZone);
    const onsubmit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
      const values = fields.map((field) => [field.name, meant(field, String(form.get(field.name)))]);
      // What is left empty is left out: a new show has no rule to be taken away.
      void this.#make(Object.fromEntries(values.filter(([, value]) => value !== null && value !== "")));
    };
    const picture = new Picture(
      this.#seating(),
      this.#priced,
      () => "free",
      () => {},
      this.stopped,
    );
    picture.canvas.setAttribute("aria-label", o.planPicture);
    this.#picture = picture;
    page(
      this,
      o.newShow,
      h("p", { class: "faint" }, this.#concert.title),
      h(
        "form",
        { onsubmit },
        h("div", { class: "fields" }, fields.map(labelled)),
        h("h2", null, o.hallPlan),
        first.shows.length > 0 && this.#taken(first),
        h("div", { class: "hall" }, h("div", null, this.#plan, this.#sum), picture.canvas),
        this.#wrong,
        h("div", { class: "row" }, h("button", { class: "main", "data-key": "createShow" }, o.createShow)),
      ),
    );
    this.#render();
  }

  /** Takes the hall of another show over. @param {Shows} first */
  #taken(first) {
    const onchange = async (/** @type {Event} */ { target }) => {
      const showId = /** @type {HTMLSelectElement} */ (target).value;
      if (!showId) return;
      try {
        /** @type {Plan} */
        const { sections } = await ask(`/v1/shows/${showId}/plan`, { signal: this.stopped });
        this.#sections = sections.map(planned);
        this.#render();
      } catch (error) {
        if (!this.stopped.aborted) this.#refused(error);
      }
    };
    const option = (/** @type {Show} */ { showId, title }) =>
      h("option", { value: showId }, `${title} (${showId})`);
    const halls = h("select", { "data-key": "hallOf", onchange }, h("option", { value: "" }, o.nobody));
    let next = "";
    const add = (/** @type {Shows} */ { shows, nextPageToken }) => {
      halls.append(...shows.map(option));
      next = nextPageToken;
      if (!next) more.remove();
    };
    const onclick = async () => {
      const after = next;
      // They are being read already.
      if (!after) return;
      next = "";
      try {
        add(await this.#shows(after));
        halls.focus();
      } catch (error) {
        next = after;
        if (!this.stopped.aborted) this.#refused(error);
      }
    };
    const more = h(
      "button",
      { type: "button", class: "small", "data-key": "moreHalls", onclick },
      o.moreHalls,
    );
    const row = h("div", { class: "row" }, h("label", null, o.hallOf, halls), more);
    add(first);
    return row;
  }

  /** @param {unknown} error */
  #refused(error) {
    show(this.#wrong, h("p", { class: "notice bad" }, told(error)));
  }

  /** @param {Record<string, unknown>} values */
  async #make(values) {
    show(this.#wrong);
    const sections = this.#sections.map(({ name, price, capacity, rows }) =>
      rows.length > 0 ? { name, price, rows } : { name, price, capacity },
    );
    try {
      const path = `/v1/concerts/${this.#concert.concertId}/shows`;
      const made = await this.#once.ask(path, { body: { ...values, sections }, signal: this.stopped });
      watch.renew();
      go(`/operator/shows/${made.showId}`);
    } catch (error) {
      if (!this.stopped.aborted) this.#refused(error);
    }
  }

  /** The hall as the picture takes it. */
  #seating() {
    let seat = 1;
    const sections = this.#sections.map(({ name, price, capacity, rows }) => {
      const firstSeat = seat;
      const numbered = rows
        .filter(({ seats }) => seats > 0)
        .map((row) => {
          const first = seat;
          seat += row.seats;
          return { name: row.name, firstSeat: first, lastSeat: seat - 1, firstLabel: row.firstSeat };
        });
      if (rows.length === 0) seat += capacity;
      return { name, price, standing: rows.length === 0, firstSeat, lastSeat: seat - 1, rows: numbered };
    });
    return new Seating({ showId: 0, sections: sections.filter((one) => one.lastSeat >= one.firstSeat) });
  }

  /** Draws what the table says now. */
  #draw() {
    const seats = this.#sections.reduce((all, one) => all + seatsOf(one), 0);
    const most = seats > SEATS ? ` ${o.tooMany(count(SEATS))}` : "";
    show(this.#sum, `${o.seatsInAll(count(seats))}${most}`);
    if (!this.#picture || seats > SEATS) return;
    this.#picture.seating = this.#seating();
    this.#picture.fit();
  }

  #render() {
    // Fields keep what was typed into them, so they are made anew where the hall is another one.
    this.#plan.replaceChildren(
      ...this.#sections.map((section, at) => this.#section(section, at)),
      h(
        "div",
        { class: "row" },
        this.#button("addSection", o.addSection, () => {
          if (this.#sections.length >= SECTIONS) return;
          const name = `${o.section} ${this.#sections.length + 1}`;
          this.#sections.push({
            name,
            price: this.#sections.at(-1)?.price ?? 0,
            capacity: 0,
            rows: [{ name: "A", seats: 10, firstSeat: 1 }],
          });
        }),
        this.#button("addStanding", o.addStanding, () => {
          if (this.#sections.length >= SECTIONS) return;
          const name = `${o.floor} ${this.#sections.length + 1}`;
          this.#sections.push({ name, price: this.#sections.at(-1)?.price ?? 0, capacity: 100, rows: [] });
        }),
      ),
    );
    this.#draw();
  }

  /** @param {string} key @param {string} name @param {() => void} change @param {string} [about] */
  #button(key, name, change, about) {
    const onclick = () => {
      change();
      this.#render();
      const again =
        this.#plan.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? this.#plan.querySelector("button");
      if (again instanceof HTMLElement) again.focus();
    };
    return h(
      "button",
      { type: "button", class: "small", "data-key": key, onclick, "aria-label": about },
      name,
    );
  }

  /** @param {NewSection} section @param {number} at */
  #section(section, at) {
    const standing = section.rows.length === 0;
    const exponent = this.#priced.currencyExponent;
    const currency = this.#priced === UNKNOWN ? o.minor : this.#priced.currency;
    const price = (section.price / 10 ** exponent).toFixed(exponent);
    const name = `section${at}`;
    return h(
      "fieldset",
      null,
      h("legend", null, `${o.section} ${at + 1}`),
      h(
        "div",
        { class: "row" },
        cell(
          o.name,
          `${name}-name`,
          { value: section.name, required: true, maxlength: 100 },
          (text) => {
            section.name = text;
          },
          () => this.#draw(),
        ),
        cell(
          `${o.price} (${currency})`,
          `${name}-price`,
          { type: "number", value: price, min: 0, step: 10 ** -exponent, required: true },
          (text) => {
            section.price = Math.round(Number(text) * 10 ** exponent);
          },
          () => this.#draw(),
        ),
        standing &&
          cell(
            o.places,
            `${name}-capacity`,
            { type: "number", value: section.capacity, min: 1, max: SEATS, required: true },
            (text) => {
              section.capacity = whole(text);
            },
            () => this.#draw(),
          ),
        this.#button(
          `${name}-remove`,
          o.remove,
          () => this.#sections.splice(at, 1),
          `${o.remove}: ${section.name}`,
        ),
      ),
      !standing && this.#rows(section, name),
    );
  }

  /** @param {NewSection} section @param {string} key */
  #rows(section, key) {
    const names = { name: o.name, seats: o.seats, first: o.firstNumber };
    const heads = [o.row, o.seats, o.firstNumber].map((name) => h("th", { scope: "col" }, name));
    const line = (/** @type {NewRow} */ row, /** @type {number} */ at) => {
      const input = (
        /** @type {keyof typeof names} */ what,
        /** @type {Record<string, unknown>} */ more,
        /** @type {(text: string) => void} */ learn,
      ) =>
        h(
          "td",
          null,
          control(
            `${key}-${at}-${what}`,
            {
              ...more,
              "aria-label": `${o.row} ${at + 1}: ${names[what]}`,
            },
            learn,
            () => this.#draw(),
          ),
        );
      return h(
        "tr",
        null,
        input("name", { value: row.name, required: true, maxlength: 20, size: 4 }, (text) => {
          row.name = text;
        }),
        input("seats", { type: "number", value: row.seats, min: 1, max: SEATS, required: true }, (text) => {
          row.seats = whole(text);
        }),
        input(
          "first",
          { type: "number", value: row.firstSeat, min: 1, max: SEATS, required: true },
          (text) => {
            row.firstSeat = whole(text);
          },
        ),
        h(
          "td",
          null,
          this.#button(
            `${key}-${at}-drop`,
            "×",
            () => section.rows.splice(at, 1),
            `${o.remove}: ${o.row} ${row.name}`,
          ),
        ),
      );
    };
    const more = (/** @type {number} */ many) => () => {
      for (let nth = 0; nth < many && section.rows.length < ROWS; nth += 1) {
        const last = section.rows.at(-1) ?? { name: "", seats: 10, firstSeat: 1 };
        section.rows.push({ ...last, name: nextName(last.name) });
      }
    };
    return h(
      "div",
      null,
      h(
        "div",
        { class: "scrolled rows", role: "region", "aria-label": `${o.rows}: ${section.name}`, tabindex: 0 },
        h(
          "table",
          null,
          h("thead", null, h("tr", null, heads, h("td"))),
          h("tbody", null, section.rows.map(line)),
        ),
      ),
      h(
        "div",
        { class: "row" },
        this.#button(`${key}-more`, o.addRow, more(1), `${o.addRow}: ${section.name}`),
        this.#button(`${key}-more10`, o.addTen, more(10), `${o.addTen}: ${section.name}`),
      ),
    );
  }
}

/** @param {NewSection} section */
const seatsOf = ({ rows, capacity }) =>
  rows.length > 0 ? rows.reduce((all, { seats }) => all + seats, 0) : capacity;

/** A whole number that is not below nothing, also while it is being typed. @param {string} text */
const whole = (text) => Math.max(0, Math.min(SEATS, Math.trunc(Number(text) || 0)));

/**
 * @param {string} key
 * @param {Record<string, unknown>} how
 * @param {(text: string) => void} learn
 * @param {() => void} then
 */
function control(key, how, learn, then) {
  const input = h("input", { "data-key": key, autocomplete: "off", ...how });
  input.oninput = () => {
    learn(input.value);
    then();
  };
  return input;
}

/**
 * @param {string} label
 * @param {string} key
 * @param {Record<string, unknown>} how
 * @param {(text: string) => void} learn
 * @param {() => void} then
 */
const cell = (label, key, how, learn, then) =>
  h("label", { class: "grow" }, label, control(key, how, learn, then));

/** A section of a plan as the form has it. @param {Plan["sections"][number]} section @returns {NewSection} */
function planned({ name, price, standing, firstSeat, lastSeat, rows }) {
  const many = lastSeat - firstSeat + 1;
  const row = (/** @type {import("../types.js").Row} */ one) => ({
    name: one.name || "A",
    seats: one.lastSeat - one.firstSeat + 1,
    firstSeat: one.firstLabel,
  });
  return {
    name: name || o.stalls,
    price,
    capacity: standing ? many : 0,
    rows: standing ? [] : rows.map(row),
  };
}

/** The name after this one: B after A, AA after Z, 10 after 9. @param {string} name */
export function nextName(name) {
  const digits = /\d+$/.exec(name)?.[0];
  if (digits) return `${name.slice(0, -digits.length)}${Number(digits) + 1}`;
  const letters = /[A-Z]+$/.exec(name)?.[0];
  if (!letters) return `${name}1`;
  const before = name.slice(0, -letters.length);
  const kept = letters.replace(/Z+$/, "");
  const turned = "A".repeat(letters.length - kept.length);
  const last = kept.at(-1)?.charCodeAt(0);
  if (last === undefined) return `${before}A${turned}`;
  return `${before}${kept.slice(0, -1)}${String.fromCharCode(last + 1)}${turned}`;
}

customElements.define("new-show", NewShow);
