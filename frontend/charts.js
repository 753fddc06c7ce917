// A small line chart on uPlot, which is loaded by its own script tag.

const { uPlot } = globalThis;
const HEIGHT = 220;
const FEWEST_ITERATIONS = 10;

/** Colours come from the style sheet, so that light and dark are decided in one place. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const KINDS = {
  raw: { stroke: () => colour("--curve-faint"), width: 1, points: { show: false } },
  smooth: { stroke: () => colour("--curve"), width: 2.5, points: { show: false } },
  test: {
    stroke: () => colour("--curve-test"),
    paths: () => null,
    points: { show: true, size: 7, width: 0, fill: () => colour("--curve-test") },
  },
};

function axis(overrides) {
  return {
    stroke: () => colour("--muted"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    ...overrides,
  };
}

/** A curve that has hardly begun is not stretched over the whole width. */
function iterationRange(min, max) {
  return [min, Math.max(max, min + FEWEST_ITERATIONS)];
}

function optionsFor({ series, range, onCursor }, width) {
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: (_, min, max) => iterationRange(min ?? 0, max ?? 0) },
      y: { range: (_, min, max) => range(min, max) },
    },
    axes: [axis({ space: 70, size: 30 }), axis({ space: 36, size: 46 })],
    series: [{}, ...series.map(({ kind }) => KINDS[kind])],
    hooks: { setCursor: [onCursor] },
  };
}

/**
 * A chart in `container`, as wide as it is. `series` names what each column after the first is drawn as;
 * `readout` is the element that tells the values under the pointer. Returns {draw(columns)}.
 */
export function createChart(container, { series, range, format, readout }) {
  const onCursor = (plot) => {
    readout.textContent = valuesAt(plot, format);
  };
  const empty = [[], ...series.map(() => [])];
  const plot = new uPlot(optionsFor({ series, range, onCursor }, container.clientWidth || 300), empty, container);
  new ResizeObserver(() => {
    if (container.clientWidth > 0) plot.setSize({ width: container.clientWidth, height: HEIGHT });
  }).observe(container);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw(false, true));
  return { draw: (columns) => plot.setData(columns) };
}

function valuesAt(plot, format) {
  const { idx } = plot.cursor;
  if (idx === null || idx === undefined) return "";
  return `at iteration ${plot.data[0][idx]}: ${format(plot.data[1][idx])}`;
}
