// Two versions of the weights side by side: on the drawing, computed here from their weights, and on the test set.

import * as api from "../api.js";
import { comparison, differences, digitAccuracies, floorBelow } from "../core/evaluation.js";
import * as format from "../core/format.js";
import { layerOutputs, readNetwork, softmax } from "../core/network.js";
import { part, setFlag, setNote, setText } from "../dom.js";
import { createDuel } from "../duel.js";
import { LIVE, SIDES, createPickers } from "./pickers.js";

const KEPT = 6; // versions whose weights and evaluations stay here
const SHOWN_DIFFERENCES = 6;
const NOT_FOUND = 404;

export function createComparePanel(store) {
  const pickers = createPickers(store);
  const load = createLoader(store);
  const renderDrawing = createDrawingDuel();
  const renderTest = createTestDuel();
  const body = document.querySelector("[data-part=compare-body]");
  const progress = document.querySelector("[data-part=compare-progress]");
  const error = document.querySelector("[data-part=compare-error]");
  const [end, retry] = [part("compare-end"), part("compare-retry")];
  end.addEventListener("click", () => {
    store.dispatch({ type: "set", slice: "view", compare: null });
    part("compare-a").focus(); // the button goes away
  });
  retry.addEventListener("click", () => load({ again: true }));

  return function render(state) {
    const { view, onScreen } = state;
    if (!onScreen.quality) return;
    pickers(state);
    end.hidden = view.compare === null;
    body.hidden = view.compare === null;
    const sides = view.compare?.map((version) => sideOf(state, version)) ?? [];
    setNote(progress, progressOf(sides));
    const problems = [...new Set(sides.flatMap(({ problems: each }) => each))];
    setNote(error, problems.join(" "));
    retry.hidden = problems.length === 0;
    if (view.compare === null) return;
    renderDrawing(state, sides);
    renderTest(sides);
  };
}

/** What is known of one of the two: {version, name, network, report, problems}; the live one is what the page shows anyway. */
function sideOf({ compare, quality }, version) {
  const isLive = version === LIVE;
  const { network = null, report = null, networkError = null, reportError = null } = compare.sides[version] ?? {};
  const name = isLive ? "the live one" : `version ${version}`;
  if (isLive) return { version, name, network: null, report: quality.report, problems: [] };
  return { version, name, network, report, problems: [...new Set([networkError, reportError].filter(Boolean))] };
}

function progressOf(sides) {
  const measured = sides.filter(({ report, problems }) => report === null && problems.length === 0);
  if (measured.length === 0) return null;
  return `Measuring ${measured.map(({ name }) => name).join(" and ")} on the test set…`;
}

/** Fetches the weights and the evaluation of what is compared, once it can be seen. Returns it, to be tried again. */
function createLoader(store) {
  const underWay = new Set();

  function note(version, fields) {
    const sides = { ...store.state.compare.sides };
    const known = sides[version] ?? {};
    delete sides[version]; // the newest last
    sides[version] = { ...known, ...fields };
    const stale = Object.keys(sides).filter((key) => !store.state.view.compare?.map(String).includes(key));
    for (const key of stale.slice(0, Math.max(0, Object.keys(sides).length - KEPT))) delete sides[key];
    store.dispatch({ type: "set", slice: "compare", sides });
  }

  async function fetchOne(version, field, get) {
    const call = `${version} ${field}`;
    if (underWay.has(call)) return;
    underWay.add(call);
    try {
      const value = await get();
      note(version, { [field]: value, [`${field}Error`]: null });
    } catch (problem) {
      const gone = problem.status === NOT_FOUND;
      note(version, { [`${field}Error`]: gone ? `Version ${version} is no longer kept: choose another one.` : problem.message });
    }
    underWay.delete(call);
  }

  function load({ again = false } = {}) {
    const { view, compare } = store.state;
    for (const version of view.compare ?? []) {
      if (version === LIVE) continue;
      const known = compare.sides[version] ?? {};
      const lacks = (field) => !known[field] && (again || !known[`${field}Error`]);
      if (lacks("network")) fetchOne(version, "network", async () => readNetwork(await api.versionBytes(version)));
      if (lacks("report")) fetchOne(version, "report", () => api.evaluation(version));
    }
  }
  store.subscribe((state, previous) => {
    if (!state.onScreen.quality || state.view.compare === null) return;
    const asked = state.view.compare !== previous.view.compare || !previous.onScreen.quality;
    const back = state.connection.status === "connected" && previous.connection.status !== "connected";
    if (asked || back) load({ again: true });
  });
  return load;
}

