// How the pages come, in a real browser: what they say and do before a module is there, and where there are
// no scripts at all; how much is sent; and that nothing moves when the modules take over.
//
//     node arrival.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { Browser, House, linked, play, press, says, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/arrival`);

/** What is said where only scripts can do more. */
const SCRIPTS = "To buy tickets here, please allow JavaScript for this page.";

/** The place of a page that has no modules. */
const told = (page) => page.locator(".card .place").innerText();

/** Has a page keep what its layout has moved by, and when it was painted. */
function watchLayout() {
  globalThis.moved_ = [];
  const learn = (list) => {
    for (const { value, hadRecentInput } of list.getEntries())
      if (!hadRecentInput) globalThis.moved_.push(value);
  };
  new PerformanceObserver(learn).observe({ type: "layout-shift", buffered: true });
}

async function one_answer_is_all_that_a_show_needs_to_be_read_and_joined() {
  const show = await house.sale("early", { maxActive: 1 });
  await house.run("POST", "/v1/queues/early/tokens", { userId: "first" });
  const ann = await browser.person(house, { viewport: { width: 390, height: 800 } });
  const [held, asked] = [[], []];
  await ann.context.route("**/*", (route) => {
    if (!route.request().isNavigationRequest()) return held.push(route);
    asked.push(new URL(route.request().url()).pathname);
    return route.continue();
  });
  const page = await ann.context.newPage();
  await page.goto(`${house.base}/shows/${show}`, { waitUntil: "commit" });
  await says(page, "Evening of early");
  await says(page, "Gala of early");
  await says(page, "Thursday, May 1, 2031 at 7:00 PM (Asia/Seoul)");
  await says(page, "Nobody is waiting at this moment.");
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  ok(await page.locator('[data-key="join"]').isVisible(), "one can join");
  const card = page.locator(".card");
  const paper = await card.evaluate((element) => getComputedStyle(element).backgroundColor);
  same(paper, "rgb(255, 255, 255)", "it is dressed");
  same(asked, [`/shows/${show}`], "one request was answered");
  ok(held.length > 5, "its modules are asked for and have not come");
  // Joining does not need them either.
  await press(page, "join");
  await page.waitForURL("**/line/**", { waitUntil: "commit" });
  same(await told(page), "1", "the place");
  // A redirection is followed without being asked for here.
  same(asked, [`/shows/${show}`, `/shows/${show}`], "the page and its form");
  const { pathname } = new URL(page.url());
  const { userId } = await house.run("GET", pathname.replace("/line/", "/v1/tokens/"));
  ok(/^guest-[a-z]{8}$/.test(userId), `${userId} is a name that was made up`);
  // The modules come, and know whose place it is: the person goes on as who they have joined as.
  await ann.context.unrouteAll();
  await page.reload();
  await linked(page, "live");
  same(new URL(page.url()).hash, "", "the address is clean");
  await house.run("PUT", "/v1/queues/early", { maxActive: 2 });
  await press(page, "next");
  await page.waitForSelector("canvas");
  same(await page.evaluate(() => localStorage.getItem("boxoffice.name")), userId);
  await ann.leave();
}

async function nothing_moves_when_the_modules_come() {
  const opensAt = new Date(Date.now() + 3_600_000).toISOString();
  const [still, later] = [
    await house.sale("still", { maxActive: 5 }),
    await house.sale("later", { maxActive: 5, opensAt }, { opensAt }),
  ];
  const join = 'show-page [data-key="join"]';
  const pages = [
    ["what is on", "/", "on-sale a.name"],
    ["a show", `/shows/${still}`, join],
    ["a show whose line opens later", `/shows/${later}`, join],
  ];
  for (const width of [320, 1_200]) {
    for (const [name, path, whole] of pages) {
      const bob = await browser.person(house, { viewport: { width, height: 800 } });
      const page = await bob.context.newPage();
      await page.addInitScript(watchLayout);
      const asked = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      // They come when all that there is without them has been seen.
      await page.route("**/assets/**/main.js", async (route) => {
        await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
        await route.continue();
      });
      await page.goto(`${house.base}${path}`, { waitUntil: "commit" });
      await page.waitForSelector(whole);
      await page.waitForTimeout(300);
      const shifts = await page.evaluate(() => globalThis.moved_);
      const moved = shifts.reduce((sum, one) => sum + one, 0);
      ok(moved < 0.05, `${name} at ${width} pixels moves by ${moved}`);
      same(asked.filter((path) => path.startsWith("/v1/")), [], "what the page came with is not asked for");
      await bob.leave();
    }
  }
}

async function what_is_sent() {
  const show = await house.sale("sent", { maxActive: 1 });
  await house.run("POST", "/v1/queues/sent/tokens", { userId: "first" });
  const { token } = await house.run("POST", "/v1/queues/sent/tokens", { userId: "ida" });
  for (const path of [`/line/${token}?show=${show}`, `/shows/${show}`]) {
    const ida = await browser.person(house, { name: "ida" });
    const page = await ida.context.newPage();
    const wire = await ida.context.newCDPSession(page);
    await wire.send("Network.enable");
    let [sent, asked] = [0, 0];
    wire.on("Network.requestWillBeSent", () => (asked += 1));
    wire.on("Network.loadingFinished", ({ encodedDataLength }) => (sent += encodedDataLength));
    await page.goto(`${house.base}${path}`);
    if (path.startsWith("/line/")) await linked(page, "live");
    else await page.waitForSelector('show-page [data-key="join"]');
    const first = `the first load of ${path.split("/")[1]}: ${asked} requests, ${sent} bytes`;
    ok(sent > 10_000 && sent < 60_000 && asked < 25, first);
    console.log(first);
    await ida.leave();
  }
}

