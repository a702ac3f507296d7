// A mesh of the test's own, which can be killed and started again where it was; and browsers that look at it.

import { deepStrictEqual as same, ok } from "node:assert";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
];
/** A limit for what should be there at once, on a machine that is busy with something else. */
const PATIENCE = 90_000;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A port that nobody has. */
const free = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** The meshes that run. None outlives the test, however that ends. */
const running = new Set();
process.on("exit", () => running.forEach((mesh) => mesh.kill("SIGKILL")));
process.on("SIGTERM", () => process.exit(143));

/** A mesh in one process. */
export class House {
  #process;

  constructor(program, folder, more) {
    Object.assign(this, { program, folder, more });
    mkdirSync(folder, { recursive: true });
  }

  static async open(program, folder, ...more) {
    const house = new House(program, folder, more);
    house.at = `127.0.0.1:${await free()}`;
    house.base = `http://${house.at}`;
    house.bearer = more.includes("--auth-issuer") ? house.token("root", "operator,cashier") : null;
    await house.start();
    return house;
  }

  async start() {
    const others = ["grpc", "queue", "booking", "wallet"].flatMap((name) => [
      `--${name}-addr`,
      "127.0.0.1:0",
    ]);
    const args = [
      ...others,
      "--rest-addr",
      this.at,
      "--data-dir",
      `${this.folder}/data`,
      "--log-format",
      "json",
    ];
    const log = openSync(`${this.folder}/log`, "a");
    this.#process = spawn(this.program, [...args, ...this.more], { stdio: ["ignore", "ignore", log] });
    running.add(this.#process);
    for (let tries = 0; ; tries += 1) {
      const ready = await fetch(`${this.base}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (ready) return;
      ok(tries < 3_000 && this.#process.exitCode === null, `the mesh did not start: ${this.folder}/log`);
      await sleep(100);
    }
  }

  /** Ends it as a lost machine ends. */
  async kill() {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await gone;
    running.delete(this.#process);
  }

  token(user, roles) {
    const args = [
      "token",
      "--data-dir",
      `${this.folder}/data`,
      "--user",
      user,
      ...(roles ? ["--role", roles] : []),
    ];
    return execFileSync(this.program, args, { encoding: "utf8" }).trim();
  }

  /** Asks REST as whoever runs the sale. */
  async run(method, path, body) {
    const signed = this.bearer ? { authorization: `Bearer ${this.bearer}` } : {};
    const headers = { "content-type": "application/json", ...signed };
    const answer = await fetch(`${this.base}${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
    });
    ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  }

  /** A concert with a hall behind a queue of its own. */
  async sale(queueId, policy, more = {}) {
    await this.run("PUT", `/v1/queues/${queueId}`, policy);
    const concert = await this.run("POST", "/v1/concerts", {
      title: `Gala of ${queueId}`,
      queueId,
      timeZone: "Asia/Seoul",
    });
    const rows = ["A", "B", "C"].map((name) => ({ name, seats: 12 }));
    const sections = [
      { name: "Stalls", price: 90_000, rows },
      { name: "Floor", price: 50_000, capacity: 40 },
    ];
    const show = {
      startsAt: "2031-05-01T10:00:00Z",
      durationMinutes: 90,
      title: `Evening of ${queueId}`,
      sections,
      ...more,
    };
    const { showId } = await this.run("POST", `/v1/concerts/${concert.concertId}/shows`, show);
    return showId;
  }
}

/** A browser of which every person has a profile. */
export class Browser {
  #browser;

  static async open(executablePath) {
    const browser = new Browser();
    browser.#browser = await chromium.launch({ executablePath, headless: true, args: flags });
    return browser;
  }

  close() {
    return this.#browser.close();
  }

  /** The id of the process that runs a page's scripts: the one that works when the page does. */
  async renderer(page) {
    const wire = await this.#browser.newBrowserCDPSession();
    const worked = async () => {
      const { processInfo } = await wire.send("SystemInfo.getProcessInfo");
      const renderers = processInfo.filter(({ type }) => type === "renderer");
      return new Map(renderers.map(({ id, cpuTime }) => [id, cpuTime]));
    };
    const before = await worked();
    await page.evaluate(() => {
      for (const until = performance.now() + 1_000; performance.now() < until; );
    });
    const since = [...(await worked())].map(([id, time]) => [time - (before.get(id) ?? time), id]);
    return since.sort(([a], [b]) => b - a)[0][1];
  }

  /** A person with a profile of their own. */
  async person(house, { name, ...options } = {}) {
    const shape = {
      locale: "en-US",
      reducedMotion: "reduce",
      viewport: { width: 1200, height: 900 },
      ...options,
    };
    const context = await this.#browser.newContext(shape);
    context.setDefaultTimeout(PATIENCE);
    const person = new Person(house, context);
    if (name) await context.addInitScript((name) => localStorage.setItem("boxoffice.name", name), name);
    return person;
  }
}

/** Somebody with a browser. What their pages do wrong is in `wrong`. */
export class Person {
  wrong = [];
  /** How often a stream of events was asked for. */
  streams = 0;

  constructor(house, context) {
    Object.assign(this, { house, context });
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== house.base && url.protocol !== "data:")
        this.wrong.push(`elsewhere: ${request.url()}`);
      if (url.pathname.endsWith("/events")) this.streams += 1;
    });
  }

  async visit(path) {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.wrong.push(String(error.stack ?? error)));
    // What the page's own policy forbids it is told on the console alone.
    page.on(
      "console",
      (message) => message.text().includes("Content Security Policy") && this.wrong.push(message.text()),
    );
    await page.goto(`${this.house.base}${path}`);
    return page;
  }

  async leave() {
    await this.context.close();
    ok(this.wrong.length === 0, this.wrong.join("\n"));
  }
}

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** What was looked at. */
export const seen = new Set();

