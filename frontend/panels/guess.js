// The guess: asked as the pen moves and as the weights change, shown as a digit and ten bars.

import { infer } from "../api.js";
import { latestOnly, throttle } from "../core/coalesce.js";
import { percent } from "../core/format.js";
import { part, setFlag, setText } from "../dom.js";

const REFRESH_MS = 250; // new weights come about ten times a second; four new guesses are enough
const RETRY_MS = 2000;
const SPEAK_MS = 900; // a guess that has held this long is spoken
const DIGITS = 10;

export function createGuessPanel(store) {
  askAsThingsChange(store);
  const digit = part("guess");
  const words = document.querySelector("[data-part=guess-words]");
  const live = document.querySelector("[data-part=guess-live]");
  const bars = createBars(part("probabilities"));
  let speakTimer = null;
  let spoken = "";

  function speak(sentence) {
    if (sentence === spoken) return;
    spoken = sentence;
    clearTimeout(speakTimer);
    speakTimer = setTimeout(() => setText(live, sentence), SPEAK_MS);
  }

  return function render({ guess: { answer, error }, drawing }) {
    const shown = drawing.blank ? null : answer;
    setText(digit, shown === null ? "?" : String(shown.digit));
    setFlag(digit, "none", shown === null);
    renderBars(bars, shown);
    setText(words, wording(drawing, shown, error));
    setFlag(words, "error", error !== null && !drawing.blank);
    speak(shown === null ? "" : `The network reads ${shown.digit}.`);
  };
}

function wording(drawing, shown, error) {
  if (drawing.blank) return "Nothing drawn yet.";
  if (error !== null) return error;
  if (shown === null) return "Reading…";
  return `${percent(shown.probabilities[shown.digit])} % sure, after ${shown.iteration} iterations of training`;
}

function createBars(list) {
  return Array.from({ length: DIGITS }, () => {
    const row = document.createElement("li");
    const track = document.createElement("span");
    const fill = document.createElement("span");
    const value = document.createElement("span");
    track.className = "track";
    fill.className = "fill";
    value.className = "value";
    track.append(fill);
    row.append(track, value);
    list.append(row);
    return { row, fill, value };
  });
}

function renderBars(bars, shown) {
  bars.forEach(({ row, fill, value }, digit) => {
    const probability = shown?.probabilities[digit] ?? 0;
    fill.style.transform = `scaleX(${probability.toFixed(4)})`;
    setText(value, shown === null ? "–" : probability.toFixed(3));
    setFlag(row, "top", shown?.digit === digit);
  });
}

function askAsThingsChange(store) {
  let retryTimer = null;
  const asker = latestOnly({
    send: infer,
    onAnswer: (answer) => store.dispatch({ type: "set", slice: "guess", answer, error: null }),
    onError: (problem) => {
      store.dispatch({ type: "set", slice: "guess", answer: null, error: problem.message });
      clearTimeout(retryTimer);
      retryTimer = setTimeout(ask, RETRY_MS);
    },
  });

  function ask() {
    const { drawing } = store.state;
    if (!drawing.blank) asker.ask(drawing.pixels);
  }
  const refresh = throttle(ask, REFRESH_MS);

  store.subscribe((state, previous) => {
    if (state.drawing.revision !== previous.drawing.revision) {
      if (!state.drawing.blank) ask();
      else {
        asker.cancel();
        store.dispatch({ type: "set", slice: "guess", answer: null, error: null });
      }
    } else if (state.signal?.version !== previous.signal?.version) {
      refresh();
    }
  });
}
