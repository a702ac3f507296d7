// The picture of the hall: seats on a canvas, to pan and to zoom. Thousands of seats are one path a colour,
// and what is outside of the window is left out.

import { h } from "./dom.js";
import { PITCH } from "./seating.js";
import { money, w } from "./words.js";

/** @typedef {import("./seating.js").Seating} Seating */
/** @typedef {"free" | "gone" | "mine"} State */

/** The side of a seat. */
const SEAT = 9;
/**
 * From this size on, in pixels of the screen, a finger hits the seat that it means, and the seat shows its
 * number.
 */
const TOUCHABLE = 20;
/** A finger that moves by less has touched one point. */
const SLIP = 6;

/** The picture of a hall. */
export class Picture {
  canvas = h("canvas", { role: "img", "aria-label": w.picture });
  /** The scale, and where the hall's corner is. */
  #view = { scale: 1, x: 0, y: 0 };
  #frame = 0;
  #size = { width: 0, height: 0 };

  /**
   * @param {Seating} seating
   * @param {import("./types.js").Priced} priced
   * @param {(seat: number) => State} state
   * @param {(seat: number, isClose: boolean) => void} touched the seat, and whether it was large
   * @param {AbortSignal} signal
   */
  constructor(seating, priced, state, touched, signal) {
    this.seating = seating;
    this.priced = priced;
    this.state = state;
    this.touched = touched;
    this.#listen(signal);
    const sizes = new ResizeObserver(() => this.#resized());
    sizes.observe(this.canvas);
    signal.addEventListener("abort", () => sizes.disconnect(), { once: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(), { signal });
  }

  #resized() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const isWider = width !== this.#size.width;
    this.#size = { width, height };
    // On a phone the height changes with each turn of the page, and must not move the picture.
    if (isWider) this.fit();
    else this.draw();
  }

  /** Shows the whole hall. */
  fit() {
    const { width, height } = this.#size;
    const [wide, deep] = [this.seating.width + 2 * PITCH, this.seating.height];
    const scale = Math.min(width / wide, height / deep, 3);
    const centred = (/** @type {number} */ room, /** @type {number} */ hall) => (room - hall * scale) / 2;
    this.#view = { scale, x: centred(width, this.seating.width), y: centred(height, this.seating.height) };
    this.draw();
  }

  /** Zooms about the middle. @param {number} factor */
  closer(factor) {
    this.#zoom(factor, this.#size.width / 2, this.#size.height / 2);
  }

  /** @param {number} factor @param {number} x @param {number} y */
  #zoom(factor, x, y) {
    const scale = Math.min(5, Math.max(0.02, this.#view.scale * factor));
    const by = scale / this.#view.scale;
    this.#view = { scale, x: x - (x - this.#view.x) * by, y: y - (y - this.#view.y) * by };
    this.draw();
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    const { canvas } = this;
    /** @type {Map<number, {x: number, y: number}>} */
    const fingers = new Map();
    let moved = 0;
    const on = /** @type {HTMLElement["addEventListener"]} */ (
      /** @param {string} name @param {any} work */ (name, work) =>
        canvas.addEventListener(name, work, { signal, passive: false })
    );
    on("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (fingers.size === 0) moved = 0;
      fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    });
    on("pointermove", (event) => {
      const from = fingers.get(event.pointerId);
      if (!from) return;
      const to = { x: event.offsetX, y: event.offsetY };
      moved += Math.abs(to.x - from.x) + Math.abs(to.y - from.y);
      fingers.set(event.pointerId, to);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (/** @type {{x: number, y: number}} */ at) =>
          Math.max(1, Math.hypot(at.x - other.x, at.y - other.y));
        this.#zoom(apart(to) / apart(from), (to.x + other.x) / 2, (to.y + other.y) / 2);
      } else if (moved > SLIP) {
        this.#view.x += to.x - from.x;
        this.#view.y += to.y - from.y;
        this.draw();
      }
    });
    on("pointerup", (event) => {
      fingers.delete(event.pointerId);
      if (moved <= SLIP && fingers.size === 0) this.#touch(event.offsetX, event.offsetY);
    });
    on("pointercancel", (event) => void fingers.delete(event.pointerId));
    on("wheel", (event) => {
      event.preventDefault();
      this.#zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    });
  }

  /** @param {number} px @param {number} py */
  #touch(px, py) {
    const { scale, x, y } = this.#view;
    const seat = this.seating.at({ x: (px - x) / scale, y: (py - y) / scale });
    const size = PITCH * scale;
    if (seat) this.touched(seat, size >= TOUCHABLE);
    if (size < TOUCHABLE) this.#zoom(Math.min(3, (1.2 * TOUCHABLE) / size), px, py);
  }

  /** Draws at the next frame, once however often it is asked for. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint() {
    const { canvas, seating } = this;
    const brush = canvas.getContext("2d");
    const { width, height } = this.#size;
    if (!brush || width === 0) return;
    const sharp = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * sharp), Math.round(height * sharp)];
    const { scale, x, y } = this.#view;
    brush.setTransform(sharp * scale, 0, 0, sharp * scale, x * sharp, y * sharp);
    this.#furniture(brush, scale);
    const window = {
      left: -x / scale - PITCH,
      top: -y / scale - PITCH,
      right: (width - x) / scale + PITCH,
      bottom: (height - y) / scale + PITCH,
    };
    /** @type {Record<State, Path2D>} */
    const paths = { gone: new Path2D(), free: new Path2D(), mine: new Path2D() };
    /** @type {number[]} */
    const named = [];
    for (let seat = 1; seat <= seating.count; seat += 1) {
      const [sx, sy] = [seating.x(seat), seating.y(seat)];
      if (sx < window.left || sx > window.right || sy < window.top || sy > window.bottom) continue;
      paths[this.state(seat)].rect(sx - SEAT / 2, sy - SEAT / 2, SEAT, SEAT);
      if (PITCH * scale >= TOUCHABLE) named.push(seat);
    }
    for (const state of /** @type {const} */ (["gone", "free", "mine"])) {
      brush.fillStyle = this.#colour(`--${state}`);
      brush.fill(paths[state]);
    }
    brush.font = "4px system-ui, sans-serif";
    brush.textBaseline = "middle";
    for (const seat of named) {
      brush.fillStyle = this.#colour(this.state(seat) === "gone" ? "--ink" : "--paper");
      brush.fillText(seating.name(seat).label, seating.x(seat), seating.y(seat));
    }
  }

