// The lines of the box office, in a real browser: one that is changed and paused, one that two operators
// change, and a draw that is held without its beacon; and lists that are longer than a page of them.
//
//     node lines.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { once } from "node:events";
import { createServer } from "node:http";
import { Browser, House, play, press, says, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/lines`);

async function a_line_is_changed() {
  await house.run("PUT", "/v1/queues/changed", { maxActive: 5 });
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/lines");
  await sound(page, "the lines");
  await page.click('a[href="/operator/lines/changed"]');
  await page.waitForSelector("change-form input");
  await sound(page, "a line");
  await press(page, "preview");
  await says(page, "Nothing is different from how it is.");
  await page.fill('[data-key="maxActive"]', "9");
  await page.selectOption('[data-key="onExpiry"]', "EXPIRE");
  await press(page, "preview");
  const row = (text) => page.locator("change-form tbody tr", { hasText: text }).innerText();
  ok(/Admitted at once, at most\s+5\s+9/.test(await row("Admitted at once")), await row("Admitted at once"));
  ok(/goes to the end of the line\s+loses the place/.test(await row("not finish")), await row("not finish"));
  await sound(page, "a change that is previewed");
  await press(page, "back");
  same(
    (await house.run("GET", "/v1/queues/changed")).maxActive,
    5,
    "nothing is changed before it is confirmed",
  );
  await press(page, "preview");
  await press(page, "confirm");
  await page.waitForSelector('[data-key="maxActive"][value="9"]');
  const { maxActive, onExpiry, maxWaiting } = await house.run("GET", "/v1/queues/changed");
  same([maxActive, onExpiry, maxWaiting], [9, "EXPIRE", 100_000]);
  await press(page, "pause");
  await sound(page, "asked whether to pause");
  await press(page, "confirm");
  await page.waitForSelector('[data-key="resume"]');
  same((await house.run("GET", "/v1/queues/changed")).paused, true);
  await page.click('[data-key="to-journal"]');
  await page.fill('[data-key="target"]', "changed");
  await press(page, "narrow");
  await page.waitForFunction(() => document.querySelectorAll(".action").length === 4);
  await page.locator(".action summary").nth(1).click();
  await says(page, "policy.max_active");
  await sound(page, "the journal");
  await olga.leave();
}

async function two_operators_change_a_line() {
  const line = "/v1/queues/shared";
  await house.run("PUT", line, { maxActive: 5, admitPerMinute: 60 });
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/lines/shared");
  const asked = async () => {
    const rows = await page.locator("change-form tbody tr").allInnerTexts();
    return rows.map((row) => row.replace(/\s+/g, " ").trim());
  };
  await page.fill('[data-key="maxActive"]', "9");
  await house.run("PUT", line, { maxActive: 50, admitPerMinute: 70 });
  await press(page, "preview");
  await page.waitForSelector('[data-key="confirm"]');
  same(await asked(), ["Admitted at once, at most 50 9"], "it is compared with what the other one has set");
  await house.run("PUT", line, { maxActive: 60 });
  await press(page, "confirm");
  await says(page, "Since you were asked, somebody else has changed this.");
  same(await asked(), ["Admitted at once, at most 60 9"], "it is compared anew");
  same((await house.run("GET", line)).maxActive, 60, "nothing is changed before that was seen");
  await sound(page, "a change that is asked for once more");
  await press(page, "confirm");
  await page.waitForSelector('[data-key="maxActive"][value="9"]');
  const { maxActive, admitPerMinute } = await house.run("GET", line);
  same([maxActive, admitPerMinute], [9, 70], "what the other one has set beside it stays");
  await olga.leave();
}

/** What the relay of a public beacon tells of its chain; its rounds it does not tell. */
const CHAIN = {
  public_key:
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451" +
    "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
  period: 3,
  genesis_time: 1_692_803_367,
  groupHash: "f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e",
  schemeID: "bls-unchained-g1-rfc9380",
  metadata: { beaconID: "quicknet" },
};
const CHAIN_HASH = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

async function a_draw_is_held_without_its_beacon() {
  const relay = createServer(({ url }, answer) => {
    if (url.endsWith("/info")) answer.end(JSON.stringify(CHAIN));
    else answer.writeHead(503).end();
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  const url = `http://127.0.0.1:${relay.address().port}/${CHAIN_HASH}`;
  const fair = await House.open(program, `${folder}/fair`, "--beacon-url", url);
  const opensAt = new Date(Date.now() + 5_000).toISOString();
  await fair.run("PUT", "/v1/queues/fair", { opensAt, opening: "DRAW", maxActive: 0 });
  for (const userId of ["ada", "bea", "cem"]) await fair.run("POST", "/v1/queues/fair/tokens", { userId });
  const olga = await browser.person(fair);
  const page = await olga.visit("/operator/lines/fair");
  await says(page, "The draw waits for its beacon: round");
  same(await page.locator('[data-key="withoutBeacon"]').count(), 0, "a beacon on its way is waited for");
  await sound(page, "a draw that waits for its beacon");
  // Half a minute later, by what the page is told of the beacon.
  await page.route("**/v1/queues/fair/draw", async (route) => {
    const answer = await route.fetch();
    const draw = await answer.json();
    const beaconAt = new Date(Date.parse(draw.beaconAt) - 40_000).toISOString();
    await route.fulfill({ response: answer, json: { ...draw, beaconAt } });
  });
  await page.locator('[data-key="withoutBeacon"]').waitFor();
  await sound(page, "a draw whose beacon is late");
  await press(page, "withoutBeacon");
  await says(page, "It cannot be held again");
  await sound(page, "asked whether to draw without the beacon");
  const { secret } = await fair.run("GET", "/v1/queues/fair/draw");
  same(secret, null, "nothing is drawn before it is confirmed");
  await press(page, "confirm");
  await page.locator(".action", { hasText: "Changed a line" }).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('[data-key="withoutBeacon"]'));
  const held = await page.waitForFunction(async () => {
    const draw = await (await fetch("/v1/queues/fair/draw")).json();
    return draw.secret !== null && draw;
  });
  const { beacon, beaconSignature, registered } = await held.jsonValue();
  same([beacon, beaconSignature, registered], ["", null, 3], "it was held without");
  const { actions } = await fair.run("GET", "/v1/operator/journal?target=fair");
  same(actions[0].after.policy.without_beacon, true, "it is in the journal");
  await olga.leave();
  await fair.kill();
  relay.close();
}

