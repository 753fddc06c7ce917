// The WebSocket: signals in, control signals out, and a way back when the connection is lost.

import { reconnectDelay } from "./core/backoff.js";

const SILENCE_MS = 15_000; // then ask for the status: a link that died silently shows by no answer
const ANSWER_MS = 5_000;

/**
 * `onConnection(status, failures)` hears "connected" and "reconnecting"; `onMessage(message)` each JSON frame,
 * `onBinary(buffer)` each binary one; `onRefused()` of a connection that was not made, which may be for lack of a token.
 * `subprotocols()` go with each one that is tried.
 * Returns {send(message), hurry()}: false, and nothing sent, while there is no connection; and a try at once.
 */
export function connect(url, { subprotocols, onConnection, onMessage, onBinary, onRefused }) {
  let socket = null;
  let failures = 0;
  let retryTimer = null;
  let silenceTimer = null;

  function open() {
    clearTimeout(retryTimer);
    const current = new WebSocket(url, subprotocols());
    let opened = false;
    current.binaryType = "arraybuffer";
    socket = current;
    current.onopen = () => {
      opened = true;
      failures = 0;
      onConnection("connected", failures);
      watchSilence();
    };
    current.onmessage = ({ data }) => {
      watchSilence();
      if (typeof data === "string") onMessage(JSON.parse(data));
      else onBinary(data);
    };
    current.onclose = () => {
      if (socket === current) retry();
      if (!opened) onRefused();
    };
  }

  function retry() {
    clearTimeout(silenceTimer);
    onConnection("reconnecting", failures);
    retryTimer = setTimeout(open, reconnectDelay(failures));
    failures += 1;
  }

  function watchSilence() {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => {
      send({ type: "GetStatus" });
      silenceTimer = setTimeout(abandon, ANSWER_MS);
    }, SILENCE_MS);
  }

  /** Give up a connection that no longer answers, without waiting for its close handshake. */
  function abandon() {
    const dead = socket;
    socket = null;
    dead.close();
    retry();
  }

  function send(message) {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(message));
    return true;
  }

  // Back on the network, or back on this page: no reason to sit out the rest of the wait.
  function hurry() {
    if (failures > 0 && (socket === null || socket.readyState === WebSocket.CLOSED)) open();
  }
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => document.hidden || hurry());

  open();
  return { send, hurry };
}
