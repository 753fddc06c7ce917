// A training that goes wrong: said in words, with the way out.

import * as api from "../api.js";
import { gentlerRate, healthOf } from "../core/health.js";
import { part, setNote, setText } from "../dom.js";

const WORDS = {
  diverging: "The loss runs away: the steps are too long. Lower the learning rate; if the loss stays high, reset the weights or restore a version.",
  diverged: "The loss was no longer a number, so training stopped and went back a little. Lower the learning rate, then start again, or reset the weights.",
  dead: "The loss stands at 2.3026: a step was so long that all hidden units are off, and nothing can be learnt any more. Lower the learning rate, then reset the weights or restore a version.",
};
/** What is left to do once the learning rate has been lowered. */
const THEN = {
  diverging: "If the loss stays high, reset the weights or restore a version.",
  diverged: "Start again, or reset the weights.",
  dead: "Now reset the weights, or restore a version: a network whose hidden units are all off learns nothing at any rate.",
};

/** Returns render(state). */
export function createHealthNotice(store) {
  const notice = part("health");
  const words = document.querySelector("[data-part=health-words]");
  const error = document.querySelector("[data-part=health-error]");
  const rateButton = part("health-rate");
  const resetButton = part("health-reset");
  let judged = { health: null, revision: -1, rate: null }; // `rate`: at which it went wrong

  /** The learning rate at which it went wrong: the mark tells a page that came late. */
  function rateOf(health, { curve, signal }) {
    const mark = curve.marks.findLast(({ kind }) => kind === "diverged");
    return health !== "diverging" && mark !== undefined ? mark.value : (signal?.lrate ?? null);
  }

  function judge({ curve, signal }) {
    if (judged.revision === curve.revision) return;
    const health = healthOf(curve, judged.health);
    // A training that ran away and then died went wrong once: at the rate at which it ran away.
    const rate = health !== null && judged.health !== null ? judged.rate : rateOf(health, { curve, signal });
    judged = { health, revision: curve.revision, rate };
  }

  async function act(button, call) {
    button.disabled = true;
    setNote(error, null);
    try {
      const answer = await call();
      if (answer.type === "ResponseSignal") store.dispatch({ type: "confirmed", answer });
    } catch (problem) {
      setNote(error, problem.message);
    }
    button.disabled = false;
  }
  rateButton.addEventListener("click", () => {
    const value = gentlerRate(store.state.signal.lrate);
    act(rateButton, () => api.control({ type: "SetLearningRate", value }));
  });
  resetButton.addEventListener("click", () => act(resetButton, api.resetWeights));

  return function render(state) {
    judge(state);
    const { health, rate } = judged;
    notice.hidden = health === null;
    if (health === null) return;
    const present = state.signal?.lrate ?? 0;
    const lowered = present > 0 && present < rate;
    setText(words, lowered ? `The learning rate is ${present} now. ${THEN[health]}` : WORDS[health]);
    setText(rateButton, `Set it to ${gentlerRate(present)}`);
    rateButton.hidden = !(present > 0) || lowered;
  };
}
