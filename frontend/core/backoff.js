// How long to wait before the next try to connect: at once-ish, then doubling, never in step with other pages.

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/** Milliseconds before try number `failures` + 1; `random` in 0..1 spreads it over the upper half. */
export function reconnectDelay(failures, random = Math.random()) {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  return ceiling * (0.5 + random / 2);
}
