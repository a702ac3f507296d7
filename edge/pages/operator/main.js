// The box office: its pages, and how one gets from one to the other.

import { Part, entitle, h, show } from "../dom.js";
import { isSecured, person, signOut, takeOver } from "../person.js";
import { signInForm } from "../signing.js";
import { language, w } from "../words.js";
import { AuditPage } from "./audit.js";
import { NowBoard } from "./board.js";
import { BooksPage } from "./books.js";
import { FindPage, PaymentPage, ReservationPage, UserPage } from "./find.js";
import { JournalPage } from "./journal.js";
import { LinePage, LinesPage } from "./lines.js";
import { isKnown, may, roles } from "./person.js";
import { NewShow } from "./planner.js";
import { ConcertPage, ConcertsPage } from "./shows.js";
import { watch } from "./watch.js";
import { o, turn } from "./words.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

/**
 * The pages by the word after `/operator/`: who they are for, what they are called in the menu, and what
 * shows them.
 * @type {Record<string, {roles: string[], name?: () => string, make: (id: string) => Node}>}
 */
const PAGES = {
  "": { roles: ["operator"], name: () => o.now, make: () => new NowBoard() },
  lines: {
    roles: ["operator"],
    name: () => o.lines,
    make: (id) => (id ? Object.assign(new LinePage(), { queueId: id }) : new LinesPage()),
  },
  shows: {
    roles: ["operator"],
    name: () => o.shows,
    make: (id) => (id ? Object.assign(new BooksPage(), { showId: id }) : new ConcertsPage()),
  },
  concerts: { roles: ["operator"], make: (id) => Object.assign(new ConcertPage(), { concertId: id }) },
  "new-show": { roles: ["operator"], make: (id) => Object.assign(new NewShow(), { concertId: id }) },
  find: { roles: ["operator", "support"], name: () => o.find, make: () => new FindPage() },
  users: { roles: ["operator", "support"], make: (id) => Object.assign(new UserPage(), { userId: id }) },
  reservations: {
    roles: ["operator", "support"],
    make: (id) => Object.assign(new ReservationPage(), { reservationId: id }),
  },
  payments: {
    roles: ["operator", "support"],
    make: (id) => Object.assign(new PaymentPage(), { paymentId: id }),
  },
  journal: { roles: ["operator"], name: () => o.journal, make: () => new JournalPage() },
  audit: { roles: ["operator"], name: () => o.audit, make: () => new AuditPage() },
};

/** What stands above every page. */
class PageMenu extends Part {
  /** @override */
  begin() {
    const [, , here = ""] = location.pathname.split("/");
    const link = (/** @type {string} */ path) => {
      const { name, roles } = PAGES[path] ?? { roles: [] };
      if (!name || !may(...roles)) return null;
      return h(
        "a",
        {
          href: path ? `/operator/${path}` : "/operator",
          "aria-current": here === path && "page",
          "data-key": `to-${path}`,
        },
        name(),
      );
    };
    const switched = () => {
      turn();
      route();
    };
    const out = () => {
      signOut();
      route();
    };
    const other = {
      class: "small",
      "data-key": "language",
      lang: language === "ko" ? "en" : "ko",
      onclick: switched,
    };
    show(
      this,
      h("a", { class: "jump", href: "#main" }, w.skip),
      h(
        "nav",
        { "aria-label": w.navigation },
        h("a", { class: "brand", href: "/operator", "data-key": "brand" }, o.boxOffice),
        isKnown() && Object.keys(PAGES).map(link),
        h("button", other, w.language),
        isSecured &&
          isKnown() &&
          h(
            "button",
            { class: "small", "data-key": "signOut", onclick: out, title: person()?.userId },
            w.signOut,
          ),
      ),
    );
  }
}

/** What stands below every page. */
class PageFooter extends Part {
  /** @override */
  begin() {
    const as = isSecured ? `${person()?.userId ?? ""} · ${roles().join(", ")}` : o.openHouse;
    show(this, h("p", null, `${w.footer} `, isKnown() && as));
  }
}

/** The page of the address. @returns {Node} */
function pageOf() {
  const [, , first = "", second = ""] = location.pathname.split("/");
  const page = Object.hasOwn(PAGES, first) ? PAGES[first] : undefined;
  if (!isKnown()) {
    entitle(w.signIn);
    return h(
      "div",
      null,
      h("h1", null, w.signIn),
      h("p", { class: "prose" }, o.howToSignIn),
      h("pre", null, "boxoffice token --user olga --role operator"),
      signInForm(route),
    );
  }
  if (!page) {
    entitle("");
    return h("h1", null, w.noPage);
  }
  if (may(...page.roles)) return page.make(decodeURIComponent(second));
  // Whoever may do something else here is led to it.
  const other = Object.entries(PAGES).find(([, { roles, name }]) => name && may(...roles));
  entitle(o.notForYou);
  return h(
    "div",
    null,
    h("h1", null, o.notForYou),
    h("p", null, o.needsRole(page.roles.join(", "))),
    other && h("p", null, h("a", { href: `/operator/${other[0]}` }, other[1].name?.())),
  );
}

/** Shows the page of the address. */
function route() {
  for (const part of document.querySelectorAll("page-menu, page-footer"))
    if (part instanceof Part) part.begin();
  show(main, pageOf());
  watch.begin();
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || link.hash) return;
  if (!/^\/operator(\/|$)/.test(link.pathname)) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  route();
  scrollTo(0, 0);
  main.focus();
});
addEventListener("popstate", route);
document.addEventListener("go", (event) => {
  history.pushState(null, "", /** @type {CustomEvent} */ (event).detail);
  route();
  scrollTo(0, 0);
  main.focus();
});

takeOver();
customElements.define("page-menu", PageMenu);
customElements.define("page-footer", PageFooter);
route();
