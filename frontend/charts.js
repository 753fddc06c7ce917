// A line chart of a run on uPlot, which is loaded by its own script tag: curves, test points, marks, a cursor.

import { placeMarks } from "./core/marks.js";

const { uPlot } = globalThis;
const FONT = "12px system-ui, sans-serif";
const LABEL_FONT_PX = 11;
const LINE_ALPHA = 0.65; // of a mark: the curves come first
const LABEL_ROOM_PX = 20; // above the plot, for the labels of marks
const SIDE_ROOM_PX = 24; // for half of the last number below
const TEST_RADIUS_PX = 3.5;
const TEST_GAP_PX = 9; // test points that are closer than this cannot be told apart
const FALLBACK = { width: 300, height: 220 };

const scheme = matchMedia("(prefers-color-scheme: dark)");
let colours = new Map();
scheme.addEventListener("change", () => (colours = new Map()));

/** Colours come from the style sheet, so that light and dark are decided in one place; read once, since reading costs. */
export function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}

const RAW = { stroke: () => colour("--curve-faint"), width: 1, points: { show: false } };
const SMOOTH = { stroke: () => colour("--curve"), width: 2.5, pxAlign: 0, points: { show: false } };

/**
 * A chart in `container`, as large as it is. `rangeOf(low, high, shown)` says which values it shows for a curve that
 * lies between `low` and `high`. Returns {draw, showCursor, showSelection, shareAt, iterationsIn, canvas}.
 */
export function createChart(container, { rangeOf }) {
  const overlay = createOverlay();
  let shown = { columns: [[], [], []], range: [0, 10], logarithmic: false, tests: [], marks: [] };
  let plot = build();

  function build() {
    const size = { width: container.clientWidth || FALLBACK.width, height: container.clientHeight || FALLBACK.height };
    const fresh = new uPlot(optionsFor(size, () => shown, rangeOf), shown.columns, container);
    fresh.over.append(...Object.values(overlay));
    return fresh;
  }

  /** `columns`: iterations, raw values, smoothed ones; `range`: the first and last iteration to show. */
  function draw(next) {
    const rebuild = next.logarithmic !== shown.logarithmic; // uPlot takes the kind of a scale once
    shown = next;
    if (rebuild) {
      plot.destroy();
      plot = build();
    }
    const [min, max] = shown.range;
    plot.batch(() => {
      plot.setData(shown.columns, false);
      plot.setScale("x", { min, max });
    });
  }

  new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = container;
    if (width > 0 && (width !== plot.width || height !== plot.height)) plot.setSize({ width, height });
  }).observe(container);
  scheme.addEventListener("change", () => plot.redraw(false, true));

  const left = (iteration) => plot.valToPos(iteration, "x");
  return {
    draw,
    /** A line at an iteration, and a dot on the curve at `value`; null: none. */
    showCursor(iteration, value) {
      const x = iteration === null ? null : left(iteration);
      const inside = x !== null && x >= 0 && x <= plot.over.clientWidth;
      overlay.line.hidden = !inside;
      overlay.dot.hidden = !inside || !Number.isFinite(value);
      if (!inside) return;
      overlay.line.style.transform = `translateX(${x}px)`;
      if (!overlay.dot.hidden) overlay.dot.style.transform = `translate(${x}px, ${plot.valToPos(value, "y")}px)`;
    },
    /** A shade over the iterations that a drag has passed; null: none. */
    showSelection(ends) {
      overlay.selection.hidden = ends === null;
      if (ends === null) return;
      const [from, to] = ends.map(left).sort((a, b) => a - b);
      overlay.selection.style.transform = `translateX(${from}px)`;
      overlay.selection.style.width = `${to - from}px`;
    },
    /** Where between the left and the right edge this place of the window lies, 0 to 1. */
    shareAt(clientX) {
      const { left: start, width } = plot.over.getBoundingClientRect();
      return Math.min(1, Math.max(0, (clientX - start) / width));
    },
    /** How many iterations lie in so many pixels. */
    iterationsIn: (pixels) => (pixels * (shown.range[1] - shown.range[0])) / Math.max(1, plot.over.clientWidth),
    get canvas() {
      return plot.ctx.canvas;
    },
  };
}

