// Charts of two runs: latency over time, and the cumulative distribution of latencies.
import { addFigure, axes, colours, data, render, sizeOf, write } from "./charts.js";

const compare = data("compare");
const parent = document.getElementById("compare-charts");
const has = (runs) => runs.some(([xs]) => xs.length);

function draw() {
  const ink = colours("muted", "line", "run-a", "run-b", "paper");
  const charts = compare.latency.filter(({ runs }) => has(runs)).map(({ title, runs }) => overTime(ink, title, runs));
  if (has(compare.distribution)) charts.push(distribution(ink));
  if (!charts.length) parent.textContent = "No chart data is stored for these runs.";
  return charts;
}

function overlay(ink, title, runs, options, describe) {
  const missing = ["A", "B"].filter((_, index) => !runs[index][0].length);
  const { drawing, readout } = addFigure(parent, missing.length ? `${title} (no data of run ${missing})` : title);
  const [xs, ...ys] = uPlot.join(runs.map(([x, y]) => [x, y]));
  const line = (label, stroke, dash) => ({ label, stroke, dash, width: 1.75, spanGaps: true, points: { show: false } });
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${title}, run A and run B`);
  return new uPlot(
    {
      ...sizeOf(drawing),
      legend: { show: false },
      padding: [8, 12, 0, 0],
      cursor: { y: false, points: { size: 8 } },
      series: [{}, line("A", ink["run-a"]), line("B", ink["run-b"], [7, 4])],
      hooks: { setCursor: [(u) => (readout.textContent = u.cursor.idx == null ? "" : describe(xs, ys, u.cursor.idx))] },
      ...options,
    },
    [xs, ...ys],
    drawing,
  );
}

function overTime(ink, title, runs) {
  const [x, y] = axes(ink, "s");
  const seconds = (_, splits) => splits.map((second) => `${second} s`);
  return overlay(
    ink,
    title,
    runs,
    { scales: { x: { time: false }, y: { range: (_, __, high) => [0, high * 1.08] } }, axes: [{ ...x, values: seconds }, y] },
    (xs, [a, b], at) => `${xs[at]} s · A ${write(a[at], "s")} · B ${write(b[at], "s")}`,
  );
}

function distribution(ink) {
  const [x, y] = axes(ink, "s");
  const percent = (_, splits) => splits.map((share) => `${Math.round(share * 100)} %`);
  return overlay(
    ink,
    "Cumulative latency distribution",
    compare.distribution,
    {
      scales: { x: { time: false, distr: 3 }, y: { range: [0, 1] } },
      axes: [{ ...x, values: (_, splits) => splits.map((value) => (value == null ? "" : write(value, "s"))) }, { ...y, values: percent }],
    },
    (xs, [a, b], at) =>
      [`${write(xs[at], "s")}`, ...[["A", a[at]], ["B", b[at]]].filter(([, share]) => share != null)
        .map(([name, share]) => `${name} ${(share * 100).toFixed(1)} %`)].join(" · "),
  );
}

if (parent && globalThis.uPlot) render(parent, draw);
