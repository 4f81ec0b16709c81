"use strict";
// Looks at the page of the study in a real browser: `make check-report`. Its numbers are reckoned here a second time,
// from the lines of the study. CHROMIUM names the browser, REPORT the folder with study.html and study.csv.

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const folder = path.resolve(process.env.REPORT || "build/report");
const address = pathToFileURL(path.join(folder, "study.html")).href;
// Without these, the browser looks for its maker's servers.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

let browser;
test.before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
});
test.after(() => browser.close());

/** Opens the page, and gathers whatever goes wrong on it, and whatever it asks for. */
async function open(scheme) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const wrong = [];
  const asked = [];
  page.on("console", (message) => wrong.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(String(error.stack)));
  page.on("requestfailed", (request) => wrong.push(`failed: ${request.url()}`));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  for (const section of await page.locator("section").all()) {
    await section.scrollIntoViewIfNeeded();
    await section.locator("canvas").first().waitFor();
  }
  await page.evaluate(() => scrollTo(0, 0));
  return { page, wrong, asked };
}

/** The points of a canvas, from a copy: the browser warns of canvases that are drawn and read. */
async function pixelsOf(canvas) {
  return canvas.evaluateHandle((element) => {
    const copy = new OffscreenCanvas(element.width, element.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(element, 0, 0);
    return copy.getImageData(0, 0, element.width, element.height).data;
  });
}

/** How many different colours a canvas has: an empty one has one. */
async function coloursOf(canvas) {
  return (await pixelsOf(canvas)).evaluate((data) => new Set(new Uint32Array(data.buffer)).size);
}

/** How many points of a canvas have a colour of the style, or nearly: lines are smoothed. */
async function pointsOf(canvas, name) {
  return (await pixelsOf(canvas)).evaluate((data, name) => {
    const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if ([0, 1, 2].every((i) => Math.abs(data[at + i] - wanted[i]) < 24) && data[at + 3] > 200) count += 1;
    }
    return count;
  }, name);
}

function section(page, title) {
  return page.locator("section", { has: page.locator("h2", { hasText: new RegExp(`^${title}`) }) });
}

function chart(page, inSection, title) {
  return section(page, inSection).locator(".chart", { has: page.locator("h3", { hasText: title }) });
}

