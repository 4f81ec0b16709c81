"use strict";
// Looks at a page in a real browser: `make check-report`. The trace is that of trace/examples/made_trace.rs, `known`,
// whose numbers are written down here. REPORT names the folder with the pages.

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { newContext, open: openPage, section, chart, textsOf, coloursOf, pointsOf } = require("./look.js");

const folder = path.resolve(process.env.REPORT || "build/report");

/** Opens a page of the folder. */
function open(name, scheme) {
  return openPage(pathToFileURL(path.join(folder, name)).href, scheme);
}

/** Moves the mouse to a time within a chart. */
async function pointAt(page, where, seconds) {
  const over = where.locator(".u-over");
  await over.scrollIntoViewIfNeeded();
  const box = await over.boundingBox();
  const [min, max] = await rangeOf(where);
  await page.mouse.move(box.x + (seconds - min) / (max - min) * box.width, box.y + box.height / 2);
}

/** The seconds in view in the section of a chart, as its heading says. */
async function rangeOf(where) {
  const text = await where.locator("xpath=ancestor::section").locator(".head .quiet").textContent();
  return text.match(/[\d.]+/g).map(Number);
}

/** What the legend of a chart says now, by name. */
async function legendOf(where) {
  const rows = await where.locator(".u-legend .u-series").all();
  const told = {};
  for (const row of rows) told[await row.locator(".u-label").textContent()] = await row.locator(".u-value").textContent();
  return told;
}

for (const scheme of ["light", "dark"]) {
  test(`every chart is drawn, and nothing goes wrong: ${scheme}`, async () => {
    const { page, wrong, asked } = await open("known.html", scheme);
    const canvases = await page.locator("canvas").all();
    assert.equal(canvases.length, 11);
    for (const canvas of canvases) assert.ok(await coloursOf(canvas) > 5, "a canvas is empty");
    const blocked = await chart(page, "Set 2\\b", "Blocked").locator("canvas").elementHandle();
    assert.ok(await pointsOf(blocked, "--c1") > 50, "the colour of a full window is that of the scheme");
    await page.screenshot({ path: path.join(folder, `${scheme}.png`), fullPage: true });
    await page.screenshot({ path: path.join(folder, `${scheme}-first.png`) });
    await section(page, "Set 2\\b").screenshot({ path: path.join(folder, `${scheme}-set.png`) });
    assert.deepEqual(wrong, []);
    assert.deepEqual(asked.filter((url) => !url.startsWith("data:")), [pathToFileURL(path.join(folder, "known.html")).href]);
    await page.context().close();
  });
}

test("the summary says it in large figures", async () => {
  const { page } = await open("known.html", "light");
  const tiles = await page.locator(".tile").all();
  const told = {};
  for (const tile of tiles) told[await tile.locator(".name").textContent()] = await tile.locator(".value").textContent();
  assert.deepEqual(told, {
    "Cells in": "14,720", "Cells out": "14,720", SWITCHes: "292", "Reorder depth": "70", "Slowest leg": "120 ms",
    "Sending blocked": "640 ms", "Padding cells": "1,200", Faults: "1",
  });
  await page.context().close();
});

test("the value under the cursor is told, in all charts of the section", async () => {
  const { page } = await open("known.html", "light");
  const [rtt, out] = [chart(page, "Set 2\\b", "Round trip"), chart(page, "Set 2\\b", "Cells out")];
  await pointAt(page, rtt, 3.5);
  let told = await legendOf(rtt);
  assert.equal(told["leg 1"], "80");
  assert.equal(told["leg 2"], "120");
  assert.match(told.at, /^3\.[45]/);
  assert.deepEqual([(await legendOf(out))["leg 1"], (await legendOf(out))["leg 2"]], ["1,200", "800"]);
  await pointAt(page, rtt, 5.5);
  told = await legendOf(rtt);
  assert.equal(told["leg 1"], "50");
  const states = chart(page, "Set 2\\b", "Blocked");
  await pointAt(page, states, 4.94);
  assert.equal((await legendOf(states))["the whole set"], "sending refused");
  const padding = chart(page, "Circuit", "Cells out with padding");
  await pointAt(page, padding, 5.25);
  const { padding: cells, "real cells": real, "on the wire": wire } = await legendOf(padding);
  assert.deepEqual([cells, real, wire], ["200", "100", "300"]);
  await page.context().close();
});

test("dragging zooms all charts of the section, and a double click shows all again", async () => {
  const { page, wrong } = await open("known.html", "light");
  const [rtt, out] = [chart(page, "Set 2\\b", "Round trip"), chart(page, "Set 2\\b", "Cells out")];
  const before = await rangeOf(rtt);
  await pointAt(page, rtt, 3.0);
  await page.mouse.down();
  await pointAt(page, rtt, 3.5);
  await page.mouse.up();
  const zoomed = await rangeOf(rtt);
  assert.ok(Math.abs(zoomed[0] - 3) < 0.03 && Math.abs(zoomed[1] - 3.5) < 0.03, `${zoomed}`);
  // Nearer, a point is less than the turn of a leg: one leg has all, the other nothing.
  await pointAt(page, out, 3.33);
  const told = await legendOf(out);
  assert.deepEqual([told["leg 1"], told["leg 2"]].sort(), ["0", "2,000"]);
  const measured = await legendOf(rtt);
  assert.deepEqual([measured["leg 1"], measured["leg 2"]], ["80", "120"], "between two measures, the last one holds");
  assert.deepEqual(await rangeOf(chart(page, "Set 1\\b", "Cells in")), before, "another section stays as it was");
  await section(page, "Set 2\\b").screenshot({ path: path.join(folder, "zoomed.png") });
  await rtt.locator(".u-over").dblclick();
  assert.deepEqual(await rangeOf(rtt), before);
  await pointAt(page, rtt, 3.0);
  await page.mouse.down();
  await pointAt(page, rtt, 3.5);
  await page.mouse.up();
  await section(page, "Set 2\\b").getByRole("button", { name: "Show all" }).click();
  assert.deepEqual(await rangeOf(rtt), before);
  assert.deepEqual(wrong, []);
  await page.context().close();
});

