// Wiring: the store, the socket, the panels.

import { status } from "./api.js";
import { createStore } from "./core/store.js";
import { initialState, reduce } from "./core/state.js";
import { createCurvesPanel } from "./panels/curves.js";
import { createDrawPanel } from "./panels/draw.js";
import { createGuessPanel } from "./panels/guess.js";
import { createHelp } from "./panels/help.js";
import { createMachinePanel } from "./panels/machine.js";
import { createNumbersPanel } from "./panels/numbers.js";
import { createPage } from "./panels/page.js";
import { createSteps } from "./panels/steps.js";
import { createTeachPanel } from "./panels/teach.js";
import { createTrainingPanel } from "./panels/training.js";
import { createWeightsPanel } from "./panels/weights.js";
import { createLate } from "./late.js";
import { followLink } from "./link.js";
import { createRender } from "./render.js";
import { connect } from "./socket.js";
import { createWeightsStream } from "./stream.js";
import { onToken, subprotocols } from "./token.js";
import { watchTraffic } from "./traffic.js";
import { watchPanels } from "./visibility.js";

const TICK_MS = 500;

const store = createStore(reduce, initialState());
const scheme = location.protocol === "https:" ? "wss" : "ws";
const traffic = watchTraffic(store);
const { send, hurry } = connect(`${scheme}://${location.host}/ws`, {
  subprotocols,
  onConnection: (status, failures) => store.dispatch({ type: "connection", status, failures }),
  onMessage: (message) => {
    traffic.onFrame();
    if (message.type === "ResponseSignal") store.dispatch({ type: "signal", signal: message, now: performance.now() });
    if (message.type === "Error") store.dispatch({ type: "error", signal: message.signal, detail: message.detail });
  },
  onBinary: (buffer) => {
    traffic.onWeights(buffer.byteLength);
    onWeights(buffer);
  },
  // A browser does not say why a WebSocket was not opened; this asks for the token if that is why.
  onRefused: () => status().catch(() => {}),
});
onToken(hurry);
const onWeights = createWeightsStream(store, send);

const addPanel = createRender(store, [
  createPage(store),
  createSteps(store),
  createDrawPanel(store),
  createGuessPanel(store),
  createTeachPanel(store),
  createTrainingPanel(store),
  createNumbersPanel(store),
  createCurvesPanel(store),
  createWeightsPanel(store),
  createMachinePanel(),
]);
setInterval(() => store.dispatch({ type: "tick", now: performance.now() }), TICK_MS);
// More than a third of the code, for what is not on the screen at first.
const need = createLate(store, addPanel, {
  network: async () => [(await import("./panels/network.js")).createNetworkPanel],
  quality: async () => {
    const [quality, compare] = await Promise.all([import("./panels/quality.js"), import("./panels/compare.js")]);
    return [quality.createQualityPanel, compare.createComparePanel];
  },
  machine: async () => [(await import("./panels/machine_picture.js")).createPicture],
  glossary: async () => [(await import("./panels/glossary.js")).createGlossary],
});
followLink(store);
watchPanels(store, need);
// A digit is explained on the sheet, too, by the code of the tiles.
store.subscribe(({ view }) => view.digit !== null && need("network"));
createHelp();
