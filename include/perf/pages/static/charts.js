// Shared by all charts: theme colours, number formats, size, zoom and cursor.

export const data = (id) => JSON.parse(document.getElementById(id).textContent);

// The browser resolves CSS variables to colours, since they may depend on the theme.
export function colours(...names) {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = Object.fromEntries(
    names.map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    }),
  );
  probe.remove();
  return found;
}

const digits = (value) => {
  if (value === 0) return "0";
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 3));
};

const WRITERS = {
  s: (value) => (value >= 10 ? `${value.toFixed(2)} s` : `${digits(value * 1000)} ms`),
  "1/s": (value) => `${digits(value)}/s`,
  ratio: (value) => `${(value * 100).toFixed(2)} %`,
  cores: (value) => `${digits(value)} cores`,
  bytes: (value) => `${(value / 1024 ** 2).toFixed(0)} MiB`,
};
export const write = (value, unit) => (value == null ? "–" : WRITERS[unit](value));

// Axis labels have just enough decimals to distinguish the steps.
const SCALES = { s: [1000, "ms"], "1/s": [1, "/s"], ratio: [100, "%"], cores: [1, "cores"], bytes: [1 / 1024 ** 2, "MiB"] };
export function axisValues(unit) {
  const [factor, name] = SCALES[unit];
  return (_, splits) => {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) * factor : 1;
    const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
    return splits.map((value) => (value == null ? "" : `${(value * factor).toFixed(decimals)} ${name}`));
  };
}

const FONT = "12px system-ui, sans-serif";
const HEIGHT = 190;

export function axes(ink, unit) {
  const shared = { stroke: ink.muted, font: FONT, grid: { stroke: ink.line, width: 1 }, ticks: { show: false } };
  return [{ ...shared, values: days }, { ...shared, size: 76, values: axisValues(unit) }];
}

// Dates in the format of the pages, no more exact than the axis steps.
const DAY_S = 86400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function days(_, splits, __, ___, step) {
  let year = null;
  return splits.map((at) => {
    const date = new Date(at * 1000);
    const isNew = date.getUTCFullYear() !== year;
    year = date.getUTCFullYear();
    const month = MONTHS[date.getUTCMonth()];
    const text = step >= 28 * DAY_S ? month : `${date.getUTCDate()} ${month}`;
    const clock = step < DAY_S ? ` ${date.toISOString().slice(11, 16)}` : "";
    return `${text}${clock}${isNew ? `\n${year}` : ""}`;
  });
}

// Adds a figure with a title and a readout of the values under the cursor.
export function addFigure(parent, title) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const name = document.createElement("strong");
  const readout = document.createElement("span");
  name.textContent = title;
  caption.append(name, readout);
  const drawing = document.createElement("div");
  figure.append(caption, drawing);
  parent.append(figure);
  return { drawing, readout };
}

// Redraws the charts when the theme changes, and resizes them with their parent.
export function render(parent, draw) {
  let charts = [];
  const redraw = () => {
    const zoom = charts[0]?.scales.x;
    const range = zoom && { min: zoom.min, max: zoom.max };
    charts.forEach((chart) => chart.destroy());
    parent.replaceChildren();
    charts = draw();
    if (range) charts[0]?.setScale("x", range);
  };
  redraw();
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => charts.forEach((chart) => chart.setSize(sizeOf(chart.root.parentElement)))).observe(parent);
  return () => charts;
}

export const sizeOf = (drawing) => ({ width: Math.max(240, drawing.clientWidth), height: HEIGHT });

// Keeps the x range of all charts the same.
export function sharedZoom(charts) {
  let busy = false;
  return (chart, key) => {
    if (key !== "x" || busy) return;
    busy = true;
    const { min, max } = chart.scales.x;
    charts().filter((other) => other !== chart).forEach((other) => other.setScale("x", { min, max }));
    busy = false;
  };
}
