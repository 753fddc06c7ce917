// Fewer calls than requests: only the newest request counts.

/**
 * Ask `send(input)` (a promise) one at a time. What is asked meanwhile waits, the newest alone;
 * so answers come in the order of the asking, and an older one never follows a newer one.
 */
export function latestOnly({ send, onAnswer, onError }) {
  let busy = false;
  let waiting = null;
  let generation = 0;

  async function run(input) {
    busy = true;
    const asked = generation;
    try {
      const answer = await send(input);
      if (asked === generation) onAnswer(answer, input);
    } catch (error) {
      if (asked === generation) onError(error, input);
    } finally {
      busy = false;
      const next = waiting;
      waiting = null;
      if (next !== null) run(next.input);
    }
  }

  return {
    ask(input) {
      if (busy) waiting = { input };
      else run(input);
    },
    /** Forget what is waiting and whatever is still under way. */
    cancel() {
      generation += 1;
      waiting = null;
    },
  };
}

/** `call`, at most once in `intervalMs`; a call that comes too early is made at the end of the interval. */
export function throttle(call, intervalMs, clock = { now: () => performance.now(), later: setTimeout }) {
  let last = -Infinity;
  let scheduled = false;

  function fire() {
    scheduled = false;
    last = clock.now();
    call();
  }

  return () => {
    if (scheduled) return;
    const wait = last + intervalMs - clock.now();
    if (wait <= 0) {
      fire();
      return;
    }
    scheduled = true;
    // A bare reference: browsers refuse setTimeout called as a method of another object.
    const { later } = clock;
    later(fire, wait);
  };
}
