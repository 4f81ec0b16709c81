"use strict";
// Charts of rows: what each leg, stream or machine is in at each time.

const ROW_HEIGHT = 26;

/** What part of its row a state takes: where it begins, and its height. */
const PLACES = { full: [0.18, 0.64], share: [0.1, 0.8], upper: [0.16, 0.34], lower: [0.5, 0.34], thin: [0.46, 0.08] };

/** The states of a row at a time in µs, as text. */
function statesAt(chart, row, at) {
  const spans = row.spans.filter(([from, to]) => from <= at && at <= to);
  const there = spans.map(([, , state, part]) => chart.states[state].name + (part < 100 ? `, ${part} % of the time` : ""));
  return there.length ? [...new Set(there)].join(", ") : "–";
}

/** Bars of shares: the lower ones in front of the higher ones, as spans of several states may be drawn at once. */
function inOrder(chart, spans) {
  const isShare = chart.states.some((state) => state.place === "share");
  return isShare ? [...spans].sort((one, other) => other[3] - one[3]) : spans;
}

function drawSpans(chart, u) {
  inPlot(u, (ctx, box) => {
    const rowHeight = box.height / chart.rows.length;
    chart.rows.forEach((row, at) => {
      if (!u.series[at + 1].show) return;
      for (const [from, to, index, part] of inOrder(chart, row.spans)) {
        const state = chart.states[index];
        const [begin, height] = PLACES[state.place];
        const left = u.valToPos(from / 1e6, "x", true);
        const width = Math.max(u.valToPos(to / 1e6, "x", true) - left, 1);
        const [top, whole] = [box.top + (at + begin) * rowHeight, height * rowHeight];
        // What is one state at a time is paler where it was so for a part of the time; the others are less high, before
        // a pale ground as high as all of the time.
        const isPale = state.place === "full" || state.place === "thin";
        const drawn = isPale ? whole : Math.max(whole * part / 100, devicePixelRatio);
        ctx.fillStyle = colour(state.colour);
        ctx.globalAlpha = 0.2;
        if (!isPale) ctx.fillRect(left, top, width, whole - drawn);
        ctx.globalAlpha = isPale ? strength(part) : 1;
        ctx.fillRect(left, top + whole - drawn, width, drawn);
        if (state.place === "full") drawName(ctx, box, state.name, left, width, box.top + (at + 0.5) * rowHeight);
      }
    });
  });
}

/** The name of a state on its span, where it fits. */
function drawName(ctx, box, name, left, width, middle) {
  const first = Math.max(left, box.left);
  const room = Math.min(left + width, box.left + box.width) - first;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  if (ctx.measureText(name).width + 10 * devicePixelRatio > room) return;
  ctx.fillStyle = styled("--ground");
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillText(name, first + 5 * devicePixelRatio, middle);
}

/** Draws a chart of rows into `place`, and gives what a zoom needs. */
function drawRows(place, chart, section, view) {
  const count = chart.rows.length;
  const options = sharedOptions(section, view, place.clientWidth, count * ROW_HEIGHT + 44);
  // A point each for the cursor; the spans say the rest.
  const x = times(section, 1);
  const middle = (row) => count - row - 0.5;
  options.scales.y = { range: () => [0, count] };
  options.axes = [timeAxis(), axis({
    size: LEFT, splits: () => chart.rows.map((row, at) => middle(at)), values: () => chart.rows.map((row) => row.name),
    grid: { show: false }, ticks: { show: false }, filter: (u, splits) => splits,
  })];
  options.series = [timeSeries(section), ...chart.rows.map((row) => ({
    label: row.name, scale: "y", paths: () => null, points: { show: false },
    value: (u, value, index, i) => (i === null || i === undefined ? "–" : statesAt(chart, row, x[i] * 1e6)),
  }))];
  options.cursor.points = { show: false };
  options.hooks.drawAxes = [(u) => drawSpans(chart, u)];
  const plot = new uPlot(options, [x, ...chart.rows.map((row, at) => x.map(() => middle(at)))], place);
  styleLegend(plot, [["bare"], ...chart.rows.map(() => ["bare"])]);
  return { plot, zoomed: () => plot.setScale("x", { min: view.min, max: view.max }) };
}

/** The numbers of a chart of rows: a line for each span. */
function numbersOfRows(chart) {
  const spans = chart.rows.flatMap((row) => row.spans.map(([from, to, state, part]) => [from, to, part, row.name, chart.states[state].name]));
  spans.sort((one, other) => one[0] - other[0]);
  const rows = spans.map(([from, to, part, name, state]) => [
    (from / 1e6).toFixed(6), (to / 1e6).toFixed(6), ((to - from) / 1e3).toLocaleString("en"), `${part} %`, name, state,
  ]);
  return { columns: ["from, s", "to, s", "ms", "of that", "what", "state"], rows };
}
