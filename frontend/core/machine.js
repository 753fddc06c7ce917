// The machine behind the page as a whole: how fast it runs, what of it is away, and one sentence about it. Its parts are in
// machine_parts.js, where they are drawn in machine_layout.js.

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

/** "1 batch", "1,234 tickets". */
export function count(number, noun) {
  const plural = /(s|x|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
  return `${grouped(number)} ${number === 1 ? noun : plural}`;
}

/**
 * What is away: "connection" (this page hears nothing), "redis", "room" (Redis takes no writes), "trainer" or null. The
 * signal has no field for it but the sentence of its banner and the trainer's state.
 */
export function awayPart({ connection, signal }) {
  if (connection.status !== "connected") return "connection";
  if (signal?.problem?.startsWith("Redis is away")) return "redis";
  if (signal?.problem?.startsWith("Redis takes no writes")) return "room";
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
    cut: away === "redis" || away === "room" ? 0 : cut,
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
  if (away === "room") return signal.problem;
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
