// The hall as data: its plan, and where each seat is in the picture. Nothing here touches the page.

/** @typedef {import("./types.js").Plan} Plan */
/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Section} Section */
/** @typedef {{x: number, y: number}} Point */

/** The distance from seat to seat in the picture. */
export const PITCH = 12;
/** The space between two sections. */
const GAP = 36;

/** A plan, with what is asked of it again and again. */
export class Seating {
  /** @param {Plan} plan */
  constructor(plan) {
    this.sections = plan.sections.map((section) => ({ ...section, rows: lines(section) }));
    this.count = Math.max(0, ...this.sections.map(({ lastSeat }) => lastSeat));
    /** The place of seat `n` in the picture, two numbers each. */
    this.places = new Float32Array(this.count * 2);
    /** Where each section is. @type {{x: number, y: number, width: number, height: number}[]} */
    this.boxes = [];
    this.width = 0;
    this.height = 0;
    /** The room for the name of a section. */
    this.head = 0;
    this.#lay();
  }

  /** Sections from left to right, and on the next line when a line is full; the rows of each are centred. */
  #lay() {
    const sizes = this.sections.map(({ rows }) => {
      return { width: Math.max(1, ...rows.map(many)) * PITCH, height: rows.length * PITCH };
    });
    const size = (/** @type {number} */ at) => sizes[at] ?? { width: 0, height: 0 };
    const area = sizes.reduce((sum, { width, height }) => sum + (width + GAP) * (height + GAP), 0);
    this.width = Math.max(0, ...sizes.map(({ width }) => width), Math.sqrt(area) * 1.3);
    // The larger the hall, the smaller it is shown, and the larger its letters have to be.
    this.head = Math.max(PITCH * 1.5, this.width / 32);
    let y = this.head * 2.5;
    for (const line of filled(sizes, this.width)) {
      let x = (this.width - line.reduce((sum, at) => sum + size(at).width + GAP, -GAP)) / 2;
      for (const at of line) {
        const { width, height } = size(at);
        this.boxes[at] = { x, y, width, height: height + this.head };
        this.#seat(at, x, y + this.head, width);
        x += width + GAP;
      }
      y += Math.max(...line.map((at) => size(at).height)) + this.head + GAP;
    }
    this.height = y;
  }

  /** @param {number} at @param {number} x @param {number} y @param {number} width */
  #seat(at, x, y, width) {
    this.sections[at]?.rows.forEach((row, line) => {
      const left = x + (width - (many(row) - 1) * PITCH) / 2;
      for (let nth = 0; nth < many(row); nth += 1) {
        this.places[(row.firstSeat + nth - 1) * 2] = left + nth * PITCH;
        this.places[(row.firstSeat + nth - 1) * 2 + 1] = y + PITCH / 2 + line * PITCH;
      }
    });
  }

  /** The seat at a point of the picture; 0 for none. @param {Point} point */
  at({ x, y }) {
    const section = this.sections[this.boxes.findIndex((box) => isIn(box, x, y))];
    let [found, nearest] = [0, (PITCH * 0.75) ** 2];
    for (let seat = section?.firstSeat ?? 1; section && seat <= section.lastSeat; seat += 1) {
      const distance = (this.x(seat) - x) ** 2 + (this.y(seat) - y) ** 2;
      if (distance < nearest) [found, nearest] = [seat, distance];
    }
    return found;
  }

  /** @param {number} seat */
  x(seat) {
    return this.places[(seat - 1) * 2] ?? 0;
  }

  /** @param {number} seat */
  y(seat) {
    return this.places[(seat - 1) * 2 + 1] ?? 0;
  }

  /** @param {number} seat @returns {number} the section's index, and 0 for what is in none */
  sectionOf(seat) {
    return Math.max(
      0,
      this.sections.findIndex((section) => holds(section, seat)),
    );
  }

  /** @param {number} seat */
  priceOf(seat) {
    return this.sections[this.sectionOf(seat)]?.price ?? 0;
  }

  /**
   * What a seat is called: its section, row and number, as far as it has them.
   * @param {number} seat
   */
  name(seat) {
    const section = this.sections[this.sectionOf(seat)];
    const row = section?.rows.find((one) => holds(one, seat));
    const label = String(row ? row.firstLabel + seat - row.firstSeat : seat);
    return { section: section?.name ?? "", row: row?.name ?? "", label };
  }
}

/** Puts sections on lines. @param {{width: number}[]} sizes @param {number} wide */
function filled(sizes, wide) {
  /** @type {number[][]} */
  const lines = [];
  let used = Number.POSITIVE_INFINITY;
  sizes.forEach(({ width }, at) => {
    if (used + width > wide) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)?.push(at);
    used += width + GAP;
  });
  return lines;
}

/** @param {{firstSeat: number, lastSeat: number}} of */
export const many = ({ firstSeat, lastSeat }) => lastSeat - firstSeat + 1;

/** @param {{firstSeat: number, lastSeat: number}} of @param {number} seat */
const holds = ({ firstSeat, lastSeat }, seat) => seat >= firstSeat && seat <= lastSeat;

/** @param {{x: number, y: number, width: number, height: number}} box @param {number} x @param {number} y */
const isIn = (box, x, y) =>
  x >= box.x - PITCH && x <= box.x + box.width + PITCH && y >= box.y && y <= box.y + box.height + PITCH;

/**
 * The rows of a section as the picture shows them. Where there are none, as in standing room or in a hall
 * without a plan, they are made up: a little wider than deep.
 * @param {Section} section
 * @returns {Row[]}
 */
function lines({ rows, firstSeat, lastSeat }) {
  const [only, ...more] = rows;
  if (only && (more.length > 0 || only.name)) return rows;
  const whole = only ?? { name: "", firstSeat, lastSeat, firstLabel: 1 };
  return broken(whole, Math.max(10, Math.ceil(Math.sqrt(many(whole) * 2.5))));
}

/** A row in parts that are no longer than this. @param {Row} row @param {number} longest @returns {Row[]} */
export function broken(row, longest) {
  const parts = Math.ceil(many(row) / longest);
  const each = Math.ceil(many(row) / parts);
  return Array.from({ length: parts }, (_, nth) => ({
    name: row.name,
    firstSeat: row.firstSeat + nth * each,
    lastSeat: Math.min(row.lastSeat, row.firstSeat + (nth + 1) * each - 1),
    firstLabel: row.firstLabel + nth * each,
  })).filter((part) => part.lastSeat >= part.firstSeat);
}
