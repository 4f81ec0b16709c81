"use strict";
// Looks at the report of made-up runs in Shadow in a real browser: `make check-report`. Its numbers are reckoned here a
// second time, from the file with all downloads. REPORT names the folder that has the report in shadow/.

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { newContext, open: openPage, section, chart, textsOf, coloursOf, pointsOf } = require("./look.js");

const folder = path.resolve(process.env.REPORT || "build/report");
const address = pathToFileURL(path.join(folder, "shadow", "report.html")).href;
const VARIANTS = ["stock", "no-conflux", "lowrtt", "minrtt", "cwndrtt", "ontime", "ecf", "blest", "otias", "random"];

function open(scheme, viewport) {
  return openPage(address, scheme, viewport);
}

/** Times to the last byte of a variant's downloads of 1 MiB, sorted. What failed never came. */
function timesOf(variant) {
  const [head, ...rest] = fs.readFileSync(path.join(folder, "shadow", "downloads.csv"), "utf8").trim().split("\n").map((line) => line.split(","));
  const rows = rest.map((fields) => Object.fromEntries(fields.map((field, at) => [head[at], field])));
  const mine = rows.filter((row) => row.variant === variant && row.size === "1048576");
  return mine.map((row) => (row.error || row.last === "" ? Infinity : Number(row.last))).sort((a, b) => a - b);
}

function median(values) {
  const middle = (values.length - 1) / 2;
  return (values[Math.floor(middle)] + values[Math.ceil(middle)]) / 2;
}

for (const scheme of ["light", "dark"]) {
  test(`every curve is drawn, and nothing goes wrong: ${scheme}`, async () => {
    const { page, wrong, asked } = await open(scheme);
    const canvases = await page.locator("canvas").all();
    assert.equal(canvases.length, 6);
    for (const canvas of canvases) assert.ok(await coloursOf(canvas) > 8, "a canvas is empty");
    const last = await chart(page, "1 MiB", "Time to the last byte").locator("canvas").elementHandle();
    assert.ok(await pointsOf(last, "--c0") > 200, "the base has the first colour of the scheme");
    await page.screenshot({ path: path.join(folder, `shadow-${scheme}.png`), fullPage: true });
    await page.screenshot({ path: path.join(folder, `shadow-${scheme}-first.png`) });
    assert.deepEqual(wrong, []);
    assert.deepEqual(asked.filter((url) => !url.startsWith("data:")), [address]);
    await page.context().close();
  });
}

test("an answer for each variant, with the quotients of medians", async () => {
  const { page } = await open("light");
  const answers = await page.locator("#answers li").allTextContents();
  assert.equal(answers.length, VARIANTS.length);
  const base = median(timesOf("stock"));
  VARIANTS.forEach((variant, at) => {
    const quotient = (median(timesOf(variant)) / base).toFixed(2);
    const told = variant === "stock" ? /^stock, the base; \d+ of [\d,]+ failed\.$/
      : new RegExp(`^${variant}: .*[ ,]${quotient.replace(".", "\\.")} \\[[\\d.]+, [\\d.]+\\] at 1 MiB, .* of [\\d,]+ failed\\.$`);
    assert.match(answers[at], told);
  });
  assert.deepEqual(await page.locator("#contents a").allTextContents(), ["50 KiB", "1 MiB", "5 MiB"]);
  await page.context().close();
});

test("the tables have the numbers behind the curves", async () => {
  const { page } = await open("light");
  const [, ...rows] = await textsOf(chart(page, "1 MiB", "Time to the last byte").locator(".scroll table").first());
  assert.deepEqual(rows.map(([variant, downloads, , , half]) => [variant, downloads, half]), VARIANTS.map((variant) => {
    const times = timesOf(variant);
    return [variant, String(times.length), median(times).toFixed(2)];
  }));
  const [, ...runs] = await textsOf(page.locator("#runs table"));
  assert.equal(runs.length, 2 * VARIANTS.length);
  assert.equal((await textsOf(section(page, "1 MiB").locator(".block table"))).length, VARIANTS.length + 1);
  await page.context().close();
});

test("a curve tells its values under the cursor", async () => {
  const { page } = await open("light");
  const last = chart(page, "1 MiB", "Time to the last byte");
  await last.locator(".u-over").scrollIntoViewIfNeeded();
  const box = await last.locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.55, box.y + box.height / 2);
  const [at, first] = await last.locator(".u-legend .u-value").allTextContents();
  const times = timesOf("stock");
  const below = times.filter((time) => time <= Number(at) * 1.01).length / times.length * 100;
  const share = Number(first.replace(" %", ""));
  assert.ok(share > 0 && Math.abs(below - share) < 6, `${first} at ${at}, where ${below} % had come`);
  await page.context().close();
});

test("a small window has room for all of it", async () => {
  const { page } = await open("light", { width: 390, height: 800 });
  const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= inner, `${width} in ${inner}`);
  await page.context().close();
});

test("on paper stands every picture, also where nobody has scrolled", async () => {
  const context = await newContext({ viewport: { width: 1280, height: 300 } });
  const page = await context.newPage();
  await page.goto(address);
  await page.pdf({ path: path.join(folder, "shadow.pdf") });
  assert.equal(await page.locator("canvas").count(), 6);
  await context.close();
});
