// The uploads of this page: which run, which wait their turn, how far they are; and those begun earlier.

import { h, icon, setText } from "./dom.js";
import { bytes, span } from "./units.js";
import { cleanName } from "./text.js";
import { TusUpload, fingerprint, forget, offsetOf, terminate, unfinished } from "./tus.js";
import { emit } from "./store.js";
import { toast } from "./toast.js";

const ENDPOINT = "/api/uploads";
const AT_ONCE = 3;
const RATE_WINDOW_MS = 4000;

export const uploadState = { running: 0, done: 0 };

export function uploadList() {
  const element = h("div", { id: "uploads", class: "uploads", "aria-label": "Uploads" });
  const waiting = [];
  const active = new Map(); // fingerprint → row
  let running = 0;
  let most = null; // Tus-Max-Size

  async function limit() {
    if (most !== null) return;
    try {
      const answer = await fetch(ENDPOINT, { method: "OPTIONS", credentials: "same-origin" });
      most = Number(answer.headers.get("Tus-Max-Size")) || Infinity;
    } catch { most = null; }
  }

  async function add(files) {
    await limit();
    for (const file of files) {
      const key = fingerprint(file);
      if (active.has(key)) { toast(`${cleanName(file.name)} is being uploaded already`); continue; }
      if (most && file.size > most) { toast(`${cleanName(file.name)} is larger than the house takes (${bytes(most)})`, true); continue; }
      element.querySelector(`[data-unfinished="${CSS.escape(key)}"]`)?.remove();
      const row = makeRow(file, key);
      active.set(key, row);
      element.append(row.element);
      waiting.push(row);
    }
    next();
  }

  function next() {
    while (running < AT_ONCE && waiting.length > 0) {
      running += 1;
      run(waiting.shift()).finally(() => { running -= 1; uploadState.running = running; next(); });
    }
    uploadState.running = running;
  }

  async function run(row) {
    try {
      if (await row.upload.run()) { uploadState.done += 1; row.finish("done", "Arrived"); emit("uploaded"); setTimeout(() => row.element.remove(), 6000); }
      else row.element.remove();
    } catch (error) {
      row.finish("failed", error.message);
    }
    active.delete(row.key);
  }

  function makeRow(file, key) {
    const bar = h("progress", { max: String(file.size || 1), value: "0", "aria-label": `Upload of ${cleanName(file.name)}` });
    const facts = h("span", { class: "upload-facts muted small-text num", role: "status" }, "Waits for its turn");
    const share = h("span", { class: "num small-text upload-share" }, "0 %");
    const button = h("button", { class: "button ghost small icon-button cancel", type: "button", title: "Cancel", "aria-label": `Cancel the upload of ${cleanName(file.name)}`, onclick: cancel }, icon("close", true));
    const row = { key, element: h("div", { class: "upload card", data: { name: file.name, phase: "queued" } },
      icon("upload"), h("div", { class: "upload-body" }, h("div", { class: "upload-line" }, h("strong", { class: "clip", dir: "auto" }, cleanName(file.name)), share), bar, facts), button) };
    const points = []; // [time, bytes], for the rate
    row.upload = new TusUpload(file, ENDPOINT, ({ phase, sent, message, retryAt }) => {
      row.element.dataset.phase = phase;
      bar.value = file.size ? sent : 1;
      setText(share, `${file.size ? Math.floor((sent / file.size) * 100) : 100} %`);
      if (phase === "sending") {
        const now = performance.now();
        if (points.length && sent < points.at(-1)[1]) points.length = 0;
        points.push([now, sent]);
        while (points.length > 2 && points[0][0] < now - RATE_WINDOW_MS) points.shift();
        const seconds = (now - points[0][0]) / 1000;
        const rate = seconds > 0.3 ? (sent - points[0][1]) / seconds : 0;
        setText(facts, `${bytes(sent)} of ${bytes(file.size)}${rate > 0 ? ` · ${bytes(rate)}/s · ${span((file.size - sent) / rate)} left` : ""}`);
      } else if (phase === "waiting") {
        points.length = 0;
        setText(facts, `${message} Goes on from ${bytes(sent)} in ${span((retryAt - Date.now()) / 1000)}.`);
      } else if (phase === "resuming") setText(facts, "Looking for where it stopped…");
      else if (phase === "starting") setText(facts, `${bytes(file.size)} to go`);
    });
    row.finish = (phase, text) => {
      row.element.dataset.phase = phase;
      setText(facts, text);
      if (phase === "failed") button.onclick = () => row.element.remove(); else button.remove();
    };
    function cancel() {
      const place = waiting.indexOf(row);
      if (place >= 0) { waiting.splice(place, 1); active.delete(key); row.element.remove(); }
      row.upload.cancel();
    }
    return row;
  }

  /** What an earlier page left: the browser does not give the file again, but the same choice resumes it. */
  async function recall(choose) {
    for (const left of unfinished()) {
      if (active.has(left.key) || element.querySelector(`[data-unfinished="${CSS.escape(left.key)}"]`)) continue;
      let offset;
      try { offset = await offsetOf(left.url); } catch { continue; }
      if (offset === null || offset >= left.size) { forget(left.key); continue; }
      const row = h("div", { class: "upload card", data: { unfinished: left.key, name: left.name, phase: "unfinished" } }, icon("upload"),
        h("div", { class: "upload-body" },
          h("div", { class: "upload-line" }, h("strong", { class: "clip", dir: "auto" }, cleanName(left.name)), h("span", { class: "num small-text" }, `${Math.floor((offset / left.size) * 100)} %`)),
          h("progress", { max: String(left.size), value: String(offset), "aria-label": "Sent so far" }),
          h("span", { class: "muted small-text" }, "Was interrupted. Choose the same file again, and it goes on.")),
        h("button", { class: "button small", type: "button", onclick: choose }, "Choose"),
        h("button", { class: "button ghost small icon-button", type: "button", title: "Forget it", "aria-label": "Forget this upload", onclick: () => { forget(left.key); terminate(left.url); row.remove(); } }, icon("close", true)));
      element.append(row);
    }
  }

  return { element, add, recall };
}
