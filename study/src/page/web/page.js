"use strict";
// The page: what the study says, as sentences, tables and pictures. All text goes in as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const plots = [];
/** Draw the pictures of each section, unless they are there. */
const drawers = [];

/** An element with text and children. */
function make(name, className, text, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

function tableOf({ columns, rows }) {
  const cells = (name, texts) => make("tr", "", null, ...texts.map((text) => make(name, "", text)));
  const head = make("thead", "", null, cells("th", columns));
  const body = make("tbody", "", null, ...rows.map((row) => cells("td", row)));
  return make("div", "scroll", null, make("table", "", null, head, body));
}

/** A table under a heading. */
function block(place, title, table, sentence) {
  place.append(make("div", "block", null, make("h2", "", title), make("p", "quiet", sentence), tableOf(table)));
}

function showAnswers() {
  document.getElementById("about").textContent = data.about;
  const answer = (sentence) => make("li", `k${sentence.colour % COLOURS}`, null, make("b", "", sentence.algorithm), sentence.text);
  document.getElementById("answers").append(...data.sentences.map(answer));
  block(document.getElementById("glance"), "At a glance", data.glance, "The same worlds. Sets that died are among the slower ones, and in no quotient.");
  if (data.costs) {
    block(document.getElementById("costs"), "Instructions of a choice, two legs", data.costs,
      "Of circflow_set_decide(): a choice that stays, with nothing new; and one that is made anew, with a report of a leg.");
  }
}

/** All points of the curves, made when somebody wants to see them. */
function pointsOfCurves(chart) {
  const details = make("details", "numbers", null, make("summary", "", "All points"));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const valueOf = (line, at) => (line.values[at] === null ? "" : String(line.values[at]));
    const columns = [chart.across, ...chart.lines.map((line) => `${line.name}, ${chart.up}`)];
    const rows = chart.x.map((x, at) => [String(x), ...chart.lines.map((line) => valueOf(line, at))]);
    details.append(tableOf({ columns, rows }));
  });
  return details;
}

function folded(table) {
  return make("details", "numbers", null, make("summary", "", "The numbers"), table);
}

/** Keeps a plot as wide as its place, and names it for those who do not see it. */
function keep(plot, place, label) {
  plot.ctx.canvas.setAttribute("role", "img");
  plot.ctx.canvas.setAttribute("aria-label", label);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: plot.height })).observe(place);
  plots.push(plot);
}

function showCurves(place, chart) {
  const plot = make("div", "plot");
  const axes = make("p", "axes", `Across: ${chart.across}. Up: ${chart.up}.`);
  const numbers = chart.points ? [folded(tableOf(chart.table))] : [tableOf(chart.table), pointsOfCurves(chart)];
  place.append(make("div", "chart", null, make("h3", "", chart.title), make("p", "about", chart.about), plot, axes, ...numbers));
  keep(drawCurves(plot, chart), plot, `${chart.title}. ${chart.about}`);
}

function showMap(place, heat) {
  const plot = make("div", "plot");
  const told = make("p", "told", "");
  const axes = "Across: round trip of the leg with the higher rate ÷ that of the other. Up: higher rate ÷ the other.";
  const wordsOf = (cell) => `Rates ${heat.up[cell.rate]}, round trips ${heat.across[cell.trip]}: ${cell.worlds} worlds,`
    + ` median ${harmText(cell.median)}, 95 % ${harmText(cell.p95)}.`;
  const tell = (cell) => { told.textContent = cell === undefined ? axes : wordsOf(cell); };
  tell();
  const title = make("h3", "", `${heat.algorithm} `, make("span", "unit", `${heat.worlds.toLocaleString("en")} worlds`));
  place.append(make("div", "chart", null, title, plot, told, folded(tableOf(heat.table))));
  keep(drawMap(plot, heat, tell), plot, `Harm with ${heat.algorithm} against the ratios of round trips and rates`);
}

/** Draws when an element comes near the window: there may be a hundred pictures. */
function drawLater(element, height, draw) {
  let isDrawn = false;
  element.style.minHeight = `${height}px`;
  const once = () => {
    if (isDrawn) return;
    isDrawn = true;
    element.style.minHeight = "";
    draw();
  };
  const near = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    once();
  }, { rootMargin: "800px" });
  near.observe(element);
  drawers.push(once);
}

function showMaps() {
  const element = document.getElementById("heats");
  if (!data.heats.length) return element.remove();
  const maps = document.getElementById("maps");
  return drawLater(element, 300, () => data.heats.forEach((heat) => showMap(maps, heat)));
}

function showSection(section, number) {
  const head = make("div", "head", null, make("h2", "", section.title), make("span", "quiet", `${section.worlds.toLocaleString("en")} worlds`));
  const element = make("section", "", null, head);
  element.id = `section-${number}`;
  document.getElementById("sections").append(element);
  drawLater(element, section.charts.length * 460, () => section.charts.forEach((chart) => showCurves(element, chart)));
}

function showContents() {
  const links = data.sections.map((section, number) => {
    const link = make("a", "", section.title);
    link.href = `#section-${number}`;
    return link;
  });
  document.getElementById("contents").append(make("h2", "", "By group of worlds"), ...links);
}

showAnswers();
showMaps();
showContents();
data.sections.forEach(showSection);
// On paper nobody scrolls.
addEventListener("beforeprint", () => drawers.forEach((draw) => draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => plot.redraw(false, true)));
