// The journal of what operators and cashiers have done, each with what was before and what is now.

import { Part, h } from "../dom.js";
import { page } from "./forms.js";
import { PagedList } from "./paged.js";
import { table } from "./table.js";
import { called, o, second } from "./words.js";

/** @typedef {import("../types.js").Action} Action */

/** Members that change by themselves: nobody did anything to them. */
const MOVING = /^(waiting|active|registered|serving_ticket|lanes|places_per_minute|delay_reason|etag)\b/;

/** A list of actions. Set `of`, by which it is narrowed. */
export class ActionList extends PagedList {
  /** @type {{who?: string, what?: string, target?: string}} */
  of = {};
  /** @override */
  member = "actions";
  /** @override */
  most = 20;
  /** @override */
  each = "li.action";
  /** @override @param {Action[]} known */
  list = (known) =>
    known.length > 0
      ? h("ol", { class: "list" }, known.map(line))
      : h("p", { class: "faint" }, o.noActions);

  /** @override */
  async begin() {
    this.path = `/v1/operator/journal?${new URLSearchParams(this.of)}`;
    await super.begin();
  }
}

/** @param {Action} action */
function line({ who, role, what, target, before, after, outcome, reason, createdAt }) {
  const changed = outcome === "DONE" ? different(flat(before), flat(after)) : [];
  const by = role ? `${who} (${role})` : who;
  return h(
    "li",
    { class: "action" },
    h(
      "div",
      { class: "grow" },
      h("span", { class: "name" }, called(o.actions, what)),
      target && [" ", h("code", null, target)],
      h("div", { class: "faint" }, `${second(createdAt)} · ${by}`),
    ),
    h(
      "span",
      { class: outcome === "DONE" ? "tag" : "tag bad" },
      o.outcomes[outcome],
      reason && `: ${reason}`,
    ),
    changed.length > 0 &&
      h(
        "details",
        { class: "whole" },
        h("summary", null, o.changes(changed.length)),
        table(
          o.whatChanged,
          [[o.what], [o.before], [o.after]],
          changed.map(([path, was, is]) => [h("code", null, path), h("del", null, was), h("ins", null, is)]),
        ),
      ),
  );
}

/** The members of a document by their paths. @param {unknown} value @param {string} [path] */
function flat(value, path = "") {
  /** @type {Map<string, string>} */
  const all = new Map();
  if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value))
      for (const [deeper, text] of flat(inner, path ? `${path}.${name}` : name)) all.set(deeper, text);
  } else if (value !== null && value !== undefined && path) {
    all.set(path, String(value));
  }
  return all;
}

/**
 * @param {Map<string, string>} before
 * @param {Map<string, string>} after
 * @returns {[string, string, string][]} each path with what was and what is there
 */
export function different(before, after) {
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter((path) => !MOVING.test(path));
  return paths
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => [path, before.get(path) ?? o.nothing, after.get(path) ?? o.nothing]);
}

/** The page of the journal. */
export class JournalPage extends Part {
  /** @override */
  begin() {
    const list = new ActionList();
    const given = new URLSearchParams(location.search);
    const of = (/** @type {string} */ name) => given.get(name) ?? "";
    list.of = { who: of("who"), what: of("what"), target: of("target") };
    const names = Object.keys(o.actions);
    const onsubmit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
      const text = (/** @type {string} */ name) => String(form.get(name) ?? "").trim();
      list.of = { who: text("who"), what: text("what"), target: text("target") };
      history.replaceState(null, "", `/operator/journal?${new URLSearchParams(list.of)}`);
      void list.begin();
    };
    const options = ["", ...names].map((name) =>
      h(
        "option",
        { value: name, selected: name === of("what") },
        name ? called(o.actions, name) : o.everything,
      ),
    );
    page(
      this,
      o.journal,
      h("p", { class: "prose" }, o.journalIs),
      h(
        "form",
        { class: "row", onsubmit },
        h(
          "label",
          null,
          o.who,
          h("input", { name: "who", "data-key": "who", value: of("who"), maxlength: 64 }),
        ),
        h("label", null, o.what, h("select", { name: "what", "data-key": "what" }, options)),
        h(
          "label",
          null,
          o.target,
          h("input", { name: "target", "data-key": "target", value: of("target"), maxlength: 64 }),
        ),
        h("button", { "data-key": "narrow" }, o.narrow),
      ),
      list,
    );
  }
}

customElements.define("action-list", ActionList);
customElements.define("journal-page", JournalPage);
