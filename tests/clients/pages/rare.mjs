// What the pages say when things are not as usual, in a real browser: what is full, over, late or refused,
// what cannot be read, and a payment that is stuck until an operator has it tried again.
//
//     node rare.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { execFileSync } from "node:child_process";
import { Browser, House, play, press, says, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/rare`);

/** Has a page be told something else than the server says: what is given in place of members. */
const altered = (page, path, change) =>
  page.route(path, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), ...change } });
  });

/** Has the server refuse something. */
const refused = (page, path, status, code) =>
  page.route(path, (route) =>
    route.fulfill({ status, contentType: "application/problem+json", json: { status, code } }),
  );

/** Chooses a seat by the list beside the picture. */
const choose = (page, seat) => page.click(`[data-seat="${seat}"]:not([aria-disabled="true"])`);

async function nothing_is_on() {
  const empty = await House.open(program, `${folder}/empty`);
  const ann = await browser.person(empty, { name: "ann" });
  const page = await ann.visit("/");
  await says(page, "Nothing is on sale yet.");
  await sound(page, "nothing is on");
  const olga = await browser.person(empty);
  const office = await olga.visit("/operator");
  await says(office, "Alerts of the last day");
  await sound(office, "the board of an empty house");
  await office.goto(`${empty.base}/operator/users/nobody`);
  await says(office, "This user has no wallet.");
  await sound(office, "a user who has nothing");
  await office.goto(`${empty.base}/operator/journal?target=nothing`);
  await office.waitForSelector("action-list p");
  await sound(office, "nothing in the journal");
  await refused(office, "**/v1/queues*", 500, "INTERNAL");
  await office.goto(`${empty.base}/operator/lines`);
  await says(office, "Something went wrong on our side. It was recorded.");
  await sound(office, "lines that cannot be read");
  // What the first page comes with is asked for when one comes to it by a link within the pages.
  await page.goto(`${empty.base}/me`);
  await refused(page, "**/v1/concerts*", 503, "UNAVAILABLE");
  await page.click('a[href="/"] >> nth=-1');
  await says(page, "The system is very busy. Nothing is lost; please try again.");
  await sound(page, "what is on cannot be read");
  await page.unrouteAll();
  await press(page, "again");
  await says(page, "Nothing is on sale yet.");
  await Promise.all([ann.leave(), olga.leave()]);
  await empty.kill();
}

async function a_show_that_is_not_simply_on_sale() {
  const show = await house.sale("unusual", { maxActive: 0, maxWaiting: 1, paused: true });
  await house.run("POST", "/v1/queues/unusual/tokens", { userId: "first" });
  const ben = await browser.person(house, { name: "ben" });
  const page = await ben.visit(`/shows/${show}`);
  await says(page, "The line is paused at this moment. Whoever joins keeps their place.");
  await says(page, "One person is waiting.");
  await press(page, "join");
  await says(page, "The line is full at this moment.");
  await sound(page, "a line that is full");
  // What a page came with is asked for when one comes by a link within the pages.
  const [before, after] = [-3_600_000, 3_600_000].map((by) => new Date(Date.now() + by).toISOString());
  const soon = { description: "Two lines\nof text", maxSeatsPerUser: 1, opensAt: after, closesAt: after };
  for (const [state, change, text] of [
    ["a sale that opens and closes", soon, "One ticket a person."],
    ["a sale that is over", { closesAt: before }, "The sale of this show has ended."],
    ["a show that is called off", { status: "CANCELLED" }, "This show is called off."],
  ]) {
    await page.goto(`${house.base}/`);
    await altered(page, `**/v1/shows/${show}`, change);
    await page.click(`a[href="/shows/${show}"]`);
    await says(page, text);
    await sound(page, state);
    await page.unrouteAll();
  }
  await ben.leave();
}

async function a_place_that_is_not_simply_in_line() {
  const show = await house.sale("odd", { maxActive: 1 });
  await house.run("POST", "/v1/queues/odd/tokens", { userId: "first" });
  const { token } = await house.run("POST", "/v1/queues/odd/tokens", { userId: "cay" });
  const cay = await browser.person(house, { name: "cay" });
  await cay.context.route("**/events", (route) => route.abort());
  const page = await cay.context.newPage();
  for (const [state, change, text] of [
    ["a place after a turn", { requeues: 1, delayReason: "FULL" }, "You were let in before"],
    ["a place in another lane", { priority: 2, delayReason: "SLOWER" }, "It goes more slowly than before"],
    ["a place that is used up", { status: "COMPLETED" }, "You have bought your tickets with this place."],
    ["a place that is over", { status: "EXPIRED" }, "The time of this place is over."],
  ]) {
    await altered(page, `**/v1/tokens/${token}`, change);
    await page.goto(`${house.base}/line/${token}?show=${show}`);
    await says(page, text);
    await sound(page, state);
    await page.unrouteAll();
  }
  await page.goto(`${house.base}/line/3fa85f64-5717-4562-b3fc-2c963f66afa6`);
  await says(page, "This place no longer exists.");
  await sound(page, "a place that is not there");
  await cay.leave();
}

async function a_hall_and_a_basket_in_trouble() {
  const show = await house.sale("hard", { maxActive: 9 }, { maxSeatsPerUser: 1 });
  const dan = await browser.person(house, { name: "dan" });
  const page = await dan.visit(`/shows/${show}`);
  await refused(page, "**/plan", 500, "INTERNAL");
  await press(page, "join");
  await says(page, "Something went wrong on our side. It was recorded.");
  await sound(page, "a hall that cannot be read");
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForSelector("canvas");
  await choose(page, 1);
  await choose(page, 2);
  await says(page, "No more than 1 seats can be chosen at once.");
  await sound(page, "more seats than one may have");
  // What is free cannot be told any more.
  await page.route("**/availability/events", (route) => route.abort());
  await refused(page, "**/availability", 503, "UNAVAILABLE");
  await page.reload();
  await says(page, "The system is very busy.");
  await page.unrouteAll();
  await page.route("**/availability/events", (route) => route.abort());
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForSelector("canvas");
  await refused(page, "**/availability", 503, "UNAVAILABLE");
  await says(page, "What is free cannot be read at this moment.");
  await sound(page, "a hall that is told as it was");
  await page.unrouteAll();

  await choose(page, 1);
  await press(page, "hold");
  await refused(page, "**/charges", 403, "NOT_ALLOWED");
  await press(page, "topUp");
  await says(page, "Wallets are filled by the seller here: please ask there.");
  await sound(page, "a wallet that one cannot fill");
  await page.unrouteAll();
  await press(page, "topUp");
  await altered(page, "**/v1/payments", { status: "FAILED" });
  // The answer alone is another one: what is read then is that the seat is paid for.
  await altered(page, "**/v1/reservations/*", { status: "HELD", paymentId: null });
  await press(page, "pay");
  await says(page, "The payment was not made. No money was taken.");
  await sound(page, "a payment that was refused");
  await dan.leave();
}

async function a_hold_lapses() {
  const short = await House.open(program, `${folder}/short`, "--hold-ttl", "3s");
  const show = await short.sale("brief", { maxActive: 5 });
  const eve = await browser.person(short, { name: "eve" });
  const page = await eve.visit(`/shows/${show}`);
  await press(page, "join");
  await choose(page, 1);
  await press(page, "hold");
  const mine = await eve.visit("/me");
  await mine.getByText(/Go on and pay|lapsed/).first().waitFor();
  await sound(mine, "my tickets with seats that are held or have lapsed");
  await says(page, "The time is over and the seats are free again.");
  await sound(page, "a hold that has lapsed");
  await press(page, "done");
  await page.waitForSelector("canvas");
  await eve.context.setOffline(true);
  await mine.click('a[href="/"]');
  await says(mine, "There is no connection.");
  await sound(mine, "a page without a network");
  await eve.context.setOffline(false);
  await eve.leave();
  await short.kill();
}

/** Does something to the wallet's database, as a disk that fails does, or an operator at its prompt. */
function toWallet(statement) {
  const code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=30).executescript(sys.argv[2])";
  execFileSync("python3", ["-c", code, `${house.folder}/data/wallet.db`, statement]);
}

async function a_payment_is_stuck_until_it_is_tried_again() {
  const show = await house.sale("stuck", { maxActive: 5 });
  const { token } = await house.run("POST", "/v1/queues/stuck/tokens", { userId: "fay" });
  await house.run("POST", "/v1/wallets/fay/charges", { amount: 90_000 });
  const headers = { "content-type": "application/json", "x-queue-token": token };
  const ask = async (path, body) => {
    const asked = { method: "POST", headers, body: JSON.stringify({ userId: "fay", ...body }) };
    return (await fetch(`${house.base}${path}`, asked)).json();
  };
  const { reservationId } = await ask("/v1/reservations", { showId: show, seatNumbers: [1] });
  toWallet("CREATE TRIGGER broken BEFORE INSERT ON payment BEGIN SELECT RAISE(ABORT, 'broken'); END");
  const { paymentId } = await ask("/v1/payments", { reservationId });
  const olga = await browser.person(house);
  const page = await olga.visit(`/operator/payments/${paymentId}`);
  await says(page, "It cannot go on: a step keeps failing in a way that only a person can mend.");
  const row = page.locator("tbody tr", { hasText: "Take the money" });
  ok(/not known \(INTERNAL\)/.test(await row.innerText()), await row.innerText());
  await sound(page, "a payment that is stuck");
  // Whoever looks at the board, or for what needs somebody, finds it.
  await page.click('[data-key="to-operator"]');
  await says(page, "One payment needs you");
  await says(page, "a-checkout-is-parked");
  await sound(page, "the board with a payment that is stuck");
  await page.click('[data-key="to-find"]');
  await page.click(`a[href="/operator/payments/${paymentId}"]`);
  await press(page, "retry");
  await says(page, "Do this when what it failed at is mended.");
  await sound(page, "asked whether to try a payment again");
  toWallet("DROP TRIGGER broken");
  await press(page, "confirm");
  await says(page, "Nothing is owed to either side.");
  await says(page, "Sell the seats");
  same(await page.locator('[data-key="retry"]').count(), 0, "there is nothing more to try");
  await sound(page, "a payment that was tried again");
  same((await house.run("GET", `/v1/payments/${paymentId}`)).status, "COMPLETED");
  same((await house.run("GET", "/v1/wallets/fay")).balance, 0, "it was paid once");
  const { actions } = await house.run("GET", `/v1/operator/journal?target=${paymentId}`);
  same([actions.length, actions[0].outcome], [1, "DONE"], "it is in the journal");
  await olga.leave();
}

async function an_audit_that_cannot_be_made() {
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/audit");
  await refused(page, "**/v1/payments?*", 403, "NOT_ALLOWED");
  await press(page, "audit");
  await page.waitForSelector("audit-page [role=alert]");
  await sound(page, "an audit that cannot be made");
  await olga.leave();
}

const scenes = [
  nothing_is_on,
  a_show_that_is_not_simply_on_sale,
  a_place_that_is_not_simply_in_line,
  a_hall_and_a_basket_in_trouble,
  a_hold_lapses,
  a_payment_is_stuck_until_it_is_tried_again,
  an_audit_that_cannot_be_made,
];
await play("rare states of the pages in a browser", scenes, only, browser, house);
