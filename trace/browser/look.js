"use strict";
// What the tests of all pages share: a browser, pages in it, and what is drawn there. CHROMIUM names the browser.

const test = require("node:test");
const { chromium } = require("playwright-core");

// Without these, the browser looks for its maker's servers.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

let browser;
test.before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
});
test.after(() => browser.close());

function newContext(options) {
  return browser.newContext(options);
}

/** Opens a page, and gathers whatever goes wrong on it, and whatever it asks for. */
async function open(address, scheme, viewport = { width: 1280, height: 900 }) {
  const context = await newContext({ colorScheme: scheme, viewport });
  const page = await context.newPage();
  const wrong = [];
  const asked = [];
  page.on("console", (message) => wrong.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(String(error.stack)));
  page.on("requestfailed", (request) => wrong.push(`failed: ${request.url()}`));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  await everySectionDrawn(page);
  return { page, wrong, asked };
}

/** Sections draw themselves when one comes to them. */
async function everySectionDrawn(page) {
  for (const element of await page.locator("section").all()) {
    await element.scrollIntoViewIfNeeded();
    await element.locator("canvas").first().waitFor();
  }
  await page.evaluate(() => scrollTo(0, 0));
}

/** The section whose heading begins so. */
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

/** The points of a canvas. They are read from a copy: the browser warns of canvases that are drawn and read. */
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
      const isNear = [0, 1, 2].every((i) => Math.abs(data[at + i] - wanted[i]) < 24);
      if (isNear && data[at + 3] > 200) count += 1;
    }
    return count;
  }, name);
}

module.exports = { newContext, open, everySectionDrawn, section, chart, textsOf, coloursOf, pointsOf };
