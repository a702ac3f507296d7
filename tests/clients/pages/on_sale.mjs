// The on-sale as people use it, in a real browser: the whole of it by two at once, through kills of the
// server, by keyboard alone, in both languages, in an open and in a secured house. How the pages come, and
// what they are without JavaScript, is played in arrival.mjs, and waiting in waiting.mjs.
//
//     node on_sale.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { readFileSync } from "node:fs";
import { Browser, House, enter, linked, place, play, press, reach, says, skips, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/open`);

/** Chooses a seat by the list beside the picture. */
const choose = (page, seat) => page.click(`[data-seat="${seat}"]:not([aria-disabled="true"])`);
/** Tops up what is missing, pays, and waits for the receipt. */
async function pay(page) {
  await press(page, "topUp");
  await press(page, "pay");
  await says(page, "Paid. The seats are yours.");
}

async function two_people_want_one_seat() {
  const show = await house.sale("one", { maxActive: 1 });
  const [ann, bob] = await Promise.all([
    browser.person(house, { name: "ann" }),
    browser.person(house, { name: "bob" }),
  ]);
  const page = await ann.visit("/");
  await sound(page, "what is on");
  await page.click(`a[href="/shows/${show}"]`);
  await says(page, "Nobody is waiting at this moment.");
  await says(page, "Thursday, May 1, 2031 at 7:00 PM (Asia/Seoul)");
  await sound(page, "a show");
  await press(page, "join");
  await page.waitForSelector("canvas");
  await sound(page, "the hall");

  const other = await bob.visit(`/shows/${show}`);
  await press(other, "join");
  same(await place(other), "1", "Bob's place");
  await linked(other, "live");
  await sound(other, "the waiting room");
  await other.waitForFunction(() => document.title.startsWith("1 · "));
  await house.run("PUT", "/v1/queues/one", { maxActive: 5 });
  await other.waitForSelector("canvas");

  // What somebody else has held in the meantime one is told before one asks for it.
  await choose(page, 5);
  await says(page, "Stalls, Row A, Seat 5");
  await choose(other, 5);
  await press(other, "hold");
  await says(page, "A seat that you had chosen was just taken by somebody else.");
  same(await page.locator('[data-key="hold"]').count(), 0, "nothing is left to hold");
  await press(other, "giveBack");

  await choose(page, 6);
  await choose(other, 6);
  await says(page, "Stalls, Row A, Seat 6");
  await Promise.all([press(page, "hold"), press(other, "hold")]);
  const won = async (of) => {
    await of.waitForSelector("seat-basket, [role=alert] .bad");
    return (await of.locator("seat-basket").count()) > 0;
  };
  const wins = [await won(page), await won(other)];
  same(wins.filter(Boolean).length, 1, "one of both has the seat");
  const [first, second] = wins[0] ? [page, other] : [other, page];
  await says(second, "Somebody else was faster: a seat is taken. Please choose another one.");
  await sound(second, "a seat that is gone");
  await sound(first, "the basket");
  await pay(first);
  await sound(first, "the receipt");
  // Two of them ask for the best at once, and get different ones.
  await second.selectOption('[data-key="where"]', "1");
  await press(second, "best");
  await second.waitForSelector("seat-basket");
  same(await second.locator("seat-basket .list li").count(), 2, "two places");
  await pay(second);
  await second.click('a[href="/me"] >> nth=-1');
  await says(second, "Floor, Standing");
  await says(second, "Topped up");
  await sound(second, "my tickets");
  await Promise.all([ann.leave(), bob.leave()]);
}

async function a_payment_outlives_the_server() {
  const show = await house.sale("paying", { maxActive: 5 });
  const dee = await browser.person(house, { name: "dee" });
  const page = await dee.visit(`/shows/${show}`);
  await press(page, "join");
  await choose(page, 1);
  await press(page, "hold");
  await press(page, "topUp");
  const sent = page.waitForRequest((request) => request.url().endsWith("/v1/payments"));
  await press(page, "pay");
  await sent;
  await house.kill();
  await says(page, "The payment is under way.");
  await sound(page, "a payment under way");
  await house.start();
  await says(page, "Paid. The seats are yours.");
  const { entries } = await house.run("GET", "/v1/wallets/dee/entries");
  same(
    entries.map(({ kind, amount }) => [kind, amount]),
    [
      ["PAYMENT", -90_000],
      ["CHARGE", 90_000],
    ],
    "one debit",
  );
  await dee.leave();
}

async function a_hold_is_found_again_and_given_back() {
  const show = await house.sale("again", { maxActive: 5 });
  const eve = await browser.person(house, { name: "eve" });
  const page = await eve.visit(`/shows/${show}`);
  await press(page, "join");
  await choose(page, 2);
  await press(page, "hold");
  await says(page, "Your seats are held");
  await page.reload();
  await says(page, "Your seats are held");
  // The same person at another device, by the link of the place.
  const token = await page.evaluate(() => localStorage.getItem("boxoffice.place.again.eve"));
  const device = await browser.person(house, { name: "eve" });
  // Its clock is an hour fast, on which the time left does not depend.
  await device.context.addInitScript(() => {
    const { now } = Date;
    Date.now = () => now() + 3_600_000;
  });
  const phone = await device.visit(`/line/${token}?show=${show}`);
  await sound(phone, "a place by its link");
  await press(phone, "next");
  await says(phone, "Your seats are held");
  const left = await phone.locator("seat-basket .clock").innerText();
  ok(/^0[0-5]:\d\d$/.test(left) && left !== "00:00", `${left} is left`);
  await press(phone, "giveBack");
  await phone.waitForSelector("canvas");
  await choose(phone, 2);
  await Promise.all([eve.leave(), device.leave()]);
}

async function a_crowd_asks_for_the_best_seats() {
  const rows = [
    { name: "A", seats: 4 },
    { name: "B", seats: 3 },
  ];
  const sections = [{ name: "Stalls", price: 1_000, rows }];
  const show = await house.sale("best", { maxActive: 9 }, { sections });
  const people = await Promise.all(["pam", "quy", "rex"].map((name) => browser.person(house, { name })));
  const pages = await Promise.all(people.map((person) => person.visit(`/shows/${show}`)));
  for (const page of pages) {
    await press(page, "join");
    await page.waitForSelector('[data-key="best"]');
  }
  await Promise.all(pages.map((page) => press(page, "best")));
  const held = [];
  for (const page of pages) {
    await page.waitForSelector("seat-basket");
    held.push(...(await page.locator("seat-basket .list li .grow").allInnerTexts()));
  }
  same(new Set(held).size, 6, `everybody has two, and nobody another's: ${held}`);
  // One seat is left: not two, and not side by side.
  const sid = await browser.person(house, { name: "sid" });
  const page = await sid.visit(`/shows/${show}`);
  await press(page, "join");
  await press(page, "best");
  await says(page, "Only 1 free there, at most 1 side by side.");
  await sound(page, "not so many seats");
  await page.selectOption('[data-key="howMany"]', "1");
  await press(page, "best");
  await says(page, "Your seats are held");
  await Promise.all([...people, sid].map((person) => person.leave()));
}

