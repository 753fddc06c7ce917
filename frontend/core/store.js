// One state, changed in one place: `dispatch(event)`.

/** Listeners get (state, previous) at once, after each event. */
export function createStore(reduce, initial) {
  let state = initial;
  const listeners = [];
  return {
    get state() {
      return state;
    },
    subscribe(listener) {
      listeners.push(listener);
    },
    dispatch(event) {
      const previous = state;
      state = reduce(state, event);
      if (state === previous) return;
      for (const listener of listeners) listener(state, previous);
    },
  };
}
