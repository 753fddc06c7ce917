// How far a training of so many iterations has come.

/** {share: 0..1, words} of a training that stops by itself, or null where there is none. */
export function remaining(signal) {
  if (!signal?.training || !Number.isFinite(signal.target_iteration)) return null;
  const { iteration, target_iteration: target, samples_per_second: speed, batch_size: batch } = signal;
  const start = Math.min(signal.start_iteration ?? iteration, iteration);
  const done = iteration - start;
  const total = target - start;
  const left = speed > 0 ? ((target - iteration) * batch) / speed : null; // seconds
  const time = left === null || left < 1 ? "" : `, about ${duration(left)} left`;
  return { share: total > 0 ? done / total : 1, words: `${done} of ${total} iterations${time}. Stops at iteration ${target}.` };
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
