"use strict";
// Curves and maps of the study. Colours, axes and numbers are those of a trace's page (lines.js).

const STUDY_LEFT = 64;
const CURVE_HEIGHT = 260;
const MAP_HEIGHT = 230;

/** Three digits are as many as anybody compares. */
function brief(value) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** Harm as a table would say it: two digits behind the point, fewer of large ones. */
function harmText(value) {
  return value === null ? "never" : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Beyond the colours there are, lines are dashed. */
function isDashed(line) {
  return line.colour >= COLOURS;
}

/** A line across the plot where the value has a meaning, as that of no harm. */
function drawMark(chart, u) {
  if (chart.mark === null || chart.mark <= u.scales.x.min || chart.mark >= u.scales.x.max) return;
  inPlot(u, (ctx, box) => {
    const x = u.valToPos(chart.mark, "x", true);
    ctx.strokeStyle = styled("--quiet");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, box.top);
    ctx.lineTo(x, box.top + box.height);
    ctx.stroke();
  });
}

/** Numbers that a reader of a logarithmic axis looks for: 1, 2 and 5 of each power of ten, fewer where there are many. */
function logSplits(min, max) {
  const digits = max / min > 1000 ? [1] : max / min > 50 ? [1, 3] : max / min > 3 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const splits = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
    for (const digit of digits) {
      const value = +(digit * 10 ** power).toPrecision(3);
      if (value >= min && value <= max) splits.push(value);
    }
  }
  return splits;
}

/** The first line is the rule as deployed, and broad: others often lie upon it. */
function curveSeries(chart) {
  return chart.lines.map((line) => ({
    label: line.name, scale: "y", spanGaps: chart.points, width: line.colour === 0 ? 5 : 2, stroke: () => colour(line.colour),
    dash: isDashed(line) ? [6, 4] : undefined, points: { show: chart.points, size: 6 },
    value: (u, value) => (value === null || value === undefined ? "–" : `${brief(value)} %`),
  }));
}

/** Draws curves into `place`. */
function drawCurves(place, chart) {
  const range = chart.log ? [chart.x[0], chart.x[chart.x.length - 1]] : [0, 1];
  const top = Math.max(...chart.lines.flatMap((line) => line.values.map((value) => value || 0)));
  const options = {
    width: place.clientWidth, height: CURVE_HEIGHT, padding: [8, 26, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, width: 1 } },
    scales: {
      x: { time: false, distr: chart.log ? 3 : 1, log: 10, range: () => range },
      y: { range: () => (chart.log ? [0, 101] : [0, (top || 1) * 1.08]) },
    },
    axes: [
      axis({
        size: 32, values: (u, splits) => splits.map((at) => (at === null ? "" : brief(at))), filter: (u, splits) => splits,
        ...(chart.log ? { splits: () => logSplits(range[0], range[1]) } : {}),
      }),
      axis({ size: STUDY_LEFT, values: (u, splits) => splits.map((at) => `${brief(at)} %`) }),
    ],
    series: [{ label: chart.across, value: (u, at) => brief(at) }, ...curveSeries(chart)],
    hooks: { drawAxes: [(u) => drawMark(chart, u)] },
  };
  const plot = new uPlot(options, [chart.x, ...chart.lines.map((line) => line.values)], place);
  styleLegend(plot, [["bare"], ...chart.lines.map((line) => [`k${line.colour % COLOURS}`, ...(isDashed(line) ? ["dashed"] : [])])]);
  return plot;
}

/** How strong a cell's colour is: full from twice as slow, or twice as quick, on. */
function heatOf(cell) {
  return cell.p95 === null ? 1 : Math.min(1, Math.abs(Math.log2(cell.p95)));
}

/** What 95 % of a cell's worlds do not exceed, above their median. */
function drawCell(u, cell) {
  const [left, right] = [u.valToPos(cell.trip, "x", true), u.valToPos(cell.trip + 1, "x", true)];
  const [bottom, top] = [u.valToPos(cell.rate, "y", true), u.valToPos(cell.rate + 1, "y", true)];
  const { ctx } = u;
  ctx.globalAlpha = 0.08 + 0.56 * heatOf(cell);
  ctx.fillStyle = cell.p95 === null || cell.p95 > 1 ? colour(1) : colour(0);
  ctx.fillRect(left + 1, top + 1, right - left - 2, bottom - top - 2);
  ctx.globalAlpha = 1;
  ctx.fillStyle = styled("--text");
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const write = (size, text, at) => {
    ctx.font = `${size * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillText(text, (left + right) / 2, top + (bottom - top) * at);
  };
  write(13, harmText(cell.p95), 0.36);
  write(10, harmText(cell.median), 0.76);
}

/** The middle of each cell along an axis, with its name. */
function cellAxis(names, more) {
  return axis({
    splits: () => names.map((_, at) => at + 0.5), filter: (u, splits) => splits,
    values: () => names, grid: { show: false }, ...more,
  });
}

/** Draws a map into `place`, and tells of the cell under the cursor. */
function drawMap(place, heat, tell) {
  const [across, up] = [heat.across.length, heat.up.length];
  const cellAt = (u) => heat.cells.find((cell) => cell.trip === Math.floor(u.posToVal(u.cursor.left, "x"))
    && cell.rate === Math.floor(u.posToVal(u.cursor.top, "y")));
  const options = {
    width: place.clientWidth, height: MAP_HEIGHT, padding: [8, 14, 0, 0], legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
    scales: { x: { time: false, range: () => [0, across] }, y: { range: () => [0, up] } },
    axes: [cellAxis(heat.across.map((name) => name.replace("below ", "< ").replace("above ", "> ").replace(" to ", "–")), { size: 26, font: "10.5px system-ui, sans-serif" }),
      cellAxis(heat.up.map((name) => name.replace("above ", "> ").replace(" to ", "–")), { size: STUDY_LEFT })],
    series: [{}, { label: "rates", paths: () => null, points: { show: false } }],
    hooks: {
      draw: [(u) => { u.ctx.save(); for (const cell of heat.cells) drawCell(u, cell); u.ctx.restore(); }],
      setCursor: [(u) => tell(u.cursor.left < 0 ? undefined : cellAt(u))],
    },
  };
  return new uPlot(options, [[0, across], [null, null]], place);
}
