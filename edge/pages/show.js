// A show's page: its line, its hall, its basket, in this order, and each wherever the person is. Hall and
// basket are loaded while one waits.

import { Once, Refusal, ask, cameWith, now } from "./api.js";
import { Part, entitle, focusOn, h, show } from "./dom.js";
import { person, recall, remember } from "./person.js";
import { problem, signInForm } from "./signing.js";
import { WaitingRoom } from "./waiting.js";
import { beginning, clock, count, money, moment, w } from "./words.js";

/** @typedef {import("./types.js").Concert} Concert */
/** @typedef {import("./types.js").Place} Place */
/** @typedef {import("./types.js").Queue} Queue */
/** @typedef {import("./types.js").Reservation} Reservation */
/** @typedef {import("./types.js").Show} Show */

/**
 * What one needs when it is one's turn. A module that could not be loaded is not asked for again before the
 * page is.
 */
async function loaded() {
  try {
    const [{ SeatHall }, { SeatBasket }] = await Promise.all([import("./hall.js"), import("./basket.js")]);
    return { SeatHall, SeatBasket };
  } catch {
    throw new Refusal(0, { code: "OFFLINE" });
  }
}

/** Where a browser keeps the queue token of a person. @param {string} queueId @param {string} userId */
export const placeOf = (queueId, userId) => `place.${queueId}.${userId}`;

/** The page of a show. Set `showId`. */
export class ShowPage extends Part {
  showId = "";
  /** @type {Show} */
  #show = /** @type {any} */ (null);
  /** @type {Queue} */
  #queue = /** @type {any} */ (null);
  #join = new Once();
  #line = h("div");
  #choice = h("div");
  /** The elements of hall and basket, once they are needed. */
  #made = /** @type {Awaited<ReturnType<typeof loaded>>} */ (/** @type {unknown} */ (null));

  /** @override */
  async begin() {
    const known = cameWith((of) => String(of.show?.showId) === this.showId);
    if (known?.show && known.concert && known.queue)
      return this.#begin(known.show, known.concert, known.queue);
    show(this, h("p", { class: "faint" }, w.loading));
    try {
      const signal = this.stopped;
      /** @type {Show} */
      const of = await ask(`/v1/shows/${encodeURIComponent(this.showId)}`, { signal });
      /** @type {Concert} */
      const concert = await ask(`/v1/concerts/${of.concertId}`, { signal });
      this.#begin(of, concert, await ask(`/v1/queues/${concert.queueId}`, { signal }));
    } catch (error) {
      if (!this.stopped.aborted)
        show(
          this,
          h("h1", null, w.noPage),
          problem(error, () => this.begin()),
        );
    }
  }

