// A small client of tus 1.0 (https://tus.io/protocols/resumable-upload): creation, upload with offsets,
// termination. What was sent before a break stays sent: the address of an unfinished upload is remembered under
// the file's name, size and date, also when the page is closed.

const VERSION = { "Tus-Resumable": "1.0.0" };
const CHUNK = 8 * 1024 * 1024; // one request; small enough that a proxy lets it pass
const FIRST_PAUSE = 700;
const LONGEST_PAUSE = 15_000;
const KEY = "playhouse.upload:";

export const fingerprint = (file) => `${KEY}${file.name}:${file.size}:${file.lastModified}`;

/** What was begun and not ended, perhaps before the page was loaded: [{key, name, size, url, at}]. */
export function unfinished() {
  const found = [];
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(KEY)) continue;
    try { found.push({ key, ...JSON.parse(localStorage.getItem(key)) }); } catch { localStorage.removeItem(key); }
  }
  return found;
}

export const forget = (key) => localStorage.removeItem(key);

export async function terminate(url) {
  await fetch(url, { method: "DELETE", headers: VERSION, credentials: "same-origin" }).catch(() => {});
}

/** How much of an upload the house has, or null if it knows nothing of it. */
export async function offsetOf(url) {
  const response = await fetch(url, { method: "HEAD", headers: VERSION, credentials: "same-origin", cache: "no-store" });
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok) throw failure(response.status);
  const offset = Number(response.headers.get("Upload-Offset") ?? NaN);
  if (!Number.isSafeInteger(offset) || offset < 0) throw failure(500);
  return offset;
}

// What will not get better by trying again.
const FINAL = { 400: "The house does not understand the upload.", 401: "Sign in again to upload.", 403: "The house does not allow this upload.", 413: "The file is larger than the house takes.", 415: "The house does not understand the upload.", 507: "The house has no room for this file." };

function failure(status, sentence) {
  const error = new Error(sentence || FINAL[status] || `The house answered ${status}.`);
  error.final = status in FINAL;
  return error;
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export class TusUpload {
  /** `told(state)` hears `{phase, sent, message, retryAt}` whenever something changes. */
  constructor(file, endpoint, told) {
    this.file = file;
    this.endpoint = endpoint;
    this.told = told;
    this.key = fingerprint(file);
    this.sent = 0;
    this.pause = FIRST_PAUSE;
    this.cancelled = false;
    try { this.url = JSON.parse(localStorage.getItem(this.key))?.url ?? null; } catch { this.url = null; }
  }

  #tell(phase, more = {}) { this.told({ phase, sent: this.sent, ...more }); }

  /** Resolves to true when the house has the whole file, to false when it was called off; throws what is final. */
  async run() {
    this.#tell(this.url ? "resuming" : "starting");
    while (!this.cancelled) {
      try {
        await this.#go();
        if (this.cancelled) return false;
        forget(this.key);
        this.#tell("done");
        return true;
      } catch (error) {
        if (this.cancelled) return false;
        if (error.final) { forget(this.key); throw error; }
        await this.#rest(error instanceof TypeError ? new Error("The house cannot be reached.") : error); // fetch's own words help nobody
      }
    }
    return false;
  }

  async #go() {
    let offset = this.url ? await offsetOf(this.url) : null;
    if (offset === null) {
      await this.#create();
      offset = 0;
    }
    this.sent = offset;
    while (offset < this.file.size && !this.cancelled) {
      const from = offset;
      offset = await this.#patch(offset);
      if (offset <= from) throw new Error("The upload does not get on.");
      this.sent = offset;
      this.pause = FIRST_PAUSE;
    }
  }

  async #create() {
    const response = await fetch(this.endpoint, {
      method: "POST", credentials: "same-origin",
      headers: { ...VERSION, "Upload-Length": String(this.file.size), "Upload-Metadata": `filename ${base64(this.file.name)}` },
    });
    if (response.status !== 201) throw failure(response.status, (await response.json().catch(() => null))?.error);
    this.url = new URL(response.headers.get("Location"), new URL(this.endpoint, location.href)).href;
    if (new URL(this.url).origin !== location.origin) throw failure(400);
    localStorage.setItem(this.key, JSON.stringify({ url: this.url, name: this.file.name, size: this.file.size, at: Date.now() }));
    // Cancelled meanwhile: what was just made is not left behind.
    if (this.cancelled) { await terminate(this.url); forget(this.key); }
  }

  /** XMLHttpRequest, since fetch tells nothing of how much was sent. */
  #patch(offset) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open("PATCH", this.url);
      request.setRequestHeader("Tus-Resumable", "1.0.0");
      request.setRequestHeader("Upload-Offset", String(offset));
      request.setRequestHeader("Content-Type", "application/offset+octet-stream");
      request.upload.onprogress = ({ loaded }) => { this.sent = offset + loaded; this.#tell("sending"); };
      request.onload = () => {
        const next = Number(request.getResponseHeader("Upload-Offset") ?? NaN);
        if (request.status === 204 && Number.isSafeInteger(next)) { resolve(next); return; }
        if (request.status === 404 || request.status === 410) this.url = null; // it expired: begin anew
        let sentence = null;
        try { sentence = JSON.parse(request.responseText).error; } catch { /* not ours */ }
        reject(failure(request.status, sentence));
      };
      request.onerror = () => reject(new Error("The connection broke off."));
      request.onabort = () => reject(new Error("Called off."));
      request.send(this.file.slice(offset, offset + CHUNK));
    });
  }

  #rest(error) {
    const wait = this.pause * (0.8 + Math.random() * 0.4);
    this.pause = Math.min(LONGEST_PAUSE, this.pause * 1.8);
    this.#tell("waiting", { message: error.message, retryAt: Date.now() + wait });
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, wait);
      addEventListener("online", resolve, { once: true });
    });
  }

  async cancel() {
    this.cancelled = true;
    this.request?.abort();
    this.wake?.();
    forget(this.key);
    if (this.url) await terminate(this.url);
  }
}
