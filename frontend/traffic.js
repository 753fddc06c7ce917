// What passes between this page and the server, counted: news, weights, guesses. The numbers are state.traffic.

import { createRateMeter } from "./core/rates.js";

const PUBLISH_MS = 250; // faster numbers cannot be read

/** Count for as long as the page lives. Returns {onFrame(), onWeights(bytes)}, to be called as they come. */
export function watchTraffic(store) {
  const meters = {
    frames: createRateMeter(),
    weightsBytes: createRateMeter(),
    publications: createRateMeter(),
    guesses: createRateMeter(),
  };
  const count = (name, amount) => meters[name].add(performance.now(), amount);

  let known = null; // the version last heard of on this connection: what was missed meanwhile is no rate
  store.subscribe(({ connection, guess, signal }, previous) => {
    if (guess.answer !== null && guess.answer !== previous.guess.answer) count("guesses", 1);
    if (signal === previous.signal) {
      if (connection.status !== "connected") known = null;
      return;
    }
    if (known !== null && signal.version > known) count("publications", signal.version - known);
    known = signal.version;
  });

  setInterval(() => {
    const { traffic, onScreen } = store.state;
    if (!onScreen.machine) return;
    const now = performance.now();
    const rates = Object.fromEntries(Object.entries(meters).map(([name, meter]) => [name, meter.rate(now)]));
    if (Object.keys(rates).some((name) => rates[name] !== traffic[name])) {
      store.dispatch({ type: "set", slice: "traffic", ...rates });
    }
  }, PUBLISH_MS);

  return { onFrame: () => count("frames", 1), onWeights: (bytes) => count("weightsBytes", bytes) };
}
