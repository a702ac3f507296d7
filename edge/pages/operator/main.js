// The pages of the box office.

import { entitle, h } from "../dom.js";
import { begin, link, route } from "../frame.js";
import { isSecured, person, signOut } from "../person.js";
import { signInForm } from "../signing.js";
import { w } from "../words.js";
import { AuditPage } from "./audit.js";
import { NowBoard } from "./board.js";
import { BooksPage } from "./books.js";
import { FindPage, PaymentPage, ReservationPage, UserPage } from "./find.js";
import { JournalPage } from "./journal.js";
import { LinePage, LinesPage } from "./lines.js";
import { isKnown, may, roles } from "./person.js";
import { NewShow } from "./planner.js";
import { ConcertPage, ConcertsPage } from "./shows.js";
import { TillPage } from "./till.js";
import { watch } from "./watch.js";
import { o, turn } from "./words.js";

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
  wallets: { roles: ["cashier"], name: () => o.wallets, make: () => new TillPage() },
  journal: { roles: ["operator"], name: () => o.journal, make: () => new JournalPage() },
  audit: { roles: ["operator"], name: () => o.audit, make: () => new AuditPage() },
};

/** What the menu offers the person: the words of pages that are for their roles. */
const offered = () =>
  isKnown() ? Object.keys(PAGES).filter((word) => PAGES[word]?.name && may(...PAGES[word].roles)) : [];

/** @param {string} word */
const addressOf = (word) => (word ? `/operator/${word}` : "/operator");

/** The words of the address. */
function here() {
  const [, , first = "", second = ""] = location.pathname.split("/");
  return { first, id: decodeURIComponent(second) };
}

/** The page of the address. @returns {Node} */
function pageOf() {
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
  // Whoever has nothing to do with the first page begins with the first that is for them.
  const [begins] = offered();
  if (here().first === "" && begins) history.replaceState(null, "", addressOf(begins));
  const { first, id } = here();
  const page = Object.hasOwn(PAGES, first) ? PAGES[first] : undefined;
  if (!page) {
    entitle("");
    return h("h1", null, w.noPage);
  }
  if (may(...page.roles)) return page.make(id);
  entitle(o.notForYou);
  return h(
    "div",
    null,
    h("h1", null, o.notForYou),
    h("p", null, o.needsRole(page.roles.join(", "))),
    begins !== undefined &&
      h("p", null, h("a", { class: "button", href: addressOf(begins) }, PAGES[begins]?.name?.())),
  );
}

/** @returns {Node} */
function signOutButton() {
  const onclick = () => {
    signOut();
    route();
  };
  return h(
    "button",
    { class: "small", "data-key": "signOut", onclick, title: person()?.userId },
    w.signOut,
  );
}

begin({
  brand: () => o.boxOffice,
  home: "/operator",
  isOurs: /^\/operator(\/|$)/,
  links: () =>
    offered().map((word) => link(addressOf(word), PAGES[word]?.name?.() ?? "", here().first === word)),
  more: () => isSecured && isKnown() && signOutButton(),
  footer: () =>
    isKnown() && (isSecured ? `${person()?.userId ?? ""} · ${roles().join(", ")}` : o.openHouse),
  pageOf,
  turn,
});
watch.begin();
