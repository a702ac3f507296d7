// The pages of the on-sale, and how one gets from one to the other.

import { Part, entitle, h, show } from "./dom.js";
import { MyPage } from "./mine.js";
import { isSecured, takeOver } from "./person.js";
import { OnSale } from "./sale.js";
import { PlacePage, ShowPage } from "./show.js";
import { language, switchLanguage, w } from "./words.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

/** What stands above every page. */
class PageMenu extends Part {
  /** @override */
  begin() {
    const here = (/** @type {string} */ path) => location.pathname === path && "page";
    const link = (/** @type {string} */ path, /** @type {string} */ name) =>
      h("a", { href: path, "aria-current": here(path), "data-key": path }, name);
    const turn = () => {
      switchLanguage();
      route();
    };
    const other = {
      class: "small",
      "data-key": "language",
      lang: language === "ko" ? "en" : "ko",
      onclick: turn,
    };
    show(
      this,
      h("a", { class: "jump", href: "#main" }, w.skip),
      h(
        "nav",
        { "aria-label": w.navigation },
        h("a", { class: "brand", href: "/", "data-key": "brand" }, "boxoffice"),
        link("/", w.onSale),
        link("/me", w.mine),
        h("button", other, w.language),
      ),
    );
  }
}

/** What stands below every page. */
class PageFooter extends Part {
  /** @override */
  begin() {
    show(this, h("p", null, `${w.footer} `, !isSecured && h("a", { href: "/docs/" }, w.docs)));
  }
}

/** The page of an address. @returns {Part | Node} */
function pageOf() {
  const [, first = "", second = ""] = location.pathname.split("/");
  if (first === "") return new OnSale();
  if (first === "me") return new MyPage();
  if (first === "shows") return Object.assign(new ShowPage(), { showId: decodeURIComponent(second) });
  if (first === "line") {
    const showId = new URLSearchParams(location.search).get("show");
    return Object.assign(new PlacePage(), { token: decodeURIComponent(second), showId });
  }
  entitle("");
  return h("h1", null, w.noPage);
}

/** Shows the page of the address. */
function route() {
  for (const part of document.querySelectorAll("page-menu, page-footer"))
    if (part instanceof Part) part.begin();
  show(main, pageOf());
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || link.hash) return;
  if (!/^\/($|me$|shows\/|line\/)/.test(link.pathname)) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  route();
  scrollTo(0, 0);
  main.focus();
});
addEventListener("popstate", route);

takeOver();
customElements.define("page-menu", PageMenu);
customElements.define("page-footer", PageFooter);
route();
