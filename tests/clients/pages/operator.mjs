// The box office as whoever runs the sale uses it, in a real browser: what is seen of a sale, a show
// that is made and mended, a payment whose story is read and that is refunded, the journal of all that, in an
// open and in a secured house, by keyboard alone, and in both languages. Its lines are played in lines.mjs.
//
//     node operator.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { Browser, House, enter, play, press, reach, says, skips, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/office`);

/** Somebody buys these seats, or holds them only. */
async function buy(of, show, queueId, userId, seatNumbers, { pays = true } = {}) {
  const bearer = of.bearer ? { authorization: `Bearer ${of.token(userId)}` } : {};
  const ask = async (method, path, body, more = {}) => {
    const headers = { "content-type": "application/json", ...bearer, ...more };
    const answer = await fetch(`${of.base}${path}`, { method, headers, body: JSON.stringify(body) });
    ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  };
  const { token } = await ask("POST", `/v1/queues/${queueId}/tokens`, { userId });
  const place = { "x-queue-token": token };
  const held = await ask("POST", "/v1/reservations", { userId, showId: show, seatNumbers }, place);
  if (!pays) return held;
  await ask("POST", `/v1/wallets/${userId}/charges`, { amount: held.amount });
  return ask("POST", "/v1/payments", { userId, reservationId: held.reservationId }, place);
}

/** The value that a chart of the board shows. */
const figure = (page, name) =>
  page.locator("trend-chart").filter({ has: page.getByRole("heading", { name, exact: true }) });

/** Waits until there is a line in a chart. A level one has no height, which counts as unseen. */
const drawn = (page) => page.waitForSelector("trend-chart path.line", { state: "attached" });

/** Waits until a chart shows this. */
const shows = (page, name, text) => figure(page, name).locator(".figure", { hasText: text }).waitFor();

async function what_is_going_on() {
  const show = await house.sale("board", { maxActive: 2 });
  await buy(house, show, "board", "ann", [1, 2]);
  await buy(house, show, "board", "bob", [3], { pays: false });
  for (const userId of ["cho", "dee", "eve"]) await house.run("POST", "/v1/queues/board/tokens", { userId });
  const olga = await browser.person(house);
  const page = await olga.visit("/operator");
  await page.selectOption('[data-key="line"]', "board");
  await shows(page, "Waiting", "2");
  await shows(page, "Active", "2");
  await shows(page, "Held seats", "1");
  await shows(page, "Sold seats", "2");
  await shows(page, "Revenue", "₩180,000");
  await says(page, "Evening of board");
  const line = figure(page, "Waiting").locator("svg[role=img]");
  await page.waitForFunction(() => document.querySelectorAll("trend-chart path.line").length > 5);
  ok((await line.getAttribute("aria-label")).startsWith("Waiting: now 2;"), "the chart in words");
  // What edges count is told after ten seconds and some.
  await figure(page, "Refusals a minute").locator(".figure", { hasText: /\d/ }).waitFor();
  await figure(page, "99 % of answers within").locator(".figure", { hasText: /ms/ }).waitFor();
  await page.getByText(/^Counted by [^,]+\.$/).waitFor();
  await says(page, "Alerts of the last day");
  await says(page, "There are none.");
  await sound(page, "the board");
  await page.emulateMedia({ reducedMotion: "reduce" });
  // What was seen outlives a visit to another page.
  const before = await line.innerHTML();
  await page.click('[data-key="to-find"]');
  await says(page, "No payment needs you.");
  await sound(page, "the form to find something");
  await page.click('[data-key="to-operator"]');
  await page.selectOption('[data-key="line"]', "board");
  ok((await line.innerHTML()).length >= before.length, "the line of the chart is still there");
  await olga.leave();
  // Somebody who comes now sees what was before, also what an edge has counted that is gone.
  await house.kill();
  await house.start();
  const oda = await browser.person(house);
  const other = await oda.visit("/operator");
  await other.selectOption('[data-key="line"]', "board");
  await other.waitForFunction(async () => {
    const at = document.querySelector('script[type="module"]').src.replace(/main\.js$/, "");
    const { watch } = await import(`${at}watch.js`);
    const names = ["waiting board", "active board", "parked", "refused"];
    const begins = names.map((name) => watch.series(name)[0]?.at);
    return begins.every((begin) => begin < performance.timeOrigin - 5_000);
  });
  await other.getByText(/^Counted by .* \(until .*\)/).waitFor();
  await sound(other, "the board with the past of an edge that is gone");
  // A figure that nobody has counted for ten minutes is not told as that of this moment.
  const [value, words] = await other.evaluate(async () => {
    const at = document.querySelector('script[type="module"]').src.replace(/main\.js$/, "");
    const { TrendChart } = await import(`${at}chart.js`);
    const chart = new TrendChart();
    document.body.append(chart);
    chart.trace("Old", [{ at: Date.now() - 600_000, value: 7 }], String);
    const seen = [chart.querySelector(".figure").textContent, chart.querySelector("svg").ariaLabel];
    chart.remove();
    return seen;
  });
  same(value, "–", "an old figure");
  ok(words.startsWith("Old: now –; between 7 and 7"), words);
  await oda.leave();
}

