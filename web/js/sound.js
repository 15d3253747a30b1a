// The sound of the house: buffers of samples, each with its number, put one after the other on the clock of Web
// Audio. Scheduled buffers and no AudioWorklet, which browsers keep from pages without https, as most in a LAN are.

import { on, store } from "./store.js";
import { send } from "./connection.js";
import { setIcon } from "./dom.js";
import { toast } from "./toast.js";

const SAMPLES = 4096;
const AHEAD = 0.22; // seconds between a buffer's coming and its being heard
const LEAST = 0.02;
const MOST = 0.6;
const DRIFT = 0.12; // so far from AHEAD, in the mean, the clocks have drifted apart
const MOST_SCHEDULED = 16;
const VOLUME_KEY = "playhouse.volume";

export const soundState = { on: false, playing: false, buffers: 0, resyncs: 0, lead: 0 };

let context = null;
let gain = null;
let rate = 44_100;
let base = null; // when buffer 0 is, or would have been, heard
let lead = AHEAD;
let last = -1;
const scheduled = new Set();

export function soundControls(button, volume) {
  const box = button.parentElement;
  volume.value = localStorage.getItem(VOLUME_KEY) ?? "80";
  const update = () => {
    box.dataset.on = String(soundState.on);
    button.setAttribute("aria-pressed", String(soundState.on));
    button.title = soundState.on ? "Turn the sound off" : "Sound of the house";
    setIcon(button, soundState.on ? "sound" : "mute");
  };
  button.addEventListener("click", async () => {
    if (soundState.on) turnOff(); else await turnOn(volume);
    update();
  });
  volume.addEventListener("input", () => {
    localStorage.setItem(VOLUME_KEY, volume.value);
    setVolume(volume);
  });
  on("ws:sound", (message) => {
    if (message.rate > 0) rate = message.rate;
    if (message.on === false && soundState.on) { silence(); soundState.on = false; toast(message.message || "The house has no sound right now.", true); }
    else if (message.message) toast(message.message);
    update();
  });
  on("ws:error", ({ about }) => { if (about === "listen") { silence(); soundState.on = false; update(); } });
  setInterval(() => {
    soundState.playing = soundState.on && scheduled.size > 0;
    box.dataset.starved = String(soundState.on && !soundState.playing);
  }, 500);
}

// What is heard grows with the square of what is sent.
function setVolume(volume) { if (gain) gain.gain.setTargetAtTime((volume.valueAsNumber / 100) ** 2, context.currentTime, 0.02); }

async function turnOn(volume) {
  context ??= new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  if (!gain) { gain = context.createGain(); gain.connect(context.destination); }
  soundState.on = true;
  send({ type: "listen", on: true });
  setVolume(volume);
  await context.resume().catch(() => {});
}

function turnOff() {
  soundState.on = false;
  send({ type: "listen", on: false });
  silence();
}

function silence() {
  for (const source of scheduled) { source.onended = null; source.stop(); source.disconnect(); }
  scheduled.clear();
  base = null;
  last = -1;
  soundState.playing = false;
}

function resync(number, now) {
  if (base !== null) soundState.resyncs += 1;
  silence();
  base = now + AHEAD - (number * SAMPLES) / rate;
  lead = AHEAD;
}

on("pcm", ({ number, bytes }) => {
  if (!soundState.on || context?.state !== "running") return;
  const now = context.currentTime;
  const length = SAMPLES / rate;
  // Backwards: the house began anew.
  if (base === null || number <= last) resync(number, now);
  let ahead = base + number * length - now;
  lead += (ahead - lead) * 0.05;
  // Starved, or too much waits, or the clocks of house and sound card have drifted apart.
  if (ahead < LEAST || ahead > MOST || Math.abs(lead - AHEAD) > DRIFT || scheduled.size > MOST_SCHEDULED) { resync(number, now); ahead = AHEAD; }
  soundState.lead = Math.round(ahead * 1000);
  last = number;
  const count = Math.floor(bytes.byteLength / 2);
  if (count === 0) return;
  const buffer = context.createBuffer(1, count, rate);
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < count; i++) samples[i] = bytes.getInt16(i * 2, true) / 32768;
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(gain);
  source.onended = () => { scheduled.delete(source); source.disconnect(); };
  source.start(now + ahead);
  scheduled.add(source);
  soundState.buffers += 1;
  soundState.playing = true;
});

on("state", (state) => { if (state !== "open") silence(); });
on("ws:welcome", () => { if (soundState.on && store.me) send({ type: "listen", on: true }); });
