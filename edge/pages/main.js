// The pages of the on-sale.

import { entitle, h } from "./dom.js";
import { begin, link } from "./frame.js";
import { MyPage } from "./mine.js";
import { isSecured } from "./person.js";
import { OnSale } from "./sale.js";
import { PlacePage, ShowPage } from "./show.js";
import { switchLanguage, w } from "./words.js";

/** The page of an address. @returns {Node} */
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

begin({
  brand: () => "boxoffice",
  home: "/",
  isOurs: /^\/($|me$|shows\/|line\/)/,
  links: () => [
    link("/", w.onSale, location.pathname === "/"),
    link("/me", w.mine, location.pathname === "/me"),
  ],
  footer: () => !isSecured && h("a", { href: "/docs/" }, w.docs),
  pageOf,
  turn: switchLanguage,
});