  /** The stage, and the sections' names. @param {CanvasRenderingContext2D} brush @param {number} scale */
  #furniture(brush, scale) {
    const { width, sections, boxes, head } = this.seating;
    // Letters keep their size on the screen while one comes closer.
    const size = Math.min(head * 0.7, 13 / scale);
    brush.fillStyle = this.#colour("--hairline");
    brush.fillRect(width / 4, 0, width / 2, head * 1.4);
    brush.fillStyle = this.#colour("--ink");
    brush.textAlign = "center";
    brush.textBaseline = "middle";
    brush.font = `600 ${size}px system-ui, sans-serif`;
    brush.fillText(w.stage, width / 2, head * 0.7);
    sections.forEach((section, at) => {
      const box = boxes[at];
      if (!box || !section.name) return;
      const text = `${section.name} · ${money(section.price, this.priced)}`;
      const fits = Math.min(size, (box.width * 1.7) / text.length + 2);
      brush.font = `600 ${fits}px system-ui, sans-serif`;
      brush.fillText(text, box.x + box.width / 2, box.y + head / 2);
    });
  }

  /** The value of one of the sheet's colours in the scheme of the page. @param {string} name */
  #colour(name) {
    const value = getComputedStyle(this.canvas).getPropertyValue(name).trim();
    const pair = /^light-dark\((.+),\s*(.+)\)$/.exec(value);
    const chosen = matchMedia("(prefers-color-scheme: dark)").matches ? pair?.[2] : pair?.[1];
    return chosen ?? value;
  }
}
