"use strict";
// Charts of lines. A section's data are buckets; a chart shows some of them as one point each while many are in view,
// so that a rate is a line and not a fence. Zooming in shows the buckets themselves.

const COLOURS = 8;
// A sender changes legs several times a second: with more points, a rate goes up and down like a saw.
const POINTS_COARSE = 120;
const POINTS_FINE = 300;
const LEFT = 104;
const HEIGHT = 170;

/** A colour of the style, as it is now: it changes with the scheme. */
function styled(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colour(index) {
  return styled(`--c${index % COLOURS}`);
}

/** A number with as many digits as one can read at a glance. */
function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** Seconds, with as many digits as a bucket of this width has. */
function seconds(value, width) {
  const digits = Math.min(6, Math.max(1, Math.ceil(-Math.log10(width))));
  return `${value.toFixed(digits)} s`;
}

/** How many buckets one point of the chart stands for, with this range in view. */
function groupFor(chart, section, view) {
  const isCoarse = chart.lines.some((line) => line.how === "rate" || line.how === "max");
  const visible = (view.max - view.min) * 1e6 / section.width;
  let group = 1;
  for (let at = 0; visible / group > (isCoarse ? POINTS_COARSE : POINTS_FINE); at++) group *= [2, 2.5, 2][at % 3];
  return group;
}

/** How many points so many buckets make. A rest is part of the last one: by itself it would be too short for a rate. */
function pointCount(count, group) {
  return Math.max(1, Math.floor(count / group));
}

/** The first bucket of each point, and the one behind its last. */
function rangesOf(count, group) {
  const points = pointCount(count, group);
  return Array.from({ length: points }, (_, at) => [at * group, at + 1 < points ? (at + 1) * group : count]);
}

/** The middle of each point, in seconds. */
function times(section, group) {
  return rangesOf(section.count, group).map(([begin, end]) => (section.from + (begin + end) / 2 * section.width) / 1e6);
}

/** Puts the buckets of each point together with `join`, which gets those that have a value. */
function grouped(values, group, join) {
  return rangesOf(values.length, group).map(([begin, end]) => {
    const there = values.slice(begin, end).filter((value) => value !== null);
    return there.length ? join(there, end - begin) : null;
  });
}

const sum = (values) => values.reduce((all, value) => all + value, 0);
const least = (values) => values.reduce((one, other) => Math.min(one, other));
const most = (values) => values.reduce((one, other) => Math.max(one, other));

/** The points of a line: `own` is what it says, `low` and `high` the band around it. */
function pointsOf(line, chart, section, group) {
  const bucket = section.width / 1e6;
  const joins = {
    rate: (values, width) => sum(values) / (width * bucket),
    mean: (values) => sum(values) / values.length * chart.scale,
    last: (values) => values[values.length - 1] * chart.scale,
    max: (values) => most(values) * chart.scale,
  };
  const band = (values, join) => values && grouped(values, group, (some) => join(some) * chart.scale);
  return { own: grouped(line.values, group, joins[line.how]), low: band(line.low, least), high: band(line.high, most) };
}

/** All that a chart draws at this size of groups. */
function pointsOfChart(chart, section, group) {
  const lines = chart.lines.map((line) => pointsOf(line, chart, section, group));
  lines.forEach((points, at) => {
    points.base = chart.lines[at].stacked ? lines[at - 1].own : null;
    points.drawn = points.base ? points.own.map((value, i) => (value || 0) + (points.base[i] || 0)) : points.own;
  });
  const marks = chart.marks.map((marks) => {
    const counts = new Array(pointCount(section.count, group)).fill(0);
    for (const [bucket, count] of marks.buckets) counts[Math.min(Math.floor(bucket / group), counts.length - 1)] += count;
    return counts;
  });
  return { group, x: times(section, group), lines, marks };
}

/** What uPlot draws of it: a line each, and for the legend a line without points for each kind of marks. */
function dataOf(points) {
  const nothing = points.x.map(() => null);
  return [points.x, ...points.lines.map((line) => line.drawn), ...points.marks.map(() => nothing)];
}

/** The text of a line in the legend. Where nothing was measured, what was measured last holds. */
function valueText(points, at, cursor) {
  if (cursor === null || cursor === undefined) return "–";
  const { own, low, high } = points.lines[at];
  let index = cursor;
  while (index >= 0 && own[index] === null) index -= 1;
  if (index < 0 || own[index] === undefined) return "–";
  const isRange = low && low[index] !== high[index];
  return isRange ? `${short(own[index])} (${short(low[index])} to ${short(high[index])})` : short(own[index]);
}

/** The range of the upright axis: from 0 to the highest in view, with room for the marks. */
function heightOf(state, view, u) {
  let top = 0;
  state.points.lines.forEach((line, at) => {
    if (!u.series[at + 1].show) return;
    state.points.x.forEach((x, i) => {
      if (x >= view.min && x <= view.max) top = Math.max(top, line.drawn[i] || 0, line.high ? line.high[i] || 0 : 0);
    });
  });
  return [0, (top || 1) * (1.06 + 0.09 * state.chart.marks.length)];
}

/** Draws within the plot only. */
function inPlot(u, draw) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  draw(u.ctx, u.bbox);
  u.ctx.restore();
}

