// The whole state of the page and how each event changes it. No DOM here.

import { blankSheet, isBlank } from "./brush.js";
import { createCurve, followSignal, recallTests } from "./curve.js";
import { initialView } from "./view.js";

/** What the page may set, and the signal that asks for it. The keys are ResponseSignal's. */
export const SETTINGS = Object.freeze({
  batch_size: "SetBatchSize",
  lrate: "SetLearningRate",
  cache_size: "SetCacheSize",
});

const STARVED_AFTER_MS = 1000; // waiting for data this long without a break is worth a sentence
const idle = Object.freeze({ pending: null, before: null, error: null });

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
    run: { error: null },
    drawing: { pixels: blankSheet(), blank: true, revision: 0, label: null },
    sample: { busy: false, error: null },
    numbers: { shown: false, note: null },
    guess: { answer: null, error: null },
    network: { latest: null }, // the newest weights of the stream, as core/network.js reads them
    tune: { busy: false, loss: null, error: null },
    weights: { versions: [], live: null, selected: null, busy: null, error: null, note: null },
  };
}

const handlers = {
  connection: (state, { status, failures }) => ({
    ...state,
    connection: { status, failures },
    settings: status === "connected" ? state.settings : mapValues(state.settings, dropPending),
  }),
  signal: followServer,
  tick: (state, { now }) => {
    const starved = state.waitingSince !== null && now - state.waitingSince >= STARVED_AFTER_MS;
    return starved === state.starved ? state : { ...state, starved };
  },
  error: refused,
  "setting-sent": (state, { key, value }) => withSetting(state, key, sent(state, key, value)),
  "setting-refused": (state, { key, detail }) => withSetting(state, key, { ...idle, error: detail }),
  "setting-edited": (state, { key }) =>
    state.settings[key].error === null ? state : withSetting(state, key, { ...state.settings[key], error: null }),
  drawing: (state, { pixels, label = null }) => ({
    ...state,
    drawing: { pixels, label, blank: isBlank(pixels), revision: state.drawing.revision + 1 },
  }),
  versions: (state, { versions, live }) => {
    recallTests(state.curve, versions);
    const { selected } = state.weights;
    const known = versions.some(({ version }) => version === selected);
    const weights = { ...state.weights, versions, live, selected: known ? selected : (versions[0]?.version ?? null) };
    return { ...state, weights };
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
    settings: Object.fromEntries(
      Object.entries(state.settings).map(([key, setting]) => [key, confirm(setting, rest[key])]),
    ),
  };
}

/** A pending setting is settled once the server shows it, or shows something newer than what it replaced. */
function confirm(setting, current) {
  if (setting.pending === null || current === undefined) return setting;
  return same(current, setting.pending) || !same(current, setting.before) ? { ...setting, pending: null } : setting;
}

function sent(state, key, value) {
  const before = state.signal?.[key] ?? null;
  return { pending: before !== null && same(before, value) ? null : value, before, error: null };
}

/** Equal up to what a float32 on the way may have rounded. */
function same(a, b) {
  return Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b));
}

/** The server's Error goes to the control that caused it; one about the run as a whole to the run. */
function refused(state, { signal, detail }) {
  const key = Object.keys(SETTINGS).find((name) => SETTINGS[name] === signal);
  if (key === undefined) return { ...state, run: { error: detail } };
  return withSetting(state, key, { ...idle, error: detail });
}

function dropPending(setting) {
  if (setting.pending === null) return setting;
  return { ...idle, error: "The connection was lost before the server confirmed this." };
}

function withSetting(state, key, setting) {
  return { ...state, settings: { ...state.settings, [key]: setting } };
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
