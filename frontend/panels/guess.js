// The guess: asked as the pen moves and as the weights change, shown as a digit and ten bars.

import { infer } from "../api.js";
import { latestOnly, throttle } from "../core/coalesce.js";
import { DIGITS, verdict } from "../core/verdict.js";
import { part, setFlag, setText } from "../dom.js";

const REFRESH_MS = 250; // new weights come about ten times a second; four new guesses are enough
const RETRY_MS = 2000;
const SPEAK_MS = 900; // a guess that has held this long is spoken

export function createGuessPanel(store) {
  askAsThingsChange(store);
  const digit = part("guess");
  const words = document.querySelector("[data-part=guess-words]");
  const live = document.querySelector("[data-part=guess-live]");
  const renderBars = createBars(store, part("probabilities"));
  let speakTimer = null;
  let spoken = "";

  function speak(sentence) {
    if (sentence === spoken) return;
    spoken = sentence;
    clearTimeout(speakTimer);
    speakTimer = setTimeout(() => setText(live, sentence), SPEAK_MS);
  }

  return function render(state) {
    const { guess, drawing } = state;
    const shown = drawing.blank ? null : guess.answer;
    const { sentence, spoken: aloud, unsure } = verdict(drawing, shown, guess.error);
    setText(digit, shown === null ? "?" : String(shown.digit));
    setFlag(digit, "none", shown === null);
    setFlag(digit, "unsure", unsure);
    setText(words, sentence);
    setFlag(words, "error", guess.error !== null && !drawing.blank);
    renderBars(shown, state);
    speak(aloud);
  };
}

/**
 * Ten bars, each a button: pointing at one, or moving the focus to it, explains that digit inside the network and over
 * the drawing; pressing it keeps the explanation. Returns what draws them.
 */
function createBars(store, list) {
  const explain = (digit) => {
    if (store.state.view.digit !== digit) store.dispatch({ type: "set", slice: "view", digit });
  };
  let kept = null; // the digit whose explanation stays when the pointer leaves
  const leave = () => explain(kept);

  const bars = DIGITS.map((digit) => {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const [track, fill, before, value] = ["track", "fill", "before", "value"].map((name) => {
      const element = document.createElement("span");
      element.className = name;
      return element;
    });
    button.type = "button";
    button.className = "bar";
    button.dataset.testid = `explain-${digit}`;
    track.append(fill, before);
    button.append(track, value);
    row.append(button);
    list.append(row);
    row.addEventListener("pointerenter", ({ pointerType }) => pointerType === "touch" || explain(digit));
    row.addEventListener("pointerleave", ({ pointerType }) => pointerType === "touch" || leave());
    button.addEventListener("focus", () => button.matches(":focus-visible") && explain(digit));
    button.addEventListener("blur", leave);
    button.addEventListener("click", () => {
      kept = kept === digit ? null : digit;
      explain(kept);
    });
    return { digit, row, button, fill, before, value };
  });

  return function render(shown, { tune, view }) {
    if (!bars.some(({ button }) => button.matches(":hover, :focus"))) kept = view.digit; // as a link says
    for (const { digit, row, button, fill, before, value } of bars) {
      const probability = shown?.probabilities[digit] ?? 0;
      const text = shown === null ? "–" : probability.toFixed(3);
      fill.style.transform = `scaleX(${probability.toFixed(4)})`;
      before.hidden = tune.before === null || shown === null;
      if (!before.hidden) before.style.left = `${(tune.before.probabilities[digit] * 100).toFixed(2)}%`;
      if (value.textContent !== text) {
        value.textContent = text;
        button.setAttribute("aria-label", `${digit}: ${text}`);
      }
      setFlag(row, "top", shown?.digit === digit);
      setFlag(row, "explained", view.digit === digit);
      button.setAttribute("aria-pressed", String(kept === digit));
    }
  };
}

function askAsThingsChange(store) {
  let retryTimer = null;
  const asker = latestOnly({
    send: ({ pixels, raw }) => infer(pixels, { raw }),
    onAnswer: (answer) => {
      store.dispatch({ type: "set", slice: "guess", answer, error: null });
      if (answer.version < store.state.signal?.version) refresh(); // the news came here before they came there
    },
    onError: (problem) => {
      store.dispatch({ type: "set", slice: "guess", answer: null, error: problem.message });
      clearTimeout(retryTimer);
      retryTimer = setTimeout(ask, RETRY_MS);
    },
  });

  function ask() {
    const { drawing, view } = store.state;
    if (!drawing.blank) asker.ask({ pixels: drawing.pixels, raw: view.raw });
  }
  const refresh = throttle(ask, REFRESH_MS);

  store.subscribe((state, previous) => {
    if (state.drawing.revision !== previous.drawing.revision || state.view.raw !== previous.view.raw) {
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
