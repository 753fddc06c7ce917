// Which panels are on the screen now: what nobody can see costs nothing.

const SLIVER_PX = 80; // of a panel at the edge of the window: its head, behind which nothing has to be drawn yet

/** Keep `onScreen` up to date. A panel counts as seen once `need(name)`, which fetches its code, is done. */
export function watchPanels(store, need) {
  const near = new Map(); // by name: whether the panel is on the screen, its code there or not
  const there = new Set();

  function tell() {
    const now = [...near].map(([name, is]) => [name, is && there.has(name) && !document.hidden]);
    store.dispatch({ type: "set", slice: "onScreen", ...Object.fromEntries(now) });
  }

  async function fetchFor(name) {
    await need(name);
    there.add(name);
    tell();
  }

  const look = (entries) => {
    for (const { target, isIntersecting } of entries) {
      const name = target.dataset.panel;
      near.set(name, isIntersecting);
      if (isIntersecting && !there.has(name)) fetchFor(name);
    }
    tell();
  };
  const observer = new IntersectionObserver(look, { rootMargin: `-${SLIVER_PX}px 0px` });
  for (const panel of document.querySelectorAll("[data-panel]")) observer.observe(panel);
  document.addEventListener("visibilitychange", tell);
}
