// The REST calls of the page. Each rejects with an ApiError whose message is fit to be shown.

import { numbersOf } from "./core/drawing.js";
import { withToken } from "./token.js";

export class ApiError extends Error {
  /** `status` is the HTTP status, 0 where the server was not reached. `wantsToken`: there was none, or not the right one. */
  constructor(status, detail, wantsToken = false) {
    super(wantsToken ? NEEDS_TOKEN : detail);
    this.status = status;
    this.wantsToken = wantsToken;
  }
}

const ACCEPT = "application/json, application/problem+json";
const UNREACHABLE = "The server cannot be reached.";
const NEEDS_TOKEN = "This needs the token that was set for this Inkling.";
const CHALLENGE = "WWW-Authenticate"; // the header of a refusal, which says what would help

async function request(method, path, { json, body, type } = {}) {
  const headers = { Accept: ACCEPT };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (type !== undefined) headers["Content-Type"] = type;
  const sent = { method, headers, body: json === undefined ? body : JSON.stringify(json) };
  const changes = method !== "GET" && !path.startsWith("/infer");
  return withToken((authorization) => exchange(path, { ...sent, headers: { ...headers, ...authorization } }), { changes });
}

async function exchange(path, sent) {
  let response;
  try {
    response = await fetch(path, sent);
  } catch {
    throw new ApiError(0, UNREACHABLE);
  }
  if (!response.ok) throw new ApiError(response.status, await problemDetail(response), isForToken(response.headers.get(CHALLENGE)));
  return response;
}

const isForToken = (challenge) => challenge?.startsWith("Bearer") ?? false; // not for a password that a proxy wants

async function problemDetail(response) {
  try {
    return (await response.json()).detail || plainAnswer(response);
  } catch {
    return plainAnswer(response); // not problem+json: an edge without a service behind it, for one
  }
}

const plainAnswer = ({ status, statusText }) => `The server answered ${status} ${statusText}`.trim() + ".";

async function requestJson(method, path, content) {
  const response = await request(method, path, content);
  return response.json();
}

/** The digit and the ten probabilities of a drawing, and as `input` what the network was given of it. `raw`: as it is drawn. */
export const infer = (pixels, { raw }) =>
  requestJson("POST", `/infer?input=true&normalize=${!raw}`, { json: { image: numbersOf(pixels) } });

export const tune = (pixels, target, { raw }) =>
  requestJson("PATCH", `/weights?normalize=${!raw}`, { json: { data: [{ target, image: numbersOf(pixels) }] } });

/** One random test image: {target, image: 784 numbers}. */
export async function sample() {
  const { data } = await requestJson("GET", "/data?split=test");
  return Array.isArray(data) ? data[0] : data;
}

/** The state of the run. */
export const status = () => requestJson("GET", "/status");

/** Send a control signal; the answer, the state of the run, comes when it has taken effect. */
export const control = (signal) => requestJson("POST", "/control", { json: signal });

export const versions = () => requestJson("GET", "/weights/versions");
export const saveWeights = (name) => requestJson("POST", "/weights/versions", { json: { name } });
export const restoreVersion = (version) => requestJson("POST", `/weights/versions/${version}/restore`);
export const deleteVersion = (version) => request("DELETE", `/weights/versions/${version}`);
export const renameVersion = (version, name) => request("PATCH", `/weights/versions/${version}`, { json: { name } });
export const resetWeights = () => requestJson("DELETE", "/weights");

/**
 * Replace the weights by a file. `onProgress(share)` hears how much of it is sent, 0..1; an AbortSignal stops it, which
 * rejects with an AbortError.
 */
export function uploadWeights(file, type, options) {
  return withToken((authorization) => upload(file, type, authorization, options), { changes: true });
}

function upload(file, type, authorization, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest(); // fetch does not say how much of a body is sent
    sending.open("POST", "/weights");
    sending.setRequestHeader("Accept", ACCEPT);
    sending.setRequestHeader("Content-Type", type);
    for (const [name, value] of Object.entries(authorization)) sending.setRequestHeader(name, value);
    sending.responseType = "json";
    sending.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total === 0 ? 1 : loaded / total));
    sending.addEventListener("load", () => {
      if (sending.status >= 200 && sending.status < 300) resolve(sending.response);
      else {
        const detail = sending.response?.detail || plainAnswer(sending);
        reject(new ApiError(sending.status, detail, isForToken(sending.getResponseHeader(CHALLENGE))));
      }
    });
    sending.addEventListener("error", () => reject(new ApiError(0, UNREACHABLE)));
    sending.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => sending.abort());
    sending.send(file);
  });
}

/** The weights as a file: the live ones, or those of one version of the history. */
export async function downloadWeights(format, version = null) {
  const path = version === null ? "/weights" : `/weights/versions/${version}`;
  const response = await request("GET", `${path}?format=${format}`);
  return response.blob();
}

/** How good the weights are on the test set: the live ones, or those of one version of the history. */
export const evaluation = (version = null) => requestJson("GET", version === null ? "/evaluation" : `/evaluation?version=${version}`);

/** Images of one field of the confusion matrix of an evaluation, or, without a `field`, its worst mistakes. */
export function evaluationExamples(version, field, limit) {
  const which = field === null ? "" : `&label=${field.label}&digit=${field.digit}`;
  return requestJson("GET", `/evaluation/examples?version=${version}${which}&limit=${limit}`);
}

/** These images of the test set, by their numbers: [{target, image: 784 numbers}], in this order. */
export async function testSamples(indices) {
  const { data } = await requestJson("GET", `/data?split=test&${indices.map((index) => `index=${index}`).join("&")}`);
  return data;
}

/** What POST /infer takes for many images, as text: made once, it can be sent again and again. */
export const imagesBody = (images) => JSON.stringify({ images: images.map(numbersOf) });
export const inferMany = (body) => requestJson("POST", "/infer", { body, type: "application/json" });

/** The weights of one version of the history as safetensors bytes. */
export async function versionBytes(version) {
  const response = await request("GET", `/weights/versions/${version}?format=safetensors`);
  return response.arrayBuffer();
}
