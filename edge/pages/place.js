// A place in line, followed live: one event stream for all tabs of a person, and polls where a stream does
// not get through.
//
// HTTP/1.1 lets a browser open six connections to an origin. So of all tabs that follow one token, the one
// that has the token's lock has the stream, and tells the others over a channel. When that tab is closed, the
// lock goes to the next. Whoever stands in many lines has but a few streams all the same: in the other lines
// the tab with the lock polls, and has a stream as soon as another one ends. Where there are no locks (a page
// that came over plain HTTP) each tab polls for itself.
//
// A browser may freeze a tab that nobody looks at, the one with the stream, too. So a tab that is shown asks
// at once whether it has missed something, and for itself as long as the one with the stream says nothing.

import { Refusal, ask, streamed } from "./api.js";
import { sleep } from "./dom.js";

/** @typedef {import("./types.js").News} News */
/** @typedef {import("./types.js").Place} Place */

/**
 * After so long without an event a poll asks whether the stream has missed something: a page sees no
 * heartbeats.
 */
const SILENT = 45_000;
/** A stream whose first event does not come within this is held back by something in between. */
const FIRST = 8_000;
/** So long the browser may take to connect again: a server may ask it to wait for half a minute. */
const AGAIN = 40_000;
/** After so many failures in a row a stream does not get through at all. */
const FAILURES = 3;
/** After so many polls a stream is tried again. */
const POLLS = 10;
/** What is older than this is asked for again when a tab is shown. */
const FRESH = 2_000;
/** So long the tab with the stream may take to answer another one. */
const PROMPT = 1_000;

/** @param {Place} place */
export const isFinal = ({ status }) => status === "COMPLETED" || status === "EXPIRED" || status === "LEFT";

/**
 * Follows a token until the signal is aborted or the place is final.
 * @param {string} token
 * @param {(news: News) => void} tell
 * @param {AbortSignal} signal
 */
export function follow(token, tell, signal) {
  const name = `boxoffice.place.${token}`;
  const channel = new BroadcastChannel(name);
  /** @type {News} */
  let latest = { place: null, link: "polling", gone: false };
  let [leads, asks, heard] = [false, false, Number.NEGATIVE_INFINITY];
  /** @param {News} news */
  const learn = (news) => {
    latest = news;
    tell(latest);
  };
  channel.onmessage = ({ data }) => {
    if (data === "hello") {
      if (leads && (latest.place || latest.gone)) channel.postMessage(latest);
    } else if (!leads) {
      heard = Date.now();
      learn(data);
    }
  };
  signal.addEventListener("abort", () => channel.close(), { once: true });
  /** Asks the tab with the stream, and for itself while that one is silent and this one is looked at. */
  const askAround = async () => {
    if (asks) return;
    asks = true;
    while (!signal.aborted && !leads && !document.hidden) {
      const asked = Date.now();
      channel.postMessage("hello");
      await sleep(PROMPT, signal);
      if (leads || heard >= asked) break;
      if (await poll(token, (news) => learn({ ...latest, ...news }), signal)) break;
      await sleep(Math.max(1, latest.place?.pollAfterSeconds ?? 2) * 1_000, signal);
    }
    asks = false;
  };
  // It ends with the page, which is no failure.
  const askAgain = () => void askAround().catch(() => {});
  onShown(askAgain, signal);
  askAgain();
  const lead = () => {
    leads = true;
    /** @param {Partial<News>} news */
    const spread = (news) => {
      if (signal.aborted) return;
      channel.postMessage({ ...latest, ...news });
      learn({ ...latest, ...news });
    };
    return lookAfter(token, spread, () => latest, signal);
  };
  const led = navigator.locks ? navigator.locks.request(name, { signal }, lead) : lead();
  // It ends with the page, which is no failure.
  led.catch(() => {});
}

/** Does something whenever the tab is shown again. @param {() => void} act @param {AbortSignal} signal */
function onShown(act, signal) {
  const look = () => {
    if (!document.hidden) act();
  };
  document.addEventListener("visibilitychange", look, { signal });
  document.addEventListener("resume", look, { signal });
}

/**
 * @param {string} token
 * @param {(news: Partial<News>) => void} spread
 * @param {() => News} latest
 * @param {AbortSignal} signal
 */
