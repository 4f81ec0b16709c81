"use strict";
// What pages with curves are made of: elements, tables, sections that draw their pictures when one comes to them. The
// page of integration/shadow has it, too. All text goes in as text, never as markup.

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

/** A section of the page, still empty. */
function addSection(title, note, number) {
  const element = make("section", "", null, make("div", "head", null, make("h2", "", title), make("span", "quiet", note)));
  element.id = `section-${number}`;
  document.getElementById("sections").append(element);
  return element;
}

function showContents(title, sections) {
  const links = sections.map((section, number) => {
    const link = make("a", "", section.title);
    link.href = `#section-${number}`;
    return link;
  });
  document.getElementById("contents").append(make("h2", "", title), ...links);
}

// On paper nobody scrolls.
addEventListener("beforeprint", () => drawers.forEach((draw) => draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => plot.redraw(false, true)));
