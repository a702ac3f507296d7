// Concerts and their shows: what there is, made anew, and mended.

import { Once, ask, askTagged } from "../api.js";
import { Part, focusOn, h, show } from "../dom.js";
import { go } from "../frame.js";
import { problem } from "../signing.js";
import { beginning, count, money } from "../words.js";
import { ChangeForm, labelled, page, reading } from "./forms.js";
import { paged } from "./paged.js";
import { table } from "./table.js";
import { tonight, watch } from "./watch.js";
import { o, told } from "./words.js";

/** @typedef {import("../types.js").Concert} Concert */
/** @typedef {import("../types.js").Show} Show */
/** @typedef {import("./forms.js").Field} Field */

/** All concerts, newest first. */
export class ConcertsPage extends Part {
  /** @override */
  begin() {
    const created = new Once();
    const fields = [...fieldsOf({ title: "", queueId: "default", timeZone: hereZone() })];
    page(
      this,
      o.shows,
      creation(o.newConcert, fields, async (values) => {
        const body = { body: values, signal: this.stopped };
        const { concertId } = await created.ask("/v1/concerts", body);
        go(`/operator/concerts/${concertId}`);
      }),
      paged({ path: "/v1/concerts", member: "concerts", most: 20, list: (known) => this.#concerts(known) }),
    );
  }

  /** @param {Concert[]} known */
  #concerts(known) {
    const rows = known.map(({ concertId, title, queueId, timeZone }) => [
      h("a", { href: `/operator/concerts/${concertId}` }, title),
      h("a", { href: `/operator/lines/${queueId}` }, queueId),
      timeZone,
    ]);
    return table(o.concerts, [[o.concert], [o.line], [o.timeZone]], rows);
  }
}

/** The time zone of this machine. */
const hereZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** @param {{title: string, queueId: string, timeZone: string}} of @returns {Field[]} */
const fieldsOf = ({ title, queueId, timeZone }) => [
  { name: "title", label: o.title, kind: "text", value: title, required: true, max: 200 },
  {
    name: "queueId",
    label: o.line,
    kind: "text",
    value: queueId,
    required: true,
    max: 64,
    pattern: "[a-zA-Z0-9._\\-]{1,64}",
  },
  {
    name: "timeZone",
    label: o.timeZone,
    kind: "text",
    value: timeZone,
    required: true,
    max: 64,
    hint: o.zoneIs,
  },
];

/**
 * A form for something new, folded away.
 * @param {string} name
 * @param {Field[]} fields
 * @param {(values: Record<string, any>) => Promise<unknown>} make
 */
function creation(name, fields, make) {
  const wrong = h("div", { role: "alert" });
  const onsubmit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    show(wrong);
    try {
      await make(Object.fromEntries(fields.map(({ name }) => [name, String(form.get(name))])));
    } catch (error) {
      show(wrong, h("p", { class: "notice bad" }, told(error)));
    }
  };
  return h(
    "details",
    null,
    h("summary", null, name),
    h(
      "form",
      { class: "card", onsubmit },
      h("div", { class: "fields" }, fields.map(labelled)),
      wrong,
      h("div", { class: "row" }, h("button", { class: "main", "data-key": "create" }, o.create)),
    ),
  );
}

/** One concert with its shows. Set `concertId`. */
export class ConcertPage extends Part {
  concertId = "";

  /** @override */
  async begin() {
    page(this, o.concert, reading());
    const path = `/v1/concerts/${encodeURIComponent(this.concertId)}`;
    try {
      /** @type {{json: Concert, tag: string}} */
      const { json: concert, tag } = await askTagged(path, { signal: this.stopped });
      const { shows } = await ask(`${path}/shows?order=startsAt&pageSize=1`, { signal: this.stopped });
      const form = new ChangeForm();
      Object.assign(form, {
        fields: fieldsOf(concert),
        save: (/** @type {object} */ body) =>
          ask(path, { method: "PATCH", body, match: tag, signal: this.stopped }),
        done: () => {
          watch.renew();
          return this.begin();
        },
      });
      page(
        this,
        concert.title,
        this.#shows(concert, shows[0]),
        h(
          "p",
          null,
          h(
            "a",
            { class: "button main", href: `/operator/new-show/${this.concertId}`, "data-key": "newShow" },
            o.newShow,
          ),
        ),
        h("h2", null, o.mend),
        form,
      );
    } catch (error) {
      if (!this.stopped.aborted)
        page(
          this,
          o.concert,
          problem(error, () => this.begin()),
        );
    }
  }

  /** Those to come, and on demand all. @param {Concert} concert @param {Show | undefined} first of all */
  #shows(concert, first) {
    if (!first) return h("p", null, o.noShowsYet);
    const all = `/v1/concerts/${concert.concertId}/shows?order=startsAt`;
    const from = tonight();
    const list = paged({
      path: `${all}&from=${encodeURIComponent(from)}`,
      member: "shows",
      list: (known) => showsOf(concert, known),
    });
    const earlier = async () => {
      list.path = all;
      button.remove();
      await list.begin();
      focusOn(list.querySelector("td a"));
    };
    const button = h("button", { class: "small", "data-key": "earlier", onclick: earlier }, o.earlierToo);
    return h("div", { class: "stack" }, Date.parse(first.startsAt) < Date.parse(from) && button, list);
  }
}

/** @param {Concert} concert @param {Show[]} shows */
function showsOf({ timeZone }, shows) {
  if (shows.length === 0) return h("p", null, o.noShows);
  const rows = shows.map((one) => [
    h("a", { href: `/operator/shows/${one.showId}` }, one.title),
    beginning(one, timeZone),
    money(one.price, one),
    count(one.seatCount),
  ]);
  return table(o.shows, [[o.show], [o.startsAt], [o.lowestPrice, true], [o.seats, true]], rows);
}

/**
 * What of a show is mended beside its prices.
 * @param {Show} of
 * @param {string} timeZone
 * @returns {Field[]}
 */
export const fieldsOfShow = (of, timeZone) => [
  { name: "title", label: o.title, kind: "text", value: of.title, required: true, max: 200 },
  {
    name: "startsAt",
    label: o.startsAt,
    kind: "time",
    value: of.startsAt,
    required: true,
    timeZone,
    hint: timeZone,
  },
  {
    name: "durationMinutes",
    label: o.minutes,
    kind: "number",
    value: of.durationMinutes,
    required: true,
    min: 1,
    max: 1_440,
  },
  { name: "opensAt", label: o.saleOpensAt, kind: "time", value: of.opensAt, timeZone, hint: o.emptyOpens },
  {
    name: "closesAt",
    label: o.saleClosesAt,
    kind: "time",
    value: of.closesAt,
    timeZone,
    hint: o.emptyCloses,
  },
  {
    name: "maxSeatsPerUser",
    label: o.mostSeats,
    kind: "number",
    value: of.maxSeatsPerUser,
    min: 1,
    max: 100_000,
    hint: o.emptyLimit,
  },
  { name: "description", label: o.description, kind: "area", value: of.description, max: 4_000 },
];

customElements.define("concerts-page", ConcertsPage);
customElements.define("concert-page", ConcertPage);
