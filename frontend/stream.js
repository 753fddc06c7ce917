// The stream of weights: asked for only while something on the screen shows them, and never for more than a home line takes.

import { PIXELS } from "./core/brush.js";
import { readNetwork } from "./core/network.js";
import { MalformedError } from "./core/safetensors.js";
import { DIGITS } from "./core/verdict.js";

const WEIGHTS_HZ = 6; // of float16, 203 kB each with 128 hidden units: 1.2 MB/s
const MAX_BYTES_PER_S = 2_000_000; // a larger network comes less often
const NOTICEABLE = 0.1; // a share by which the rate must be off to be asked for anew: headers differ by some bytes
const NONE = { type: "Subscribe", weights: "none", weights_hz: 0 };

const isWanted = ({ onScreen, view }) =>
  Boolean(onScreen.network || (view.digit !== null && (onScreen.guess || onScreen.draw)));

/** Subscribe and unsubscribe as the state changes. Returns what takes in the binary frames. */
export function createWeightsStream(store, send) {
  let subscribed = 0; // weights a second, as the server was told; 0: none
  let affordable = WEIGHTS_HZ;

  function follow(state) {
    if (state.connection.status !== "connected") {
      subscribed = 0; // a new connection starts without
      return;
    }
    const wanted = isWanted(state) ? affordable : 0;
    if (wanted !== subscribed && send(subscription(wanted))) subscribed = wanted;
  }
  store.subscribe(follow);

  return (buffer) => {
    const rate = Math.min(WEIGHTS_HZ, MAX_BYTES_PER_S / Math.max(1, buffer.byteLength));
    if (Math.abs(rate - affordable) > affordable * NOTICEABLE) affordable = rate;
    store.dispatch({ type: "set", slice: "network", ...taken(buffer) });
  };
}

const subscription = (hz) => (hz === 0 ? NONE : { type: "Subscribe", weights: "f16", weights_hz: hz });

/** What a frame changes: the latest network, or why it cannot be read and the one before stays. */
function taken(buffer) {
  try {
    const latest = readNetwork(buffer);
    const [inputs, outputs] = [latest.layers[0].inputs, latest.layers.at(-1).outputs];
    if (inputs !== PIXELS || outputs !== DIGITS.length) {
      throw new MalformedError(`a network of ${inputs} inputs and ${outputs} outputs does not read ${PIXELS} cells as ten digits`);
    }
    return { latest, problem: null };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { problem: `The weights that came cannot be read: ${error.message}.` };
  }
}
