// The curve of a run: parallel columns, one entry for each iteration that is kept, bounded in length.

export const MAX_POINTS = 4000; // kept after thinning
const THIN_ABOVE = 2 * MAX_POINTS; // so that thinning, which walks everything, is rare
const EXTREMES_PER_BUCKET = 4; // lowest and highest loss and accuracy
const MAX_TESTS = 1000;
const DRAWN_TESTS = 60;
const SMOOTHING_ITERATIONS = 20;
const DRAWN_WINDOWS = 120; // the width of a drawn curve, in windows of its smoothing
const NEW_STARTS = ["reset", "restore", "upload"]; // origins of weights that end one run and begin another
const COLUMNS = ["iteration", "loss", "acc", "smooth_loss", "smooth_acc"];

/**
 * An empty curve; `revision` grows with every change, so a reader knows when to draw again.
 * Test accuracies are `tests`, apart: they are few, and no history from the server carries them.
 */
export function createCurve() {
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  return { ...columns, tests: [], latestTest: null, revision: 0 };
}

export function lastIteration(curve) {
  return curve.iteration.at(-1) ?? -1;
}

/**
 * Follow one ResponseSignal. Its history replaces everything after `history_from`; an iteration lower
 * than what is here means that the run was reset or restored, and what came after it is no longer true.
 */
export function followSignal(curve, signal) {
  const history = signal.history ?? { iteration: [], loss: [], acc: [] };
  truncate(curve, Math.min(signal.history_from ?? Infinity, signal.iteration));
  append(curve, history);
  forgetTestsAfter(curve, signal.iteration);
  if (Number.isFinite(signal.test_acc)) noteTest(curve, signal);
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
    pushPoint(curve, history.iteration[i], history.loss[i] ?? null, history.acc[i] ?? null);
    newest = history.iteration[i];
  }
}

function pushPoint(curve, iteration, loss, acc) {
  // The first iterations change fast, and are smoothed over few.
  const window = Math.max(1, Math.min(SMOOTHING_ITERATIONS, iteration / 4));
  const memory = Math.exp((lastIteration(curve) - iteration) / window);
  curve.smooth_loss.push(smoothed(curve.smooth_loss, loss, memory));
  curve.smooth_acc.push(smoothed(curve.smooth_acc, acc, memory));
  curve.iteration.push(iteration);
  curve.loss.push(loss);
  curve.acc.push(acc);
  curve.revision += 1;
}

/** Exponential mean that forgets by iterations, not by points, so a thinned past weighs what it did. */
function smoothed(column, value, memory) {
  if (value === null) return null;
  const previous = column.findLast((entry) => entry !== null);
  if (previous === undefined) return value;
  return memory * previous + (1 - memory) * value;
}

function forgetTestsAfter(curve, iteration) {
  const kept = curve.tests.filter((test) => test.iteration <= iteration);
  if (kept.length === curve.tests.length) return;
  curve.tests = kept;
  curve.revision += 1;
}

/**
 * A new test accuracy belongs to the newest iteration; the same value again is not a new measurement,
 * and just after a reset it is still that of the weights before.
 */
function noteTest(curve, { iteration, test_acc }) {
  if (curve.latestTest === test_acc) return;
  curve.latestTest = test_acc;
  curve.tests.push({ iteration, test_acc });
  if (curve.tests.length > MAX_TESTS) curve.tests = curve.tests.filter((_, index) => index % 2 === 1);
  curve.revision += 1;
}

/** The test accuracies as a column beside `iteration`, null where there is none; few enough to tell apart. */
export function testColumn(curve) {
  const column = new Array(curve.iteration.length).fill(null);
  const every = Math.ceil(curve.tests.length / DRAWN_TESTS);
  const drawn = curve.tests.filter((_, nth) => (curve.tests.length - 1 - nth) % every === 0);
  let index = 0;
  for (const { iteration, test_acc } of drawn) {
    while (index + 1 < column.length && curve.iteration[index + 1] <= iteration) index += 1;
    if (column.length > 0) column[index] = test_acc;
  }
  return column;
}

/**
 * Test accuracies that the weights' history remembers, for a page that came late: what was kept since
 * the run last started from elsewhere. `versions` newest first, as the server lists them.
 */
export function recallTests(curve, versions) {
  const start = versions.findIndex(({ origin }) => NEW_STARTS.includes(origin));
  const sameRun = start === -1 ? versions : versions.slice(0, start);
  const first = curve.tests[0]?.iteration ?? Infinity;
  const earlier = sameRun
    .filter(({ iteration, test_acc }) => Number.isFinite(test_acc) && iteration < first && iteration <= lastIteration(curve))
    .map(({ iteration, test_acc }) => ({ iteration, test_acc }))
    .sort((a, b) => a.iteration - b.iteration);
  if (earlier.length === 0) return;
  curve.tests = [...earlier, ...curve.tests];
  curve.revision += 1;
}

/** A column smoothed further, as much as suits a drawing of the whole curve. */
export function smoothedForDrawing(curve, name) {
  const span = lastIteration(curve) - (curve.iteration[0] ?? 0);
  const window = Math.max(1, span / DRAWN_WINDOWS);
  let mean = null;
  return curve[name].map((value, index) => {
    if (value === null) return null;
    const steps = index === 0 ? 0 : curve.iteration[index] - curve.iteration[index - 1];
    // The start of a run changes fast: smoothing it by the width of the whole would hide that.
    const memory = Math.exp(-steps / Math.max(1, Math.min(window, curve.iteration[index] / 4)));
    mean = mean === null ? value : memory * mean + (1 - memory) * value;
    return mean;
  });
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
  for (const name of COLUMNS) curve[name] = indices.map((index) => curve[name][index]);
  curve.revision += 1;
}
