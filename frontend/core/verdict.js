// What the page says of the network's answer.

import { percent } from "./format.js";

export const DIGITS = Object.freeze([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
const SURE_FROM = 0.6; // the probability below which it says that it is not sure

/**
 * The words beside the guess: {sentence, spoken, unsure}. `answer` is that of POST /infer or null, `error` why there is none.
 * `spoken` is short, for those who hear it, and empty where there is nothing to say.
 */
export function verdict(drawing, answer, error) {
  const silent = (sentence) => ({ sentence, spoken: "", unsure: false });
  if (drawing.blank) return silent("Nothing drawn yet.");
  if (error !== null) return silent(error);
  if (answer === null) return silent("Reading…");
  const { digit, probabilities, iteration } = answer;
  const after = `after ${iteration} iterations of training`;
  if (probabilities[digit] >= SURE_FROM) {
    return { sentence: `${percent(probabilities[digit])} % sure, ${after}`, spoken: `The network reads ${digit}.`, unsure: false };
  }
  const second = secondBest(probabilities, digit);
  return {
    sentence: `Not sure: ${digit} (${percent(probabilities[digit])} %), or ${second} (${percent(probabilities[second])} %), ${after}`,
    spoken: `The network is not sure: ${digit} or ${second}.`,
    unsure: true,
  };
}

function secondBest(probabilities, best) {
  const others = DIGITS.filter((digit) => digit !== best);
  return others.reduce((found, digit) => (probabilities[digit] > probabilities[found] ? digit : found));
}
