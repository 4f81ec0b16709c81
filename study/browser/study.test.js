"use strict";
// Looks at the page of the study in a real browser: `make check-report`. Its numbers are reckoned here a second time,
// from the lines of the study. REPORT names the folder with study.html and study.csv.

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { newContext, open: openPage, section, chart, textsOf, coloursOf, pointsOf } = require("./look.js");

const folder = path.resolve(process.env.REPORT || "build/report");
const address = pathToFileURL(path.join(folder, "study.html")).href;

/** Opens the page. */
function open(scheme) {
  return openPage(address, scheme);
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
  const context = await newContext({ viewport: { width: 1280, height: 300 } });
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
