// How many of something come in a second, counted over the last two seconds.

const BIN_MS = 250;
const BINS = 8;

/**
 * A meter of bounded size. Times are in ms and never go back. `rate(now)` looks at whole bins alone, so that it does not
 * swing with the moment at which one asks.
 */
export function createRateMeter() {
  const counts = new Float64Array(BINS + 1); // the last one is still being filled
  let current = 0; // number of the bin that is being filled

  function advance(now) {
    const bin = Math.floor(now / BIN_MS);
    const passed = Math.min(bin - current, counts.length);
    for (let step = 1; step <= passed; step += 1) counts[(current + step) % counts.length] = 0;
    if (bin > current) {
      if (passed === counts.length) counts.fill(0);
      current = bin;
    }
  }

  return {
    add(now, amount = 1) {
      advance(now);
      counts[current % counts.length] += amount;
    },
    /** Return how many came in a second. */
    rate(now) {
      advance(now);
      const total = counts.reduce((sum, count) => sum + count, 0) - counts[current % counts.length];
      return (total * 1000) / (BINS * BIN_MS);
    },
  };
}