async function by_keyboard_alone() {
  const show = await house.sale("keys", { maxActive: 5 });
  const fay = await browser.person(house, { name: "fay" });
  const page = await fay.visit("/");
  await skips(page);
  await enter(page, `/shows/${show}`, "join");
  await reach(page, "seat5");
  for (const pressed of [true, false]) {
    await page.keyboard.press("Space");
    await page.waitForSelector(`[data-seat="5"][aria-pressed="${pressed}"]`);
    const focus = await page.evaluate(() => document.activeElement?.dataset.key);
    same(focus, "seat5", "the focus stays on the seat");
  }
  await reach(page, "howMany");
  await page.keyboard.press("3");
  await enter(page, "best");
  await says(page, "Your seats are held");
  same(await page.locator("seat-basket .list li").count(), 3, "three seats");
  await enter(page, "topUp", "pay");
  await says(page, "Paid. The seats are yours.");
  await fay.leave();
}

async function in_both_languages() {
  const show = await house.sale("korean", { maxActive: 5 });
  const gil = await browser.person(house, { name: "gil", locale: "ko-KR" });
  const page = await gil.visit(`/shows/${show}`);
  await says(page, "2031년 5월 1일 목요일 오후 7:00");
  same(await page.getAttribute("html", "lang"), "ko");
  await press(page, "join");
  await page.waitForSelector("canvas");
  await sound(page, "the hall in Korean");
  await choose(page, 1);
  await says(page, "Stalls, A열, 좌석 1");
  await says(page, "₩90,000");
  await press(page, "language");
  await says(page, "Choose your seats");
  await page.reload();
  await says(page, "Choose your seats");
  await gil.leave();
}

