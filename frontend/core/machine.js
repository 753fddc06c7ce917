// The machine behind the page, as parts: what each is, what it does now, and what flows between them. Where they are
// drawn is in machine_layout.js.

import { NOTHING, whole } from "./format.js";

export const HOW_TO_ADD = "Add data workers: make scale DATA_WORKERS=4, or docker compose up -d --scale data-worker=4.";
export const NAMED_WORKERS = 8; // as many are drawn with their rate; more are drawn as squares

/** What to say where training lacks data, else null. */
export function shortage({ signal, starved }) {
  if (signal?.training && signal.data_workers === 0) return "Training needs data, and no data worker is running.";
  return starved ? "Training waits for data: the data workers cut batches more slowly than it uses them." : null;
}

/** A number a second, with no more digits than can be read as it changes. */
export function rateWords(rate) {
  if (!Number.isFinite(rate)) return NOTHING;
  if (rate === 0) return "0";
  if (rate < 9.95) return rate.toFixed(1);
  if (rate < 9950) return grouped(Number(rate.toPrecision(3)));
  return `${(rate / 1000).toFixed(rate < 99_500 ? 1 : 0)}k`;
}

/** Bytes a second as {number, unit}. */
export function bytesWords(rate) {
  return rate < 1e6 ? { number: rateWords(rate / 1e3), unit: "kB/s" } : { number: (rate / 1e6).toFixed(1), unit: "MB/s" };
}

/** 1234567 as "1,234,567". */
export function grouped(value) {
  return Number.isFinite(value) ? whole(value).replace(/\B(?=(\d{3})+$)/g, ",") : NOTHING;
}

