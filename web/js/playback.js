// One viewing of a video on a canvas. Frames come ahead of their time; each is decoded off the main path shortly
// before it is due, the newest due one is drawn, and those that are late are dropped. Nothing here grows without
// bound: few decoded pictures, a limit on those that wait.

import { stop, watch } from "./streams.js";

const DECODED = 4; // pictures ready to be drawn; at 1440p one takes 15 MB
const DECODING = 2;
const WAITING_FRAMES = 120;
const WAITING_BYTES = 48_000_000;
const SLACK_MS = 70; // the first frame waits so long, so that the next ones may jitter
const SLIP_MS = 1500; // so far behind, the clock is put back instead of showing nothing but late frames

export class Playback {
  /** `told`: `stream(message)`, `drawn()`, `ended(message)`, `lost()`; `meter` hears of each arrival. */
  constructor(canvas, meter, told) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.meter = meter;
    this.told = told;
    this.shown = 0;
    this.late = 0;
    this.frame = 0;
    this.quality = -1;
    this.stream = 0;
    this.#clear();
  }

  #clear() {
    this.generation = (this.generation ?? 0) + 1;
    for (const { picture } of this.decoded ?? []) picture.close();
    this.waiting = [];
    this.bytes = 0;
    this.decoded = [];
    this.decoding = 0;
    this.last = false;
  }

  get playing() { return this.stream !== 0; }

  /** Plays from frame `from`. With `smooth`, what is there already is shown until the new frames come. */
  start(video, quality, from, smooth = false) {
    const before = this.stream;
    const carryOn = smooth && before !== 0;
    if (before) stop(before);
    if (!carryOn) { this.#clear(); this.epoch = null; }
    let fresh = carryOn;
    const stream = watch({ video, quality, from }, {
      stream: (message) => this.told.stream(message),
      frame: (frame) => {
        if (fresh) { fresh = false; this.#replace(frame); }
        this.#arrived(frame);
      },
      end: (message) => { this.last = true; this.end = message; this.#tick(); },
      lost: () => { this.stream = 0; this.#clear(); this.told.lost(); },
    });
    this.stream = stream;
    if (stream) this.#loop();
    return stream !== 0;
  }

  pause() {
    if (this.stream) stop(this.stream);
    this.stream = 0;
    this.#clear();
    cancelAnimationFrame(this.request);
    this.request = 0;
  }

  /** How long the frames that are here will last, in ms; below 0 they come too late. */
  buffer() {
    const newest = this.waiting.at(-1) ?? this.decoded.at(-1);
    if (!newest || this.epoch === null) return 0;
    return this.epoch + newest.due - performance.now();
  }

  /** A new quality begins here: drop what the old one has for the same time. */
  #replace(frame) {
    this.waiting = this.waiting.filter(({ n }) => n < frame.n);
    this.bytes = this.waiting.reduce((sum, { jpeg }) => sum + jpeg.length, 0);
    for (const { n, picture } of this.decoded) if (n >= frame.n) picture.close();
    this.decoded = this.decoded.filter(({ n }) => n < frame.n);
    this.until = frame.n; // pictures that are being decoded right now
    if (this.epoch !== null && this.epoch + frame.due < performance.now()) this.epoch = null;
  }

  #arrived(frame) {
    const now = performance.now();
    if (this.epoch === null) this.epoch = now - frame.due + SLACK_MS;
    let lead = this.epoch + frame.due - now;
    if (lead < -SLIP_MS) { this.epoch = now - frame.due + SLACK_MS; lead = SLACK_MS; this.meter.slipped(); }
    this.meter.arrived(frame.jpeg.length, frame.quality, lead, now, frame.due);
    this.waiting.push(frame);
    this.bytes += frame.jpeg.length;
    while (this.waiting.length > WAITING_FRAMES || this.bytes > WAITING_BYTES) this.#skip();
    this.#decode();
  }

  #skip() {
    this.bytes -= this.waiting.shift().jpeg.length;
    this.late += 1;
    this.meter.dropped();
  }

  #decode() {
    const now = performance.now();
    while (this.waiting.length > 0 && this.decoding < DECODING && this.decoded.length + this.decoding < DECODED) {
      // A frame is not worth the work when its successor is due as well.
      while (this.waiting.length > 1 && this.epoch + this.waiting[1].due <= now) this.#skip();
      const frame = this.waiting.shift();
      this.bytes -= frame.jpeg.length;
      this.decoding += 1;
      const { generation } = this;
      createImageBitmap(new Blob([frame.jpeg], { type: "image/jpeg" })).then((picture) => {
        if (generation !== this.generation) { picture.close(); return; }
        this.decoding -= 1;
        const { n, due, quality } = frame;
        if (this.decoded.some((other) => other.n === n)) picture.close();
        else this.decoded.push({ n, due, quality, picture });
        this.decoded.sort((a, b) => a.n - b.n);
        this.#decode();
      }, () => {
        // A picture that cannot be read is left out; the next one comes.
        if (generation === this.generation) { this.decoding -= 1; this.#decode(); }
      });
    }
  }

  #loop() {
    cancelAnimationFrame(this.request);
    this.request = requestAnimationFrame(() => { this.#tick(); if (this.stream) this.#loop(); });
  }

  #tick() {
    const now = performance.now();
    let newest = -1;
    if (this.epoch !== null) while (newest + 1 < this.decoded.length && this.epoch + this.decoded[newest + 1].due <= now) newest += 1;
    if (newest >= 0) {
      for (const { picture } of this.decoded.splice(0, newest)) { picture.close(); this.late += 1; this.meter.dropped(); }
      const frame = this.decoded.shift();
      this.draw(frame.picture, frame.n, frame.quality);
      frame.picture.close();
      this.shown += 1;
      this.told.drawn();
      this.#decode();
    }
    if (this.last && this.stream && this.waiting.length + this.decoding + this.decoded.length === 0) {
      this.stream = 0;
      this.told.ended(this.end);
    }
  }

  draw(picture, n, quality) {
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      this.canvas.width = picture.width;
      this.canvas.height = picture.height;
    }
    this.context.drawImage(picture, 0, 0);
    this.frame = n;
    this.quality = quality;
  }
}