async function before_the_opening() {
  const opensAt = new Date(Date.now() + 30_000).toISOString();
  const show = await house.sale("opening", { maxActive: 5, opensAt });
  const hal = await browser.person(house, { name: "hal" });
  const page = await hal.visit(`/shows/${show}`);
  await says(page, "The line opens on");
  await sound(page, "a show before its line opens");
  await press(page, "join");
  await says(page, "You are registered");
  ok(/^00:[0123]\d$/.test(await page.locator("waiting-room .clock").innerText()), "the countdown");
  const en = "We <b>begin</b> soon & on time";
  await house.run("PUT", "/v1/queues/opening", { message: { ko: "곧 <b>시작</b>합니다", en } });
  await says(page, en);
  await page.waitForFunction((en) => document.getElementById("said")?.textContent === en, en);
  await sound(page, "registered");
  await house.run("PUT", "/v1/queues/opening", { message: { ko: "잠시만요" } });
  await page.waitForSelector('waiting-room .said[lang="ko"]');
  await says(page, "잠시만요");
  await page.waitForSelector("canvas");
  await hal.leave();
}

async function the_draw_is_checked() {
  const opensAt = new Date(Date.now() + 25_000).toISOString();
  const show = await house.sale("drawn", { maxActive: 1, opensAt, opening: "DRAW" });
  const hoa = await browser.person(house, { name: "hoa" });
  const page = await hoa.visit(`/shows/${show}`);
  await press(page, "join");
  for (const userId of ["ada", "bea", "cem", "dan"])
    await house.run("POST", "/v1/queues/drawn/tokens", { userId });
  await press(page, "draw");
  await says(page, "commitment is noted on this device");
  await sound(page, "the draw before the opening");
  const { commitment } = await house.run("GET", "/v1/queues/drawn/draw");
  await says(page, commitment);
  await page.waitForSelector("waiting-room .card:not(.registered)");
  const verdicts = () => page.locator("draw-check li strong").allInnerTexts();
  await press(page, "draw");
  await says(page, "of 5 was drawn for you.");
  same(await verdicts(), Array(5).fill("right"), "each step, and the commitment that was noted");
  await sound(page, "the draw after the opening");
  // A draw that is told otherwise is seen.
  await page.route(/\/draw$/, async (route) => {
    const answer = await route.fetch();
    const told = await answer.json();
    if (told.secret) told.secret = `${told.secret.startsWith("00") ? "11" : "00"}${told.secret.slice(2)}`;
    await route.fulfill({ response: answer, json: told });
  });
  await press(page, "draw");
  await says(page, "WRONG");
  same(await verdicts(), ["WRONG", "WRONG", "right", "right", "right"]);
  await sound(page, "a draw that is told otherwise");
  await hoa.leave();
}

