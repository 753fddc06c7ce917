// Numbers as words.

export const NOTHING = "–";

/** A fixed number of decimals, or a dash where there is no number yet. */
export function fixed(value, decimals) {
  return Number.isFinite(value) ? value.toFixed(decimals) : NOTHING;
}

/** A loss: four decimals, and few digits where it has run away. */
export function loss(value) {
  if (!Number.isFinite(value)) return NOTHING;
  return Math.abs(value) < 1000 ? value.toFixed(4) : value.toExponential(2);
}

export function whole(value) {
  return Number.isFinite(value) ? String(Math.round(value)) : NOTHING;
}

/** 0..1 as a percentage without its sign: 0.9712 is "97.1". */
export function percent(value) {
  return Number.isFinite(value) ? (value * 100).toFixed(1) : NOTHING;
}

const DAY_MS = 24 * 3600 * 1000;
// Made once: making one takes longer than a hundred times of using it.
const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const CLOCK = new Intl.DateTimeFormat(undefined, clock);
const DAY_AND_CLOCK = new Intl.DateTimeFormat(undefined, { ...clock, day: "numeric", month: "short" });

/** An ISO time as a short local one; the date only where it was not within the last day. */
export function moment(iso, now = Date.now()) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return NOTHING;
  return (now - time.getTime() < DAY_MS ? CLOCK : DAY_AND_CLOCK).format(time);
}
