// The picture of the hall: seats on a canvas, to pan and to zoom. Drawing thousands of seats takes longer
// than a frame lasts on a small machine. So they are drawn onto a sheet that nobody sees, a little larger
// than the window; while the picture moves the sheet is moved and stretched, and drawn anew when it comes to
// rest.

import { h } from "./dom.js";
import { PITCH } from "./seating.js";
import { money, w } from "./words.js";

/** @typedef {import("./seating.js").Seating} Seating */
/** @typedef {"free" | "gone" | "mine"} State */
/**
 * Which part of the hall a sheet shows, at which scale, and with how many pixels a unit of the window.
 * @typedef {{scale: number, sharp: number, left: number, top: number, right: number, bottom: number}} Sheet
 */

/** The side of a seat. */
const SEAT = 9;
/**
 * From this size on, in pixels of the screen, a finger hits the seat that it means, and the seat shows its
 * number.
 */
const TOUCHABLE = 20;
/** A finger that moves by less has touched one point. */
const SLIP = 6;
/** How far the sheet reaches beyond the window on each side, in parts of the window. */
const MARGIN = 0.25;
/** How long nothing moves until the picture is at rest, in milliseconds. */
const REST = 120;
/** As far as this the sheet is stretched before it is drawn anew. */
const STRETCH = 2;

/** The picture of a hall. */
export class Picture {
  canvas = h("canvas", { role: "img", "aria-label": w.picture });
  /** The scale, and where the hall's corner is. */
  #view = { scale: 1, x: 0, y: 0 };
  #frame = 0;
  #size = { width: 0, height: 0 };
  #sheet = document.createElement("canvas");
  /** What the sheet shows; `null` when it is to be drawn. @type {Sheet | null} */
  #drawn = null;
  #rest = 0;
  #isStale = false;

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
    this.#move();
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
        this.#move();
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

  /** Draws what may have changed at the next frame, once however often it is asked for. */
  draw() {
    // While it moves, what it shows may be a moment old: a movement is not to stop for it.
    this.#isStale = this.#rest !== 0 && this.#drawn !== null;
    if (this.#isStale) return;
    this.#drawn = null;
    this.#ask();
  }

  /** Shows another part of the hall at the next frame. */
  #move() {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#settle(), REST);
    this.#ask();
  }

  /** At rest it is sharp, and there is some more around it for the next movement. */
  #settle() {
    this.#rest = 0;
    const sheet = this.#drawn;
    if (this.#isStale || sheet?.scale !== this.#view.scale || !this.#reaches(sheet, MARGIN / 2)) this.draw();
  }

  #ask() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint() {
    const brush = this.canvas.getContext("2d");
    const { width, height } = this.#size;
    if (!brush || width === 0) return;
    const { scale, x, y } = this.#view;
    const sharp = devicePixelRatio;
    if (!this.#drawn || !this.#reaches(this.#drawn, 0)) this.#drawn = this.#drawSheet();
    const { scale: was, left, top } = this.#drawn;
    sized(this.canvas, width * sharp, height * sharp);
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const by = scale / was;
    const [at, down] = [(x + left * scale) * sharp, (y + top * scale) * sharp];
    // At rest a pixel of the sheet is one of the window.
    if (by === 1) brush.drawImage(this.#sheet, Math.round(at), Math.round(down));
    else brush.drawImage(this.#sheet, at, down, this.#sheet.width * by, this.#sheet.height * by);
  }

  /** What of the hall is in the window, and as much more on each side. @param {number} margin */
  #window(margin) {
    const { scale, x, y } = this.#view;
    const { width, height } = this.#size;
    return {
      left: (-x - width * margin) / scale,
      top: (-y - height * margin) / scale,
      right: (width - x + width * margin) / scale,
      bottom: (height - y + height * margin) / scale,
    };
  }

  /**
   * Whether a sheet has all that is to be seen, and so much around it.
   * @param {Sheet} sheet
   * @param {number} margin
   */
  #reaches({ scale, sharp, left, top, right, bottom }, margin) {
    const by = this.#view.scale / scale;
    if (by > STRETCH || by < 1 / STRETCH || sharp !== devicePixelRatio) return false;
    const seen = this.#window(margin);
    const { width, height } = this.seating;
    return (
      left <= Math.max(seen.left, -PITCH) &&
      top <= Math.max(seen.top, -PITCH) &&
      right >= Math.min(seen.right, width + PITCH) &&
      bottom >= Math.min(seen.bottom, height + PITCH)
    );
  }

  /** @returns {Sheet} */
  #drawSheet() {
    const { seating } = this;
    const { scale } = this.#view;
    const sharp = devicePixelRatio;
    const [whole, window] = [scale * sharp, this.#window(MARGIN)];
    const { left, top, right, bottom } = window;
    sized(this.#sheet, (right - left) * whole, (bottom - top) * whole);
    const brush = this.#sheet.getContext("2d");
    if (!brush) return { ...window, scale, sharp };
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, this.#sheet.width, this.#sheet.height);
    brush.setTransform(whole, 0, 0, whole, -left * whole, -top * whole);
    this.#furniture(brush, scale);
    /** @type {Record<State, number[]>} */
    const seats = { gone: [], free: [], mine: [] };
    for (let seat = 1; seat <= seating.count; seat += 1) {
      const [x, y] = [seating.x(seat), seating.y(seat)];
      const isSeen =
        x > left - PITCH && x < right + PITCH && y > top - PITCH && y < bottom + PITCH;
      if (isSeen) seats[this.state(seat)].push(seat);
    }
    const hasNumbers = PITCH * scale >= TOUCHABLE;
    brush.font = "4px system-ui, sans-serif";
    brush.textBaseline = "middle";
    for (const state of /** @type {const} */ (["gone", "free", "mine"])) {
      brush.fillStyle = this.#colour(`--${state}`);
      for (const seat of seats[state])
        brush.fillRect(seating.x(seat) - SEAT / 2, seating.y(seat) - SEAT / 2, SEAT, SEAT);
      if (!hasNumbers) continue;
      brush.fillStyle = this.#colour(state === "gone" ? "--ink" : "--paper");
      for (const seat of seats[state])
        brush.fillText(seating.name(seat).label, seating.x(seat), seating.y(seat));
    }
    return { ...window, scale, sharp };
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

/**
 * Gives a canvas a size in pixels, unless it has it: that would clear it, and take its time.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function sized(canvas, width, height) {
  const [wide, high] = [Math.round(width), Math.round(height)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
}
