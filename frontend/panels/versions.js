// The history of the weights: a list to choose one version from, and what can be done with it.

import * as api from "../api.js";
import { fixed, moment, whole } from "../core/format.js";
import { part } from "../dom.js";

/** `act(words, action)` runs an action with its progress and errors shown; `download(version)` fetches a file. */
export function createVersionList(store, { act, download }) {
  const body = document.querySelector("[data-part=version-rows]");
  const none = document.querySelector("[data-part=no-versions]");
  const buttons = [
    ["weights-restore", "Restoring…", restore],
    ["version-download", "Downloading…", download],
    ["version-delete", "Deleting…", remove],
  ].map(([testid, words, action]) => {
    const button = part(testid);
    button.addEventListener("click", () => act(words, () => action(store.state.weights.selected)));
    return button;
  });
  body.addEventListener("change", ({ target }) => {
    store.dispatch({ type: "set", slice: "weights", selected: Number(target.value) });
  });
  let drawn = null;

  return function render({ weights }) {
    for (const button of buttons) button.disabled = weights.selected === null || weights.busy !== null;
    const content = JSON.stringify([weights.versions, weights.live]);
    if (content !== drawn) body.replaceChildren(...weights.versions.map((entry) => rowOf(entry, weights.live)));
    drawn = content;
    none.hidden = weights.versions.length > 0;
    body.closest("table").hidden = weights.versions.length === 0;
    for (const radio of body.querySelectorAll("input")) radio.checked = Number(radio.value) === weights.selected;
  };
}

async function restore(version) {
  const answer = await api.restoreVersion(version);
  return `Version ${version} is live again, as version ${answer.version}.`;
}

async function remove(version) {
  await api.deleteVersion(version);
  return `Version ${version} is deleted.`;
}

function rowOf({ version, iteration, test_acc, origin, name, created }, live) {
  const row = document.createElement("tr");
  row.toggleAttribute("data-live", version === live);
  const time = cell(moment(created), "numeric");
  time.title = created;
  row.append(
    choice(version, name),
    cell(name ? `${version} ${name}` : String(version)),
    cell(version === live ? `${origin}, live` : origin),
    cell(whole(iteration), "numeric"),
    cell(fixed(test_acc, 4), "numeric"),
    time,
  );
  return row;
}

function choice(version, name) {
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "version";
  radio.value = String(version);
  radio.setAttribute("aria-label", `Choose version ${version}${name ? `, ${name}` : ""}`);
  const holder = document.createElement("td");
  holder.append(radio);
  return holder;
}

function cell(text, className = "") {
  const element = document.createElement("td");
  element.textContent = text;
  element.className = className;
  return element;
}
