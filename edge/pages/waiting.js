// The waiting room: a place in line, live.

import { ask, now } from "./api.js";
import { Part, focusOn, h, headline, say, show } from "./dom.js";
import { follow, isFinal } from "./place.js";
import { clock, count, inWords, language, moment, span, w } from "./words.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").News} News */
/** @typedef {import("./types.js").Place} Place */

/** The lane of those who have no other. */
const USUAL = 5;

/**
 * Shows a place. Set `token`, `showId` if it is for a show, and `known` if the page came with it. It tells
 * `place` with each state, and `over` when there is nothing more to wait for.
 */
export class WaitingRoom extends Part {
  token = "";
  /** @type {number | null} */
  showId = null;
  /** Whether places are drawn by lot. */
  isDrawn = false;
  /** @type {Place | null} */
  known = null;
  #check = new DrawCheck();
  /** @type {News} */
  #news = { place: null, link: "polling", gone: false };
  #asksLeave = false;
  #error = "";

  /** @override */
  begin() {
    this.#news = { place: this.known, link: "polling", gone: false };
    this.#render();
    follow(this.token, (news) => this.#learn(news), this.stopped);
    this.every(500, () => this.#tick());
    this.stopped.addEventListener("abort", () => headline(""), { once: true });
  }

  /** @param {News} news */
  #learn(news) {
    if (this.stopped.aborted) return;
    const before = this.#news;
    this.#news = news;
    const { place, gone } = news;
    if (place) this.#announce(place, before.place);
    if (news.link === "away" && before.link !== "away") say(w.away);
    this.#render();
    if (place) this.tell("place", place);
    if (gone || (place && isFinal(place))) this.tell("over", place);
  }

  /** Says what is new. @param {Place} place @param {Place | null} before */
  #announce({ status, position, message }, before) {
    const news = [];
    if (status !== before?.status) {
      if (status === "ACTIVE") news.push(w.yourTurn);
      else if (status === "WAITING") news.push(`${w.waiting}. ${w.place}: ${count(position)}`);
      else news.push(status === "REGISTERED" ? w.registered : w[status]);
    }
    const text = spoken(message)?.text;
    if (text && text !== spoken(before?.message ?? null)?.text) news.push(text);
    if (news.length > 0) say(news.join(" "));
  }

