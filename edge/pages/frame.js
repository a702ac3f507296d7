// What stands around every page, and how one gets from one page to the other: for the on-sale and for the box
// office alike.

import { Part, h, show } from "./dom.js";
import { takeOver } from "./person.js";
import { language, w } from "./words.js";

/** @typedef {import("./dom.js").Child} Child */
/**
 * One of the two: its name and its first address, which addresses are its own, what its menu offers, what
 * stands below, and the page of the address. `turn` changes the language.
 * @typedef {{brand: () => string, home: string, isOurs: RegExp, links: () => Child[],
 *   more?: () => Child, footer: () => Child | Child[], pageOf: () => Node, turn: () => void}} Face
 */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {Face} */
let face;

/** A link of the menu. @param {string} href @param {string} name @param {boolean} isHere */
export const link = (href, name, isHere) =>
  h("a", { href, "aria-current": isHere && "page", "data-key": `to-${href.split("/").at(-1)}` }, name);

/** What stands above every page. */
class PageMenu extends Part {
  /** @override */
  begin() {
    const onclick = () => {
      face.turn();
      route();
    };
    const other = {
      class: "small",
      "data-key": "language",
      lang: language === "ko" ? "en" : "ko",
      onclick,
    };
    show(
      this,
      h("a", { class: "jump", href: "#main" }, w.skip),
      h(
        "nav",
        { "aria-label": w.navigation },
        h("a", { class: "brand", href: face.home, "data-key": "brand" }, face.brand()),
        face.links(),
        h("button", other, w.language),
        face.more?.(),
      ),
    );
  }
}

/** What stands below every page. */
class PageFooter extends Part {
  /** @override */
  begin() {
    show(this, h("p", null, `${w.footer} `, face.footer()));
  }
}

/** Shows the page of the address. */
export function route() {
  const page = face.pageOf();
  for (const part of document.querySelectorAll("page-menu, page-footer"))
    if (part instanceof Part) part.begin();
  show(main, page);
}

/** Goes to another page. @param {string} path */
export function go(path) {
  history.pushState(null, "", path);
  route();
  scrollTo(0, 0);
  main.focus();
}

/** Begins with the page of the address. @param {Face} of */
export function begin(of) {
  face = of;
  document.addEventListener("click", (event) => {
    const to = event.target instanceof Element ? event.target.closest("a") : null;
    const plain =
      event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!to || !plain || to.origin !== location.origin || to.hash || !face.isOurs.test(to.pathname)) return;
    event.preventDefault();
    go(to.href);
  });
  addEventListener("popstate", route);
  takeOver();
  customElements.define("page-menu", PageMenu);
  customElements.define("page-footer", PageFooter);
  route();
}