/** The texts of a table. */
function textsOf(table) {
  return table.evaluate((element) => [...element.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
}

/** The lines of the study, as objects. */
function lines() {
  const [head, ...rest] = fs.readFileSync(path.join(folder, "study.csv"), "utf8").trim().split("\n").map((line) => line.split(","));
  return rest.map((fields) => Object.fromEntries(fields.map((field, at) => [head[at], field])));
}

function harmOf(line) {
  return line.died === "true" || line.last_us === "" ? Infinity : Number(line.last_us) / Number(line.alone_us);
}

/** Of sorted values, the one that stands so far up. */
function quantile(values, hundredths) {
  return values[Math.ceil((values.length - 1) * hundredths / 100)];
}

function shown(value) {
  return value === Infinity ? "never" : value.toFixed(value < 100 ? 2 : 0);
}

/** Harm of the worlds in which a leg changes and none dies, by algorithm. */
function harmsOfChanging(algorithm) {
  const isOne = (line) => line.algorithm === algorithm && line.family === "changing" && !line.world.includes("/die");
  return lines().filter(isOne).map(harmOf).sort((a, b) => a - b);
}

for (const scheme of ["light", "dark"]) {
  test(`every picture is drawn, and nothing goes wrong: ${scheme}`, async () => {
    const { page, wrong, asked } = await open(scheme);
    const canvases = await page.locator("canvas").all();
    assert.ok(canvases.length > 20, `${canvases.length} pictures`);
    for (const canvas of canvases) assert.ok(await coloursOf(canvas) > 5, "a canvas is empty");
    const harm = await chart(page, "changing$", "Harm").locator("canvas").elementHandle();
    assert.ok(await pointsOf(harm, "--c0") > 200, "the first curve has the colour of the scheme");
    await page.screenshot({ path: path.join(folder, `study-${scheme}.png`), fullPage: true });
    await page.screenshot({ path: path.join(folder, `study-${scheme}-first.png`) });
    assert.deepEqual(wrong, []);
    assert.deepEqual(asked.filter((url) => !url.startsWith("data:")), [address]);
    await page.context().close();
  });
}

test("a stranger reads the question, and an answer for each algorithm", async () => {
  const { page } = await open("light");
  const algorithms = [...new Set(lines().map((line) => line.algorithm))];
  assert.equal(await page.locator("h1").textContent(), "Are two legs slower than the best one?");
  const answers = await page.locator("#answers li").allTextContents();
  assert.equal(answers.length, algorithms.length);
  algorithms.forEach((algorithm, at) => assert.match(answers[at], new RegExp(`^${algorithm}[,:].* (yes|no), in `)));
  assert.match(answers[0], /^lowrtt, the rule as deployed: /);
  assert.equal((await textsOf(page.locator("#glance table"))).length, algorithms.length + 1);
  const costs = await textsOf(page.locator("#costs table"));
  assert.deepEqual(costs, [["algorithm", "a choice that stays", "one that is made anew"], ["lowrtt", "84.00", "370"]]);
  const directions = await page.locator("#contents a").allTextContents();
  assert.match(directions[0], /^an exit running circflow for a stock client/);
  assert.match(directions[1], /^a client running circflow for a stock exit/);
  await page.context().close();
});

test("the tables have the numbers behind the pictures", async () => {
  const { page } = await open("light");
  const [, ...rows] = await textsOf(chart(page, "changing$", "Harm").locator(".scroll table").first());
  for (const [algorithm, worlds, ...told] of rows) {
    const harms = harmsOfChanging(algorithm);
    assert.equal(Number(worlds), harms.length);
    assert.deepEqual(told, [5, 25, 50, 75, 95, 99, 100].map((hundredths) => shown(quantile(harms, hundredths))), algorithm);
  }
  await page.context().close();
});

test("a curve tells its values under the cursor", async () => {
  const { page } = await open("light");
  const harm = chart(page, "changing$", "Harm");
  await harm.locator(".u-over").scrollIntoViewIfNeeded();
  const box = await harm.locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
  const [at, first] = await harm.locator(".u-legend .u-value").allTextContents();
  const harms = harmsOfChanging("lowrtt");
  const below = harms.filter((harm) => harm <= Number(at) * 1.01).length / harms.length * 100;
  const share = Number(first.replace(" %", ""));
  assert.ok(share > 0 && Math.abs(below - share) < 6, `${first} at ${at}, where ${below} % of worlds are below`);
  await page.context().close();
});

test("a map tells of the cell under the cursor", async () => {
  const { page } = await open("light");
  const map = page.locator("#maps .chart").first();
  await map.locator(".u-over").scrollIntoViewIfNeeded();
  const box = await map.locator(".u-over").boundingBox();
  const before = await map.locator(".told").textContent();
  // The demo's rows: the leg with the higher rate is ten times nearer, and twenty times quicker.
  await page.mouse.move(box.x + box.width * 0.5 / 9, box.y + box.height * 0.5 / 6);
  assert.match(await map.locator(".told").textContent(), /^Rates above 16, round trips below 1\/8: \d+ worlds, median [\d.]+, 95 % [\d.]+\.$/);
  await page.mouse.move(box.x, box.y - 60);
  assert.equal(await map.locator(".told").textContent(), before);
  await page.context().close();
});

test("on paper stands every picture, also where nobody has scrolled", async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 300 } });
  const page = await context.newPage();
  await page.goto(address);
  const before = await page.locator("canvas").count();
  await page.pdf({ path: path.join(folder, "study.pdf") });
  const after = await page.locator("canvas").count();
  assert.ok(before < after, `${before} pictures before, ${after} on paper`);
  assert.equal(await page.locator("section:not(:has(canvas))").count(), 0);
  await context.close();
});

test("the pictures follow the scheme when it changes", async () => {
  const { page, wrong } = await open("light");
  const canvas = await chart(page, "changing$", "Harm").locator("canvas").elementHandle();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(200);
  assert.ok(await pointsOf(canvas, "--c0") > 200);
  assert.deepEqual(wrong, []);
  await page.context().close();
});
