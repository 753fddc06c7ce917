// The parts of the machine: what each is for, what it does now, and what flows from one to another.

import { NOTHING, whole } from "./format.js";
import { bytesWords, count, grouped, HOW_TO_ADD, NAMED_WORKERS, ratesOf, rateWords, shortage, workersOf } from "./machine.js";

/** Name and purpose of every part, in the order in which the keys and a reader go through them. */
const WORDS = {
  page: ["this page", "It draws what the server tells, and asks the server for each guess."],
  guesses: ["guesses, from this page to inference", "The drawing goes out as 784 numbers; the ten probabilities come back."],
  frames: ["news, from the gateway to this page", "Each frame holds the loss and accuracy of every iteration since the last one."],
  stream: ["weights, from the gateway to this page", "All of them, in half precision, while a picture of them is on the screen."],
  kept: ["the history, between this page and weights", "Saves, restores, downloads and uploads, as you ask for them."],
  samples: ["samples, from the data API to this page", "Digits that “Load a sample” puts on the sheet, and those shown with mistakes."],
  edge: ["edge", "The one address of everything. It hands out the page, and passes each request on to the service that answers it."],
  gateway: [
    "gateway",
    "It tells every page the news, and takes in what people press. A page that reads slowly gets fewer, larger frames, and slows nobody.",
  ],
  inference: ["inference", "It reads drawings, with the newest weights that it has heard of."],
  weights: ["weights", "It keeps versions of the weights in a file, and gives and takes them in four formats."],
  "data-api": ["data API", "It gives out samples, and measures how well the live weights read the test digits."],
  redis: [
    "Redis",
    "All that the services say to each other goes through it: two lists, the news, and the latest values for whoever comes late.",
  ],
  news: ["news", "Each frame is passed on to the gateways at once, and kept for a page that comes late."],
  latest: ["live weights", "The newest ones, for whoever comes late. Each publication has a number of its own."],
  tests: ["test accuracy, from the data API to Redis", "The share of the test digits that the live weights read rightly."],
  checkpoints: ["checkpoints, between weights and Redis", "Now and then a version for the history, and one to restore when you ask for it."],
  adopted: ["new weights, from Redis to inference", "Each new version is fetched, and used from the next guess on."],
  told: ["news, from Redis to the gateway", "The trainer's reports, for all pages at once."],
  tickets: ["tickets", "A ticket says what to cut, never the data. The trainer asks with one for each batch that the cache lacks."],
  batches: ["batches", "They are cut and wait to be used. The trainer takes them in the order of their tickets, whoever cut them."],
  reports: ["news, from the trainer to Redis", "The loss and accuracy of every iteration, in up to 20 frames a second."],
  published: ["new weights, from the trainer to Redis", "The weights as they are, up to ten times a second."],
  trainer: [
    "trainer",
    "It learns: it takes a batch, sees how wrong the network is, and changes the weights a little. A second trainer may stand by.",
  ],
  asked: ["tickets, from the trainer to Redis", "One for each batch used, so that the cache fills up again."],
  used: ["batches, from Redis to the trainer", "Each is used for one iteration."],
  taken: [
    "tickets, from Redis to the data workers",
    "Whichever worker is free takes the next one, so a worker may come or go at any time.",
  ],
  cut: ["batches, from the data workers to Redis", "One for each ticket, the same whichever worker cuts it."],
  workers: ["data workers", "They cut batches out of the data set, each at one ticket at a time."],
  dataset: ["data set", "Labelled handwritten digits, on disk. Every data worker reads the same files."],
  read: ["digits, from the data set to the data workers", "Read straight out of the file, only those that a batch needs."],
  lent: ["digits, from the data set to the data API", "The same files, for samples and for the test."],
};

/**
 * Every part as {id, kind, title, does, now, ...}: kind is "box", "list", "chip", "worker" or "flow"; `does` says what it is for and
 * `now` what it does at present, both in sentences. `value` and `unit` are the number drawn with it, `note` and `extra` a few words
 * more, `trouble` whether something is wrong with it, `share` of a list how full it is, `pace` of a flow how fast it is drawn to
 * move, `place` of a worker its place among the others.
 */
export function partsOf(state) {
  const rates = ratesOf(state);
  const present = { ...flows(rates), ...boxes(state, rates), ...lists(state) };
  return Object.entries(WORDS).flatMap(([id, [title, does]]) => {
    const part = { id, title, does, ...present[id] };
    return id === "workers" ? [part, ...workers(state)] : [part];
  });
}

function flows({ cut, frames, guesses, stream, used, versions }) {
  const bytes = bytesWords(stream);
  const flow = (rate, unit, value = rateWords(rate)) => {
    return { kind: "flow", pace: paceOf(rate), value, unit, now: `Now: ${value} ${unit.replace("/s", " a second")}.` };
  };
  const path = { kind: "flow", pace: 0, value: "", unit: "", now: "" }; // seldom used: a line without a number
  return {
    guesses: flow(guesses, "guesses/s"),
    frames: flow(frames, "frames/s"),
    stream: { ...flow(stream, bytes.unit, bytes.number), pace: paceOf(stream / 1e4) },
    told: flow(frames, "frames/s"),
    reports: flow(frames, "frames/s"),
    adopted: flow(versions, "versions/s"),
    published: flow(versions, "versions/s"),
    asked: flow(used, "tickets/s"),
    used: flow(used, "batches/s"),
    taken: flow(cut, "tickets/s"),
    cut: flow(cut, "batches/s"),
    kept: path, samples: path, tests: path, checkpoints: path, read: path, lent: path,
  };
}

