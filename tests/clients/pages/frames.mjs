// How smoothly a hall of 12,000 seats moves, on a processor that is slowed down to a quarter; and how soon
// the waiting room can be used on a slow network. It measures and asserts nothing, since figures are this
// machine's: run it by hand, on a machine that does nothing else.
//
//     node frames.mjs PROGRAM FOLDER BROWSER

import { Browser, House, press } from "./house.mjs";

const [program, folder, executable] = process.argv.slice(2);
/** How much slower than it is the processor is made. */
const SLOWED = 4;
/** How long each movement takes, in milliseconds. */
const LASTS = 3_000;
/** What Chromium's tools call "Slow 4G": bits a second, and milliseconds for each answer. */
const SLOW_4G = { down: 1_600_000 * 0.9, up: 750_000 * 0.9, latency: 562.5 };

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Counts frames from now on, and how long what is done for each takes. */
function watchFrames() {
  const frames = { gaps: [], work: [], last: 0 };
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (callback) =>
    ask((at) => {
      const begun = performance.now();
      callback(at);
      frames.work.push(performance.now() - begun);
    });
  const beat = (at) => {
    if (frames.last) frames.gaps.push(at - frames.last);
    frames.last = at;
    ask(beat);
  };
  ask(beat);
  globalThis.frames_ = frames;
}

/** @param {number[]} values @param {number} part */
const quantile = (values, part) => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
};

/** Does something for a while, and tells how the frames of it were. */
async function measured(page, name, move) {
  await sleep(500);
  await page.evaluate(() => Object.assign(globalThis.frames_, { gaps: [], work: [], last: 0 }));
  const until = Date.now() + LASTS;
  for (let nth = 0; Date.now() < until; nth += 1) await move(nth);
  const { gaps, work } = await page.evaluate(() => globalThis.frames_);
  const spent = gaps.reduce((sum, gap) => sum + gap, 0);
  const [rate, late] = [(1_000 * gaps.length) / spent, gaps.filter((gap) => gap > 25).length];
  const one = (value) => value.toFixed(1).padStart(6);
  console.log(
    `${name.padEnd(34)}${one(rate)} frames/s, ${String(late).padStart(3)} of ${gaps.length} late; ` +
      `script a frame: p50 ${one(quantile(work, 0.5))} ms, p95 ${one(quantile(work, 0.95))} ms, ` +
      `worst ${one(Math.max(0, ...work))} ms`,
  );
}

/** A hall of 12,000 seats, of which some are gone. */
async function hall(house) {
  const rows = (many, seats) => Array.from({ length: many }, (_, nth) => ({ name: `${nth + 1}`, seats }));
  const sections = Array.from({ length: 12 }, (_, nth) => ({
    name: `Block ${nth + 1}`,
    price: 50_000 + nth * 1_000,
    rows: rows(25, 40),
  }));
  return house.sale("arena", { maxActive: 50 }, { sections });
}

async function frames(browser, house) {
  const show = await hall(house);
  const person = await browser.person(house, { name: "fay", viewport: { width: 1366, height: 768 } });
  const page = await person.visit("/");
  await page.addInitScript(watchFrames);
  await page.goto(`${house.base}/shows/${show}`);
  await press(page, "join");
  const canvas = page.locator("canvas");
  await canvas.waitFor();
  await canvas.scrollIntoViewIfNeeded();
  const wire = await person.context.newCDPSession(page);
  await wire.send("Emulation.setCPUThrottlingRate", { rate: SLOWED });
  const { x, y, width, height } = await canvas.boundingBox();
  const [middleX, middleY] = [x + width / 2, y + height / 2];
  const drag = async (nth) => {
    const angle = nth / 6;
    await page.mouse.move(middleX + Math.cos(angle) * 80, middleY + Math.sin(angle) * 80);
  };
  const pan = async (name) => {
    await page.mouse.move(middleX, middleY);
    await page.mouse.down();
    await measured(page, name, drag);
    await page.mouse.up();
  };
  console.log(`12,000 seats, a canvas of ${Math.round(width)}x${Math.round(height)}, CPU / ${SLOWED}`);
  await measured(page, "nothing moves", () => sleep(16));
  await pan("pan, the whole hall");
  await measured(page, "zoom in and out", (nth) => page.mouse.wheel(0, nth % 60 < 30 ? -40 : 40));
  for (let nth = 0; nth < 12; nth += 1) await page.mouse.wheel(0, -60);
  await pan("pan, close");
  for (let nth = 0; nth < 10; nth += 1) await page.mouse.wheel(0, -60);
  await pan("pan, with numbers on the seats");
  await person.leave();
}

/** How soon a page is painted, can be used, and has its modules, on a slow network with nothing kept. */
async function slowNetwork(browser, house) {
  const show = await house.sale("far", { maxActive: 1 });
  await house.run("POST", "/v1/queues/far/tokens", { userId: "first" });
  const { token } = await house.run("POST", "/v1/queues/far/tokens", { userId: "ida" });
  for (const path of [`/line/${token}?show=${show}`, `/shows/${show}`, "/"]) {
    const person = await browser.person(house, { name: "ida" });
    const page = await person.context.newPage();
    const wire = await person.context.newCDPSession(page);
    await wire.send("Network.enable");
    await wire.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: SLOW_4G.latency,
      downloadThroughput: SLOW_4G.down / 8,
      uploadThroughput: SLOW_4G.up / 8,
    });
    const [sent, asked] = [{ bytes: 0 }, { many: 0 }];
    wire.on("Network.loadingFinished", ({ encodedDataLength }) => (sent.bytes += encodedDataLength));
    wire.on("Network.requestWillBeSent", () => (asked.many += 1));
    const begun = performance.now();
    await page.goto(`${house.base}${path}`, { waitUntil: "commit" });
    const painted = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const told = (list) => {
            const [first] = list.getEntriesByName("first-contentful-paint");
            if (first) resolve(first.startTime);
          };
          new PerformanceObserver(told).observe({ type: "paint", buffered: true });
        }),
    );
    // What one came for: the shows, the way into the line, the place.
    const [what, whole] = {
      "": [".card a.name", ".card a.name"],
      shows: ['[data-key="join"]', 'show-page [data-key="join"]'],
      line: [".place, waiting-room .big", '[data-link="live"]'],
    }[path.split("/")[1]];
    await page.waitForSelector(what);
    const usable = performance.now() - begun;
    await page.waitForSelector(whole);
    const done = performance.now() - begun;
    const [first, second, third] = [painted, usable, done].map((ms) => ms.toFixed(0).padStart(5));
    console.log(
      `${path.replace(token, "…").padEnd(22)}first paint after ${first} ms, usable after ${second} ms, ` +
        `with its modules after ${third} ms; ${asked.many} requests, ${sent.bytes} bytes`,
    );
    await person.leave();
  }
}

const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/frames`);
try {
  await frames(browser, house);
  console.log(`Slow 4G: ${SLOW_4G.down / 1e6} Mbit/s down, ${SLOW_4G.latency} ms`);
  await slowNetwork(browser, house);
} finally {
  await browser.close();
  await house.kill();
}