/** Somebody joins, and holds a seat. */
async function hold(userId, queueId, showId, seat) {
  const { token } = await house.run("POST", `/v1/queues/${queueId}/tokens`, { userId });
  const headers = { "content-type": "application/json", "x-queue-token": token };
  const body = JSON.stringify({ userId, showId, seatNumbers: [seat] });
  const answer = await fetch(`${house.base}/v1/reservations`, { method: "POST", headers, body });
  same(answer.status, 201, await answer.text());
}

async function lists_go_on_beyond_their_first_page() {
  for (let nth = 1; nth <= 51; nth += 1) {
    await house.run("PUT", `/v1/queues/long-${nth}`, {});
    await house.run("POST", "/v1/wallets/rich/charges", { amount: 1_000 * nth });
  }
  const { concertId } = await house.run("POST", "/v1/concerts", { title: "A long run" });
  for (let nth = 1; nth <= 103; nth += 1) {
    const startsAt = new Date(Date.UTC(2031, 4, nth, 19)).toISOString();
    const show = { startsAt, durationMinutes: 90, title: `Evening ${nth}`, price: 30_000, seatCount: 1 };
    await house.run("POST", `/v1/concerts/${concertId}/shows`, show);
  }
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/lines");
  const rows = page.locator("paged-list tbody tr");
  await page.waitForSelector('[data-key="more"]');
  same(await rows.count(), 50, "the newest lines");
  await press(page, "more");
  const line = page.locator('a[href="/operator/lines/long-1"]');
  await line.waitFor();
  const focused = await page.evaluate(() => document.activeElement?.getAttribute("href"));
  same(focused, "/operator/lines/long-1", "the focus is at the first of those that came");
  await house.run("PUT", "/v1/queues/long-1", { paused: true });
  await rows.filter({ has: line }).getByText("Paused").waitFor();
  // A line that the board does not look at is followed as well.
  await line.click();
  await page.locator(".figures", { hasText: "Paused" }).waitFor();
  await house.run("PUT", "/v1/queues/long-1", { paused: false });
  await page.locator(".figures", { hasText: "Open" }).waitFor();

  // The pages go by the server's clock. By this one the first two evenings are over.
  const date = new Date(Date.UTC(2031, 4, 3, 11)).toUTCString();
  await page.route("**/v1/**", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), date } });
  });
  await page.goto(`${house.base}/operator/concerts/${concertId}`);
  const evening = (nth) => page.getByRole("link", { name: `Evening ${nth}`, exact: true });
  await page.waitForSelector('[data-key="more"]');
  same(await rows.count(), 50, "the next shows");
  same(await rows.first().getByRole("link").innerText(), "Evening 3", "they begin with those to come");
  await press(page, "more");
  await evening(102).waitFor();
  await press(page, "more");
  await evening(103).waitFor();
  same(await rows.count(), 101, "all that are to come");
  await sound(page, "a concert of many shows");
  await press(page, "earlier");
  await evening(1).waitFor();
  await page.unrouteAll({ behavior: "ignoreErrors" });

  await page.goto(`${house.base}/operator/new-show/${concertId}`);
  const halls = page.locator('[data-key="hallOf"] option');
  await halls.nth(1).waitFor({ state: "attached" });
  same(await halls.count(), 101, "the halls of the newest shows, and of none");
  await sound(page, "halls of many shows");
  await press(page, "moreHalls");
  await page.waitForFunction(() => !document.querySelector('[data-key="moreHalls"]'));
  same(await halls.count(), 104, "the halls of all shows");
  const oldest = await halls.last().getAttribute("value");
  await page.selectOption('[data-key="hallOf"]', oldest);
  await says(page, "1 seats in all.");

  const hall = await house.sale("long-hall", { maxActive: 100 });
  for (let seat = 1; seat <= 51; seat += 1) await hold(`fan-${seat}`, "long-hall", hall, seat);
  await page.goto(`${house.base}/operator/shows/${hall}`);
  const having = page.locator("books-page paged-list tbody tr");
  await having.nth(49).waitFor();
  same(await having.count(), 50, "who has the first seats");
  await press(page, "more");
  await page.getByRole("link", { name: "fan-51", exact: true }).waitFor();
  await sound(page, "many who have seats of a show");
  await hold("latecomer", "long-hall", hall, 60);
  await press(page, "more");
  await page.getByRole("link", { name: "latecomer", exact: true }).waitFor();

  await page.goto(`${house.base}/operator/users/rich`);
  await press(page, "more");
  await rows.nth(50).waitFor();
  ok((await rows.nth(50).innerText()).includes("₩1,000"), "the first top-up is the last that is listed");
  same(await page.locator('[data-key="more"]').count(), 0, "there are no more");
  await olga.leave();
}

const scenes = [
  a_line_is_changed,
  two_operators_change_a_line,
  a_draw_is_held_without_its_beacon,
  lists_go_on_beyond_their_first_page,
];
await play("the lines of the box office in a browser", scenes, only, browser, house);
