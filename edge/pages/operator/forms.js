// Changing something: a form that says what would be different, asks, and then does it; and a button that
// asks before it acts.

import { Part, entitle, focusOn, h, say, show } from "../dom.js";
import { w } from "../words.js";
import { table } from "./table.js";
import { o, told } from "./words.js";

/**
 * One value of a form: what it is called, what it is now, and what it may be. `time` is an instant, written
 * by the clock of a place; `money` is in minor units, written in major ones.
 * @typedef {{name: string, label: string, kind: "text" | "area" | "number" | "money" | "time" | "choice",
 *   value: any, required?: boolean, min?: number, max?: number, pattern?: string, hint?: string,
 *   options?: [string, string][], timeZone?: string, exponent?: number}} Field
 */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

/** @param {Field} field @returns {string} its value as its control has it */
export function written({ kind, value, timeZone = "UTC", exponent = 0 }) {
  if (value === null || value === undefined) return "";
  if (kind === "time") return clockOf(Date.parse(value), timeZone);
  return kind === "money" ? (value / 10 ** exponent).toFixed(exponent) : String(value);
}

/** @param {Field} field @param {string} text @returns {any} the value that a control means */
export function meant({ kind, timeZone = "UTC", exponent = 0 }, text) {
  if (kind === "text" || kind === "area" || kind === "choice") return text;
  if (text === "") return null;
  if (kind === "time") return new Date(instantOf(text, timeZone)).toISOString();
  return kind === "money" ? Math.round(Number(text) * 10 ** exponent) : Number(text);
}

/**
 * An instant by the clock of a place, as `datetime-local` writes it.
 * @param {number} at
 * @param {string} timeZone
 */
export function clockOf(at, timeZone) {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  }).formatToParts(at);
  const part = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
}

/** The instant at which the clock of a place shows this. @param {string} clock @param {string} timeZone */
export function instantOf(clock, timeZone) {
  const wanted = Date.parse(`${clock}Z`);
  let at = wanted;
  // The second time the offset is that of the instant itself, also where clocks were put forward in between.
  for (let nth = 0; nth < 2; nth += 1) at -= Date.parse(`${clockOf(at, timeZone)}Z`) - wanted;
  return at;
}

/** What a person reads of a value. @param {Field} field @param {string} text as its control has it */
function readable({ kind, options, timeZone }, text) {
  if (text === "") return o.nothing;
  if (kind === "choice") return options?.find(([value]) => value === text)?.[1] ?? text;
  if (kind === "time") return `${text.replace("T", " ")} (${timeZone ?? "UTC"})`;
  return text;
}

/** A control with its label. @param {Field} field */
export function labelled(field) {
  const { name, label, kind, required, min, max, pattern, hint, options, exponent = 0 } = field;
  const shared = { name, "data-key": name, required: required ?? false };
  const text = written(field);
  /** @type {Control} */
  let control;
  if (kind === "choice") {
    const all = (options ?? []).map(([value, name]) =>
      h("option", { value, selected: value === text }, name),
    );
    control = h("select", shared, all);
  } else if (kind === "area") {
    control = h("textarea", { ...shared, rows: 3, maxlength: max }, text);
  } else {
    const type = { text: "text", number: "number", money: "number", time: "datetime-local" }[kind];
    const step = kind === "money" ? 10 ** -exponent : null;
    const bounds = kind === "text" ? { maxlength: max } : { min, max, step };
    control = h("input", { ...shared, type, ...bounds, pattern, value: text, autocomplete: "off" });
  }
  const about = hint ? `${name}-hint` : null;
  if (about) control.setAttribute("aria-describedby", about);
  return h(
    "div",
    { class: "field" },
    h("label", null, label, control),
    hint && h("p", { class: "faint hint", id: about }, hint),
  );
}

/** What is different, as a table. @param {[string, string, string][]} changes */
export const differences = (changes) =>
  table(
    o.thisChanges,
    [[o.what], [o.before], [o.after]],
    changes.map(([what, before, after]) => [what, h("del", null, before), h("ins", null, after)]),
  );

/**
 * A form for something that is there. Set `fields` and `save`, which is given what is different by name, and
 * `done` for afterwards. Set `read` where others may change the same and nothing refuses the slower one: what
 * is written is then compared with what is there when it asks, and once more before it saves.
 */
export class ChangeForm extends Part {
  /** @type {Field[]} */
  fields = [];
  /** Reads the fields as they are now. @type {(() => Promise<Field[]>) | null} */
  read = null;
  /** @type {(changes: Record<string, any>) => Promise<unknown>} */
  save = async () => {};
  /** @type {() => unknown} */
  done = () => {};
  #form = h("form");
  #next = h("div", { class: "next" });

