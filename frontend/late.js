// Panels whose code is fetched when it is first needed, so that the page is there sooner.

const RETRY_MS = 2000;

/**
 * `fetchers` maps the name of a panel to what fetches its code, and resolves to functions that create its parts from the
 * store. `addPanel(render)` takes in what they return. Returns need(name): a promise that is kept once the panel is there,
 * at once where it needs no fetching.
 */
export function createLate(store, addPanel, fetchers) {
  const coming = new Map();

  async function load(name) {
    const creators = await fetchUntilThere(fetchers[name]);
    for (const create of creators) addPanel(create(store));
  }

  return function need(name) {
    if (!(name in fetchers)) return Promise.resolve();
    if (!coming.has(name)) coming.set(name, load(name));
    return coming.get(name);
  };
}

/** The server may be away just now. */
async function fetchUntilThere(fetchCode) {
  for (;;) {
    try {
      return await fetchCode();
    } catch {
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}