  #tick() {
    const { place } = this.#news;
    const until = place?.status === "ACTIVE" ? place.activeUntil : place?.opensAt;
    const left = this.querySelector(".clock");
    if (until && left) left.textContent = clock(Date.parse(until) - now());
    if (place?.status === "WAITING") headline(count(place.position));
    else headline(place?.status === "ACTIVE" ? w.yourTurn : "");
  }

  #render() {
    const { place, link, gone } = this.#news;
    if (gone) return show(this, h("p", { class: "notice bad" }, w.gone));
    if (!place) return show(this, h("p", { class: "card faint" }, link === "away" ? w.away : w.loading));
    if (isFinal(place))
      return show(this, h("p", { class: "notice" }, w[/** @type {"LEFT"} */ (place.status)]));
    const said = spoken(place.message);
    const connection = link === "away" ? w.away : link === "live" ? w.live : w.polling;
    show(
      this,
      h(
        "section",
        { class: `card ${place.status.toLowerCase()}`, "aria-label": w.place },
        ...this.#state(place),
        said && h("p", { class: "notice said", lang: said.lang }, said.text),
        this.isDrawn && Object.assign(this.#check, { place }),
        this.#error && h("p", { class: "notice bad", role: "alert" }, this.#error),
        h(
          "div",
          { class: "row foot" },
          h("p", { class: "link", "data-link": link }, connection),
          ...this.#leaving(),
        ),
      ),
    );
    this.#tick();
  }

  /** @param {Place} place @returns {(Node | false)[]} */
  #state(place) {
    const left = () => h("span", { class: "clock", role: "timer" });
    if (place.status === "ACTIVE") return [h("h2", null, w.yourTurn), h("p", null, `${w.turnFor}: `, left())];
    if (place.status === "REGISTERED") {
      const opens = place.opensAt ? w.opensOn(moment(place.opensAt)) : "";
      const until = h("p", null, w.opensIn, h("br"), h("span", { class: "big clock", role: "timer" }));
      return [h("h2", null, w.registered), h("p", null, opens), until, this.#where()];
    }
    const { position, waitingBehind, delayReason } = place;
    const range = w.range(span(place.estimatedWaitSecondsLow), span(place.estimatedWaitSecondsHigh));
    return [
      h("h2", null, w.waiting),
      h("p", null, w.place, h("br"), h("span", { class: "big" }, count(position))),
      h("progress", { max: position + waitingBehind, value: waitingBehind, "aria-label": w.place }),
      h(
        "dl",
        { class: "figures" },
        figure(w.wait, range),
        figure(w.behind, count(waitingBehind)),
        figure(w.since, moment(place.enteredAt)),
        place.priority !== USUAL && figure(w.lane, count(place.priority)),
      ),
      delayReason !== null && h("p", { class: "notice" }, w[delayReason]),
      place.requeues > 0 && h("p", { class: "notice" }, w.requeued),
      this.#where(),
    ];
  }

  /** The address of this place, for another device. */
  #where() {
    const show = this.showId === null ? "" : `?show=${this.showId}`;
    return h(
      "p",
      { class: "faint" },
      h("a", { href: `/line/${this.token}${show}` }, w.link),
      " · ",
      w.joinWhy,
    );
  }

  #leaving() {
    const asks = (/** @type {boolean} */ does) => () => {
      this.#asksLeave = does;
      this.#render();
      focusOn(this.querySelector(does ? '[data-key="stay"]' : '[data-key="leave"]'));
    };
    const leave = this.#news.place?.status === "ACTIVE" ? w.giveUp : w.leave;
    if (!this.#asksLeave) return [h("button", { "data-key": "leave", onclick: asks(true) }, leave)];
    return [
      h("p", { id: "sure" }, w.leaveSure),
      h("button", { "data-key": "stay", "aria-describedby": "sure", onclick: asks(false) }, w.stay),
      h("button", { "data-key": "really", "aria-describedby": "sure", onclick: () => this.#leave() }, leave),
    ];
  }

  async #leave() {
    try {
      await ask(`/v1/tokens/${this.token}`, { method: "DELETE", signal: this.stopped });
    } catch (error) {
      if (this.stopped.aborted) return;
      this.#error = inWords(error);
      this.#render();
    }
  }
}

/** The seller's text in the language of the page, else in the other. @param {Message | null} message */
function spoken(message) {
  const lang = message?.[language] ? language : language === "ko" ? "en" : "ko";
  const text = message?.[lang];
  return text ? { lang, text } : null;
}

/** Offers to check the draw of a place, and does it. Set `place`. */
class DrawCheck extends Part {
  place = /** @type {Place} */ (/** @type {unknown} */ (null));

  /** @override */
  begin() {
    this.#say(null);
  }

  /** @param {Node | null} result */
  #say(result) {
    const onclick = () => this.#run();
    const button = h("button", { class: "small", "data-key": "draw", onclick }, w.checkDraw);
    show(this, h("p", null, button), result);
  }

  async #run() {
    try {
      // Only who asks for it loads it.
      const { check } = await import("./draw.js");
      this.#say(await check(this.place, this.stopped));
    } catch (error) {
      if (!this.stopped.aborted) this.#say(h("p", { class: "notice bad", role: "alert" }, inWords(error)));
    }
  }
}

/** A figure with its name, in a list of such. @param {string} name @param {string} value */
export const figure = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));

customElements.define("draw-check", DrawCheck);
customElements.define("waiting-room", WaitingRoom);