/** How strong a span is drawn: several short ones that are drawn as one are paler. */
function strength(part) {
  return 0.25 + 0.75 * part / 100;
}

/** Shaded spans: never thinner than a point of the screen. */
function drawShades(chart, u) {
  inPlot(u, (ctx, box) => {
    ctx.fillStyle = styled("--shade");
    for (const [from, to, part] of chart.shades.flatMap((shade) => shade.spans)) {
      ctx.globalAlpha = strength(part);
      const left = u.valToPos(from / 1e6, "x", true);
      ctx.fillRect(left, box.top, Math.max(u.valToPos(to / 1e6, "x", true) - left, 1), box.height);
    }
  });
}

/** The area between two rows of values, where both are there. */
function drawArea(u, xs, lower, upper, alpha, paint) {
  inPlot(u, (ctx) => {
    ctx.globalAlpha = alpha;
    ctx.fillStyle = paint;
    ctx.beginPath();
    const there = xs.map((_, i) => i).filter((i) => upper[i] !== null && upper[i] !== undefined);
    for (const i of there) ctx.lineTo(u.valToPos(xs[i], "x", true), u.valToPos(upper[i], "y", true));
    for (const i of there.reverse()) {
      ctx.lineTo(u.valToPos(xs[i], "x", true), u.valToPos(lower ? lower[i] || 0 : 0, "y", true));
    }
    ctx.fill();
  });
}

function drawAreas(state, u) {
  state.points.lines.forEach((points, at) => {
    const line = state.chart.lines[at];
    if (!u.series[at + 1].show) return;
    const paint = colour(line.colour);
    if (line.filled) drawArea(u, state.points.x, points.base, points.drawn, 0.35, paint);
    if (points.low) drawArea(u, state.points.x, points.low, points.high, 0.22, paint);
  });
}

/** Marks: triangles at the upper edge, a row for each kind. */
function drawMarks(state, u) {
  const size = 4.5 * devicePixelRatio;
  inPlot(u, (ctx, box) => {
    state.points.marks.forEach((counts, row) => {
      if (!u.series[1 + state.chart.lines.length + row].show) return;
      ctx.fillStyle = colour(state.chart.marks[row].colour);
      const top = box.top + (2 + row * 11) * devicePixelRatio;
      counts.forEach((count, i) => {
        if (!count) return;
        const x = u.valToPos(state.points.x[i], "x", true);
        ctx.beginPath();
        ctx.moveTo(x - size, top);
        ctx.lineTo(x + size, top);
        ctx.lineTo(x, top + 1.7 * size);
        ctx.fill();
      });
    });
  });
}

/** An axis in the colours of the scheme. */
function axis(more) {
  const grid = { stroke: () => styled("--line"), width: 1 };
  return { stroke: () => styled("--quiet"), font: "12px system-ui, sans-serif", grid, ticks: { ...grid, size: 4 }, ...more };
}

function timeAxis() {
  return axis({ size: 32, values: (u, splits) => splits.map((at) => `${+at.toFixed(6)} s`) });
}

function compact(value) {
  if (value >= 1e6) return `${short(value / 1e6)} M`;
  return value >= 1e4 ? `${short(value / 1e3)} k` : short(value);
}

/** Options that all charts of a section share: the cursor, and zoom by dragging. */
function sharedOptions(section, view, width, height) {
  return {
    width, height, padding: [6, 14, 0, 0],
    cursor: {
      y: false, drag: { x: true, y: false, setScale: false }, sync: { key: view.key, setSeries: false },
      bind: { dblclick: () => () => { view.reset(); return null; } },
      points: { size: 7, width: 1 },
    },
    scales: { x: { time: false, range: () => [view.min, view.max] } },
    hooks: {
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const [min, max] = [u.select.left, u.select.left + u.select.width].map((at) => u.posToVal(at, "x"));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        view.zoom(min, max);
      }],
    },
  };
}

