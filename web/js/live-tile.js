// One live channel on one canvas: only the newest picture counts, all that could not be drawn in time are gone.

import { h, icon, setText } from "./dom.js";
import { cleanName, nameElement } from "./text.js";
import { number } from "./units.js";
import { MOST, openStreams, stop, watch } from "./streams.js";
import { path } from "./http.js";

const STILL_MS = 2000;

export class LiveTile {
  constructor(name, { enlarge, record, again }) {
    this.name = name;
    this.shown = 0;
    this.visible = false;
    this.stream = 0;
    this.again = again;
    this.lookedAt = 0;
    this.tries = 0;
    this.canvas = h("canvas", { width: "320", height: "180" });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.state = h("span", { class: "tile-state" }, "Waiting for a picture…");
    this.facts = h("span", { class: "muted small-text num" });
    this.recordButton = h("button", { class: "button ghost small record", type: "button", hidden: true, "aria-pressed": "false", onclick: () => record(this.channel) }, icon("record", true), h("span", {}, "Record"));
    this.recorded = h("span", { class: "chip rec", hidden: true }, h("span", { class: "on-air-dot", "aria-hidden": "true" }), "recording");
    this.open = h("button", { class: "tile-open", type: "button", "aria-pressed": "false", "aria-label": `Enlarge ${cleanName(name)}`, onclick: () => enlarge(name) }, this.canvas, this.state);
    this.element = h("article", { class: "card tile", data: { name } }, this.open,
      h("div", { class: "tile-text" }, h("div", { class: "tile-name" }, h("strong", { class: "clip" }, nameElement(name)), this.facts), this.recorded, this.recordButton));
  }

  get playing() { return this.stream !== 0; }

  describe(channel, admin) {
    this.channel = channel;
    setText(this.facts, `${channel.width} × ${channel.height} · ${number(channel.viewers)} watching`);
    this.recorded.hidden = !channel.recorded;
    this.recordButton.hidden = !admin;
    this.recordButton.setAttribute("aria-pressed", String(Boolean(channel.recorded)));
    setText(this.recordButton.lastChild, channel.recorded ? "Stop" : "Record");
  }

  setLarge(large) {
    this.element.classList.toggle("large", large);
    this.open.setAttribute("aria-pressed", String(large));
  }

  /** Starts or stops the stream as the tile can be seen; without a free stream, a still from time to time. */
  update(open) {
    const wanted = open && this.visible;
    if (!wanted) { this.stop(); return; }
    if (this.stream || performance.now() < this.lookedAt) return;
    // One stream stays free for the player.
    if (openStreams() < MOST - 1) this.#start(); else this.#still();
  }

  #start() {
    this.stream = watch({ live: this.name }, {
      frame: ({ jpeg }) => { this.tries = 0; this.#take(new Blob([jpeg], { type: "image/jpeg" })); },
      end: ({ reason, message }) => {
        this.stream = 0;
        this.tries += 1;
        this.lookedAt = performance.now() + Math.min(15_000, 1000 * 2 ** this.tries);
        this.#say(message || { gone: "Off the air", busy: "No room for another viewer right now" }[reason] || "The picture broke off");
        this.again();
      },
      lost: () => { this.stream = 0; this.#say("Waiting for the connection…"); },
    });
  }

  async #still() {
    this.lookedAt = performance.now() + STILL_MS;
    try {
      const response = await fetch(`/api/live/${path(this.name)}/latest.jpg`, { cache: "no-store" });
      if (response.ok) this.#take(await response.blob());
    } catch { /* the next look tells */ }
  }

  stop() {
    if (this.stream) stop(this.stream);
    this.stream = 0;
    this.next = null;
  }

  #say(text) {
    this.state.hidden = !text;
    setText(this.state, text ?? "");
  }

  #take(blob) {
    this.next = blob;
    if (!this.decoding) this.#decode();
  }

  async #decode() {
    this.decoding = true;
    while (this.next) {
      const blob = this.next;
      this.next = null;
      try {
        const picture = await createImageBitmap(blob);
        if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
          this.canvas.width = picture.width;
          this.canvas.height = picture.height;
          this.open.style.setProperty("--shape", `${picture.width} / ${picture.height}`);
        }
        this.context.drawImage(picture, 0, 0);
        picture.close();
        this.shown += 1;
        if (!this.state.hidden) this.#say(null);
      } catch { /* not a picture: the next one may be */ }
    }
    this.decoding = false;
  }
}
