// Who uses the page, and what is remembered of them in this browser.
//
// Where the house asks nobody, a person is a name. Where it does, a person is whoever the bearer token says:
// it is handed over by the site that links here, in the fragment of the address (`#access_token=…`), which no
// server ever sees, or it is pasted. Only the server verifies it.

/** @type {Map<string, string>} What is remembered where the browser keeps nothing: it lasts for one visit. */
const memory = new Map();

/** Where something is kept: what lets run a sale goes with its tab. @param {string} name */
const storage = (name) =>
  name === "bearer" && location.pathname.startsWith("/operator") ? sessionStorage : localStorage;

/** @param {string} name @returns {string | null} */
export function recall(name) {
  try {
    return storage(name).getItem(`boxoffice.${name}`);
  } catch {
    return memory.get(name) ?? null;
  }
}

/** @param {string} name @param {string | null} value `null` forgets it */
export function remember(name, value) {
  try {
    if (value === null) storage(name).removeItem(`boxoffice.${name}`);
    else storage(name).setItem(`boxoffice.${name}`, value);
  } catch {
    if (value === null) memory.delete(name);
    else memory.set(name, value);
  }
}

/** The path to the claim that names the user; empty where nobody is asked who they are. */
const claim = document.documentElement.dataset.claim ?? "";

/** Whether a person has to sign in. */
export const isSecured = claim !== "";

/**
 * Who the person is; nobody before they have signed in.
 * @returns {{userId: string, bearer: string | null} | null}
 */
export function person() {
  if (isSecured) {
    const bearer = recall("bearer");
    const userId = bearer && userOf(bearer);
    return bearer && userId ? { userId, bearer } : null;
  }
  let userId = recall("name");
  if (!userId) {
    // Eight letters are enough for a demonstration, in which two guests with one name would be one person.
    const letters = Array.from(
      crypto.getRandomValues(new Uint8Array(8)),
      (byte) => "abcdefghkmnpqrstuvwxyz"[byte % 22],
    );
    userId = `guest-${letters.join("")}`;
    remember("name", userId);
  }
  return { userId, bearer: null };
}

/**
 * Signs in with a name, or with a bearer token where the house wants one.
 * @param {string} text
 * @returns {boolean} whether it can be one
 */
export function signIn(text) {
  const given = text.trim();
  if (isSecured ? userOf(given) === null : !/^[^\s\p{C}]{1,64}$/u.test(given)) return false;
  remember(isSecured ? "bearer" : "name", given);
  return true;
}

/** Forgets who the person is. */
export function signOut() {
  remember(isSecured ? "bearer" : "name", null);
}

/**
 * @param {string} bearer
 * @returns {string | null} the user that a JWT names, unless it has expired or is none
 */
function userOf(bearer) {
  const exp = claimOf(bearer, "exp");
  const user = claimOf(bearer, claim);
  const isOver = typeof exp === "number" && exp * 1_000 < Date.now();
  return typeof user === "string" && user && !isOver ? user : null;
}

/**
 * @param {string} bearer
 * @param {string} path the name of a claim, or the path to it
 * @returns {unknown} what a JWT says there; nothing if it is none
 */
export function claimOf(bearer, path) {
  try {
    const part = (bearer.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return claims[path] ?? path.split(".").reduce((value, name) => value?.[name], claims);
  } catch {
    return undefined;
  }
}

/**
 * Takes the person over whom the address names, and out of the address: by the bearer token that a site has
 * put there, or where nobody is asked by the name that somebody was given who joined before the modules had
 * come. It does not replace another person: a link must not make somebody fill a stranger's wallet.
 */
export function takeOver() {
  const handed = new URLSearchParams(location.hash.slice(1));
  const [bearer, joined] = [handed.get("access_token"), handed.get("guest")];
  if (bearer !== null || joined !== null)
    history.replaceState(null, "", location.pathname + location.search);
  if (!isSecured) {
    const form = document.querySelector("form[data-guest]");
    const guest = joined ?? (form instanceof HTMLElement ? form.dataset.guest : undefined);
    if (guest?.startsWith("guest-") && recall("name") === null) signIn(guest);
    return;
  }
  const now = person();
  if (bearer !== null && (now === null || userOf(bearer) === now.userId)) signIn(bearer);
}
