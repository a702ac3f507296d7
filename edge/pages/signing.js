// Signing in, and what is said where a page cannot be shown.

import { Refusal } from "./api.js";
import { h, show } from "./dom.js";
import { isSecured, signIn } from "./person.js";
import { inWords, w } from "./words.js";

/**
 * A refusal, with what to do about it.
 * @param {unknown} error
 * @param {() => void} [again]
 */
export function problem(error, again) {
  const signs = again && error instanceof Refusal && error.code.startsWith("CREDENTIALS_");
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "notice bad", role: "alert" }, inWords(error)),
    signs ? signInForm(again) : again && h("button", { "data-key": "again", onclick: again }, w.again),
  );
}

/**
 * The form in which a person says who they are: with a bearer token, or where nobody is asked with a name.
 * @param {() => void} done
 * @param {string} [value]
 */
export function signInForm(done, value = "") {
  const wrong = h("div", { role: "alert" });
  const field = h("input", { name: "who", autocomplete: "off", required: true, "data-key": "who", value });
  const onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (signIn(field.value)) done();
    else show(wrong, h("p", { class: "notice bad" }, isSecured ? w.noToken : w.noName));
  };
  return h(
    "form",
    { class: "card", onsubmit },
    h("p", null, isSecured ? w.tokenWhy : w.nameWhy),
    h(
      "div",
      { class: "row" },
      h("label", { class: "grow" }, isSecured ? w.token : w.name, field),
      h("button", { class: "main", "data-key": "signIn" }, isSecured ? w.signIn : w.useName),
    ),
    wrong,
  );
}