async function what_needs_a_person() {
  const olga = await browser.person(house);
  const told = {
    alerts: [
      {
        program: "edge",
        kind: "a-checkout-is-parked",
        text: "a checkout is parked checkout_id=7c9e6679-7425-40de-944b-e07fc1f90ae7 <b>step</b>=confirm",
        times: 12,
        since: new Date(Date.now() - 3_600_000).toISOString(),
        latestAt: new Date().toISOString(),
        silenced: false,
      },
      {
        program: "wallet-svc",
        kind: "something-went-wrong-that-should-not",
        text: "something went wrong that should not",
        times: 1,
        since: new Date(Date.now() - 7_200_000).toISOString(),
        latestAt: new Date(Date.now() - 7_200_000).toISOString(),
        silenced: true,
      },
    ],
    unread: ["booking-svc"],
  };
  await olga.context.route("**/v1/operator/alerts", (route) => route.fulfill({ json: told }));
  const page = await olga.visit("/operator");
  await says(page, "These programs do not tell theirs: booking-svc.");
  const alerts = page.locator("li.alert");
  same(await alerts.count(), 2, "both kinds");
  const [first, second] = await alerts.allInnerTexts();
  ok(/a-checkout-is-parked edge[^]*<b>step<\/b>=confirm[^]*12 times since /.test(first), first);
  ok(/the latest /.test(first), first);
  ok(/something-went-wrong[^]*wallet-svc[^]*silenced[^]*once, /.test(second), second);
  await sound(page, "the board with alerts");
  await page.click('[data-key="a-checkout-is-parked"]');
  await page.locator("#a-checkout-is-parked").waitFor();
  await page.getByRole("heading", { name: "BoxofficeCheckoutsParked" }).waitFor();
  same(new URL(page.url()).hash, "#a-checkout-is-parked", "an alert leads to what to do");
  await sound(page, "the manual");
  await olga.leave();
}

