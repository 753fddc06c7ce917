// The stream of weights: asked for only while something on the screen shows them.

import { readNetwork } from "./core/network.js";

const WEIGHTS_HZ = 6; // of float16, 203 kB each: 1.2 MB/s
const NONE = { type: "Subscribe", weights: "none", weights_hz: 0 };
const SOME = { type: "Subscribe", weights: "f16", weights_hz: WEIGHTS_HZ };

const isWanted = ({ onScreen, view }) => Boolean(onScreen.network || (view.digit !== null && onScreen.guess));

/** Subscribe and unsubscribe as the state changes. Returns what takes in the binary frames. */
export function createWeightsStream(store, send) {
  let subscribed = false;
  store.subscribe((state) => {
    if (state.connection.status !== "connected") subscribed = false; // a new connection starts without
    else if (isWanted(state) !== subscribed && send(subscribed ? NONE : SOME)) subscribed = !subscribed;
  });
  return (buffer) => store.dispatch({ type: "set", slice: "network", latest: readNetwork(buffer) });
}
