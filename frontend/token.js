// The token that the server may want: asked of the person once, and kept for the browser session.

import { part, setBusy, setNote } from "./dom.js";

const KEY = "inkling-token";
const SENDABLE = /^[A-Za-z0-9._~+-]+$/; // a browser refuses to send others, and no token has them
const GIVE_BACK_MS = 2000;
const NOT_RIGHT = "This is not the right token.";
const WHY = { // by the status of a refusal
  401: NOT_RIGHT,
  403: "This token is for looking on; what you want changes something.",
  429: "Too many wrong tokens came from your address. Try again in a while.",
};

let kept = recall();
let turn = Promise.resolve(); // several requests may be refused at once: one asks, the others wait
let declined = false; // then what is merely read does not ask again
let dialog = null;
const listeners = [];

/** `listener` is called whenever a token was given that is right. */
export const onToken = (listener) => listeners.push(listener);

/** The subprotocols with which a WebSocket tells the token: a browser cannot give it headers. */
export const subprotocols = () => (kept === null ? [] : ["inkling", `inkling.token.${kept}`]);

/**
 * What `send(headers)` resolves to. Where it rejects with an error that says `wantsToken`, the person is asked for one, and
 * it is sent again, until the token is right or the person has none: then this rejects as the first did.
 */
export async function withToken(send, { changes }) {
  const token = kept;
  const focused = document.activeElement;
  try {
    return await send(headersFor(token));
  } catch (refusal) {
    if (!refusal.wantsToken) throw refusal;
    const answer = turn.then(() => sendAgain(send, refusal, token, changes));
    turn = answer.catch(() => {});
    if (changes) turn.then(() => giveBack(focused));
    return answer;
  }
}

async function sendAgain(send, refusal, token, changes) {
  if (kept !== token) { // who asked before us has got one
    try {
      return await send(headersFor(kept));
    } catch (error) {
      if (!error.wantsToken) throw error;
      refusal = error;
    }
  }
  if (declined && !changes) throw refusal;
  dialog ??= createDialog();
  dialog.open();
  try {
    return await askUntilRight(send, refusal);
  } finally {
    dialog.close();
  }
}

async function askUntilRight(send, refusal) {
  let note = kept === null ? null : wordsFor(refusal);
  for (;;) {
    const token = await dialog.ask(note);
    declined = token === null;
    if (declined) throw refusal;
    try {
      const answer = await send(headersFor(token));
      keep(token);
      return answer;
    } catch (error) {
      if (!error.wantsToken) {
        if (error.status > 0) keep(token); // the server has come as far as another mistake
        throw error;
      }
      note = wordsFor(error);
    }
  }
}

const headersFor = (token) => (token === null ? {} : { Authorization: `Bearer ${token}` });
const wordsFor = ({ status }) => WHY[status] ?? NOT_RIGHT;

function recall() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // within a frame, or by a setting of the browser, there may be no storage
  }
}

function keep(token) {
  kept = token;
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // Then it is kept until the page is left.
  }
  for (const listener of listeners) listener();
}

/** A control that is disabled while it waits has lost the focus: it has it again as soon as it can. */
function giveBack(focused, until = performance.now() + GIVE_BACK_MS) {
  const isLost = document.activeElement === document.body || part("token-dialog").contains(document.activeElement);
  if (focused === null || !isLost) return;
  focused.focus({ preventScroll: true });
  if (document.activeElement !== focused && performance.now() < until) requestAnimationFrame(() => giveBack(focused, until));
}

function createDialog() {
  const [sheet, input, error, button, cancel] = ["dialog", "input", "error", "send", "cancel"].map((name) => part(`token-${name}`));
  let answer = () => {};

  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (!SENDABLE.test(token)) return complain(NOT_RIGHT);
    setNote(error, null); // so that it is heard when it comes a second time
    setBusy(button, true);
    answer(token);
  });
  cancel.addEventListener("click", () => sheet.close());
  sheet.addEventListener("close", () => {
    if (!sheet.open) answer(null); // it comes late: somebody else may be asking already
  });

  function complain(note) {
    setNote(error, note);
    input.focus();
    input.select();
  }

  function open() {
    input.value = "";
    sheet.showModal();
  }

  /** The token that the person gives, or null, as where the dialog was closed. `note` says what was wrong with the last one. */
  function ask(note) {
    if (!sheet.open) return null;
    setBusy(button, false);
    complain(note);
    return new Promise((resolve) => { answer = resolve; });
  }

  return { open, ask, close: () => sheet.close() };
}