async function a_show_is_made_and_mended() {
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/shows");
  await page.click("summary");
  await page.fill('[data-key="title"]', "Spring Gala");
  await page.fill('[data-key="queueId"]', "default");
  await page.fill('[data-key="timeZone"]', "Asia/Seoul");
  await sound(page, "the concerts");
  await press(page, "create");
  await page.click('[data-key="newShow"]');
  await page.fill('[data-key="title"]', "First evening");
  await page.fill('[data-key="startsAt"]', "2031-05-01T19:30");
  await page.fill('[data-key="maxSeatsPerUser"]', "4");
  await page.fill('[data-key="section0-name"]', "Parkett");
  await press(page, "section0-more");
  await page.fill('[data-key="section0-4-seats"]', "20");
  await press(page, "addStanding");
  await page.fill('[data-key="section1-capacity"]', "30");
  await says(page, "98 seats in all.");
  await sound(page, "a hall that is planned");
  await press(page, "createShow");
  await says(page, "Thursday, May 1, 2031 at 7:30 PM (Asia/Seoul)");
  await page.waitForSelector("books-page table");
  await sound(page, "a new show's books");
  const showId = Number(page.url().split("/").at(-1));
  const { sections } = await house.run("GET", `/v1/shows/${showId}/plan`);
  same(
    sections.map(({ name, standing, firstSeat, lastSeat, rows }) => [
      name,
      standing,
      firstSeat,
      lastSeat,
      rows.map((row) => row.name).join(""),
    ]),
    [
      ["Parkett", false, 1, 68, "ABCDE"],
      ["Floor 2", true, 69, 98, ""],
    ],
  );
  const made = await house.run("GET", `/v1/shows/${showId}`);
  same([made.startsAt.slice(0, 19), made.maxSeatsPerUser, made.opensAt], ["2031-05-01T10:30:00", 4, null]);

  await page.fill('[data-key="startsAt"]', "2031-05-01T20:00");
  await page.fill('[data-key="price1"]', "33000");
  await page.fill('[data-key="maxSeatsPerUser"]', "");
  await press(page, "preview");
  await sound(page, "a show's change that is previewed");
  await press(page, "confirm");
  await says(page, "Thursday, May 1, 2031 at 8:00 PM (Asia/Seoul)");
  const mended = await house.run("GET", `/v1/shows/${showId}`);
  same([mended.startsAt.slice(0, 19), mended.maxSeatsPerUser], ["2031-05-01T11:00:00", null]);
  same(
    (await house.run("GET", `/v1/shows/${showId}/plan`)).sections.map(({ price }) => price),
    [50_000, 33_000],
  );

  // Somebody else was faster.
  await house.run("PATCH", `/v1/shows/${showId}`, { description: "With an interval." });
  await page.fill('[data-key="title"]', "Opening");
  await press(page, "preview");
  await press(page, "confirm");
  await says(page, "Somebody else has changed this in the meantime.");
  await sound(page, "somebody else was faster");
  same((await house.run("GET", `/v1/shows/${showId}`)).title, "First evening");

  // The hall of the first show begins the next one, and what the service refuses is told with its field.
  await page.click(`a[href^="/operator/concerts/"]`);
  await page.click('[data-key="newShow"]');
  await page.selectOption('[data-key="hallOf"]', String(showId));
  await says(page, "98 seats in all.");
  await page.fill('[data-key="title"]', "Second evening");
  await page.fill('[data-key="startsAt"]', "2001-01-01T19:30");
  await press(page, "createShow");
  await says(page, "startsAt:");
  await sound(page, "a show that is refused");
  await olga.leave();
}

async function who_has_what_and_a_refund() {
  const show = await house.sale("told", { maxActive: 9 });
  const paid = await buy(house, show, "told", "gil", [5, 6]);
  await buy(house, show, "told", "hal", [40], { pays: false });
  const olga = await browser.person(house);
  const page = await olga.visit(`/operator/shows/${show}`);
  await page.getByRole("link", { name: "hal", exact: true }).waitFor();
  await page.fill('[data-key="seat"]', "5");
  await page.press('[data-key="seat"]', "Enter");
  await says(page, "Stalls, Row A, Seat 5");
  await says(page, "Sold, gil");
  await sound(page, "who has the seats of a show");

  await page.click('[data-key="to-find"]');
  await page.fill('[data-key="what"]', "gil");
  await press(page, "find");
  await says(page, "User gil");
  const moved = page.getByRole("region", { name: "Movements" }).locator("tbody tr");
  ok(/Payment\s+-₩180,000\s+₩0$/.test(await moved.first().innerText()), await moved.first().innerText());
  await sound(page, "a user");
  await page.click('[data-key="to-find"]');
  await page.fill('[data-key="what"]', "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11");
  await press(page, "find");
  await says(page, "There is no reservation and no payment with this id.");
  await page.fill('[data-key="what"]', paid.paymentId);
  await press(page, "find");
  await says(page, "Sell the seats");
  await says(page, "Nothing is owed to either side.");
  await sound(page, "the story of a payment");

  await press(page, "refund");
  await page.fill('[data-key="why"]', "Gil is ill");
  await sound(page, "asked whether to refund");
  await press(page, "confirm");
  await says(page, "Give the money back");
  await says(page, "Gil is ill");
  same(await page.locator('[data-key="refund"]').count(), 0, "there is nothing more to refund");
  await sound(page, "a payment that was refunded");
  same((await house.run("GET", "/v1/wallets/gil")).balance, 180_000);
  await page.click(`a[href="/operator/reservations/${paid.reservationId}"]`);
  await says(page, "Refunded");
  await sound(page, "a reservation");
  await olga.leave();
}

