// The whole state of the page and how each event changes it. No DOM here.

import { createCurve, followSignal } from "./curve.js";
import { createDrawing, redo, replaceDrawing, undo } from "./drawing.js";
import { NEWEST_FIRST, mergeVersions } from "./versions.js";
import { initialView } from "./view.js";

/** What the page may set, and the signal that asks for it. The keys are ResponseSignal's. */
export const SETTINGS = Object.freeze({
  batch_size: "SetBatchSize",
  lrate: "SetLearningRate",
  cache_size: "SetCacheSize",
});

const STARVED_AFTER_MS = 1000; // waiting for data this long without a break is worth a sentence
const idle = Object.freeze({ pending: null, error: null });
/** What the answer to a control signal says of the run before the next frame does. */
const CONFIRMED = [...Object.keys(SETTINGS), "training", "trainer", "target_iteration", "start_iteration"];

export function initialState() {
  return {
    connection: { status: "connecting", failures: 0 },
    view: initialView(),
    onScreen: {}, // name of a panel to whether it can be seen now
    signal: null,
    waitingSince: null, // when the trainer began to wait for data, ms
    starved: false,
    curve: createCurve(), // changed in place, see its revision
    settings: { batch_size: idle, lrate: idle, cache_size: idle },
    run: { pending: null, error: null }, // `pending` names the button that waits for the server
    page: { linkProblem: null, shareNote: null },
    drawing: createDrawing(),
    pen: { tool: "thin" }, // one of core/brush.js's TIPS
    sample: { busy: false, error: null },
    numbers: { shown: false, note: null },
    guess: { answer: null, error: null },
    network: {
      latest: null, // the newest weights of the stream, as core/network.js reads them
      problem: null, // why those that came last cannot be read
      order: "number", // of the tiles, a key of ORDERS in core/tiles.js
      page: 0, // which tiles are shown, where there are many
      pointed: null, // the hidden unit under the pointer or the focus
      kept: null, // the one that stays enlarged
    },
    traffic: { frames: 0, weightsBytes: 0, publications: 0, guesses: 0 }, // a second, as this page sees it
    tune: { busy: false, loss: null, error: null, label: null, before: null }, // `before`: the answer before the step
    quality: {
      report: null, // the newest answer of GET /evaluation
      error: null,
      held: false,
      field: null, // {label, digit} of the confusion matrix whose images are shown; null: the worst mistakes
      images: null, // the answer of GET /evaluation/examples that is shown, and the `iteration` and `field` it belongs to
      imagesBusy: false,
      imagesError: null,
      limit: null, // how many images are asked for, null: as many as there is room for at first
      note: null,
      strip: { samples: [], readings: null, version: null, iteration: null, busy: false, error: null },
    },
    compare: { sides: {} }, // version to {network, report, networkError, reportError}
    weights: {
      versions: [], // newest first, as the server keeps them
      live: null, // the version that was live when they were asked for
      listError: null,
      sort: NEWEST_FIRST,
      page: 0, // of a long list
      selected: null,
      renaming: null, // the version whose name is being written
      asked: null, // the version that a second press deletes
      undo: null, // the version that was live before the last replacement
      upload: null, // {name, share} of the file that is being sent
      busy: null,
      error: null,
      note: null,
    },
  };
}

const handlers = {
  connection: (state, { status, failures }) => ({ ...state, connection: { status, failures } }),
  signal: followServer,
  tick: (state, { now }) => {
    const starved = state.waitingSince !== null && now - state.waitingSince >= STARVED_AFTER_MS;
    return starved === state.starved ? state : { ...state, starved };
  },
  error: (state, { detail }) => ({ ...state, run: { ...state.run, error: detail } }),
  confirmed: (state, { answer }) => {
    const known = CONFIRMED.filter((key) => answer[key] !== undefined).map((key) => [key, answer[key]]);
    return state.signal === null ? state : { ...state, signal: { ...state.signal, ...Object.fromEntries(known) } };
  },
  "setting-sent": (state, { key, value }) => withSetting(state, key, { pending: value, error: null }),
  /** The server has this value; a newer one may be on its way. */
  "setting-settled": (state, { key, value }) =>
    state.settings[key].pending === value ? withSetting(state, key, idle) : state,
  "setting-refused": (state, { key, detail }) => withSetting(state, key, { ...idle, error: detail }),
  "setting-edited": (state, { key }) =>
    state.settings[key].error === null ? state : withSetting(state, key, { ...state.settings[key], error: null }),
  /** Something else on the sheet, see core/drawing.js; it can be undone. */
  drawing: (state, change) => ({ ...state, drawing: replaceDrawing(state.drawing, change) }),
  undo: (state) => withDrawing(state, undo(state.drawing)),
  redo: (state) => withDrawing(state, redo(state.drawing)),
  versions: (state, { versions, live }) => {
    const { selected } = state.weights;
    const known = versions.some(({ version }) => version === selected);
    const weights = { ...state.weights, live, listError: null, selected: known ? selected : (versions[0]?.version ?? null) };
    return { ...state, weights: { ...weights, versions: mergeVersions(state.weights.versions, versions) } };
  },
  /** Changes without a rule of their own: some fields of one slice. */
  set: (state, { slice, ...fields }) => ({ ...state, [slice]: { ...state[slice], ...fields } }),
};

export function reduce(state, { type, ...event }) {
  const handler = handlers[type];
  if (handler === undefined) throw new Error(`no such event: ${type}`);
  return handler(state, event);
}

function followServer(state, { signal, now }) {
  const { history, ...rest } = signal;
  followSignal(state.curve, signal);
  const waiting = signal.trainer === "waiting for data";
  const waitingSince = waiting ? (state.waitingSince ?? now) : null;
  return {
    ...state,
    signal: rest,
    waitingSince,
    starved: waiting && (state.starved || now - waitingSince >= STARVED_AFTER_MS),
  };
}

function withDrawing(state, drawing) {
  return drawing === state.drawing ? state : { ...state, drawing };
}

function withSetting(state, key, setting) {
  return { ...state, settings: { ...state.settings, [key]: setting } };
}