  /** @override */
  begin() {
    const onsubmit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void this.#preview();
    };
    this.#form = h(
      "form",
      { onsubmit },
      h("div", { class: "fields" }, this.fields.map(labelled)),
      h("div", { class: "row" }, h("button", { "data-key": "preview" }, o.preview)),
    );
    // What was previewed is no longer what would be done.
    this.#form.oninput = () => show(this.#next);
    this.replaceChildren(this.#form, this.#next);
  }

  /** @param {string} name */
  #control(name) {
    return /** @type {Control} */ (this.#form.elements.namedItem(name));
  }

  /** Takes over what others have changed, save where something else was written into the form. */
  async #renew() {
    if (!this.read) return;
    const fresh = await this.read();
    for (const known of this.fields) {
      const field = fresh.find(({ name }) => name === known.name);
      const control = this.#control(known.name);
      if (field && control.value === written(known)) control.value = written(field);
    }
    this.fields = fresh;
  }

  /** @returns {{field: Field, before: string, after: string}[]} */
  #changes() {
    return this.fields
      .map((field) => ({ field, before: written(field), after: this.#control(field.name).value }))
      .filter(({ before, after }) => before !== after);
  }

  /** What is different in words: what, before, after. @returns {[string, string, string][]} */
  #shown() {
    return this.#changes().map(({ field, before, after }) => [
      field.label,
      readable(field, before),
      readable(field, after),
    ]);
  }

  async #preview() {
    try {
      await this.#renew();
    } catch (error) {
      if (!this.stopped.aborted)
        show(this.#next, h("p", { class: "notice bad", role: "alert" }, told(error)));
      return;
    }
    this.#ask();
  }

  /** @param {string} [why] it is asked once more */
  #ask(why = "") {
    const shown = this.#shown();
    const back = () => {
      show(this.#next);
      this.#form.querySelector("button")?.focus();
    };
    if (shown.length === 0) {
      if (why) back();
      return show(this.#next, h("p", { class: "notice", role: "status" }, o.nothingChanged));
    }
    const values = this.#changes().map(({ field, after }) => [field.name, meant(field, after)]);
    const run = async () => {
      await this.#renew();
      // Meanwhile the person may have gone back, or written something else.
      if (!content.isConnected) return false;
      if (String(this.#shown()) === String(shown)) return this.save(Object.fromEntries(values));
      this.#ask(o.changedMeanwhile);
      return false;
    };
    const content = h("div", null, why && h("p", { class: "notice" }, why), differences(shown));
    this.#next.replaceChildren(
      asked(o.thisChanges, content, { run, done: this.done, back, signal: this.stopped }),
    );
    focusOn(this.#next.querySelector("h3"));
    if (why) say(why);
  }
}

/**
 * A question with what would happen, and two buttons. Where `run` comes to `false`, it has asked another
 * question in place of this one.
 * @param {string} title
 * @param {Node} content
 * @param {{run: () => Promise<unknown>, done: () => unknown, back: () => void, signal: AbortSignal,
 *   level?: "h2" | "h3"}} how
 */
function asked(title, content, { run, done, back, signal, level = "h3" }) {
  const wrong = h("div", { role: "alert" });
  const sure = h("button", { class: "main", "data-key": "confirm" }, o.confirm);
  const no = h("button", { type: "button", "data-key": "back", onclick: back }, o.back);
  let isRunning = false;
  sure.onclick = async () => {
    if (isRunning) return;
    isRunning = true;
    sure.setAttribute("aria-disabled", "true");
    show(wrong);
    try {
      if ((await run()) === false || signal.aborted) return;
      say(o.done);
      done();
      // What was asked is gone, and the focus with it.
      if (document.activeElement === document.body) focusOn(document.querySelector("main h1"));
    } catch (error) {
      if (!signal.aborted) show(wrong, h("p", { class: "notice bad" }, told(error)));
    } finally {
      isRunning = false;
      sure.removeAttribute("aria-disabled");
    }
  };
  return h(
    "section",
    { class: "card" },
    h(level, null, title),
    content,
    wrong,
    h("div", { class: "row" }, sure, no),
  );
}

/** A button that says what it would do, and asks. Set `label`, `content`, `run` and `done`. */
export class AskingButton extends Part {
  label = "";
  key = "";
  /** Below which headings the question stands. @type {"h2" | "h3"} */
  level = "h3";
  /** @type {() => Node} */
  content = () => h("p");
  /** @type {() => Promise<unknown>} */
  run = async () => {};
  /** @type {() => unknown} */
  done = () => {};

  /** @override */
  begin() {
    const open = () => {
      const back = () => {
        this.begin();
        this.querySelector("button")?.focus();
      };
      const { run, done, level, stopped: signal } = this;
      this.replaceChildren(asked(this.label, this.content(), { run, done, back, signal, level }));
      focusOn(this.querySelector(level));
    };
    this.replaceChildren(h("button", { "data-key": this.key, onclick: open }, this.label));
  }
}

/** @param {Partial<AskingButton>} how */
export const asking = (how) => Object.assign(new AskingButton(), how);

/**
 * Begins a page with its name.
 * @param {Part} part
 * @param {string} name
 * @param {...import("../dom.js").Child} rest
 */
export function page(part, name, ...rest) {
  entitle(name);
  show(part, h("h1", null, name), ...rest);
}

/** That something is being read. */
export const reading = () => h("p", { class: "faint" }, w.loading);

customElements.define("change-form", ChangeForm);
customElements.define("asking-button", AskingButton);