function timeSeries(section) {
  return { label: "at", value: (u, at) => (at === null || at === undefined ? "–" : seconds(at, section.width / 1e6)) };
}

/** Gives each line of the legend the classes of its colour and form: uPlot's own colours are those of one scheme. */
function styleLegend(plot, classes) {
  plot.root.querySelectorAll(".u-legend .u-series").forEach((row, at) => row.classList.add(...classes[at]));
}

function classesOf(line) {
  return [`k${line.colour % COLOURS}`, ...["dashed", "filled"].filter((form) => line[form])];
}

/** The series of a chart of lines. */
function seriesOf(state) {
  const { chart } = state;
  const steps = uPlot.paths.stepped({ align: 1 });
  const lines = chart.lines.map((line, at) => ({
    label: line.name, scale: "y", spanGaps: true, width: line.filled ? 1.25 : 1.75,
    stroke: () => colour(line.colour), dash: line.dashed ? [6, 4] : undefined,
    paths: line.how === "last" ? steps : undefined,
    points: { show: () => state.points.lines[at].own.filter((value) => value !== null).length < 60, size: 4 },
    value: (u, value, index, i) => valueText(state.points, at, i),
  }));
  const marks = chart.marks.map((marks, at) => ({
    label: `${marks.name} (${marks.total.toLocaleString("en")} in all)`, scale: "y", paths: () => null, points: { show: false },
    value: (u, value, index, i) => (i === null || i === undefined ? "–" : String(state.points.marks[at][i] || 0)),
  }));
  return [...lines, ...marks];
}

/** Draws a chart of lines into `place`, and gives what a zoom needs. */
function drawLines(place, chart, section, view) {
  const state = { chart, points: pointsOfChart(chart, section, groupFor(chart, section, view)) };
  const options = sharedOptions(section, view, place.clientWidth, HEIGHT);
  options.scales.y = { range: (u) => heightOf(state, view, u) };
  options.axes = [timeAxis(), axis({ size: LEFT, values: (u, splits) => splits.map(compact) })];
  options.series = [timeSeries(section), ...seriesOf(state)];
  options.hooks.drawAxes = [(u) => { drawShades(chart, u); drawAreas(state, u); }];
  options.hooks.draw = [(u) => drawMarks(state, u)];
  const plot = new uPlot(options, dataOf(state.points), place);
  styleLegend(plot, [["bare"], ...chart.lines.map(classesOf), ...chart.marks.map((marks) => [`k${marks.colour % COLOURS}`, "mark"])]);
  const zoomed = () => {
    const group = groupFor(chart, section, view);
    if (group !== state.points.group) {
      state.points = pointsOfChart(chart, section, group);
      plot.setData(dataOf(state.points), false);
    }
    plot.setScale("x", { min: view.min, max: view.max });
  };
  return { plot, zoomed };
}

/** The numbers of a chart of lines: a row for each bucket that has any. */
function numbersOfLines(chart, section) {
  const columns = ["from, s"];
  const values = [];
  const add = (name, of, scale) => { columns.push(name); values.push(of.map((value) => (value === null ? null : value * scale))); };
  for (const line of chart.lines) {
    const isRate = line.how === "rate";
    add(`${line.name}, ${isRate ? "cells" : line.low ? `${chart.unit}, mean` : chart.unit}`, line.values, isRate ? 1 : chart.scale);
    if (line.low) add(`${line.name}, lowest`, line.low, chart.scale);
    if (line.high) add(`${line.name}, highest`, line.high, chart.scale);
  }
  for (const marks of chart.marks) {
    const counts = new Array(section.count).fill(0);
    for (const [bucket, count] of marks.buckets) counts[bucket] = count;
    add(marks.name, counts, 1);
  }
  const rows = [];
  for (let at = 0; at < section.count; at++) {
    if (!values.some((of) => of[at])) continue;
    const texts = values.map((of) => (of[at] === null ? "" : of[at].toLocaleString("en", { maximumFractionDigits: 3 })));
    rows.push([((section.from + at * section.width) / 1e6).toFixed(6), ...texts]);
  }
  return { columns, rows };
}
