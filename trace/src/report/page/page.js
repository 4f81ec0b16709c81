"use strict";
// The page: what the data say, as text, tables and charts. All text goes in as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const views = [];
/** Draws the charts of each section, unless they are there. */
const drawers = [];

/** An element with text and children. */
function make(name, className, text, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

/** A table of plain texts, or of cells with bars. */
function tableOf(columns, rows) {
  const head = make("thead", "", null, make("tr", "", null, ...columns.map((name) => make("th", "", name))));
  const body = make("tbody", "", null, ...rows.map((row) => make("tr", "", null, ...row.map(cellOf))));
  return make("div", "scroll", null, make("table", "", null, head, body));
}

function cellOf(cell) {
  if (typeof cell === "string") return make("td", "", cell);
  const element = make("td", cell.bar === undefined ? "" : "bar", cell.text);
  if (cell.bar !== undefined) element.style.setProperty("--part", `${cell.bar * 100}%`);
  return element;
}

/** A table with its heading. Columns in which no row has anything are left out. */
function block(place, title, table, sentence) {
  if (!table.rows.length) return;
  const used = table.columns.map((_, at) => at).filter((at) => table.rows.some((row) => row[at].text !== ""));
  const rows = table.rows.map((row) => used.map((at) => row[at]));
  const element = make("div", "block", null, make("h2", "", title));
  if (sentence) element.append(make("p", "quiet", sentence));
  element.append(tableOf(used.map((at) => table.columns[at]), rows));
  if (table.left_out) element.append(make("p", "quiet", `${table.left_out.toLocaleString("en")} more are not listed.`));
  place.append(element);
}

function showSummary() {
  const by = (id) => document.getElementById(id);
  by("title").textContent = data.title;
  by("about").textContent = data.about.join("; ");
  by("warnings").append(...data.warnings.map((text) => make("p", "warning", text)));
  by("sentences").textContent = data.sentences.join(" ");
  by("tiles").append(...data.tiles.map((tile) => make("div", tile.is_bad ? "tile bad" : "tile", null,
    make("div", "name", tile.name), make("div", "value", tile.value), make("div", "note", tile.note))));
  block(by("tables"), "Legs", data.legs);
  block(by("tables"), "Padding", data.padders);
  block(by("others"), "Sets that are not drawn", data.others, "The page draws the sets with the most events.");
  if (data.circuits_left_out) {
    by("others").append(make("p", "quiet", `${data.circuits_left_out} more circuits are not drawn; those with the most events are.`));
  }
}

function showNotables() {
  if (!data.notables.length) return;
  const list = make("ol", "", null, ...data.notables.map((notable) => make("li", notable.is_bad ? "bad" : notable.is_note ? "note" : "", null,
    make("time", "", `${(notable.at / 1e6).toFixed(3)} s`), notable.is_bad ? "⚠ " : "", notable.text)));
  const place = document.getElementById("notables");
  place.append(make("h2", "", "What happened"), list);
  if (data.notables_left_out) {
    place.append(make("p", "quiet", `${data.notables_left_out.toLocaleString("en")} more are not listed.`));
  }
}

/** What the charts of a section share: the range of time in view. */
class View {
  constructor(section, number) {
    this.section = section;
    this.key = `section-${number}`;
    this.charts = [];
    this.first = section.from / 1e6;
    this.last = (section.from + section.count * section.width) / 1e6;
    [this.min, this.max] = [this.first, this.last];
    this.button = make("button", "", "Show all");
    this.button.disabled = true;
    this.button.addEventListener("click", () => this.reset());
    this.range = make("span", "quiet", "");
    this.tell();
  }

  zoom(min, max) {
    // Less than two buckets show nothing.
    const least = 2 * this.section.width / 1e6;
    const [from, to] = [Math.max(min, this.first), Math.min(max, this.last)];
    if (to - from < Math.min(least, this.last - this.first) || (from === this.min && to === this.max)) return;
    [this.min, this.max] = [from, to];
    this.button.disabled = from === this.first && to === this.last;
    this.tell();
    for (const chart of this.charts) chart.zoomed();
  }

  reset() {
    this.zoom(this.first, this.last);
  }

  tell() {
    const width = this.section.width / 1e6;
    this.range.textContent = `${seconds(this.min, width)} to ${seconds(this.max, width)}`;
  }
}

/** What shades and states mean; the legend tells of lines and marks. */
function keyOf(chart) {
  const key = make("div", "key");
  const add = (className, text) => key.append(make("span", "", null, make("i", className), text));
  for (const shade of chart.shades || []) add("block shade", `${shade.name}: ${short(shade.total / 1e3)} ms in all`);
  const used = new Set((chart.rows || []).flatMap((row) => row.spans.map(([, , state]) => state)));
  (chart.states || []).forEach((state, at) => used.has(at) && add(`block k${state.colour % COLOURS}`, state.name));
  if (chart.left_out) key.append(make("span", "", `${chart.left_out} more are not drawn`));
  return key;
}

/** The numbers behind a picture, made when somebody wants to see them. */
function numbersOf(chart, section) {
  const details = make("details", "numbers", null, make("summary", "", "The numbers"));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const { columns, rows } = chart.kind === "lines" ? numbersOfLines(chart, section) : numbersOfRows(chart);
    if (chart.kind === "lines") details.append(make("p", "quiet", `Each line is ${short(section.width / 1e3)} ms.`));
    details.append(tableOf(columns, rows));
    for (const shade of chart.shades || []) {
      const spans = shade.spans.map(([from, to, part]) => [(from / 1e6).toFixed(6), (to / 1e6).toFixed(6), `${part} %`]);
      details.append(make("p", "quiet", `Shaded: ${shade.name}`), tableOf(["from, s", "to, s", "of that"], spans));
    }
  });
  return details;
}

