// Both charts as one picture that can be read without the page around it.

import { colour } from "./charts.js";
import { shownRange } from "./core/zoom.js";

const MARGIN = 20;
const TITLE = 26;
const LEGEND = 22;
const AXIS_NAME = 24;
const KEY = 16;

const NAMES = { loss: "Loss", acc: "Accuracy" };

/** A PNG, as a blob, of `charts` ([{name, chart, tests}]) one below the other, with titles, names of the axes and a legend. */
export function curvePicture(charts, { curve, view, signal }) {
  const ratio = window.devicePixelRatio;
  const sizes = charts.map(({ chart: { canvas } }) => ({ width: canvas.width / ratio, height: canvas.height / ratio }));
  const width = Math.max(...sizes.map((size) => size.width)) + 2 * MARGIN;
  const height = sizes.reduce((sum, size) => sum + TITLE + LEGEND + size.height + AXIS_NAME, 0) + (charts.length + 1) * MARGIN;
  const picture = document.createElement("canvas");
  picture.width = Math.round(width * ratio);
  picture.height = Math.round(height * ratio);
  const ctx = picture.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.fillStyle = colour("--card");
  ctx.fillRect(0, 0, width, height);
  let top = MARGIN;
  charts.forEach((one, nth) => {
    drawTitle(ctx, top, titleOf(one.name, signal, view));
    drawLegend(ctx, top + TITLE, legendOf(one, curve, view));
    top += TITLE + LEGEND;
    ctx.drawImage(one.chart.canvas, MARGIN, top, sizes[nth].width, sizes[nth].height);
    top += sizes[nth].height;
    drawAxisName(ctx, top, width, `iteration ${shownRange(view.zoom, [curve.iteration[0] ?? 0, curve.iteration.at(-1) ?? 0]).join(" to ")}`);
    top += AXIS_NAME + MARGIN;
  });
  return new Promise((resolve) => picture.toBlob(resolve, "image/png"));
}

function titleOf(name, signal, { logarithmic }) {
  const scale = name === "loss" && logarithmic ? ", logarithmic scale" : "";
  return `${NAMES[name]}${scale}${signal?.dataset ? ` (${signal.dataset})` : ""}`;
}

function legendOf({ tests }, curve, { smoothing }) {
  const entries = [{ text: "one batch", colour: "--curve-faint" }];
  if (smoothing > 0) entries.push({ text: `averaged over ${smoothing} iterations`, colour: "--curve" });
  if (tests) entries.push({ text: "test set", colour: "--curve-test", dot: true });
  if (curve.marks.length > 0) entries.push({ text: "a change", colour: "--mark", dashed: true });
  return entries;
}

function drawTitle(ctx, top, text) {
  ctx.fillStyle = colour("--ink");
  ctx.font = "600 16px system-ui, sans-serif";
  ctx.fillText(text, MARGIN, top + 16);
}

function drawLegend(ctx, top, entries) {
  ctx.font = "12px system-ui, sans-serif";
  let x = MARGIN;
  for (const { text, colour: name, dot, dashed } of entries) {
    ctx.fillStyle = ctx.strokeStyle = colour(name);
    ctx.beginPath();
    if (dot) {
      ctx.arc(x + KEY / 2, top + 8, 4, 0, 2 * Math.PI);
      ctx.fill();
    } else {
      ctx.setLineDash(dashed ? [3, 3] : []);
      ctx.lineWidth = dashed ? 1 : 3;
      ctx.moveTo(x, top + 8);
      ctx.lineTo(x + KEY, top + 8);
      ctx.stroke();
    }
    ctx.fillStyle = colour("--muted");
    ctx.fillText(text, x + KEY + 6, top + 12);
    x += KEY + 6 + ctx.measureText(text).width + 16;
  }
  ctx.setLineDash([]);
}

function drawAxisName(ctx, top, width, text) {
  ctx.fillStyle = colour("--muted");
  ctx.font = "12px system-ui, sans-serif";
  ctx.fillText(text, (width - ctx.measureText(text).width) / 2, top + 12);
}