/** The table of numbers behind a chart: its rows as texts. */
async function numbersOf(where) {
  await where.locator("summary").click();
  return textsOf(where.locator("details table").first());
}

test("the tables have the numbers behind the pictures", async () => {
  const { page } = await open("known.html", "light");
  const legs = await page.locator("#tables table").first().locator("tbody tr").all();
  const cells = await Promise.all(legs.map((row) => row.locator("td").allTextContents()));
  assert.deepEqual(cells.map((row) => [row[0], row[2], row[3]]), [
    ["leg 1 of set 1", "8,880 (60 %)", "0"], ["leg 2 of set 1", "5,840 (40 %)", "0"],
    ["leg 1 of set 2", "0", "8,880 (60 %)"], ["leg 2 of set 2", "0", "5,840 (40 %)"],
  ]);
  const [head, ...rows] = await numbersOf(chart(page, "Set 1\\b", "Cells in"));
  assert.deepEqual(head, ["from, s", "leg 1, cells", "leg 2, cells", "SWITCH received on leg 1", "SWITCH received on leg 2"]);
  const sums = [1, 2, 3, 4].map((at) => rows.reduce((all, row) => all + Number(row[at].replace(",", "")), 0));
  assert.deepEqual(sums, [8880, 5840, 73, 73]);
  const [, ...streams] = await numbersOf(chart(page, "Set 1\\b", "Streams"));
  assert.ok(streams.some((row) => row.join() === "4.000000,4.500000,500,100 %,stream 1,our XOFF stops the peer"), `${streams}`);
  await page.context().close();
});

test("a steady rate is steady to the last point, whatever the number of buckets", async () => {
  const { page } = await open("known.html", "light");
  for (const count of [1, 9, 10, 11, 19, 20, 21, 121]) {
    const points = await page.evaluate((count) => {
      const section = { from: 0, width: 10_000, count };
      const lines = [{ how: "rate", values: new Array(count).fill(20) }];
      const marks = [{ buckets: [[0, 1], [count - 1, 2]] }];
      const { x, lines: [line], marks: [counts] } = pointsOfChart({ scale: 1, lines, marks }, section, 10);
      return { x, own: line.own, counts };
    }, count);
    const number = Math.max(1, Math.floor(count / 10));
    assert.deepEqual(points.own.map(Math.round), new Array(number).fill(2000), `${count} buckets`);
    assert.equal(points.x.length, number);
    assert.equal(points.counts.length, number);
    assert.equal(points.counts.reduce((all, one) => all + one), 3);
  }
  await page.context().close();
});

test("on paper stands every chart, also where nobody has scrolled", async () => {
  const context = await newContext({ viewport: { width: 1280, height: 300 } });
  const page = await context.newPage();
  await page.goto(pathToFileURL(path.join(folder, "long.html")).href);
  const before = await page.locator("canvas").count();
  await page.pdf({ path: path.join(folder, "paper.pdf") });
  const after = await page.locator("canvas").all();
  assert.ok(before < after.length, `${before} charts before, ${after.length} on paper`);
  assert.equal(await page.locator("section:not(:has(canvas))").count(), 0);
  for (const canvas of after) assert.ok(await coloursOf(canvas) > 5, "a canvas is empty");
  await context.close();
});

test("a click on a name hides its line", async () => {
  const { page } = await open("known.html", "light");
  const rtt = chart(page, "Set 2\\b", "Round trip");
  const canvas = await rtt.locator("canvas").elementHandle();
  assert.ok(await pointsOf(canvas, "--c1") > 200);
  await rtt.locator(".u-legend th", { hasText: "leg 2" }).click();
  await page.waitForTimeout(100);
  assert.ok(await pointsOf(canvas, "--c1") === 0);
  await page.context().close();
});

test("the charts follow the scheme when it changes", async () => {
  const { page, wrong } = await open("known.html", "light");
  const canvas = await chart(page, "Set 2\\b", "Round trip").locator("canvas").elementHandle();
  const light = await pointsOf(canvas, "--c0");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(200);
  const dark = await pointsOf(canvas, "--c0");
  assert.ok(light > 200 && dark > 200, `${light} and ${dark} points have the colour of the first leg`);
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test("ten million events make a page that opens quickly", async () => {
  const begun = Date.now();
  const { page, wrong } = await open("long.html", "light");
  const took = Date.now() - begun;
  assert.equal(await page.locator("section").count(), 12);
  assert.equal(await page.locator("#others tbody tr").count(), 28);
  for (const canvas of await page.locator("canvas").all()) assert.ok(await coloursOf(canvas) > 5, "a canvas is empty");
  await page.screenshot({ path: path.join(folder, "long-first.png") });
  await section(page, "Set 1\\b").screenshot({ path: path.join(folder, "long-set.png") });
  assert.deepEqual(wrong, []);
  assert.ok(took < 60_000, `all of its charts were there after ${took} ms`);
  await page.context().close();
});
