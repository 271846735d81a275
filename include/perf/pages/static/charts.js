// What all charts share: colours of the theme, units as people write them, size, zoom and cursor together.

export const data = (id) => JSON.parse(document.getElementById(id).textContent);

// Tokens are resolved by the browser, since they may depend on the theme.
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

// On an axis the numbers stand under one another: no more digits than tell the steps apart.
const SCALES = { s: [1000, "ms"], "1/s": [1, "/s"], ratio: [100, "%"], cores: [1, "cores"], bytes: [1 / 1024 ** 2, "MiB"] };
export function axisValues(unit) {
  const [factor, name] = SCALES[unit];
  return (_, splits) => {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) * factor : 1;
    const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
    return splits.map((each) => (each == null ? "" : `${(each * factor).toFixed(decimals)} ${name}`));
  };
}

const FONT = "12px system-ui, sans-serif";
const HEIGHT = 190;

export function axes(ink, unit) {
  const shared = { stroke: ink.muted, font: FONT, grid: { stroke: ink.line, width: 1 }, ticks: { show: false } };
  return [{ ...shared, values: days }, { ...shared, size: 76, values: axisValues(unit) }];
}

// Dates as they are written elsewhere on the pages, only as exact as the steps are.
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

// A chart with its title and a line that says what is under the cursor.
export function place(parent, title) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const name = document.createElement("strong");
  const said = document.createElement("span");
  name.textContent = title;
  caption.append(name, said);
  const drawing = document.createElement("div");
  figure.append(caption, drawing);
  parent.append(figure);
  return { drawing, said };
}

// Draws anew whenever the theme changes, and fits charts into what room there is.
export function keep(parent, draw) {
  let charts = [];
  const anew = () => {
    const zoom = charts[0]?.scales.x;
    const range = zoom && { min: zoom.min, max: zoom.max };
    charts.forEach((chart) => chart.destroy());
    parent.replaceChildren();
    charts = draw();
    if (range) charts[0]?.setScale("x", range);
  };
  anew();
  new MutationObserver(anew).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  new ResizeObserver(() => charts.forEach((chart) => chart.setSize(sizeOf(chart.root.parentElement)))).observe(parent);
  return () => charts;
}

export const sizeOf = (drawing) => ({ width: Math.max(240, drawing.clientWidth), height: HEIGHT });

// One zoom for all: what is chosen in one chart is shown in every one.
export function together(charts) {
  let busy = false;
  return (chart, key) => {
    if (key !== "x" || busy) return;
    busy = true;
    const { min, max } = chart.scales.x;
    charts().filter((other) => other !== chart).forEach((other) => other.setScale("x", { min, max }));
    busy = false;
  };
}