async function lookAfter(token, spread, latest, signal) {
  while (!signal.aborted) {
    const end = await streamed(() => listen(token, spread, latest, signal), signal);
    if (end === "final") return;
    for (let nth = 0; nth < (end === "silent" ? POLLS : 1) || latest().link === "away"; nth += 1) {
      if (await poll(token, spread, signal)) return;
      const { place, link } = latest();
      const seconds = link === "away" ? Math.min(15, 2 ** nth) : Math.max(1, place?.pollAfterSeconds ?? 2);
      await untilBack(seconds * 1_000 * (0.75 + Math.random() / 2), signal);
    }
  }
}

/**
 * Waits, but not longer than until the network is back or the tab is shown again.
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
async function untilBack(milliseconds, signal) {
  const back = new AbortController();
  const either = AbortSignal.any([signal, back.signal]);
  addEventListener("online", () => back.abort(), { once: true, signal: either });
  onShown(() => back.abort(), either);
  await sleep(milliseconds, either).catch(() => signal.throwIfAborted());
  back.abort();
}

/**
 * One event stream, until the place is final (`final`), the stream was cut (`cut`) or never came (`silent`).
 * @param {string} token
 * @param {(news: Partial<News>) => void} spread
 * @param {() => News} latest
 * @param {AbortSignal} signal
 * @returns {Promise<"final" | "cut" | "silent">}
 */
function listen(token, spread, latest, signal) {
  return new Promise((resolve) => {
    const source = new EventSource(`/v1/tokens/${token}/events`);
    const over = new AbortController();
    let [heard, again, failures] = [false, false, 0];
    let [due, last] = [Date.now() + FIRST, Date.now()];
    /** @param {"final" | "cut" | "silent"} how */
    const end = (how) => {
      source.close();
      over.abort();
      resolve(how);
    };
    const options = { signal: over.signal };
    signal.addEventListener("abort", () => end("cut"), options);
    /** @param {Partial<News>} news */
    const heardOf = (news) => {
      [heard, again, failures] = [true, false, 0];
      last = Date.now();
      due = last + SILENT;
      spread(news);
    };
    source.addEventListener("token", ({ data }) => {
      const place = JSON.parse(data);
      heardOf({ place, link: "live" });
      if (isFinal(place)) end("final");
    });
    source.addEventListener("open", () => {
      // What a tab knows already is not sent again when the browser has connected again by itself.
      if (again) heardOf({ link: "live" });
    });
    source.addEventListener("error", () => {
      // The browser connects again by itself, when the server has told it to, to who was there and went away;
      // but not to who answered with something else, and in vain where no stream gets through.
      failures += 1;
      if (source.readyState === EventSource.CLOSED || failures >= FAILURES) {
        return end(latest().link === "away" ? "cut" : "silent");
      }
      again = true;
      due = Date.now() + AGAIN;
      // Whether anything is away at all, a poll finds out.
      poll(token, spread, signal).then(
        (isOver) => isOver && end("final"),
        () => {},
      );
    });
    addEventListener("offline", () => spread({ link: "away" }), options);
    addEventListener("online", () => end("cut"), options);
    const look = async () => {
      const late = Date.now() - due;
      if (late < 0 || over.signal.aborted) return;
      // Much later than it should be: the machine has slept, and nobody knows what became of the connection.
      if (!heard || again || late > SILENT) return end(heard ? "cut" : "silent");
      due = Date.now() + SILENT;
      const before = latest().place;
      if (await poll(token, (news) => spread({ ...news, link: news.place ? "live" : "away" }), signal))
        return end("final");
      const { place, link } = latest();
      const missed = place?.status !== before?.status || place?.position !== before?.position;
      if (missed || link === "away") end("cut");
    };
    onShown(() => {
      if (!heard || again || Date.now() - last < FRESH) return;
      due = Date.now();
      void look();
    }, over.signal);
    const timer = setInterval(() => void look(), 1_000);
    over.signal.addEventListener("abort", () => clearInterval(timer));
  });
}

/**
 * One poll; true when there is nothing more to follow.
 * @param {string} token
 * @param {(news: Partial<News>) => void} spread
 * @param {AbortSignal} signal
 */
async function poll(token, spread, signal) {
  try {
    /** @type {Place} */
    const place = await ask(`/v1/tokens/${token}`, { signal, tries: 1 });
    spread({ place, link: "polling" });
    return isFinal(place);
  } catch (error) {
    const gone = error instanceof Refusal && (error.code === "TOKEN_NOT_FOUND" || error.status === 400);
    spread(gone ? { gone } : { link: "away" });
    return gone;
  }
}
