// README's pictures of the pages, taken of a sale that goes on for two minutes.
//
//     node pictures.mjs PROGRAM FOLDER BROWSER      puts them into FOLDER

import { ok } from "node:assert";
import { Browser, House, linked, press } from "./house.mjs";

const [program, folder, executable] = process.argv.slice(2);
/** How long the sale goes on before it is looked at, in milliseconds. */
const LASTS = 120_000;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const rows = (names, seats) => [...names].map((name) => ({ name, seats }));
const sections = [
  { name: "Floor left", price: 165_000, rows: rows("ABCDEFGHJKLM", 18) },
  { name: "Floor", price: 180_000, rows: rows("ABCDEFGHJKLM", 30) },
  { name: "Floor right", price: 165_000, rows: rows("ABCDEFGHJKLM", 18) },
  { name: "Lower ring", price: 143_000, rows: rows("ABCDEFGH", 72) },
  { name: "Upper ring", price: 99_000, rows: rows("ABCDEFGHJK", 74) },
];

const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/pictured`);

async function ask(path, body, place) {
  const headers = { "content-type": "application/json", ...(place && { "x-queue-token": place }) };
  const answer = await fetch(`${house.base}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.ok ? answer.json() : null;
}

/** Waits for a turn, and then buys some of the best seats, or lets them go. */
async function buyer(show, nth) {
  const userId = `fan-${nth}`;
  await ask(`/v1/wallets/${userId}/charges`, { amount: 1_000_000 });
  const { token } = await ask("/v1/queues/tour/tokens", { userId });
  for (;;) {
    const place = await fetch(`${house.base}/v1/tokens/${token}`).then((answer) => answer.json());
    if (place.status === "ACTIVE") break;
    if (place.status !== "WAITING") return;
    await sleep(2_000);
  }
  const section = sections[nth % 7]?.name;
  const wish = { userId, showId: show, count: 1 + (nth % 4), section };
  const held = await ask("/v1/reservations", wish, token);
  await sleep(4_000 + 250 * (nth % 40));
  if (held && nth % 6) await ask("/v1/payments", { userId, reservationId: held.reservationId }, token);
}

/** A picture of a page from its top, or from this element on. */
async function picture(page, name, size, from) {
  await page.evaluate(() => scrollTo(0, 0));
  const top = from ? (await page.locator(from).first().boundingBox()).y - 16 : 0;
  const clip = { x: 0, y: top, ...size };
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true, clip });
}

try {
  const more = {
    title: "First night",
    description: "Riverside Arena. The last tour of the four from the harbour.",
    maxSeatsPerUser: 8,
    sections,
  };
  const show = await house.sale("tour", { maxActive: 40, admitPerMinute: 240 }, more);
  const waiting = await browser.person(house, { name: "kim", viewport: { width: 1000, height: 640 } });
  const choosing = await browser.person(house, {
    name: "lee",
    colorScheme: "dark",
    viewport: { width: 1100, height: 900 },
  });
  const office = await browser.person(house, { viewport: { width: 1200, height: 900 } });
  const board = await office.visit("/operator");
  const hall = await choosing.visit(`/shows/${show}`);
  await press(hall, "join");
  await hall.waitForSelector("canvas");
  const buyers = [];
  const begun = Date.now();
  let line = null;
  for (let nth = 0; Date.now() - begun < LASTS; nth += 1) {
    buyers.push(buyer(show, nth).catch(() => {}));
    if (!line && Date.now() - begun > LASTS - 15_000) {
      line = await waiting.visit(`/shows/${show}`);
      await press(line, "join");
    }
    await sleep(nth < 250 ? 120 : 240);
  }
  ok(line, "somebody waits");
  await linked(line, "live");
  await picture(line, "waiting", { width: 1000, height: 690 });
  // What was free in the row that the lists show may be gone.
  await hall.selectOption('[data-key="section"]', "1");
  await hall.click('[data-seat]:not([aria-disabled="true"]) >> nth=0');
  await hall.click('[data-seat]:not([aria-disabled="true"]):not([aria-pressed="true"]) >> nth=0');
  await hall.waitForTimeout(500);
  await picture(hall, "hall", { width: 1100, height: 820 }, "seat-hall h2");
  await picture(board, "operator", { width: 1200, height: 844 }, "main h1");
  await Promise.race([Promise.all(buyers), sleep(5_000)]);
} finally {
  await browser.close();
  await house.kill();
}