function createOverlay() {
  const element = (name) => {
    const made = document.createElement("div");
    made.className = name;
    made.hidden = true;
    return made;
  };
  return { selection: element("chart-selection"), line: element("chart-line"), dot: element("chart-dot") };
}

function axis(overrides) {
  return {
    stroke: () => colour("--muted"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
    font: FONT,
    ...overrides,
  };
}

function optionsFor({ width, height }, getShown, rangeOf) {
  const { logarithmic } = getShown();
  return {
    width,
    height,
    padding: [LABEL_ROOM_PX, SIDE_ROOM_PX, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    select: { show: false },
    scales: {
      x: { time: false, range: (_, min, max) => [min ?? 0, max ?? 1] },
      y: { distr: logarithmic ? 3 : 1, range: (_, low, high) => rangeOf(low, high, getShown()) },
    },
    axes: [axis({ space: 70, size: 30, incrs: WHOLE }), axis({ space: 36, size: 50, ...(logarithmic ? LOGARITHMIC : {}) })],
    series: [{}, RAW, SMOOTH],
    hooks: {
      drawAxes: [(plot) => drawMarks(plot, getShown().marks)],
      draw: [(plot) => drawTests(plot, getShown().tests)],
    },
  };
}

/** Steps of the iteration axis: there is no half iteration. */
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** 1, 2 and 5 of each power of ten. */
const LOGARITHMIC = {
  splits: (_plot, _axis, low, high) => {
    const splits = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      for (const digit of [1, 2, 5]) {
        const value = Number((digit * 10 ** power).toPrecision(1));
        if (value >= low && value <= high) splits.push(value);
      }
    }
    return thinned(splits);
  },
  filter: (_plot, splits) => splits,
  values: (_plot, splits) => splits.map((value) => (value >= 1e5 || value < 1e-3 ? value.toExponential(0) : String(value))),
};

/** Over many powers of ten, those alone. */
function thinned(splits) {
  if (splits.length <= 9) return splits;
  const powers = splits.filter((value) => Number.isInteger(Number(Math.log10(value).toFixed(9))));
  const every = Math.ceil(powers.length / 8);
  return powers.filter((_, nth) => nth % every === 0);
}

/** Thin lines under the curves, each with a word above the plot where there is room. */
function drawMarks(plot, marks) {
  if (marks.length === 0) return;
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.font = `${LABEL_FONT_PX * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "alphabetic";
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  const placed = placeMarks(marks, {
    xOf: (iteration) => plot.valToPos(iteration, "x", true) / ratio,
    widthOf: (text) => ctx.measureText(text).width / ratio,
    left: bbox.left / ratio,
    right: (bbox.left + bbox.width) / ratio,
  });
  for (const { mark, x, label, right } of placed) {
    ctx.strokeStyle = ctx.fillStyle = colour(mark.kind === "diverged" ? "--bad" : "--mark");
    const at = Math.round(x * ratio) + (ratio % 2) / 2;
    ctx.globalAlpha = LINE_ALPHA;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top - (label === null ? 0 : LABEL_FONT_PX * ratio));
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    if (label === null) continue;
    ctx.globalAlpha = 1;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(label, at + (right ? -4 : 4) * ratio, bbox.top - 5 * ratio);
  }
  ctx.restore();
}

/** A dot for each measurement, the newest first, as far as they can be told apart. */
function drawTests(plot, tests) {
  if (tests.length === 0) return;
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 5 * ratio, bbox.top - 5 * ratio, bbox.width + 10 * ratio, bbox.height + 10 * ratio);
  ctx.clip();
  ctx.fillStyle = colour("--curve-test");
  ctx.strokeStyle = colour("--card");
  ctx.lineWidth = ratio;
  let next = Infinity;
  for (const { iteration, test_acc } of tests.toReversed()) {
    const x = plot.valToPos(iteration, "x", true);
    if (x > next - TEST_GAP_PX * ratio) continue;
    if (x < bbox.left - TEST_GAP_PX * ratio) break;
    if (x > bbox.left + bbox.width + TEST_GAP_PX * ratio) continue;
    next = x;
    ctx.beginPath();
    ctx.arc(x, plot.valToPos(test_acc, "y", true), TEST_RADIUS_PX * ratio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}