/** How fast a flow is drawn to move, 1 being slow: by powers of ten, so that one a second and a thousand can both be watched. */
function paceOf(rate) {
  return rate > 0 ? Math.min(4, 0.6 + 0.9 * Math.log10(1 + rate)) : 0;
}

const PAGE_NOW = {
  connecting: "It is connecting.",
  connected: "It is connected.",
  reconnecting: "Its connection is lost, and it tries again.",
};

function boxes(state, rates) {
  const { connection, guess, signal } = state;
  const lost = connection.status === "reconnecting";
  const { answer } = guess;
  const read = answer === null ? "It has read nothing for this page yet." : `Its last answer was by weights ${grouped(answer.version)}.`;
  const tested = Number.isFinite(signal?.test_acc) ? `Last measured: ${(signal.test_acc * 100).toFixed(1)} %.` : "Nothing is measured yet.";
  const box = (note, now, more) => ({ kind: "box", note, now, ...more });
  return {
    page: box(connection.status, PAGE_NOW[connection.status], { trouble: lost }),
    edge: box("one address", lost ? "This page does not reach it." : "This page reaches it."),
    gateway: box("news and signals", `This page gets ${rateWords(rates.frames)} frames a second from it.`),
    inference: box("reads drawings", read),
    weights: box("keeps versions", `The live version is ${grouped(signal?.version)}.`),
    "data-api": box("samples and tests", tested),
    redis: redis(signal, rates.away),
    trainer: { kind: "box", now: trainerNow(state, rates), ...trainerLook(state, rates) },
    workers: crew(state, rates),
    dataset: box(signal?.dataset ?? NOTHING, signal?.dataset ? sentence(signal.dataset_reason) : "There is none yet."),
  };
}

const sentence = (words) => (words.endsWith(".") ? words : `${words}.`);

function redis(signal, away) {
  if (away === "redis") return { kind: "box", note: "away", trouble: true, now: "It is away." };
  if (away === "room") return { kind: "box", note: "full", trouble: true, now: "It takes no writes." };
  const box = { kind: "box", note: "lists, news, latest values", now: "" };
  if (signal === null) return box;
  const [ready, coming] = [count(signal.data_len, "batch"), count(signal.data_futures_len, "ticket")];
  return { ...box, now: `It holds ${ready} ready, and ${coming} not yet answered.` };
}

function trainerLook({ signal, starved }, { away, used }) {
  const unit = "iterations/s";
  if (signal === null) return { note: "", value: NOTHING, unit };
  if (away === "redis" || away === "room") return { note: "cut off", value: NOTHING, unit, trouble: true };
  const state = signal.training ? "training" : "paused";
  const note = away === "trainer" ? "no trainer" : starved ? "waits for data" : state;
  const trouble = away === "trainer" || starved || Boolean(signal.problem);
  return { note, value: rateWords(used), unit, extra: `iteration ${grouped(signal.iteration)}`, trouble };
}

function trainerNow({ signal, starved }, { away, used }) {
  if (signal === null) return "";
  if (away === "trainer") return "None is running. What is wanted of it is kept until one is back.";
  if (away === "room") return "It can tell Redis nothing, and goes on when it can.";
  if (away === "redis") return "It cannot reach Redis, and goes on when it can.";
  if (signal.problem) return signal.problem;
  const at = `It is at iteration ${grouped(signal.iteration)}`;
  if (!signal.training) return `${at}, paused.`;
  return starved ? `${at}, and mostly waits for data.` : `${at}, doing ${rateWords(used)} a second.`;
}

function lists({ signal }) {
  const { data_len: ready = 0, data_futures_len: coming = 0, cache_size: size = 0, version } = signal ?? {};
  const list = (length, note, now) => ({ kind: "list", value: whole(length), share: Math.min(1, length / Math.max(1, size)), note, now });
  return {
    tickets: list(coming, "on their way", `${count(coming, "ticket")} not yet answered. The cache holds ${count(size, "batch")}.`),
    batches: list(ready, `ready, of ${whole(size)}`, `${count(ready, "batch")} ready, of ${whole(size)}.`),
    news: { kind: "chip", value: "", now: "" },
    latest: { kind: "chip", value: grouped(version), now: `Now: version ${grouped(version)}.` },
  };
}

/** All data workers as one box. */
function crew(state, { cut }) {
  const total = workersOf(state.signal).length;
  const box = { kind: "box", title: total === 1 ? "data worker" : "data workers", value: whole(total), note: "" };
  if (total === 0) return { ...box, note: "none is running", trouble: true, now: `None is running. ${HOW_TO_ADD}` };
  const now = `${total === 1 ? "One is" : `${whole(total)} are`} at work, cutting ${rateWords(cut)} batches a second.`;
  return { ...box, now, trouble: shortage(state) !== null };
}

/** Each data worker by itself, while they are few. */
function workers({ signal }) {
  const all = workersOf(signal);
  if (all.length > NAMED_WORKERS) return [];
  return all.map(({ name, rate }, place) => {
    const busy = rate > 0 ? `It cuts ${rateWords(rate)} batches a second.` : "It waits for a ticket.";
    const title = `data worker ${place + 1}`;
    const worker = { id: `worker ${name}`, kind: "worker", place, title, does: `Known as ${name}.`, unit: "/s" };
    return rate === null ? { ...worker, value: NOTHING, now: "It is running." } : { ...worker, value: rateWords(rate), now: busy };
  });
}