/** A phone; a page that is zoomed to 200 %, which has half the pixels; and text alone of twice its size. */
const SHAPES = [
  { name: "on a phone", viewport: { width: 320, height: 640 } },
  { name: "at 200 %", viewport: { width: 640, height: 450 } },
  { name: "with text of 200 %", viewport: { width: 1280, height: 900 }, text: "200%" },
];

/** What is cut off, or makes the page scroll sideways. Wide tables scroll by themselves. */
function cut() {
  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`the page is ${wide} pixels wide`);
  for (const element of document.body.querySelectorAll("*:not(.unseen, progress, option, canvas)")) {
    const { overflowX } = getComputedStyle(element);
    const hides = ["hidden", "clip"].includes(overflowX) && element.scrollWidth > element.clientWidth + 1;
    if (hides && !element.closest(".unseen")) found.push(`${element.outerHTML.slice(0, 120)} is cut off`);
  }
  return found;
}

/**
 * What must be true of every page in every state: no rule of accessibility is broken in the light nor in the
 * dark, and on a phone, zoomed and with large text nothing is cut off and nothing scrolls in two directions.
 */
export async function sound(page, state) {
  seen.add(state);
  const size = page.viewportSize();
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(
      (values) => globalThis.axe.run({ runOnly: { type: "tag", values } }),
      RULES,
    );
    const told = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html + failureSummary)}`,
    );
    ok(told.length === 0, `${state} in the ${colorScheme}: ${told.join("\n")}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  const enlarge = (text) => page.evaluate((text) => (document.documentElement.style.fontSize = text), text);
  for (const { name, viewport, text } of SHAPES) {
    await page.setViewportSize(viewport);
    await enlarge(text ?? "");
    const found = await page.evaluate(cut);
    ok(found.length === 0, `${state} ${name}: ${found.join("\n")}`);
  }
  await enlarge("");
  await page.setViewportSize(size);
}

/** Waits until a control is there and may be used, and presses it. */
export const press = (page, key) => page.click(`[data-key="${key}"]:not([aria-disabled="true"])`);

/** Waits until the page says this. */
export const says = (page, text) => page.getByText(text).first().waitFor();

/** What a page says of the place: its number. */
export const place = (page) => page.locator("waiting-room .big").first().innerText();

/** Waits until the page tells how it hears of the place. */
export const linked = (page, how) => page.waitForSelector(`[data-link="${how}"]`);

/**
 * Goes with Tab to a control that may be used, as a keyboard does, once it is there.
 */
export async function reach(page, wanted) {
  const key = () =>
    page.evaluate(() => document.activeElement?.dataset.key ?? document.activeElement?.getAttribute("href"));
  await page.waitForSelector(`[data-key="${wanted}"]:not([aria-disabled="true"]), [href="${wanted}"]`);
  for (let tries = 0; (await key()) !== wanted; tries += 1) {
    ok(tries < 200, `Tab leads to ${wanted}`);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  same(outline, "solid", `one sees that ${wanted} has the focus`);
}

/** Skipping to the content is the first thing that a keyboard is offered. */
export async function skips(page) {
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement?.getAttribute("href"));
  same(first, "#main", "the first thing is to skip to the content");
}

/** Goes with Tab to each of these in turn, and presses Enter. */
export async function enter(page, ...keys) {
  for (const key of keys) {
    await reach(page, key);
    await page.keyboard.press("Enter");
  }
}

/** Plays scenes one after the other, those whose names have `only` in them, and says what was looked at. */
export async function play(name, scenes, only, browser, house) {
  try {
    for (const scene of scenes.filter((scene) => !only || scene.name.includes(only))) {
      await scene().catch((error) => {
        error.message = `${scene.name}: ${error.message}`;
        throw error;
      });
    }
    console.log(`${name}: ${scenes.length} scenes, ${seen.size} states looked at for everybody's use`);
  } finally {
    await browser.close();
    await house.kill();
  }
}
