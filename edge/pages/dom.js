// Elements without a framework: how a page makes what it shows, and changes no more of it than is different.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. Attributes that begin with `on` are handlers; `null`, `undefined` and `false` leave one
 * out. Text is always text, so nothing that a seller or a user wrote can become markup.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, unknown> | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) /** @type {any} */ (element)[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** @param {(Child | Child[])[]} children */
const nodes = (children) =>
  children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));

/**
 * Shows these children in place of what an element shows. What is the same stays the same node: a click that
 * has begun ends, a selection stays, and so does the focus, which follows its control (`data-key`) when that
 * has moved.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function show(element, ...children) {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && element.contains(focused) ? focused.dataset.key : undefined;
  become(element, nodes(children));
  if (key === undefined || document.activeElement === focused) return;
  const again = element.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (again instanceof HTMLElement) again.focus();
}

const HANDLERS = /** @type {const} */ (["onclick", "onchange", "onsubmit"]);

/** @param {Element} element @param {Node[]} wanted */
function become(element, wanted) {
  wanted.forEach((fresh, at) => {
    const old = element.childNodes[at];
    if (!old) element.append(fresh);
    else if (old !== fresh && !renew(old, fresh)) old.replaceWith(fresh);
  });
  while (element.childNodes.length > wanted.length) element.lastChild?.remove();
}

/** Makes an old node like a fresh one, where it is of the same kind. @param {Node} old @param {Node} fresh */
function renew(old, fresh) {
  if (old instanceof Text && fresh instanceof Text) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return true;
  }
  if (!(old instanceof HTMLElement && fresh instanceof HTMLElement) || old.nodeName !== fresh.nodeName)
    return false;
  // An element of our own looks after itself.
  if (old.nodeName.includes("-") || old.nodeName === "CANVAS" || old.dataset.key !== fresh.dataset.key)
    return false;
  for (const { name } of [...old.attributes]) {
    // With its `tabindex` a heading would lose the focus that was moved to it.
    if (name !== "tabindex" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const handler of HANDLERS) old[handler] = /** @type {any} */ (fresh)[handler];
  if (old instanceof HTMLOptionElement) old.selected = /** @type {HTMLOptionElement} */ (fresh).selected;
  become(old, [...fresh.childNodes]);
  return true;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

/** Says something to a screen reader: of what is said in a moment, the last. @param {string} text */
export function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    const said = document.getElementById("said");
    if (said) said.textContent = text;
  }, 300);
}

/**
 * Moves the focus to a heading that has come into being because of what the person did.
 * @param {Element | null} to
 */
export function focusOn(to) {
  if (!(to instanceof HTMLElement)) return;
  if (to.tabIndex < 0) to.setAttribute("tabindex", "-1");
  to.focus({ preventScroll: false });
}

const title = { page: "", news: "" };

/** Names the page. @param {string} page */
export function entitle(page) {
  title.page = page;
  title.news = "";
  document.title = page ? `${page} · boxoffice` : "boxoffice";
}

/** Puts news before the title, for who looks at another tab. @param {string} news */
export function headline(news) {
  if (news === title.news) return;
  title.news = news;
  document.title = [news, title.page, "boxoffice"].filter(Boolean).join(" · ");
}

/**
 * An element that begins when it comes into the page. `stopped` is aborted when it goes, which ends its
 * requests, timers and listeners.
 */
export class Part extends HTMLElement {
  #stop = new AbortController();

  get stopped() {
    return this.#stop.signal;
  }

  connectedCallback() {
    this.#stop = new AbortController();
    this.begin();
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  /** What happens once the element is in the page. @returns {unknown} */
  begin() {
    return undefined;
  }

  /** Does something again and again until the end. @param {number} milliseconds @param {() => void} work */
  every(milliseconds, work) {
    const timer = setInterval(work, milliseconds);
    this.stopped.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Tells the elements around. @param {string} name @param {unknown} [detail] */
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

/**
 * Waits, or ends early (and throws) when the signal is aborted.
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const ended = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", ended);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", ended, { once: true });
  });
}