/** Digit and ten probabilities of each of the two, for what is drawn. */
function createDrawingDuel() {
  const duel = createDuel(part("compare-drawing"), (probability) => probability.toFixed(3));
  const digits = SIDES.map((side) => part(`compare-digit-${side}`));
  const words = document.querySelector("[data-part=compare-drawing-words]");
  const readers = SIDES.map(createReading);

  return function render({ guess, drawing }, sides) {
    const image = drawing.blank ? null : (guess.answer?.input ?? drawing.pixels);
    const readings = sides.map(({ version, network }, nth) => {
      if (image === null) return null;
      return version === LIVE ? (guess.answer?.probabilities ?? null) : readers[nth](network, image);
    });
    const best = readings.map((reading) => (reading === null ? null : reading.indexOf(Math.max(...reading))));
    digits.forEach((digit, nth) => setText(digit, best[nth] === null ? "?" : String(best[nth])));
    duel(readings, { names: sides.map(({ name }) => name), top: best });
    setText(words, drawingWords(drawing, best));
  };
}

function drawingWords({ blank }, [first, second]) {
  if (blank) return "Draw a digit, and see what each of them reads.";
  if (first === null || second === null) return "Reading…";
  return first === second ? `Both read ${first}.` : `They disagree: ${first} and ${second}.`;
}

/** What a network makes of an image, computed again only when one of the two is another. */
function createReading() {
  let last = { network: null, image: null, probabilities: null };
  return (network, image) => {
    if (network === null) return null;
    if (network !== last.network || image !== last.image) {
      last = { network, image, probabilities: softmax(layerOutputs(network, image).at(-1)) };
    }
    return last.probabilities;
  };
}

/** Accuracy and loss of each of the two on the test set, digit by digit, and the mistakes in which they differ. */
function createTestDuel() {
  const duel = createDuel(part("compare-test"), format.percent);
  const figures = SIDES.map((side) => ({ accuracy: part(`compare-accuracy-${side}`), loss: part(`compare-loss-${side}`) }));
  const words = document.querySelector("[data-part=compare-test-words]");
  const floorWords = document.querySelector("[data-part=compare-floor]");
  const renderDifferences = createDifferences();
  let drawn = [];

  return function render(sides) {
    const content = sides.flatMap(({ report, name }) => [report, name]);
    if (content.length === drawn.length && content.every((item, nth) => item === drawn[nth])) return;
    drawn = content;
    const names = sides.map(({ name }) => name);
    const reports = sides.map(({ report }) => report);
    reports.forEach((report, nth) => {
      setText(figures[nth].accuracy, report === null ? format.NOTHING : format.fixed(report.test_acc * 100, 2));
      setText(figures[nth].loss, report === null ? format.NOTHING : format.loss(report.loss));
    });
    const accuracies = reports.map((report) => (report === null ? null : digitAccuracies(report.confusion)));
    const floor = floorBelow(accuracies.flatMap((values) => values ?? []));
    duel(accuracies, { names, floor, better: true });
    setText(floorWords, `Percent of each digit read rightly. The bars begin at ${floor * 100} %.`);
    const both = reports.every((report) => report !== null);
    setText(words, both ? comparison(...reports, names.map(capital)) : "");
    renderDifferences(both ? reports : null, names);
  };
}

const capital = (words) => words[0].toUpperCase() + words.slice(1);

function createDifferences() {
  const table = part("compare-differences");
  const none = document.querySelector("[data-part=compare-same]");
  const heads = [...table.tHead.rows[0].cells];
  const rows = Array.from({ length: SHOWN_DIFFERENCES }, () => {
    const row = table.tBodies[0].insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    row.append(name);
    return { row, cells: [name, row.insertCell(), row.insertCell(), row.insertCell()] };
  });

  return function render(reports, names) {
    const shown = reports === null ? [] : differences(...reports, SHOWN_DIFFERENCES);
    table.hidden = shown.length === 0;
    none.hidden = reports === null || shown.length > 0;
    names.forEach((name, nth) => setText(heads[nth + 1], capital(name)));
    rows.forEach(({ row, cells }, nth) => {
      row.hidden = shown[nth] === undefined;
      if (row.hidden) return;
      const { label, digit, first, second } = shown[nth];
      const change = second - first;
      const texts = [`${label} read as ${digit}`, String(first), String(second), `${change > 0 ? "+" : "−"}${Math.abs(change)}`];
      texts.forEach((text, column) => setText(cells[column], text));
      setFlag(row, "fewer", change < 0);
    });
  };
}
