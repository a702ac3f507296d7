// Seats in words.

import { h } from "./dom.js";
import { money, w } from "./words.js";

/** @typedef {import("./types.js").Reservation} Reservation */

/** A seat as people call it. @param {{section: string, row: string, label: string | number}} seat */
export function seatName({ section, row, label }) {
  // Where people stand there are no rows; where there are no sections there are seats alone.
  const number = section && !row ? w.standing(label) : w.seat(label);
  return [section, row && w.rowOf(row), number].filter(Boolean).join(", ");
}

/**
 * The seats of a reservation as a list.
 * @param {Reservation} reservation
 * @param {import("./types.js").Priced} priced
 */
export const seatList = ({ seats }, priced) =>
  h(
    "ul",
    { class: "list" },
    seats.map((seat) =>
      h("li", null, h("span", { class: "grow" }, seatName(seat)), h("span", null, money(seat.price, priced))),
    ),
  );
