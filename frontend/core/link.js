// The drawing and the view as a link, and back: one table for both directions, so that they cannot drift apart.

import { PIXELS } from "./brush.js";
import { PANELS, initialView } from "./view.js";

const HASH = "hash";
const QUERY = "query"; // what decides how the page is laid out, and what the server may want to see

const flag = { write: (value) => (value ? "1" : null), read: (text) => ({ 1: true, 0: false })[text] };
const number = (low, high) => ({
  write: String,
  read: (text) => (/^\d+$/.test(text) && Number(text) >= low && Number(text) <= high ? Number(text) : undefined),
});

/** Two whole numbers; where there may be a `word` instead of one, it stays a word. */
const pair = (word = null) => ({
  write: (value) => value.join("-"),
  read: (text) => {
    const parts = text.split("-");
    const good = parts.length === 2 && parts.every((part) => /^\d{1,12}$/.test(part) || part === word);
    return good ? parts.map((part) => (part === word ? part : Number(part))) : undefined;
  },
});

const panels = {
  write: (value) => value.join(",") || null,
  read: (text) => (text.split(",").every((name) => PANELS.includes(name)) ? text.split(",") : undefined),
};

/** Each field of the view: its name in the link, where it stands there, and how it is spelled. */
const FIELDS = {
  embed: { name: "embed", part: QUERY, ...flag },
  hidden: { name: "hide", part: QUERY, ...panels },
  raw: { name: "raw", part: HASH, ...flag },
  smoothing: { name: "smoothing", part: HASH, ...number(0, 10_000) },
  logarithmic: { name: "log", part: HASH, ...flag },
  zoom: { name: "zoom", part: HASH, ...pair() },
  shared: { name: "shared", part: HASH, ...flag },
  digit: { name: "digit", part: HASH, ...number(0, 9) },
  compare: { name: "compare", part: HASH, ...pair("live") },
};
const DRAWING = "d";

/** The link's query and hash for this view and this drawing (784 of 0..1, or null for none), without "?" and "#". */
export function writeLink(view, pixels) {
  const parts = { [QUERY]: [], [HASH]: [] };
  const usual = initialView();
  if (pixels !== null) parts[HASH].push(`${DRAWING}=${encodeDrawing(pixels)}`);
  for (const [key, { name, part, write }] of Object.entries(FIELDS)) {
    if (view[key] === null || JSON.stringify(view[key]) === JSON.stringify(usual[key])) continue;
    const text = write(view[key]);
    if (text !== null) parts[part].push(`${name}=${text}`);
  }
  return { query: parts[QUERY].join("&"), hash: parts[HASH].join("&") };
}

/**
 * Read a link: {view, pixels, problems}. `view` is whole; `pixels` is null where the link holds no drawing; `problems` has a
 * sentence for each part that cannot be read, which is then as if it were not there.
 */
export function readLink(query, hash) {
  const view = initialView();
  const problems = [];
  const given = { [QUERY]: new URLSearchParams(query), [HASH]: new URLSearchParams(hash) };
  for (const [key, { name, part, read }] of Object.entries(FIELDS)) {
    const text = given[part].get(name);
    if (text === null || text === "") continue;
    const value = read(text);
    if (value === undefined) problems.push(`This link says ${name}=${shortened(text)}, which cannot be read and is left out.`);
    else view[key] = value;
  }
  const drawing = given[HASH].get(DRAWING);
  const pixels = drawing === null ? null : decodeDrawing(drawing);
  if (pixels === undefined) problems.push("The drawing in this link cannot be read: perhaps the link was cut off.");
  return { view, pixels: pixels ?? null, problems };
}

const shortened = (text) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

const PAPER = 0;
const INK = 255;

/** 784 numbers of 0..1 as text that fits into an address: bytes, the runs of paper and full ink shortened, in base64url. */
export function encodeDrawing(pixels) {
  const bytes = [];
  let at = 0;
  while (at < PIXELS) {
    const level = levelOf(pixels[at]);
    let run = 1;
    if (level === PAPER || level === INK) {
      while (run < 255 && at + run < PIXELS && levelOf(pixels[at + run]) === level) run += 1;
      bytes.push(level, run);
    } else bytes.push(level);
    at += run;
  }
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const levelOf = (ink) => Math.round(Math.min(1, Math.max(0, ink)) * INK);

/** The drawing in this text as a Float32Array(784), or undefined if there is none in it. */
export function decodeDrawing(text) {
  if (!/^[\w-]+$/.test(text)) return undefined;
  let bytes;
  try {
    bytes = Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
  const levels = [];
  for (let k = 0; k < bytes.length && levels.length <= PIXELS; k += 1) {
    const isRun = bytes[k] === PAPER || bytes[k] === INK;
    const run = isRun ? (bytes[k + 1] ?? 0) : 1;
    for (let n = 0; n < run; n += 1) levels.push(bytes[k]);
    if (isRun) k += 1;
  }
  return levels.length === PIXELS ? Float32Array.from(levels, (level) => level / INK) : undefined;
}
