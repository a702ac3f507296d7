// Tables that read well on a phone, too: what is wider than the window moves by itself.

import { h } from "../dom.js";

/** @typedef {import("../dom.js").Child} Child */

/**
 * @param {string} name what it shows
 * @param {[string, boolean?][]} columns what each is called, and whether it holds numbers
 * @param {(Child | Child[])[][]} rows a cell for each column
 */
export function table(name, columns, rows) {
  const shape = (/** @type {number} */ at) => ({ class: columns[at]?.[1] && "end" });
  const heads = columns.map(([name], at) => h("th", { scope: "col", ...shape(at) }, name));
  const line = (/** @type {(Child | Child[])[]} */ cells) =>
    h(
      "tr",
      null,
      cells.map((cell, at) => h("td", shape(at), cell)),
    );
  return h(
    "div",
    // A keyboard moves it, too.
    { class: "scrolled", role: "region", "aria-label": name, tabindex: 0 },
    h(
      "table",
      null,
      h("caption", null, name),
      h("thead", null, h("tr", null, heads)),
      h("tbody", null, rows.map(line)),
    ),
  );
}
