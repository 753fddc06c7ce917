// The learning curves, and the numbers that they end in.

import { createChart } from "../charts.js";
import { followGestures } from "../chart_gestures.js";
import { throttle } from "../core/coalesce.js";
import { lastIteration, nearestPoint, smoothOver } from "../core/curve.js";
import * as format from "../core/format.js";
import { markWords } from "../core/marks.js";
import { shownRange } from "../core/zoom.js";
import { part, setText } from "../dom.js";
import { createCurveTools } from "./curve_tools.js";
import { createHealthNotice } from "./health.js";
import { createMarksList } from "./marks.js";

const REDRAW_MS = 125; // while new iterations come
const NEAR_PX = 7; // a mark or a test point this near is meant

const LOSS = { name: "loss", column: "loss", text: format.loss };
const ACCURACY = { name: "acc", column: "acc", text: (value) => format.fixed(value, 4), tests: true };

export function createCurvesPanel(store) {
  const charts = [LOSS, ACCURACY].map((kind) => ({
    ...kind,
    chart: createChart(document.querySelector(`[data-part=${kind.name}-chart]`), { rangeOf: RANGES[kind.name] }),
    readout: document.querySelector(`[data-part=${kind.name}-readout]`),
  }));
  const look = createCursor(store, charts);
  const setZoom = (zoom) => store.dispatch({ type: "set", slice: "view", zoom });
  for (const one of charts) {
    followGestures(document.querySelector(`[data-part=${one.name}-chart]`), one.chart, {
      view: () => ({ zoom: store.state.view.zoom, extent: extentOf(store.state.curve) }),
      cursor: look.at,
      onLook: (iteration, byKey) => look.to(iteration, one, byKey),
      onZoom: setZoom,
    });
  }
  const parts = [
    createCurveTools(store, charts),
    createHealthNotice(store),
    createMarksList(store, (iteration) => look.to(iteration, charts[0], false)),
  ];
  const drawLater = throttle(() => draw(store.state), REDRAW_MS);
  let drawn = { revision: -1, view: "" };

  function draw({ curve, view }) {
    smoothOver(curve, view.smoothing);
    drawn = { revision: curve.revision, view: viewKey(view) };
    const { marks, tests } = curve;
    const range = shownRange(view.zoom, extentOf(curve));
    for (const { chart, column, tests: hasTests } of charts) {
      chart.draw({
        columns: [curve.iteration, curve[column], curve[`smooth_${column}`]],
        range,
        zoomed: view.zoom !== null,
        logarithmic: view.logarithmic && column === "loss",
        tests: hasTests ? tests : [],
        marks,
      });
    }
    look.refresh();
  }

  return function render(state) {
    const { signal, curve, view, onScreen } = state;
    setText(part("loss"), format.loss(signal?.loss));
    setText(part("acc"), format.fixed(signal?.acc, 4));
    setText(part("test-acc"), format.fixed(signal?.test_acc, 4));
    if (!onScreen.curves) return;
    for (const renderPart of parts) renderPart(state);
    if (drawn.view !== viewKey(view)) draw(state);
    else if (drawn.revision !== curve.revision) drawLater();
  };
}

const viewKey = ({ zoom, logarithmic, smoothing }) => JSON.stringify([zoom, logarithmic, smoothing]);

/** The first and last iteration of the run, the one before its first step included. */
function extentOf(curve) {
  const first = Math.max(0, (curve.iteration[0] ?? 1) - 1);
  return [first, Math.max(first + 1, lastIteration(curve))];
}

/** Which values each chart shows for curves between low and high. */
const RANGES = {
  loss(low, high, { zoomed, logarithmic }) {
    if (!(high > 0) || !Number.isFinite(high)) return logarithmic ? [0.1, 10] : [0, 3];
    if (logarithmic) return [Math.max(low, high * 1e-9) * 0.9, high * 1.1];
    return zoomed ? padded(low, high, [0, Infinity]) : [0, high * 1.05];
  },
  acc(low, high, { zoomed, tests, range: [first, last] }) {
    if (!zoomed || !Number.isFinite(low)) return [0, 1];
    const seen = tests.filter(({ iteration }) => iteration >= first && iteration <= last).map(({ test_acc }) => test_acc);
    return padded(Math.min(low, ...seen), Math.max(high, ...seen), [0, 1]);
  },
};

function padded(low, high, [least, most]) {
  const room = Math.max((high - low) * 0.06, 0.005);
  return [Math.max(least, low - room), Math.min(most, high + room)];
}

/** What somebody looks at: one iteration, on both charts. */
function createCursor(store, charts) {
  const live = document.querySelector("[data-part=curve-live]");
  let at = null;
  let active = charts[0];

  function refresh() {
    const { curve } = store.state;
    const index = at === null ? -1 : nearestPoint(curve, at);
    for (const one of charts) {
      const value = index < 0 ? null : curve[`smooth_${one.column}`][index];
      one.chart.showCursor(index < 0 ? null : curve.iteration[index], value);
      setText(one.readout, index < 0 ? "" : readoutOf(curve, index, at, one, one === active));
    }
  }

  return {
    at: () => at,
    refresh,
    /** Look at this iteration, or at none, on the chart `one`; `aloud` tells a screen reader, too. */
    to(iteration, one, aloud) {
      at = iteration;
      active = one;
      refresh();
      if (aloud) setText(live, one.readout.textContent);
    },
  };
}

/** The values at a point in words, and on the chart that one is on the marks that are near. */
function readoutOf(curve, index, at, { column, text, tests, chart }, withMarks) {
  const words = [`iteration ${curve.iteration[index]}: ${text(curve[column][index])}`];
  if (curve.window > 0) words.push(`averaged ${text(curve[`smooth_${column}`][index])}`);
  const near = chart.iterationsIn(NEAR_PX);
  const test = tests ? nearest(curve.tests, at) : null;
  if (test !== null && Math.abs(test.iteration - at) <= near) words.push(`test ${text(test.test_acc)} at ${test.iteration}`);
  const marks = withMarks ? curve.marks.filter(({ iteration }) => Math.abs(iteration - at) <= near) : [];
  const newest = marks.slice(-3).map((mark) => `${markWords(mark)} at ${mark.iteration}, ${format.moment(mark.at)}`);
  return [words.join(", "), ...newest].join(" · ");
}

function nearest(points, iteration) {
  let best = null;
  for (const point of points) {
    if (best === null || Math.abs(point.iteration - iteration) <= Math.abs(best.iteration - iteration)) best = point;
  }
  return best;
}
