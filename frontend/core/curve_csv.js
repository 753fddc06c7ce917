// The curve as a table for other programs.

import { markWords } from "./marks.js";

const HEADER = "iteration,loss,accuracy,smoothed_loss,smoothed_accuracy,test_accuracy,mark";

/** CSV (RFC 4180) of all that is kept of a curve: a row for each iteration that has a point, a test or a mark; no value, no text. */
export function curveCsv(curve) {
  const rows = new Map();
  const rowAt = (iteration) => {
    if (!rows.has(iteration)) rows.set(iteration, { iteration, point: null, test: null, marks: [] });
    return rows.get(iteration);
  };
  curve.iteration.forEach((iteration, index) => (rowAt(iteration).point = index));
  for (const { iteration, test_acc } of curve.tests) rowAt(iteration).test = test_acc;
  for (const mark of curve.marks) rowAt(mark.iteration).marks.push(mark);
  const sorted = [...rows.values()].sort((a, b) => a.iteration - b.iteration);
  return [HEADER, ...sorted.map((row) => lineOf(row, curve))].map((line) => `${line}\r\n`).join("");
}

function lineOf({ iteration, point, test, marks }, curve) {
  const at = (name) => (point === null ? null : curve[name][point]);
  const numbers = [iteration, at("loss"), at("acc"), at("smooth_loss"), at("smooth_acc"), test];
  const words = marks.map((mark) => `${markWords(mark)} (${new Date(mark.at).toISOString()})`).join("; ");
  return [...numbers.map(plain), words === "" ? "" : `"${words.replaceAll('"', '""')}"`].join(",");
}

/** Seven digits are all that the server's float32 holds. */
const plain = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(value >= 1e7 ? 15 : 7))) : "");
