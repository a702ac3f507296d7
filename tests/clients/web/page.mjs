// A whole purchase in a real browser over gRPC-Web: in an open house, in a secured one with bearer tokens, and from a page that is not let.
//
//     node page.mjs ORIGIN BROWSER PROFILE_FOLDER OPEN SECURED
//
// ORIGIN serves the page and may call; OPEN and SECURED are houses as JSON: {rest, edge, bearers: {root, ann, bob}}.

import { deepStrictEqual as same, ok } from "node:assert";
import { chromium } from "playwright-core";

const [origin, executablePath, profile, open, secured] = process.argv.slice(2);
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const args = [...flags, "--disable-component-update", "--disable-sync"];
const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args });
context.setDefaultTimeout(60_000);

/** Asks REST as whoever runs the sale. */
async function run(house, method, path, body) {
  const signed = house.bearers ? { authorization: `Bearer ${house.bearers.root}` } : {};
  const headers = { "content-type": "application/json", ...signed };
  const answer = await fetch(`${house.rest}${path}`, { method, headers, body: body && JSON.stringify(body) });
  ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

/** A page of this origin, with what it logs. */
async function visit(from, script) {
  const page = await context.newPage();
  const [told, errors] = [[], []];
  page.on("console", (message) => told.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  // A BigInt does not come through the browser's protocol; as text it does.
  await page.addInitScript(() => (console.log = ((log) => (...all) => log(all.join(" ")))(console.log)));
  await page.goto(`${from}/${script}.html`);
  return { page, told, errors };
}

const queueId = "pages";
for (const house of [JSON.parse(open), JSON.parse(secured)]) {
  await run(house, "PUT", `/v1/queues/${queueId}`, { maxActive: 1 });
  const { concertId } = await run(house, "POST", "/v1/concerts", { title: "In a browser", queueId });
  const show = { startsAt: "2031-05-01T19:00:00Z", durationMinutes: 90, title: "Evening", price: 30_000, seatCount: 10 };
  const { showId } = await run(house, "POST", `/v1/concerts/${concertId}/shows`, show);
  const person = (userId) => ({ userId, bearer: house.bearers?.[userId] });

  const { page, errors } = await visit(origin, "on_sale");
  await page.waitForFunction(() => window.onSale);
  const story = await page.evaluate(
    ([edge, ann, bob, queueId, showId]) => window.onSale(edge, ann, bob, queueId, showId),
    [house.edge, person("ann"), person("bob"), queueId, showId],
  );
  same(errors, [], "errors of the page");
  const { early, wrong, poor, taken } = story.refusals;
  const told = ({ code, reason, domain }) => [code, reason, domain];
  same(story.joined, ["ACTIVE", "WAITING"], "who joined");
  same(story.followed, ["WAITING", "ACTIVE", "LEFT"], "what the stream said");
  same(told(early), ["PermissionDenied", "TOKEN_NOT_ACTIVE", "boxoffice"], "a hold before its time");
  same([...told(wrong), wrong.fields], ["InvalidArgument", "INVALID_ARGUMENT", "boxoffice", ["seat_numbers"]], "wrong fields");
  same(told(poor), ["FailedPrecondition", "INSUFFICIENT_FUNDS", "boxoffice"], "a payment without money");
  same([...told(taken), taken.metadata], ["Aborted", "SEAT_TAKEN", "boxoffice", { seat_numbers: "2" }], "a seat that is gone");
  same([story.charged, story.paid], [100_000, ["COMPLETED", "COMPLETED", 60_000, 40_000]], "the payment");
  same(story.sold, ["CONFIRMED", [1, 2], true], "the seats");
  const unsigned = house.bearers ? ["Unauthenticated", "CREDENTIALS_MISSING"] : ["NotFound", "WALLET_NOT_FOUND"];
  same([story.unsigned.code, story.unsigned.reason], unsigned, "a call without a bearer token");

  // The same page from an origin that is not let: the browser does not even send the call.
  const stranger = await visit(origin.replace("127.0.0.1", "localhost"), "on_sale");
  await stranger.page.waitForFunction(() => window.join);
  const before = await run(house, "GET", `/v1/queues/${queueId}`);
  const { reason } = await stranger.page.evaluate(([edge, queueId]) => window.join(edge, queueId, "mallory"), [house.edge, queueId]);
  same(reason, undefined, "what a stranger reads");
  ok(stranger.told.some((line) => line.includes("CORS")), `the browser's reason: ${stranger.told}`);
  const after = await run(house, "GET", `/v1/queues/${queueId}`);
  same([after.waiting, after.active], [before.waiting, before.active], "nobody joined");
}

// The lines of the README.
const { page, told, errors } = await visit(origin, "buy");
const end = (told) => told.find((line) => line.startsWith("COMPLETED"));
for (let tries = 0; !end(told) && errors.length === 0 && tries < 600; tries++) await page.waitForTimeout(100);
same([errors, told.slice(-2)], [[], ["SEAT_TAKEN 6", "COMPLETED 60000"]], "the README's lines");
await context.close();
console.log("bought in a browser over gRPC-Web: in an open house, in a secured one, and with the README's lines");
