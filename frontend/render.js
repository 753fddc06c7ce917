// One way from the state to the page: render(state), at most once in a frame.

/** Returns addPanel(render), for a panel whose code comes later. */
export function createRender(store, panels) {
  let scheduled = false;

  function render() {
    scheduled = false;
    for (const renderPanel of panels) renderPanel(store.state);
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(render);
  }
  store.subscribe(schedule);
  render();
  return (renderPanel) => {
    panels.push(renderPanel);
    schedule();
  };
}
