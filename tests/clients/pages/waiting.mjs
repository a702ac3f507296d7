// Waiting in line, in a real browser: a place through kills of the server and cuts of the network, in many
// tabs and in those that nobody looks at, in many lines at once, with streams and without.
//
//     node waiting.mjs PROGRAM FOLDER BROWSER [SCENE]

import { deepStrictEqual as same, ok } from "node:assert";
import { Browser, House, linked, place, play, press, says, sound } from "./house.mjs";

const [program, folder, executable, only] = process.argv.slice(2);
const browser = await Browser.open(executable);
const house = await House.open(program, `${folder}/waiting`);

async function the_place_outlives_the_server_and_the_network() {
  const show = await house.sale("lasting", { maxActive: 1 });
  const cho = await browser.person(house, { name: "cho" });
  await house.run("POST", "/v1/queues/lasting/tokens", { userId: "first" });
  await house.run("POST", "/v1/queues/lasting/tokens", { userId: "second" });
  const page = await cho.visit(`/shows/${show}`);
  await press(page, "join");
  await linked(page, "live");
  same(await place(page), "2", "the place");

  await house.kill();
  await linked(page, "away");
  await says(page, "Your place is kept, and this page comes back by itself.");
  await sound(page, "the waiting room without a server");
  await house.start();
  await linked(page, "live");
  same(await place(page), "2", "the place after the server was killed");

  await cho.context.setOffline(true);
  await linked(page, "away");
  await cho.context.setOffline(false);
  await linked(page, "live");
  same(await place(page), "2", "the place after the network was away");

  // Seven tabs of one person share one stream, also when the tab that has it is closed.
  const before = cho.streams;
  const tabs = await Promise.all(Array.from({ length: 6 }, () => cho.visit(`/shows/${show}`)));
  for (const tab of tabs) await linked(tab, "live");
  same(cho.streams, before, "no further streams");
  await page.close();
  await house.run("POST", "/v1/queues/lasting/tokens", { userId: "third" });
  for (const tab of tabs)
    await tab.getByText("Behind you").locator("xpath=../dd").getByText("1", { exact: true }).waitFor();
  ok(cho.streams > before, "another tab has taken over");

  const tab = tabs[0];
  await press(tab, "leave");
  await sound(tab, "asked whether to leave");
  await press(tab, "really");
  for (const each of tabs) await says(each, "You have left the line. You can join again.");
  await cho.leave();
}

/** Has a page believe that it is shown, or that it is not. Headless browsers show every tab. */
const showing = (page, isShown) =>
  page.evaluate((isShown) => {
    Object.defineProperty(document, "hidden", { configurable: true, value: !isShown });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isShown);

async function a_tab_in_the_background_keeps_its_place_and_is_right_when_it_is_shown() {
  const show = await house.sale("hidden", { maxActive: 1 });
  for (const userId of ["first", "second"]) await house.run("POST", "/v1/queues/hidden/tokens", { userId });
  const ian = await browser.person(house, { name: "ian" });
  const page = await ian.visit(`/shows/${show}`);
  await press(page, "join");
  await linked(page, "live");
  same(await place(page), "2", "the place");
  const asked = [];
  // What the page is made of may still be on its way: it is got beforehand, whenever there is time.
  ian.context.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith("/assets/")) asked.push(pathname);
  });
  await showing(page, false);
  await house.run("POST", "/v1/queues/hidden/tokens", { userId: "third" });
  await page.getByText("Behind you").locator("xpath=../dd").getByText("1", { exact: true }).waitFor();
  await page.waitForTimeout(5_000);
  same(asked, [], "in the background nothing is asked for, and what is new is told all the same");
  const again = page.waitForRequest((request) => /\/v1\/tokens\/[^/]+$/.test(request.url()));
  await showing(page, true);
  await again;
  same(await place(page), "2", "the place when it is shown again");

  // The tab with the stream is frozen; another one is right all the same, and the frozen one once it goes on.
  const frozen = await browser.renderer(page);
  process.kill(frozen, "SIGSTOP");
  const other = await ian.visit(`/shows/${show}`);
  await other.getByText("Behind you").waitFor();
  same(await place(other), "2", "the place beside a frozen tab");
  await house.run("PUT", "/v1/queues/hidden", { maxActive: 5 });
  await other.waitForSelector("canvas");
  process.kill(frozen, "SIGCONT");
  await page.waitForSelector("canvas");
  await ian.leave();
}

async function where_streams_do_not_get_through() {
  const show = await house.sale("polled", { maxActive: 1 });
  await house.run("POST", "/v1/queues/polled/tokens", { userId: "first" });
  const max = await browser.person(house, { name: "max" });
  await max.context.route("**/events", (route) => route.abort());
  const page = await max.visit(`/shows/${show}`);
  await press(page, "join");
  await linked(page, "polling");
  same(await place(page), "1", "the place");
  await house.run("PUT", "/v1/queues/polled", { maxActive: 2 });
  await page.waitForSelector("canvas");
  await max.leave();
}

/** Seven tabs that follow seven places would need more connections than HTTP/1.1 lets a browser open. */
async function in_seven_lines_at_once() {
  const ned = await browser.person(house, { name: "ned" });
  const open = new Set();
  ned.context.on("request", (request) => request.url().endsWith("/events") && open.add(request));
  for (const over of ["requestfinished", "requestfailed"])
    ned.context.on(over, (request) => open.delete(request));
  const tabs = [];
  for (const nth of [1, 2, 3, 4, 5, 6, 7]) {
    const show = await house.sale(`seven-${nth}`, { maxActive: 1 });
    await house.run("POST", `/v1/queues/seven-${nth}/tokens`, { userId: "first" });
    const tab = await ned.visit(`/shows/${show}`);
    await press(tab, "join");
    same(await place(tab), "1", `the place in line ${nth}`);
    tabs.push(tab);
  }
  const answered = await tabs[6].evaluate(async () => {
    const answer = await fetch("/v1/concerts", { signal: AbortSignal.timeout(60_000) });
    return answer.status;
  });
  same(answered, 200, "a connection is left for what is asked");
  ok(open.size > 0 && open.size <= 3, `${open.size} streams are open`);
  // A tab that polls has a stream once others have ended.
  const links = await Promise.all(tabs.map((tab) => tab.getAttribute("[data-link]", "data-link")));
  const those = (how) => tabs.filter((_, at) => links[at] === how);
  await Promise.all(those("live").map((tab) => tab.close()));
  await Promise.any(those("polling").map((tab) => linked(tab, "live")));
  await ned.leave();
}

async function why_a_line_slows_down() {
  const show = await house.sale("slowed", { maxActive: 1 });
  await house.run("POST", "/v1/queues/slowed/tokens", { userId: "first" });
  const ora = await browser.person(house, { name: "ora" });
  const page = await ora.visit(`/shows/${show}`);
  await press(page, "join");
  await linked(page, "live");
  await house.run("PUT", "/v1/queues/slowed", { paused: true });
  await says(page, "The line is paused at this moment. Your place is kept.");
  same(await place(page), "1", "the place in a line that is paused");
  await sound(page, "a line that is paused");
  await house.run("PUT", "/v1/queues/slowed", { paused: false, maxActive: 2 });
  await page.waitForSelector("canvas");
  await ora.leave();
}

const scenes = [
  the_place_outlives_the_server_and_the_network,
  a_tab_in_the_background_keeps_its_place_and_is_right_when_it_is_shown,
  where_streams_do_not_get_through,
  in_seven_lines_at_once,
  why_a_line_slows_down,
];
await play("waiting in a browser", scenes, only, browser, house);
