// My camera as a live channel: pictures of at most 640 pixels in width, about twelve a second, fewer when the line
// does not carry them.

import { h, icon, setText } from "./dom.js";
import { on, store } from "./store.js";
import { buffered, send, sendBytes } from "./connection.js";
import { toast } from "./toast.js";

const WIDTH = 640;
const PERIOD_MS = 83;
const QUALITY = 0.72;
const MOST_BUFFERED = 200_000;
const MOST_BYTES = 512 * 1024;

export const cameraState = { on: false, channel: null, sent: 0, skipped: 0 };

const video = h("video", { muted: true, playsinline: true });
video.muted = true;
const canvas = document.createElement("canvas");
let media = null;
let timer = null;
let encoding = false;
const listeners = new Set();

function changed() { for (const f of listeners) f(); }

export function cameraButton() {
  const label = h("span", {}, "My camera");
  const button = h("button", { id: "camera", class: "button primary", type: "button", "aria-pressed": "false", onclick: toggleCamera }, icon("camera"), label);
  listeners.add(() => {
    button.setAttribute("aria-pressed", String(cameraState.on));
    button.classList.toggle("primary", !cameraState.on);
    setText(label, cameraState.on ? "Stop my camera" : "My camera");
  });
  return button;
}

export function onCamera(f) { listeners.add(f); }

export async function toggleCamera() {
  if (cameraState.on) { end(); return; }
  if (!navigator.mediaDevices?.getUserMedia) {
    toast("Browsers give the camera only to pages at https addresses or at localhost. Open the house that way.", true);
    return;
  }
  try {
    media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDTH }, frameRate: { ideal: 15 } }, audio: false });
  } catch (error) {
    toast(error.name === "NotAllowedError" ? "The camera was not allowed." : "There is no camera that could be used.", true);
    return;
  }
  for (const track of media.getTracks()) track.addEventListener("ended", end);
  video.srcObject = media;
  await video.play().catch(() => {});
  cameraState.on = true;
  changed();
  send({ type: "camera", on: true });
}

function end(tell = true) {
  clearInterval(timer);
  timer = null;
  for (const track of media?.getTracks() ?? []) track.stop();
  media = null;
  video.srcObject = null;
  if (tell && cameraState.on) send({ type: "camera", on: false });
  cameraState.on = false;
  cameraState.channel = null;
  changed();
}

function shoot() {
  if (encoding || !media || video.videoWidth === 0 || store.state !== "open") return;
  if (buffered() > MOST_BUFFERED) { cameraState.skipped += 1; return; }
  const scale = Math.min(1, WIDTH / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0, canvas.width, canvas.height);
  encoding = true;
  canvas.toBlob(async (blob) => {
    encoding = false;
    if (!blob || blob.size > MOST_BYTES || !cameraState.channel) return;
    const bytes = new Uint8Array(blob.size + 1);
    bytes[0] = 3;
    bytes.set(new Uint8Array(await blob.arrayBuffer()), 1);
    if (sendBytes(bytes)) cameraState.sent += 1;
  }, "image/jpeg", QUALITY);
}

on("ws:camera", (message) => {
  if (!message.on) {
    if (cameraState.on) { end(false); toast(message.message || "Your camera is off the air.", Boolean(message.message)); }
    return;
  }
  if (!cameraState.on) { send({ type: "camera", on: false }); return; } // stopped while the answer was on its way
  cameraState.channel = message.channel ?? "camera";
  clearInterval(timer);
  timer = setInterval(shoot, PERIOD_MS);
  toast(`You are on air as ${cameraState.channel}`);
  changed();
});
on("ws:error", ({ about }) => { if (about === "camera") end(false); });
on("state", (state) => { if (state !== "open") { cameraState.channel = null; clearInterval(timer); timer = null; } });
on("ws:welcome", () => { if (cameraState.on) send({ type: "camera", on: true }); });