async function a_show_is_called_off() {
  const show = await house.sale("off", { maxActive: 5 });
  await buy(house, show, "off", "otto", [1]);
  const olga = await browser.person(house);
  const page = await olga.visit("/operator");
  await page.goto(`${house.base}/operator/shows/${show}`);
  await press(page, "callOff");
  await says(page, "every sale is refunded. This cannot be undone.");
  await sound(page, "asked whether to call a show off");
  await press(page, "confirm");
  await says(page, "It was called off.");
  await says(page, "1 of 1 sales are refunded, 0 need you.");
  same(await page.locator('[data-key="callOff"]').count(), 0, "it is called off once");
  await sound(page, "a show that was called off");
  await olga.leave();
}

async function the_audit() {
  const show = await house.sale("audited", { maxActive: 9 });
  await buy(house, show, "audited", "ida", [1]);
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/audit");
  await sound(page, "before the audit");
  await press(page, "audit");
  await says(page, "All sales are paid for and all payments have their seats.");
  const sum = (name) => page.locator("tr", { hasText: name }).locator("td").last().innerText();
  same(await sum("Kept by the books of all shows"), await sum("Kept by the payments"), "both sums");
  ok((await sum("Kept by the payments")).startsWith("₩"), "they are money");
  await sound(page, "the audit");
  // A sale whose payment is said to be of less money is found.
  await page.route(/\/v1\/payments[/?]/, async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(/"amount": ?90000\b/g, '"amount":89999');
    await route.fulfill({ response: answer, body });
  });
  await press(page, "audit");
  await says(page, "Sold, and no payment fits it");
  await sound(page, "an audit that finds something");
  await olga.leave();
}

async function by_keyboard_alone() {
  await house.run("PUT", "/v1/queues/keyboard", { maxActive: 5 });
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/lines/keyboard");
  await page.waitForSelector("change-form input");
  await skips(page);
  await reach(page, "maxActive");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("7");
  await page.keyboard.press("Enter");
  await page.waitForSelector('[data-key="confirm"]');
  same(await page.evaluate(() => document.activeElement?.tagName), "H3", "the focus is at what would change");
  await enter(page, "confirm");
  await page.waitForSelector('[data-key="maxActive"][value="7"]');
  same((await house.run("GET", "/v1/queues/keyboard")).maxActive, 7);
  await olga.leave();
}

async function in_both_languages_and_on_a_small_screen() {
  const show = await house.sale("korea", { maxActive: 5 });
  await buy(house, show, "korea", "joe", [1]);
  const olga = await browser.person(house, { locale: "ko-KR", viewport: { width: 360, height: 740 } });
  const page = await olga.visit("/operator");
  same(await page.getAttribute("html", "lang"), "ko");
  await drawn(page);
  await sound(page, "the board in Korean");
  for (const path of ["lines/korea", `shows/${show}`, "users/joe", "journal", "audit", "find", "shows"]) {
    await page.goto(`${house.base}/operator/${path}`);
    await page.waitForLoadState("networkidle");
    await sound(page, `${path.split("/")[0]} in Korean`);
  }
  await press(page, "language");
  await says(page, "Concerts");
  await olga.leave();
}