function showChart(place, chart, view) {
  const title = make("h3", "", `${chart.title} `);
  if (chart.unit) title.append(make("span", "unit", chart.unit));
  const plot = make("div", "plot");
  const frame = make("div", "chart", null, title, make("p", "about", chart.about), plot, keyOf(chart), numbersOf(chart, view.section));
  place.append(frame);
  const drawn = (chart.kind === "lines" ? drawLines : drawRows)(plot, chart, view.section, view);
  drawn.plot.ctx.canvas.setAttribute("role", "img");
  drawn.plot.ctx.canvas.setAttribute("aria-label", `${chart.title}. ${chart.about}`);
  new ResizeObserver(() => drawn.plot.setSize({ width: plot.clientWidth, height: drawn.plot.height })).observe(plot);
  view.charts.push(drawn);
}

/** A section draws its charts when it comes near the window: a page may have a hundred of them. */
function showSection(section, number) {
  const view = new View(section, number);
  views.push(view);
  const head = make("div", "head", null, make("h2", "", section.title), view.range, view.button);
  const element = make("section", "", null, head, make("p", "quiet", section.facts.join(" · ")));
  element.id = view.key;
  element.style.minHeight = `${section.charts.length * 250}px`;
  document.getElementById("sections").append(element);
  let isDrawn = false;
  const draw = () => {
    if (isDrawn) return;
    isDrawn = true;
    element.style.minHeight = "";
    for (const chart of section.charts) showChart(element, chart, view);
  };
  const near = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    draw();
  }, { rootMargin: "800px" });
  near.observe(element);
  drawers.push(draw);
}

function showContents() {
  if (data.sections.length < 2) return;
  const links = data.sections.map((section, number) => {
    const link = make("a", "", section.title);
    link.href = `#section-${number}`;
    return link;
  });
  document.getElementById("contents").append(...links);
}

showSummary();
showNotables();
showContents();
data.sections.forEach(showSection);
// On paper nobody scrolls.
addEventListener("beforeprint", () => drawers.forEach((draw) => draw()));
if (!data.sections.length) document.getElementById("how").remove();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const view of views) for (const chart of view.charts) chart.plot.redraw(false, true);
});
