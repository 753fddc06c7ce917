// What lies beside a curve: the test accuracies, and the marks of what somebody changed while it was drawn.

const MAX_TESTS = 1000;
const MAX_MARKS = 200;
const LABEL_GAP_PX = 6;
const SAME_LINE_PX = 2;

/** The settings that marks are about: their name in words, and on a label. */
const SETTINGS = {
  lrate: { name: "learning rate", label: "rate" },
  batch_size: { name: "batch size", label: "batch" },
  cache_size: { name: "cache size", label: "cache" },
};

/** What happened to the weights: a label, and in words with the version, or the learning rate, of the mark. */
const WEIGHTS = {
  tune: { label: "taught", words: () => "one drawing taught" },
  upload: { label: "uploaded", words: (version) => `weights uploaded, now version ${version}` },
  reset: { label: "reset", words: () => "weights reset" },
  restore: { label: "restored", words: (version) => `weights restored, now version ${version}` },
  diverged: { label: "diverged", words: (rate) => `training failed at learning rate ${rate}` },
};

/** The run is at `iteration`, or is told anew from there: forget what is later. Says whether anything changed. */
export function forgetAfter(curve, iteration) {
  const tests = curve.tests.filter((test) => test.iteration <= iteration);
  const marks = curve.marks.filter((mark) => mark.iteration <= iteration);
  const changed = tests.length < curve.tests.length || marks.length < curve.marks.length;
  if (changed) Object.assign(curve, { tests, marks });
  return changed;
}

/** Take in new test points, each once, in the order of their iterations. Says whether there were any. */
export function followTests(curve, tests) {
  const known = new Set(curve.tests.map(({ version, iteration }) => `${version} ${iteration}`));
  const fresh = tests.filter(({ version, iteration }) => !known.has(`${version} ${iteration}`));
  if (fresh.length === 0) return false;
  curve.tests = [...curve.tests, ...fresh].sort((a, b) => a.iteration - b.iteration || a.version - b.version);
  if (curve.tests.length > MAX_TESTS) curve.tests = curve.tests.filter((_, nth) => (curve.tests.length - 1 - nth) % 2 === 0);
  return true;
}

/**
 * Take in new marks, each once, oldest first. A mark says what a setting is now; `before`, what it was, is
 * known from the signals up to then, or from the mark before. Says whether there were any.
 */
export function followMarks(curve, marks, signal) {
  const known = new Set(curve.marks.map(identityOf));
  const since = curve.marks[0]?.kind === "reset" ? curve.marks[0].at : -Infinity; // older ones were left out
  const fresh = marks.filter((mark) => isKnownKind(mark) && mark.at >= since && !known.has(identityOf(mark)));
  for (const mark of fresh.sort((a, b) => a.at - b.at)) {
    const earlier = curve.marks.findLast(({ kind }) => kind === mark.kind)?.value;
    const before = mark.kind in SETTINGS ? (earlier ?? curve.settings?.[mark.kind] ?? null) : null;
    curve.marks.push({ ...mark, before: before === mark.value ? null : before });
  }
  curve.marks = sinceReset(curve.marks.sort((a, b) => a.at - b.at)).slice(-MAX_MARKS);
  const { lrate, batch_size, cache_size } = signal;
  curve.settings = { lrate, batch_size, cache_size };
  return fresh.length > 0;
}

/** What was done before the last reset was done to a run that is gone; the server keeps those at iteration 0. */
function sinceReset(marks) {
  return marks.slice(Math.max(0, marks.findLastIndex(({ kind }) => kind === "reset")));
}

const isKnownKind = ({ kind }) => kind in SETTINGS || kind in WEIGHTS;
const identityOf = ({ kind, at }) => `${kind} ${at}`;

/** A mark in a sentence's words: "learning rate 0.1 → 0.5". */
export function markWords({ kind, value, before }) {
  if (kind in WEIGHTS) return WEIGHTS[kind].words(short(value));
  const { name } = SETTINGS[kind];
  return before === null ? `${name} set to ${short(value)}` : `${name} ${short(before)} → ${short(value)}`;
}

/** A mark in one or two words, for a label. */
export function markLabel({ kind, value }) {
  return kind in WEIGHTS ? WEIGHTS[kind].label : `${SETTINGS[kind].label} ${short(value)}`;
}

const short = (value) => String(Number(Number(value).toPrecision(4)));

/**
 * Where the lines and labels of marks go: [{mark, x, label, right}], `label` null where a newer one is in the way,
 * `right` where it stands left of its line, for want of room. `xOf(iteration)` and `widthOf(text)` are in pixels.
 */
export function placeMarks(marks, { xOf, widthOf, left, right }) {
  const placed = [];
  const taken = [];
  for (const mark of marks.toReversed()) {
    const x = xOf(mark.iteration);
    if (x < left || x > right) continue;
    if (placed.some((other) => Math.abs(other.x - x) < SAME_LINE_PX && other.mark.kind === mark.kind)) continue;
    const label = markLabel(mark);
    const width = widthOf(label) + LABEL_GAP_PX;
    const onRight = x + width <= right;
    const [start, end] = onRight ? [x, x + width] : [x - width, x];
    const free = start >= left && taken.every(([from, to]) => end <= from || start >= to);
    if (free) taken.push([start, end]);
    placed.push({ mark, x, label: free ? label : null, right: !onRight });
  }
  return placed;
}