async function where_one_has_to_sign_in() {
  const secured = await House.open(program, `${folder}/guarded`, "--auth-issuer", "local");
  const show = await secured.sale("guarded", { maxActive: 5 });
  const paid = await buy(secured, show, "guarded", "kim", [1]);
  await buy(secured, show, "guarded", "lea", [2], { pays: false });
  const olga = await browser.person(secured);
  const page = await olga.visit("/operator");
  await says(page, "boxoffice token --user olga --role operator");
  await sound(page, "asked to sign in to the box office");
  await page.fill('[data-key="who"]', secured.token("kim"));
  await press(page, "signIn");
  await says(page, "This page is not for you");
  await says(page, "It needs the role operator.");
  await sound(page, "a page that is not for a buyer");
  same(await page.locator("nav a").count(), 1, "a buyer is offered nothing");
  await press(page, "signOut");

  await page.fill('[data-key="who"]', secured.token("sam", "support"));
  await press(page, "signIn");
  await says(page, "A user, a reservation or a payment");
  same(await page.locator("nav a").allInnerTexts(), ["Box office", "Find"], "what support is offered");
  await page.goto(`${secured.base}/operator/payments/${paid.paymentId}`);
  await says(page, "Sell the seats");
  // Support gives back the hold of somebody who asks for it.
  await page.goto(`${secured.base}/operator/users/lea`);
  await page.click('a[href^="/operator/reservations/"]');
  await press(page, "release");
  await press(page, "confirm");
  await says(page, "Given back");
  await press(page, "signOut");

  // A cashier fills wallets, and is offered nothing else.
  await page.goto(`${secured.base}/operator`);
  await page.fill('[data-key="who"]', secured.token("carl", "cashier"));
  await press(page, "signIn");
  await says(page, "Each one is written into the journal.");
  same(await page.locator("nav a").allInnerTexts(), ["Box office", "Wallets"], "what a cashier is offered");
  await page.fill('[data-key="userId"]', "mia");
  await page.fill('[data-key="amount"]', "50000");
  await sound(page, "the till");
  await press(page, "preview");
  await sound(page, "a top-up that is previewed");
  await press(page, "confirm");
  await says(page, "mia has ₩50,000 now.");
  await sound(page, "a wallet that was filled");
  same(await page.locator("till-page a").count(), 0, "what others may look at is no link");
  same((await secured.run("GET", "/v1/operator/journal?target=mia")).actions.length, 1, "it is written down");
  await page.goto(`${secured.base}/operator/audit`);
  await says(page, "This page is not for you");
  await page.click('main a[href="/operator/wallets"]');
  await page.waitForSelector('[data-key="userId"]');
  await press(page, "signOut");

  await page.goto(`${secured.base}/operator`);
  await page.fill('[data-key="who"]', secured.token("olga", "operator"));
  await press(page, "signIn");
  await page.goto(`${secured.base}/operator`);
  await drawn(page);
  await sound(page, "the board of a secured house");
  await page.click('[data-key="toLine"]');
  await press(page, "pause");
  await press(page, "confirm");
  await page.locator(".action", { hasText: "olga (operator)" }).first().waitFor();
  ok(!(await page.content()).includes(secured.bearer), "nobody's token is in the page");
  await olga.leave();
  await secured.kill();
}

async function without_the_server() {
  const olga = await browser.person(house);
  const page = await olga.visit("/operator");
  await drawn(page);
  await olga.context.setOffline(true);
  await says(page, "There is no connection.");
  await sound(page, "the board without a server");
  await olga.context.setOffline(false);
  await page.getByText("There is no connection.").waitFor({ state: "detached" });
  const none = await olga.visit("/operator/shows/999999");
  await says(none, "There is no such show.");
  await none.goto(`${house.base}/operator/nothing`);
  await says(none, "This page cannot be shown");
  await sound(none, "a page that is not there");
  await olga.leave();
}

async function what_the_forms_reckon() {
  const olga = await browser.person(house);
  const page = await olga.visit("/operator/shows");
  const told = await page.evaluate(async () => {
    const at = document.querySelector('script[type="module"]').src.replace(/main\.js$/, "");
    const { clockOf, instantOf } = await import(`${at}forms.js`);
    const { nextName } = await import(`${at}planner.js`);
    const instants = [
      ["2031-05-01T19:30", "Asia/Seoul"],
      ["2031-01-15T20:00", "America/New_York"],
      ["2031-07-15T20:00", "America/New_York"],
      // An hour after clocks were put forward, and an hour before.
      ["2031-03-30T03:30", "Europe/Berlin"],
      ["2031-03-30T01:30", "Europe/Berlin"],
      ["2031-12-31T23:59", "Pacific/Apia"],
    ].map(([clock, zone]) => {
      const instant = instantOf(clock, zone);
      return [new Date(instant).toISOString().slice(0, 16), clockOf(instant, zone) === clock];
    });
    return { instants, names: ["A", "Z", "AZ", "9", "A9", "Row", "ZZ"].map(nextName) };
  });
  same(told, {
    instants: [
      ["2031-05-01T10:30", true],
      ["2031-01-16T01:00", true],
      ["2031-07-16T00:00", true],
      ["2031-03-30T01:30", true],
      ["2031-03-30T00:30", true],
      ["2031-12-31T10:59", true],
    ],
    names: ["B", "AA", "BA", "10", "A10", "Row1", "AAA"],
  });
  await olga.leave();
}

const scenes = [
  what_is_going_on,
  what_needs_a_person,
  a_show_is_made_and_mended,
  who_has_what_and_a_refund,
  a_show_is_called_off,
  the_audit,
  by_keyboard_alone,
  in_both_languages_and_on_a_small_screen,
  where_one_has_to_sign_in,
  without_the_server,
  what_the_forms_reckon,
];
await play("the box office in a browser", scenes, only, browser, house);
