// The curve of a run: parallel columns, one entry for each iteration that is kept, bounded in length.

import { followMarks, followTests, forgetAfter } from "./marks.js";

export const MAX_POINTS = 8000; // kept after thinning
const THIN_ABOVE = 2 * MAX_POINTS; // so that thinning, which walks everything, is rare
const EXTREMES_PER_BUCKET = 4; // lowest and highest loss and accuracy
const DEFAULT_WINDOW = 20; // iterations
const SPACING_POINTS = 8; // over so many points one sees how far apart they are
const COLUMNS = ["iteration", "loss", "acc", "mean_loss", "mean_acc", "smooth_loss", "smooth_acc"];

/**
 * An empty curve, smoothed over `window` iterations (0: not at all). `revision` grows with every change, so a
 * reader knows when to draw again. `mean_loss` and `mean_acc` are means from the point before to this one: they
 * are the values themselves until thinning leaves points out. `tests` and `marks` lie apart: they are few.
 */
export function createCurve(window = DEFAULT_WINDOW) {
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  return { ...columns, tests: [], marks: [], settings: null, window, revision: 0 };
}

export function lastIteration(curve) {
  return curve.iteration.at(-1) ?? -1;
}

/**
 * Follow one ResponseSignal. Its history replaces everything after `history_from`; an iteration lower
 * than what is here means that the run was reset or restored, and what came after it is no longer true.
 */
export function followSignal(curve, signal) {
  const { history } = signal;
  const from = Math.min(signal.history_from ?? Infinity, signal.iteration);
  truncate(curve, from);
  if (history !== undefined) append(curve, history);
  const changes = [
    forgetAfter(curve, from),
    followTests(curve, history?.tests ?? []),
    followMarks(curve, history?.marks ?? [], signal),
  ];
  if (changes.includes(true)) curve.revision += 1;
  if (curve.iteration.length > THIN_ABOVE) thin(curve);
}

/** Drop every point after `iteration`. */
function truncate(curve, iteration) {
  let keep = curve.iteration.length;
  while (keep > 0 && curve.iteration[keep - 1] > iteration) keep -= 1;
  if (keep === curve.iteration.length) return;
  for (const name of COLUMNS) curve[name].length = keep;
  curve.revision += 1;
}

function append(curve, history) {
  let newest = lastIteration(curve);
  for (let i = 0; i < history.iteration.length; i += 1) {
    if (history.iteration[i] <= newest) continue;
    newest = history.iteration[i];
    const [loss, acc] = [history.loss[i] ?? null, history.acc[i] ?? null];
    curve.iteration.push(newest);
    curve.loss.push(loss);
    curve.acc.push(acc);
    curve.mean_loss.push(loss);
    curve.mean_acc.push(acc);
    smoothNewest(curve);
    curve.revision += 1;
  }
}

/** Average over `window` iterations from now on, the past as well. */
export function smoothOver(curve, window) {
  if (curve.window === window) return;
  curve.window = window;
  curve.smooth_loss = [];
  curve.smooth_acc = [];
  for (let i = 0; i < curve.iteration.length; i += 1) smoothNewest(curve);
  curve.revision += 1;
}

/** The smoothed values of the first point that has none yet. */
function smoothNewest(curve) {
  const at = curve.smooth_loss.length;
  const memory = memoryAt(curve, at);
  curve.smooth_loss.push(smoothed(curve.smooth_loss, curve.mean_loss[at], memory));
  curve.smooth_acc.push(smoothed(curve.smooth_acc, curve.mean_acc[at], memory));
}

/** How much of the mean before a point stays in the mean at it: it forgets by iterations, not by points. */
function memoryAt({ iteration, window }, at) {
  if (window === 0 || at === 0) return 0;
  const back = Math.min(SPACING_POINTS, at);
  const spacing = (iteration[at] - iteration[at - back]) / back;
  // The first iterations change fast, and are smoothed over few. What came thinned are extremes: the mean
  // of a window with few of them would be as jagged as they are.
  const early = Math.max(1, Math.min(window, iteration[at] / 4));
  const length = spacing > 1.5 ? Math.max(early, 2 * EXTREMES_PER_BUCKET * spacing) : early;
  return Math.exp((iteration[at - 1] - iteration[at]) / length);
}

function smoothed(column, value, memory) {
  if (value === null) return null;
  const previous = column.at(-1) ?? column.findLast((entry) => entry !== null);
  return previous === undefined ? value : memory * previous + (1 - memory) * value;
}

/** The index of the point nearest to `iteration`, or -1 where there is none. */
export function nearestPoint({ iteration: column }, iteration) {
  let low = 0;
  let high = column.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < iteration) low = middle + 1;
    else high = middle;
  }
  return low > 0 && iteration - column[low - 1] < column[low] - iteration ? low - 1 : Math.min(low, column.length - 1);
}

/** Keep at most MAX_POINTS: of each stretch of iterations its extremes, so that no spike is lost. */
export function thin(curve) {
  const first = curve.iteration[0];
  const buckets = Math.floor((MAX_POINTS - 2) / EXTREMES_PER_BUCKET);
  const width = (lastIteration(curve) - first + 1) / buckets;
  const kept = new Set([0, curve.iteration.length - 1]);
  let start = 0;
  while (start < curve.iteration.length) {
    const bucket = Math.floor((curve.iteration[start] - first) / width);
    let end = start + 1;
    while (end < curve.iteration.length && Math.floor((curve.iteration[end] - first) / width) === bucket) end += 1;
    for (const index of extremes(curve, start, end)) kept.add(index);
    start = end;
  }
  keepOnly(curve, [...kept].sort((a, b) => a - b));
}

/** Indices in start..end of the lowest and highest loss and accuracy. */
function extremes(curve, start, end) {
  const found = { lowLoss: start, highLoss: start, lowAcc: start, highAcc: start };
  // A loss that is no number is the highest spike there is.
  const lossAt = (index) => curve.loss[index] ?? Infinity;
  for (let i = start; i < end; i += 1) {
    if (lossAt(i) < lossAt(found.lowLoss)) found.lowLoss = i;
    if (lossAt(i) > lossAt(found.highLoss)) found.highLoss = i;
    if (curve.acc[i] < curve.acc[found.lowAcc]) found.lowAcc = i;
    if (curve.acc[i] > curve.acc[found.highAcc]) found.highAcc = i;
  }
  return Object.values(found);
}

function keepOnly(curve, indices) {
  const means = { mean_loss: meansBetween(curve, "mean_loss", indices), mean_acc: meansBetween(curve, "mean_acc", indices) };
  for (const name of COLUMNS) curve[name] = means[name] ?? indices.map((index) => curve[name][index]);
  curve.revision += 1;
}

/** For each of `indices`: the mean of a column over the iterations since the one before it; null where none is a number. */
function meansBetween(curve, name, indices) {
  let from = 0;
  return indices.map((index) => {
    let sum = 0;
    let iterations = 0;
    for (; from <= index; from += 1) {
      const value = curve[name][from];
      if (value === null) continue;
      const steps = from === 0 ? 1 : curve.iteration[from] - curve.iteration[from - 1];
      sum += steps * value;
      iterations += steps;
    }
    // A gap stays a gap, so that the smoothed curve shows it as well.
    return iterations === 0 || curve[name][index] === null ? null : sum / iterations;
  });
}
