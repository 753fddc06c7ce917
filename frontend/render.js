// One way from the state to the page: render(state), at most once in a frame.

import { part, setFlag, setNote, setText } from "./dom.js";

const FAILURES_BEFORE_BANNER = 1; // the first try again is almost at once, and mostly enough

export function createRender(store, panels) {
  const banner = document.querySelector("[data-part=banner]");
  const link = document.querySelector("[data-part=link]");
  let scheduled = false;

  function render() {
    scheduled = false;
    const { state } = store;
    const { status } = state.connection;
    setText(part("connection"), status);
    setFlag(link, "up", status === "connected");
    setFlag(document.body, "stale", status === "reconnecting");
    setNote(banner, bannerWords(state));
    for (const renderPanel of panels) renderPanel(state);
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(render);
  }
  store.subscribe(schedule);
  render();
}

function bannerWords({ connection, signal }) {
  if (connection.status === "reconnecting" && connection.failures >= FAILURES_BEFORE_BANNER) {
    return "The connection to the server is lost. Trying again; what you see is the last that came.";
  }
  return connection.status === "connected" ? (signal?.problem ?? null) : null;
}
