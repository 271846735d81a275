// The history of a cell: a chart of every metric over time with its baseline, deployments and silences.
import { addFigure, axes, colours, data, render, sharedZoom, sizeOf, write } from "./charts.js";

const history = data("history");
const parent = document.getElementById("history-charts");
const day = (at) => new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ");

let ink;

function draw() {
  ink = colours("ink", "muted", "line", "good", "bad", "doubt", "quiet", "paper", "band", "silent");
  const charts = [];
  const zoom = sharedZoom(() => charts);
  for (const metric of history.metrics) {
    if (metric.values.some((value) => value != null)) charts.push(chartOf(metric, zoom));
  }
  return charts;
}

function chartOf(metric, zoom) {
  const { drawing, readout } = addFigure(parent, metric.title);
  const chart = new uPlot(
    {
      ...sizeOf(drawing),
      legend: { show: false },
      padding: [16, 22, 0, 0],
      cursor: { sync: { key: "history" }, y: false, points: { size: 9, stroke: ink.ink, fill: ink.paper } },
      scales: { x: { time: true }, y: { range: (u, low, high) => rangeOf(u, metric, low, high) } },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      axes: axes(ink, metric.unit),
      series: [{}, { stroke: ink.muted, width: 1, points: { show: false }, spanGaps: true }],
      hooks: {
        drawClear: [(u) => clipped(u, () => drawBehind(u, metric))],
        draw: [(u) => clipped(u, () => drawInFront(u, metric))],
        setScale: [zoom],
        setCursor: [(u) => (readout.textContent = describe(u.cursor.idx, metric))],
      },
    },
    [history.times, metric.values],
    drawing,
  );
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${metric.title} over time; the table of runs below lists the values`);
  openOnClick(chart);
  return chart;
}

// The y range always includes the baseline band, so that an insignificant change looks small.
function rangeOf(u, metric, low, high) {
  const bounds = [low, high];
  for (const [from, to, baseline, bottom, top] of spans(metric.baseline)) {
    if (baseline != null && to >= u.scales.x.min && from <= u.scales.x.max) bounds.push(bottom, top);
  }
  const known = bounds.filter((bound) => bound != null);
  const least = Math.min(...known);
  const most = Math.max(...known);
  const margin = (most - least || Math.abs(most) || 1) * 0.1;
  return [Math.max(least >= 0 ? 0 : -Infinity, least - margin), most + 2 * margin];
}

// Turns steps, given where a value changes, into spans that end where the next one begins.
const spans = (steps) => steps.map(([at, ...rest], index) => [at, steps[index + 1]?.[0] ?? Infinity, ...rest]);

function clipped(u, paint) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top - 14 * devicePixelRatio, width, height + 14 * devicePixelRatio);
  u.ctx.clip();
  paint();
  u.ctx.restore();
}

const xOf = (u, at) => u.valToPos(Math.min(Math.max(at, u.scales.x.min), u.scales.x.max), "x", true);
const yOf = (u, value) => u.valToPos(value, "y", true);

function drawBehind(u, metric) {
  const { ctx } = u;
  const { top, height } = u.bbox;
  const isShown = (from, to) => to > u.scales.x.min && from < u.scales.x.max;
  ctx.fillStyle = ink.silent;
  for (const [from, to, only] of history.silences) {
    if ((only === null || only === metric.name) && isShown(from, to)) {
      ctx.fillRect(xOf(u, from), top, xOf(u, to) - xOf(u, from), height);
    }
  }
  for (const [from, to, baseline, low, high] of spans(metric.baseline)) {
    if (baseline == null || !isShown(from, to)) continue;
    const [left, right] = [xOf(u, from), xOf(u, to)];
    ctx.fillStyle = ink.band;
    ctx.fillRect(left, yOf(u, high), right - left, yOf(u, low) - yOf(u, high));
    line(ctx, ink.muted, [6, 4], left, yOf(u, baseline), right, yOf(u, baseline));
  }
  const deploys = history.deploys.slice(1).filter(([at]) => isShown(at, at));
  deploys.forEach(([at]) => line(ctx, ink.muted, [2, 3], xOf(u, at), top, xOf(u, at), top + tall(height, deploys)));
}

// Vertical lines span the full height, unless so many would hide the data.
const CROWD = 16;
const tall = (height, all) => (all.length > CROWD ? 7 * devicePixelRatio : height);

function line(ctx, colour, dash, ...[x1, y1, x2, y2]) {
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
  ctx.restore();
}

function drawInFront(u, metric) {
  const { ctx } = u;
  const px = devicePixelRatio;
  const bottom = u.bbox.top + u.bbox.height;
  const isShown = (at) => at >= u.scales.x.min && at <= u.scales.x.max;
  ctx.lineWidth = px;
  metric.singles.filter(([at]) => isShown(at)).forEach(([at, value]) => ring(ctx, xOf(u, at), yOf(u, value), 3 * px));
  const marks = new Map(metric.marks);
  history.times.forEach((at, index) => {
    const value = metric.values[index];
    if (value != null && isShown(at)) point(ctx, marks.get(index), xOf(u, at), yOf(u, value), px);
  });
  history.unmeasured.filter(([at]) => isShown(at)).forEach(([at]) => cross(ctx, xOf(u, at), bottom - 5 * px, 3 * px));
  const changes = metric.changes.filter(([at]) => isShown(at));
  changes.forEach(([at, isWorse]) => {
    const end = u.bbox.top + tall(u.bbox.height, changes);
    line(ctx, isWorse ? ink.bad : ink.good, [], xOf(u, at), u.bbox.top, xOf(u, at), end);
  });
  const { deploys, baselines } = history;
  labels(u, u.bbox.top - px, [
    ...deploys.slice(1).map(([at, version]) => [at, version, ink.muted]),
    ...baselines.slice(1).map(([at, version]) => [at, `baseline ${version}`, ink.muted]),
  ]);
  labels(u, u.bbox.top + 13 * px, changes.map(([at, isWorse, change]) => [at, change, isWorse ? ink.bad : ink.good]));
}

// Labels vertical lines where there is room.
function labels(u, bottom, entries) {
  const { ctx } = u;
  const px = devicePixelRatio;
  const taken = [];
  ctx.font = `600 ${11 * px}px system-ui, sans-serif`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  ctx.lineWidth = 3 * px;
  ctx.strokeStyle = ink.paper;
  for (const [at, text, colour] of entries) {
    if (at < u.scales.x.min || at > u.scales.x.max || !text) continue;
    const width = ctx.measureText(text).width;
    const left = Math.min(xOf(u, at) + 3 * px, u.bbox.left + u.bbox.width - width);
    if (taken.some(([from, to]) => left < to + 6 * px && left + width > from - 6 * px)) continue;
    taken.push([left, left + width]);
    ctx.fillStyle = colour;
    ctx.strokeText(text, left, bottom);
    ctx.fillText(text, left, bottom);
  }
}

// Shapes, not only colours: triangle up for worse, triangle down for better, diamond for unconfirmed.
function point(ctx, tone, x, y, px) {
  ctx.fillStyle = ink[tone] ?? ink.ink;
  ctx.beginPath();
  if (tone === "bad" || tone === "good") {
    const up = tone === "bad" ? 1 : -1;
    ctx.moveTo(x, y - 5.5 * px * up);
    ctx.lineTo(x + 5 * px, y + 3.5 * px * up);
    ctx.lineTo(x - 5 * px, y + 3.5 * px * up);
  } else if (tone === "doubt") {
    ctx.moveTo(x, y - 4.5 * px);
    ctx.lineTo(x + 4.5 * px, y);
    ctx.lineTo(x, y + 4.5 * px);
    ctx.lineTo(x - 4.5 * px, y);
  } else {
    ctx.arc(x, y, (history.times.length > 400 ? 1.25 : 2.25) * px, 0, 2 * Math.PI);
  }
  ctx.fill();
}

function ring(ctx, x, y, radius) {
  ctx.strokeStyle = ink.muted;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.stroke();
}

function cross(ctx, x, y, size) {
  line(ctx, ink.muted, [], x - size, y - size, x + size, y + size);
  line(ctx, ink.muted, [], x - size, y + size, x + size, y - size);
}

function describe(index, metric) {
  if (index == null) return "";
  const at = history.times[index];
  const [, , baseline] = spans(metric.baseline).find(([from, to]) => from <= at && at < to) ?? [];
  const parts = [day(at), write(metric.values[index], metric.unit)];
  if (baseline != null) parts.push(`baseline ${write(baseline, metric.unit)}`);
  parts.push(history.verdicts[history.verdict[index]]);
  if (history.deploy[index]) parts.push(history.deploy[index]);
  return parts.join(" · ");
}

// A click opens the run under the cursor; a drag zooms.
function openOnClick(chart) {
  let from = 0;
  chart.over.addEventListener("mousedown", (event) => (from = event.clientX));
  chart.over.addEventListener("click", (event) => {
    const id = history.ids[chart.cursor.idx];
    if (id && Math.abs(event.clientX - from) < 4) location.href = `${parent.dataset.run}/${encodeURIComponent(id)}`;
  });
}

if (parent && globalThis.uPlot) {
  const charts = render(parent, draw);
  document.getElementById("about-charts").hidden = false;
  document.getElementById("reset-zoom").addEventListener("click", () => {
    const { times } = history;
    charts()[0]?.setScale("x", { min: times[0], max: times.at(-1) });
  });
}