/** What `types.d.ts` declares of an answer, its document has. */
async function what_the_pages_read_is_what_the_document_says() {
  const { components } = await house.run("GET", "/openapi.json");
  const called = {
    Action: "OperatorAction",
    Story: "PaymentStory",
    Place: "Token",
    Message: "QueueMessage",
    Row: "PlanRow",
    Plan: "SeatPlan",
  };
  /** The members of a schema, with those of the schemas that it is made of. */
  const members = ({ $ref, allOf = [], properties = {} }) => [
    ...($ref ? members(components.schemas[$ref.split("/").at(-1)]) : []),
    ...allOf.flatMap(members),
    ...Object.keys(properties),
  ];
  const types = readFileSync(new URL("types.d.ts", import.meta.url), "utf8");
  const declared = [...types.matchAll(/^export interface (\w+)[^{]*\{\n([^]*?)^\}/gm)];
  let compared = 0;
  for (const [, name, body] of declared) {
    const schema = components.schemas[called[name] ?? name];
    // What a tab knows and came with is the pages' own, and a currency is a part of others.
    if (["Known", "News", "Priced", "ToCome"].includes(name)) continue;
    ok(schema, `the document has ${name}`);
    const there = new Set(members(schema));
    for (const [, member] of body.matchAll(/^  (\w+): /gm)) {
      ok(there.has(member), `${name}.${member} is in the document`);
      compared += 1;
    }
  }
  ok(compared > 100, `${compared} members`);
}

async function what_is_not_there() {
  const joe = await browser.person(house, { name: "joe" });
  const page = await joe.visit("/shows/999999");
  await says(page, "There is no such show.");
  await sound(page, "a show that is not there");
  const line = await joe.visit("/line/3fa85f64-5717-4562-b3fc-2c963f66afa6");
  await says(line, "This place no longer exists.");
  const mine = await joe.visit("/me");
  await says(mine, "You have no tickets yet.");
  await mine.click("summary");
  await mine.fill('[data-key="who"]', "two words");
  await press(mine, "signIn");
  await says(mine, "A name has 1 to 64 visible letters and no spaces.");
  await sound(mine, "a name that is none");
  await mine.fill('[data-key="who"]', "josephine");
  await press(mine, "signIn");
  await says(mine, "josephine");
  await joe.leave();
}

async function where_one_has_to_sign_in() {
  const secured = await House.open(program, `${folder}/secured`, "--auth-issuer", "local");
  const show = await secured.sale("signed", { maxActive: 5 });
  const kim = await browser.person(secured);
  const page = await kim.visit(`/shows/${show}`);
  await says(page, "This box office asks who you are.");
  await sound(page, "asked to sign in");
  await page.fill('[data-key="who"]', "no token");
  await press(page, "signIn");
  await says(page, "This is no access token that is still valid.");
  await page.fill('[data-key="who"]', secured.token("kim"));
  await press(page, "signIn");
  await press(page, "join");
  await choose(page, 1);
  await press(page, "hold");
  await pay(page);
  // Handed over by a link; a link does not make a person who has signed in another one.
  await page.goto(`${secured.base}/me#access_token=${secured.token("mallory")}`);
  await says(page, "kim");
  same(
    [page.url(), await page.getByText("mallory").count()],
    [`${secured.base}/me`, 0],
    "the address is clean",
  );
  await page.click("text=Sign out");
  await page.goto(`${secured.base}/?from=shop#access_token=${secured.token("lee")}`);
  await page.click('a[href="/me"]');
  await says(page, "lee");
  await kim.leave();
  await secured.kill();
}

const scenes = [
  two_people_want_one_seat,
  a_payment_outlives_the_server,
  a_hold_is_found_again_and_given_back,
  a_crowd_asks_for_the_best_seats,
  by_keyboard_alone,
  in_both_languages,
  before_the_opening,
  the_draw_is_checked,
  what_the_pages_read_is_what_the_document_says,
  what_is_not_there,
  where_one_has_to_sign_in,
];
await play("the on-sale in a browser", scenes, only, browser, house);
