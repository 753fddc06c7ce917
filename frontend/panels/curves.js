// The learning curves and the numbers they end in.

import { createChart } from "../charts.js";
import { throttle } from "../core/coalesce.js";
import { smoothedForDrawing, testColumn } from "../core/curve.js";
import * as format from "../core/format.js";
import { part, setText } from "../dom.js";

const REDRAW_MS = 120;

export function createCurvesPanel(store) {
  const lossChart = createChart(document.querySelector("[data-part=loss-chart]"), {
    series: [{ kind: "raw" }, { kind: "smooth" }],
    range: (min, max) => [0, Number.isFinite(max) && max > 0 ? max * 1.05 : 1],
    format: format.loss,
    readout: document.querySelector("[data-part=loss-readout]"),
  });
  const accChart = createChart(document.querySelector("[data-part=acc-chart]"), {
    series: [{ kind: "raw" }, { kind: "smooth" }, { kind: "test" }],
    range: () => [0, 1],
    format: (value) => format.fixed(value, 4),
    readout: document.querySelector("[data-part=acc-readout]"),
  });
  const diverged = document.querySelector("[data-part=diverged]");

  const redraw = throttle(() => {
    const { curve } = store.state;
    lossChart.draw([curve.iteration, curve.loss, smoothedForDrawing(curve, "smooth_loss")]);
    accChart.draw([curve.iteration, curve.acc, smoothedForDrawing(curve, "smooth_acc"), testColumn(curve)]);
  }, REDRAW_MS);
  let drawn = -1;

  return function render({ signal, curve }) {
    setText(part("loss"), format.loss(signal?.loss));
    setText(part("acc"), format.fixed(signal?.acc, 4));
    setText(part("test-acc"), format.fixed(signal?.test_acc, 4));
    diverged.hidden = curve.loss.length === 0 || curve.loss.at(-1) !== null;
    if (drawn === curve.revision) return;
    drawn = curve.revision;
    redraw();
  };
}
