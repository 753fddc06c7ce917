// Which panels are on the screen now: what nobody can see costs nothing.

export function watchPanels(store) {
  const onScreen = new Map();
  const tell = () => {
    const now = Object.fromEntries([...onScreen].map(([name, is]) => [name, is && !document.hidden]));
    store.dispatch({ type: "set", slice: "onScreen", ...now });
  };
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) onScreen.set(target.dataset.panel, isIntersecting);
    tell();
  });
  for (const panel of document.querySelectorAll("[data-panel]")) observer.observe(panel);
  document.addEventListener("visibilitychange", tell);
}
