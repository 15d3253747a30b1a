// The WebSocket to the house: joins, comes back with growing pauses when it is cut off, and hands every message
// on: text as the event `ws:<type>`, frames to `streams.js`, sound as `pcm`.

import { emit, on, store } from "./store.js";
import { api } from "./http.js";
import { frame, lost } from "./streams.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
// A house that takes us and throws us out at once must not be hammered: the pause shrinks only after a while.
const SETTLED_MS = 5_000;

let socket = null;
let name = "";
let wanted = false;
let pause = FIRST_PAUSE;
let timer = null;
let retryAt = 0;
let openedAt = 0;

export function connect(as) {
  name = as;
  wanted = true;
  pause = FIRST_PAUSE;
  open();
}

export function disconnect() {
  wanted = false;
  clearTimeout(timer);
  socket?.close(1000);
  // Its own farewell may come when there is another one.
  lost();
  change("idle");
}

/** Tries at once instead of waiting for the pause to end. */
export function retry() {
  if (store.state === "waiting" || store.state === "closed") { wanted = true; open(); }
}

export function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(message));
  return true;
}

export function sendBytes(bytes) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(bytes);
  return true;
}

export const buffered = () => socket?.bufferedAmount ?? 0;
export const secondsToRetry = () => Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));

function change(state) {
  store.state = state;
  emit("state", state);
}

function open() {
  clearTimeout(timer);
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  change("connecting");
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  mine.binaryType = "arraybuffer";
  socket = mine;
  mine.onopen = () => { openedAt = Date.now(); send({ type: "join", name }); };
  mine.onmessage = ({ data }) => { if (mine === socket) (typeof data === "string" ? text : binary)(data); };
  mine.onclose = () => { if (mine === socket) closed(); };
}

function text(data) {
  let message;
  try { message = JSON.parse(data); } catch { return; }
  if (message?.type === "notice" && message.shown_out) wanted = false;
  if (message?.type === "welcome") change("open");
  emit(`ws:${message?.type}`, message);
}

function binary(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 8) return;
  if (view.getUint8(0) === 1 && buffer.byteLength > 16) {
    frame(view.getUint32(4), {
      quality: view.getUint8(1), n: view.getUint32(8), due: view.getUint32(12), jpeg: new Uint8Array(buffer, 16),
    });
  } else if (view.getUint8(0) === 2) {
    emit("pcm", { number: view.getUint32(4), bytes: new DataView(buffer, 8) });
  }
}

async function closed() {
  socket = null;
  lost();
  if (!wanted) { if (store.state !== "idle") change("closed"); return; }
  if (openedAt && Date.now() - openedAt > SETTLED_MS) pause = FIRST_PAUSE;
  openedAt = 0;
  const wait = pause * (0.7 + Math.random() * 0.6);
  pause = Math.min(LONGEST_PAUSE, pause * 1.7);
  retryAt = Date.now() + wait;
  change("waiting");
  timer = setTimeout(again, wait);
}

async function again() {
  // A refused handshake looks like any other failure; whether a password is asked for now, only this tells.
  try {
    store.session = await api("/api/session");
    emit("session");
    if (!store.session.signed_in) { emit("signed-out"); return; }
  } catch { /* not there yet: the attempt below fails, too, and the next pause begins */ }
  if (wanted) open();
}

addEventListener("online", retry);
document.addEventListener("visibilitychange", () => { if (!document.hidden && store.state === "waiting") retry(); });
on("signed-out", disconnect);