/** What there are scripts for. */
const SCRIPTED = [
  /<script type="module".*?<\/script>/g,
  /<link rel="modulepreload"[^>]*>/g,
  /<meta http-equiv="refresh"[^>]*>/g,
];

/** Looks at a page as it is without scripts. There axe cannot look itself: it is given what is there then. */
async function soundWithout(path, state, language = "en-US") {
  const answer = await fetch(`${house.base}${path}`, { headers: { "accept-language": language } });
  const bare = SCRIPTED.reduce((text, part) => text.replace(part, ""), await answer.text());
  const text = bare.replaceAll("noscript>", "div>");
  const person = await browser.person(house);
  const page = await person.context.newPage();
  const headers = Object.fromEntries(answer.headers);
  delete headers["content-encoding"];
  delete headers["content-length"];
  await page.route("**/*", (route) => route.fulfill({ status: answer.status, headers, body: text }));
  await page.goto(`${house.base}${path}`);
  await sound(page, state);
  await person.leave();
}

async function without_scripts() {
  const show = await house.sale("bare", { maxActive: 1 });
  await house.run("POST", "/v1/queues/bare/tokens", { userId: "first" });
  await house.run("PUT", "/v1/queues/bare", { message: { ko: "안녕", en: "Doors <i>open</i> at 7" } });
  const bare = await browser.person(house, { javaScriptEnabled: false });
  const page = await bare.visit(`/shows/${show}`);
  await says(page, "Evening of bare");
  same(await page.title(), "Evening of bare · boxoffice");
  await page.click("text=Join the line");
  await says(page, "You are in line");
  await says(page, "Doors <i>open</i> at 7");
  same(await told(page), "1", "the place without scripts");
  const refresh = page.locator("meta[http-equiv=refresh]");
  ok(Number(await refresh.getAttribute("content")) >= 1, "it renews itself");
  const { pathname } = new URL(page.url());
  // A line that is full says so, with the show and the form still there.
  const full = await house.sale("full", { maxActive: 0, maxWaiting: 1 });
  await house.run("POST", "/v1/queues/full/tokens", { userId: "first" });
  await page.goto(`${house.base}/shows/${full}`);
  await page.click("text=Join the line");
  await says(page, "The line is full at this moment. Please try again in a little while.");
  await says(page, "Evening of full");
  await house.run("PUT", "/v1/queues/full", { maxWaiting: 5 });
  await page.click("text=Join the line");
  await says(page, "You are in line");
  // From the first page one comes to a show.
  await page.goto(`${house.base}/`);
  await page.click("text=Evening of bare");
  await says(page, "Gala of bare");
  await page.goto(`${house.base}/me`);
  same(await page.locator("noscript p").innerText(), SCRIPTS);
  await bare.leave();

  await soundWithout(`/shows/${show}`, "a show without scripts");
  await soundWithout(`/shows/${show}`, "a show without scripts in Korean", "ko");
  await soundWithout(pathname, "a place without scripts");
  await soundWithout("/", "what is on without scripts");
  await soundWithout("/", "what is on without scripts in Korean", "ko");
  await soundWithout("/me", "what needs scripts without them");
  const opensAt = new Date(Date.now() + 90_000_000).toISOString();
  const later = await house.sale("opens", { maxActive: 5, opensAt }, { maxSeatsPerUser: 4, opensAt });
  await soundWithout(`/shows/${later}`, "a show that opens later without scripts");
  const programme = async () => (await fetch(`${house.base}/`)).text();
  ok((await programme()).includes(`href="/shows/${later}"`), "a show that opens later is listed");
  await house.run("POST", `/v1/shows/${later}/cancel`, {});
  ok(!(await programme()).includes(`href="/shows/${later}"`), "one that is called off is not, at once");
  await soundWithout(`/shows/${later}`, "a show that is called off without scripts");
  const { token } = await house.run("POST", "/v1/queues/opens/tokens", { userId: "reg" });
  await soundWithout(`/line/${token}`, "registered without scripts");
}

async function the_manual_of_draws() {
  const cat = await browser.person(house);
  const page = await cat.visit("/manual/draw");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await sound(page, "the manual of draws");
  await cat.leave();
}

async function where_one_has_to_sign_in_there_is_no_form() {
  const secured = await House.open(program, `${folder}/asked`, "--auth-issuer", "local");
  const show = await secured.sale("asked", { maxActive: 5 });
  const bare = await browser.person(secured, { javaScriptEnabled: false });
  const page = await bare.visit(`/shows/${show}`);
  await says(page, "Evening of asked");
  same(await page.locator("noscript p").innerText(), SCRIPTS);
  same(await page.locator("form").count(), 0, "only modules know who somebody is");
  const answer = await fetch(`${secured.base}/shows/${show}?user=guest-abcdefgh`, { method: "POST" });
  same(answer.status, 401, "nobody joins as somebody");
  await bare.leave();
  await secured.kill();
}

const scenes = [
  one_answer_is_all_that_a_show_needs_to_be_read_and_joined,
  nothing_moves_when_the_modules_come,
  what_is_sent,
  without_scripts,
  the_manual_of_draws,
  where_one_has_to_sign_in_there_is_no_form,
];
await play("how the pages come in a browser", scenes, only, browser, house);