function count(number, noun) {
  const plural = /(s|x|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
  return `${grouped(number)} ${number === 1 ? noun : plural}`;
}

/**
 * What is away: "connection" (this page hears nothing), "redis", "trainer" or null. The signal has no field for it but
 * the sentence of its banner and the trainer's state.
 */
export function awayPart({ connection, signal }) {
  if (connection.status !== "connected") return "connection";
  if (signal?.problem?.startsWith("Redis is away")) return "redis";
  return signal?.trainer === "none" ? "trainer" : null;
}

/** All that flows, in so many a second; nothing does where what it comes from is away. */
export function ratesOf(state) {
  const { signal, traffic } = state;
  const away = awayPart(state);
  if (signal === null || away === "connection") return { ...STILL, away };
  const runs = away === null;
  const used = runs ? signal.samples_per_second / Math.max(1, signal.batch_size) : 0;
  const cut = workersOf(signal).reduce((sum, { rate }) => sum + (rate ?? 0), 0);
  return {
    away,
    used: used < 0.05 ? 0 : used,
    cut: away === "redis" ? 0 : cut,
    frames: traffic.frames,
    stream: traffic.weightsBytes,
    guesses: traffic.guesses,
    versions: runs ? traffic.publications : 0,
  };
}
const STILL = { used: 0, cut: 0, frames: 0, stream: 0, guesses: 0, versions: 0 };

/** The data workers as [{name, rate}]; a rate is null where it is not told. The signal names 64 at most. */
export function workersOf(signal) {
  const told = (signal?.workers ?? []).map(({ name, batches_per_second: rate }) => ({ name, rate }));
  const more = Math.max(0, (signal?.data_workers ?? 0) - told.length);
  return [...told, ...Array.from({ length: more }, (_, index) => ({ name: `another ${index + 1}`, rate: null }))];
}

/** One sentence: what the machine is doing. */
export function stateSentence(state) {
  const { signal } = state;
  if (signal === null) return "Waiting for the first word from the server.";
  const away = awayPart(state);
  if (away === "connection") return "The connection to the server is lost. What you see is the last that came.";
  if (away === "redis") return "Redis is away, so nothing can pass from one part to another. It goes on by itself when Redis is back.";
  if (away === "trainer") return "No trainer is running, so nothing learns. The settings and the weights are kept for the next one.";
  const lacking = shortage(state);
  if (lacking !== null) return lacking;
  if (!signal.training) {
    const ready = `${count(signal.data_len, "batch")} ${signal.data_len === 1 ? "lies" : "lie"} ready`;
    return `Paused: ${ready} in Redis. Press Start, and they begin to flow.`;
  }
  const { used } = ratesOf(state);
  const workers = signal.data_workers === 1 ? "1 data worker replaces" : `${whole(signal.data_workers)} data workers replace`;
  return `Training: the trainer uses ${rateWords(used)} batches a second, and ${workers} them.`;
}

const TRAINER_WORDS = { training: "training", paused: "paused", "waiting for data": "waits for data", none: "no trainer" };

/**
 * Every part as {id, kind, title, does, now, value, unit, note, trouble, rate}: kind is "box", "list", "chip", "worker" or "flow".
 * `does` says what it is for, `now` what it does at present, both in sentences. `value` and `unit` are the number drawn with it,
 * `note` and `extra` a few words more, `trouble` whether something is wrong with it, `pace` of a flow how fast it is drawn to
 * move, `share` of a list how full it is, `place` of a worker its place among them.
 */
export function partsOf(state) {
  const rates = ratesOf(state);
  return [...frontParts(state, rates), ...redisParts(state, rates), ...dataParts(state, rates)];
}

const box = (id, title, does, now, more = {}) => ({ id, kind: "box", title, does, now, ...more });
const chip = (id, title, does, value) => ({ id, kind: "chip", title, does, value, now: value === "" ? "" : `Now: version ${value}.` });
const flow = (id, title, does, rate, number, unit, more = {}) => ({
  id, kind: "flow", title, does, pace: paceOf(rate), value: number, unit, now: number === null ? "" : `Now: ${number} ${spoken(unit)}.`, ...more,
});
const spoken = (unit) => unit.replace("/s", " a second");
/** How fast it is drawn to move, 1 being slow: by the powers of ten, so that one a second and a thousand can both be watched. */
const paceOf = (rate) => (rate > 0 ? Math.min(4, 0.6 + 0.9 * Math.log10(1 + rate)) : 0);
/** A flow that is seldom used: a line without a number. */
const path = (id, title, does) => flow(id, title, does, 0, null, "");

const PAGE_NOW = {
  connecting: "It is connecting.",
  connected: "It is connected.",
  reconnecting: "Its connection is lost, and it tries again.",
};

function frontParts({ connection, guess, signal }, rates) {
  const lost = rates.away === "connection";
  const stream = bytesWords(rates.stream);
  return [
    box("page", "this page", "It draws what the server tells, and asks the server for each guess.", PAGE_NOW[connection.status], {
      note: connection.status, trouble: connection.status === "reconnecting",
    }),
    flow("guesses", "guesses, from this page to inference", "The drawing goes out as 784 numbers; the ten probabilities come back.",
      rates.guesses, rateWords(rates.guesses), "guesses/s"),
    flow("frames", "news, from the gateway to this page", "Each frame holds the loss and accuracy of all iterations since the last one: none is dropped.",
      rates.frames, rateWords(rates.frames), "frames/s"),
    flow("stream", "weights, from the gateway to this page", "All weights, in half precision, while a picture of them is on the screen.",
      rates.stream / 5e4, stream.number, stream.unit),
    path("kept", "the history, between this page and weights", "Saves, restores, downloads and uploads, as you ask for them."),
    path("samples", "samples, from the data API to this page", "The test digits that “Load a sample” puts on the sheet, and those of the gallery."),
    box("edge", "edge", "The one address of everything. It hands out the page and passes each request on to the service that answers it.",
      lost ? "This page does not reach it." : "This page reaches it.", { note: "one address" }),
    box("gateway", "gateway", "It tells every page the news, and takes in what people press. A page that reads slowly gets fewer, larger frames and slows nobody.",
      `This page gets ${rateWords(rates.frames)} frames a second from it.`, { note: "news and signals" }),
    box("inference", "inference", "It reads drawings with the newest weights it has heard of.",
      guess.answer === null ? "This page has nothing read at present." : `Its last answer was by weights ${grouped(guess.answer.version)}.`,
      { note: "reads drawings" }),
    box("weights", "weights", "It keeps versions of the weights in a file, and gives and takes them in four formats.",
      signal === null ? "" : `The live version is ${grouped(signal.version)}.`, { note: "keeps versions" }),
    box("data-api", "data API", "It gives out samples, and measures each second how well the live weights read the test digits.",
      Number.isFinite(signal?.test_acc) ? `Last measured: ${(signal.test_acc * 100).toFixed(1)} % read rightly.` : "Nothing is measured yet.",
      { note: "samples and tests" }),
  ];
}

function redisParts({ signal }, rates) {
  const away = rates.away === "redis";
  const { data_len: ready = 0, data_futures_len: coming = 0, cache_size: size = 0, version = 0 } = signal ?? {};
  return [
    path("tests", "test accuracy, from the data API to Redis", "How many of the test digits the live weights read rightly."),
    path("checkpoints", "checkpoints, between weights and Redis", "A version for the history now and then; a version to restore when you ask for one."),
    flow("adopted", "new weights, from Redis to inference", "Each new version is fetched and used from the next guess on.",
      rates.versions, rateWords(rates.versions), "versions/s"),
    flow("told", "news, from Redis to the gateway", "The trainer's reports, for all pages at once.", rates.frames, rateWords(rates.frames), "frames/s"),
    box("redis", "Redis", "All that the services say to each other goes through it: two lists, the news, and the latest values for whoever comes late.",
      away ? "It is away." : `It holds ${count(ready, "batch")} ready, ${count(coming, "ticket")} not yet answered, and weights ${grouped(version)}.`,
      { note: away ? "away" : "lists, news, latest values", trouble: away }),
    chip("news", "news", "Every frame is passed on to the gateways at once, and kept for a page that comes late.", ""),
    chip("latest", "live weights", "The newest weights, for whoever comes late. Each publication has a number of its own.", grouped(version)),
    {
      id: "tickets", kind: "list", title: "tickets", value: whole(coming), note: "on their way", share: share(coming, size),
      does: "A ticket says what to cut, never the data. The trainer asks with one for each batch that is missing in the cache.",
      now: `${count(coming, "ticket")} not yet answered. The cache holds ${whole(size)}.`,
    },
    {
      id: "batches", kind: "list", title: "batches", value: whole(ready), note: `ready, of ${whole(size)}`, share: share(ready, size),
      does: "Batches that are cut and wait to be used. The trainer takes them in the order of their tickets, whoever cut them.",
      now: `${count(ready, "batch")} ready, of ${whole(size)}.`,
    },
    flow("reports", "news, from the trainer to Redis", "Loss and accuracy of every iteration, in a frame about 20 times a second.",
      rates.frames, rateWords(rates.frames), "frames/s"),
    flow("published", "new weights, from the trainer to Redis", "The weights as they are, up to ten times a second.",
      rates.versions, rateWords(rates.versions), "versions/s"),
    box("trainer", "trainer", "It learns: it takes a batch, sees how wrong the network is, and changes the weights a little. A second one may stand by.",
      trainerNow(signal, rates), trainerLook(signal, rates)),
    flow("asked", "tickets, from the trainer to Redis", "One for each batch used, so that the cache fills up again.", rates.used, rateWords(rates.used), "tickets/s"),
    flow("used", "batches, from Redis to the trainer", "Each is used for one iteration.", rates.used, rateWords(rates.used), "batches/s"),
  ];
}

function share(part, total) {
  return Math.min(1, part / Math.max(1, total));
}

function trainerLook(signal, { away, used }) {
  if (signal === null) return { note: "", value: NOTHING, unit: "iterations/s", trouble: false };
  if (away === "redis") return { note: "cut off", value: NOTHING, unit: "iterations/s", trouble: true };
  const trouble = away === "trainer" || signal.trainer === "waiting for data" || Boolean(signal.problem);
  const extra = `iteration ${grouped(signal.iteration)}`;
  return { note: TRAINER_WORDS[signal.trainer] ?? signal.trainer, value: rateWords(used), unit: "iterations/s", extra, trouble };
}

function trainerNow(signal, { away, used }) {
  if (signal === null) return "";
  if (away === "trainer") return "None is running. What is wanted of it is kept until one is back.";
  if (away === "redis") return "It cannot reach Redis, and goes on when it can.";
  if (signal.problem) return signal.problem;
  const at = `It is at iteration ${grouped(signal.iteration)}`;
  if (signal.trainer === "paused") return `${at}, paused.`;
  return signal.trainer === "waiting for data" ? `${at}, and mostly waits for data.` : `${at}, doing ${rateWords(used)} a second.`;
}

function dataParts(state, rates) {
  const { signal } = state;
  const workers = workersOf(signal);
  return [
    flow("taken", "tickets, from Redis to the data workers", "Whichever worker is free takes the next one, so a worker may come or go at any time.",
      rates.cut, rateWords(rates.cut), "tickets/s"),
    flow("cut", "batches, from the data workers to Redis", "One for each ticket, the same whichever worker cuts it.", rates.cut, rateWords(rates.cut), "batches/s"),
    box("workers", workers.length === 1 ? "data worker" : "data workers", "They cut batches out of the data set, each working on one ticket at a time.", workersNow(workers, rates), {
      value: whole(workers.length), note: workers.length === 0 ? "none" : "", trouble: workers.length === 0 || shortage(state) !== null,
    }),
    ...(workers.length > NAMED_WORKERS ? [] : workers.map(workerPart)),
    box("dataset", "data set", "Labelled handwritten digits, on disk. Every data worker reads the same files.",
      signal?.dataset ? sentence(signal.dataset_reason) : "There is none yet.", { note: signal?.dataset ?? NOTHING }),
    path("read", "digits, from the data set to the data workers", "Read straight from a file that is mapped into memory."),
    path("lent", "digits, from the data set to the data API", "The same files, for samples and for the test."),
  ];
}

const sentence = (words) => (words.endsWith(".") ? words : `${words}.`);

function workersNow(workers, { cut }) {
  if (workers.length === 0) return `None is running. ${HOW_TO_ADD}`;
  return workers.length === 1
    ? `One is at work, cutting ${rateWords(cut)} batches a second.`
    : `${whole(workers.length)} are at work, together cutting ${rateWords(cut)} batches a second.`;
}

function workerPart({ name, rate }, index) {
  return {
    id: `worker ${name}`, kind: "worker", place: index, title: `data worker ${index + 1}`, does: `Known as ${name}.`,
    value: rate === null ? NOTHING : rateWords(rate), unit: "batches/s",
    now: rate === null ? "It is running." : rate === 0 ? "It waits for a ticket." : `It cuts ${rateWords(rate)} batches a second.`,
  };
}