  /** @param {Show} of @param {Concert} concert @param {Queue} queue */
  #begin(of, concert, queue) {
    this.#show = of;
    this.#queue = queue;
    entitle(of.title);
    show(this, ...this.#head(concert), this.#line, this.#choice);
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ work) =>
      this.addEventListener(name, (event) => work(/** @type {CustomEvent} */ (event).detail), {
        signal: this.stopped,
      });
    on("place", (place) => this.#placed(place));
    on("over", (place) => this.#over(place));
    on("held", (reservation) => this.#basket(reservation));
    on("done", () => this.#choose());
    this.every(500, () => this.#tick());
    // Another tab may have joined. That a place has ended its waiting room learns by itself, and says it.
    const elsewhere = (/** @type {StorageEvent} */ { key, newValue }) => {
      if (key === `boxoffice.${this.#place}` && newValue !== null && !this.#hasBasket) this.#resume();
    };
    addEventListener("storage", elsewhere, { signal: this.stopped });
    this.#resume();
  }

  /** What is said of the show. @param {Concert} concert */
  #head(concert) {
    const { title, description, price, seatCount, durationMinutes, maxSeatsPerUser, opensAt, closesAt } =
      this.#show;
    const facts = [w.minutes(durationMinutes), w.seats(count(seatCount)), w.from(money(price, this.#show))];
    const isOff = this.#isOff;
    const isOver = !isOff && Date.parse(closesAt ?? this.#show.startsAt) <= now();
    const opens = !isOff && opensAt && Date.parse(opensAt) > now();
    return [
      h("p", { class: "faint" }, concert.title),
      h("h1", null, title),
      h("p", { class: "lead" }, beginning(this.#show, concert.timeZone)),
      h(
        "p",
        { class: "faint" },
        facts.join(" · "),
        maxSeatsPerUser !== null && ` · ${w.atMost(maxSeatsPerUser)}`,
      ),
      description && h("p", { class: "prose" }, description),
      isOff && h("p", { class: "notice bad" }, w.refusals.SHOW_CANCELLED),
      isOver && h("p", { class: "notice" }, w.saleIsOver),
      opens && h("p", { class: "notice" }, w.saleOpens(moment(opensAt))),
      !isOff && !isOver && closesAt && h("p", { class: "faint" }, w.saleCloses(moment(closesAt))),
    ];
  }

  /** The name under which the place is kept. */
  get #place() {
    return placeOf(this.#queue.queueId, person()?.userId ?? "");
  }

  get #token() {
    return person() === null ? null : recall(this.#place);
  }

  /** The name of the element in which one chooses or pays. */
  get #shown() {
    return this.#choice.firstElementChild?.localName;
  }

  get #hasBasket() {
    return this.#shown === "seat-basket";
  }

  /** Whether the show does not take place. */
  get #isOff() {
    return this.#show.status !== "SCHEDULED";
  }

  /** Goes on where the person was, on this visit or on an earlier one. */
  #resume() {
    if (this.#isOff) return show(this.#line);
    if (this.#token) this.#wait();
    else this.#offer();
  }

  /** Offers to join the line. @param {Node} [before] */
  #offer(before) {
    show(this.#choice);
    const user = person();
    if (user === null)
      return show(
        this.#line,
        before,
        signInForm(() => this.#offer()),
      );
    const { waiting, registered, paused, opensAt } = this.#queue;
    const opens = opensAt && Date.parse(opensAt) > now() ? opensAt : null;
    const many = opens ? w.registeredNow(count(registered)) : w.lineNow(waiting, count(waiting));
    show(
      this.#line,
      before,
      h(
        "section",
        { class: "card", "aria-label": w.join },
        opens && h("p", null, w.opensOn(moment(opens))),
        opens &&
          h(
            "p",
            null,
            w.opensIn,
            h("br"),
            h("span", { class: "big clock", role: "timer" }, clock(Date.parse(opens) - now())),
          ),
        h("p", null, many),
        paused && h("p", { class: "notice" }, w.paused),
        h(
          "button",
          { class: "main", "data-key": "join", onclick: () => this.#joined() },
          opens ? w.register : w.join,
        ),
        h("p", { class: "faint" }, w.joinWhy),
        h("p", { class: "faint" }, `${w.asWho} `, h("a", { href: "/me" }, user.userId)),
      ),
    );
  }

  #tick() {
    const left = this.#line.querySelector(":scope > .card .clock");
    if (left && this.#queue.opensAt) left.textContent = clock(Date.parse(this.#queue.opensAt) - now());
  }

  async #joined() {
    const button = this.#line.querySelector("button");
    button?.setAttribute("aria-disabled", "true");
    try {
      const path = `/v1/queues/${this.#queue.queueId}/tokens`;
      /** @type {Place} */
      const place = await this.#join.ask(path, { body: { userId: person()?.userId }, signal: this.stopped });
      remember(this.#place, place.token);
      this.#wait();
      focusOn(this.#line);
    } catch (error) {
      if (!this.stopped.aborted) this.#offer(problem(error));
    }
  }

  #wait() {
    const [token, now] = [this.#token ?? "", this.#line.firstElementChild];
    if (now instanceof WaitingRoom && now.token === token) return;
    const room = new WaitingRoom();
    const isDrawn = this.#queue.opening === "DRAW";
    Object.assign(room, { token, showId: this.#show.showId, isDrawn });
    show(this.#choice);
    show(this.#line, room);
  }

  /** @param {Place} place */
  #placed(place) {
    // Before everybody's turn comes at once.
    loaded().catch(() => {});
    if (place.status === "ACTIVE" && !this.#shown) void this.#enter();
    // Seats that are held stay held, whatever has become of the turn.
    if (place.status === "WAITING" && this.#shown === "seat-hall") show(this.#choice);
  }

  /** It is the person's turn: seats that they hold already, from this device or another one, come first. */
  async #enter() {
    const loading = h("p", { class: "faint" }, w.loading);
    show(this.#choice, loading);
    const path = `/v1/users/${encodeURIComponent(person()?.userId ?? "")}/reservations?pageSize=20`;
    /** @type {{reservations: Reservation[]}} */
    let found;
    try {
      [this.#made, found] = await Promise.all([loaded(), ask(path, { signal: this.stopped })]);
    } catch (error) {
      if (this.stopped.aborted || !loading.isConnected) return;
      return show(
        this.#choice,
        problem(error, () => (this.#made ? void this.#enter() : location.reload())),
      );
    }
    if (this.stopped.aborted || !loading.isConnected) return;
    const { showId } = this.#show;
    const held = found.reservations.find((one) => one.showId === showId && one.status === "HELD");
    if (held) this.#basket(held);
    else this.#choose();
  }

  #choose() {
    if (!this.#token) return this.#offer();
    const hall = new this.#made.SeatHall();
    Object.assign(hall, { show: this.#show, place: this.#token });
    show(this.#choice, hall);
  }

  /** @param {Reservation} reservation */
  #basket(reservation) {
    const basket = new this.#made.SeatBasket();
    Object.assign(basket, { show: this.#show, reservation, place: this.#token ?? "" });
    show(this.#choice, basket);
  }

  /** The place has ended. @param {Place | null} place */
  #over(place) {
    remember(this.#place, null);
    if (this.#hasBasket) return show(this.#line);
    const why = place ? w[/** @type {"LEFT"} */ (place.status)] : w.gone;
    this.#offer(h("p", { class: "notice", role: "status" }, why));
  }
}

/** The page of one place, for who kept its link. Set `token`, and `showId` where the link has it. */
export class PlacePage extends Part {
  token = "";
  /** @type {string | null} */
  showId = null;
  #next = h("p");

  /** @override */
  begin() {
    entitle(w.place);
    const room = new WaitingRoom();
    const showId = this.showId === null ? null : Number(this.showId);
    const known = cameWith((of) => of.place?.token === this.token)?.place ?? null;
    Object.assign(room, { token: this.token, showId, known });
    this.addEventListener("place", (event) => this.#placed(/** @type {CustomEvent} */ (event).detail), {
      signal: this.stopped,
    });
    const first = /** @type {EventListener} */ (
      (/** @type {CustomEvent} */ { detail }) => void this.#ask(room, detail)
    );
    this.addEventListener("place", first, { signal: this.stopped, once: true });
    show(this, h("h1", { class: "unseen" }, w.place), room, this.#next);
  }

  /** Whether places are drawn by lot its line says. @param {WaitingRoom} room @param {Place} place */
  async #ask(room, { queueId }) {
    const queue = await ask(`/v1/queues/${queueId}`, { signal: this.stopped }).catch(() => null);
    room.isDrawn = queue?.opening === "DRAW";
  }

  /** The place is the person's on this device, too, if it is theirs. @param {Place} place */
  #placed({ token, queueId, userId, status }) {
    if (person()?.userId === userId) remember(placeOf(queueId, userId), token);
    if (status !== "ACTIVE") return show(this.#next);
    const href = this.showId === null ? "/" : `/shows/${encodeURIComponent(this.showId)}`;
    show(this.#next, h("a", { class: "button main", href, "data-key": "next" }, w.toShows));
  }
}

customElements.define("show-page", ShowPage);
customElements.define("place-page", PlacePage);
