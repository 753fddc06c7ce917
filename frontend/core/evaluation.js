// What an evaluation on the test set says: per digit, per kind of mistake, and of two versions side by side.
// A report is the answer of GET /evaluation; `confusion[label][digit]` counts the images of `label` that are read as `digit`.

import { percent } from "./format.js";
import { DIGITS } from "./verdict.js";

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** How many images of each digit there are: ten counts. */
export const rowTotals = (confusion) => confusion.map(sum);

/** The share of each digit's images that is read rightly: ten numbers 0..1, null for a digit that does not occur. */
export function digitAccuracies(confusion) {
  return rowTotals(confusion).map((total, digit) => (total === 0 ? null : confusion[digit][digit] / total));
}

/** How many images are misread. */
export const mistakes = (confusion) => sum(rowTotals(confusion)) - sum(DIGITS.map((digit) => confusion[digit][digit]));

const FINEST = 1000; // one image in so many is the palest colour that can still be told from none

/**
 * How strongly to colour a share of a row, 0..1, as 0..1: by its logarithm, so that one image in a thousand can be seen
 * beside one in two. It depends on the share alone: the picture gets paler as the network gets better.
 */
export const strength = (share) => Math.log1p(FINEST * share) / Math.log1p(FINEST);

export const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** A field of the confusion matrix in words: "4 read as 9: 31 images". */
export function cellName(label, digit, count) {
  const images = counted(count, "image", "images");
  return label === digit ? `${label} read rightly: ${images}` : `${label} read as ${digit}: ${images}`;
}

/** The same with its share of the row: "4 read as 9: 31 images, 3.2 % of the 4s". */
export function cellWords(confusion, label, digit) {
  const count = confusion[label][digit];
  const total = rowTotals(confusion)[label];
  const share = total === 0 ? "" : `, ${percent(count / total)} % of the ${label}s`;
  return `${cellName(label, digit, count)}${share}`;
}

/** The field of a 10 x 10 grid that a key leads to from `{label, digit}`, or null where the key leads nowhere. */
export function fieldAfter({ label, digit }, key) {
  const last = DIGITS.length - 1;
  const within = (value) => Math.min(last, Math.max(0, value));
  const moves = {
    ArrowUp: { label: within(label - 1), digit },
    ArrowDown: { label: within(label + 1), digit },
    ArrowLeft: { label, digit: within(digit - 1) },
    ArrowRight: { label, digit: within(digit + 1) },
    Home: { label, digit: 0 },
    End: { label, digit: last },
    PageUp: { label: 0, digit },
    PageDown: { label: last, digit },
  };
  return moves[key] ?? null;
}

/** `wanted` different whole numbers of 0..count-1, by chance. */
export function pickIndices(count, wanted, random = Math.random) {
  const picked = new Set();
  while (picked.size < Math.min(wanted, count)) picked.add(Math.floor(random() * count));
  return [...picked];
}

const FLOORS = [0.95, 0.9, 0.8, 0.5, 0];

/** Where bars of these accuracies (or nulls) may begin, so that 0.97 and 0.98 look different. */
export const floorBelow = (values) => FLOORS.find((floor) => values.every((value) => value === null || value >= floor));

const NOTEWORTHY = 0.001; // accuracies closer than this are called equal

/** The digits that each of two reads better: {first: [...], second: [...]}; a digit of equal accuracy is in neither. */
export function betterDigits(first, second) {
  const [mine, yours] = [first, second].map(({ confusion }) => digitAccuracies(confusion));
  const ahead = (a, b) => DIGITS.filter((digit) => a[digit] !== null && b[digit] !== null && a[digit] - b[digit] >= NOTEWORTHY);
  return { first: ahead(mine, yours), second: ahead(yours, mine) };
}

/**
 * The kinds of mistake that two reports differ in most: [{label, digit, first, second}], counts of images, the largest
 * difference first, at most `limit`.
 */
export function differences(first, second, limit) {
  const fields = DIGITS.flatMap((label) => DIGITS.filter((digit) => digit !== label).map((digit) => ({ label, digit })));
  return fields
    .map(({ label, digit }) => ({ label, digit, first: first.confusion[label][digit], second: second.confusion[label][digit] }))
    .filter((field) => field.first !== field.second)
    .sort((a, b) => Math.abs(b.second - b.first) - Math.abs(a.second - a.first))
    .slice(0, limit);
}

/** Numbers as a list in words: "3", "3 and 8", "0, 3 and 8". */
export function listed(items) {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** Which of two is better on the test set, in one or two sentences; `names` are those of the two in a sentence. */
export function comparison(first, second, names) {
  const gap = mistakes(first.confusion) - mistakes(second.confusion);
  const better = gap > 0 ? names[1] : names[0];
  const verdict =
    gap === 0 ? "Both misread equally many." : `${better} misreads ${counted(Math.abs(gap), "digit", "digits")} fewer.`;
  const { first: mine, second: yours } = betterDigits(first, second);
  const parts = [[names[0], mine], [names[1], yours]].filter(([, digits]) => digits.length > 0);
  const sentences = parts.map(([name, digits]) => `${name} is better at ${listed(digits)}.`);
  return [verdict, ...sentences].join(" ");
}
