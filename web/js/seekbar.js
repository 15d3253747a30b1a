// The bar of a video: where one is, which quality serves which part, and a small picture of where one points.

import { fill, h, setText } from "./dom.js";
import { clock } from "./units.js";
import { frameUrl } from "./videos.js";

export class SeekBar {
  /** `seek(n)` when somebody has chosen frame n. */
  constructor(seek) {
    this.range = h("input", { id: "seek", type: "range", min: "0", max: "0", step: "1", value: "0", "aria-label": "Place in the video" });
    this.segments = h("div", { class: "segments", "aria-hidden": "true" });
    this.played = h("div", { class: "played", "aria-hidden": "true" });
    this.labels = h("div", { class: "segment-labels", "aria-hidden": "true" });
    this.picture = h("img", { alt: "", width: "160" });
    this.when = h("span", { class: "num" });
    this.bubble = h("div", { class: "seek-bubble", hidden: true, "aria-hidden": "true" }, this.picture, this.when);
    this.element = h("div", { class: "seek" }, this.labels, h("div", { class: "track" }, this.segments, this.played), this.range, this.bubble);
    this.dragging = false;
    this.range.addEventListener("input", () => { this.dragging = true; this.#place(this.range.valueAsNumber); });
    this.range.addEventListener("change", () => { this.dragging = false; seek(this.range.valueAsNumber); });
    this.range.addEventListener("pointermove", (event) => this.#point(event));
    for (const event of ["pointerleave", "pointerup", "pointercancel"]) this.range.addEventListener(event, () => { this.bubble.hidden = true; });
  }

  setVideo(video) {
    this.video = video;
    this.range.max = String(Math.max(0, video.frames - 1));
    this.setPlan([]);
    this.show(0, "");
  }

  setPlan(plan) {
    const { frames } = this.video;
    const parts = (plan ?? []).filter(({ from, to }) => to > from);
    const place = ({ from, to }) => ({ left: `${(from / frames) * 100}%`, width: `${((to - from) / frames) * 100}%` });
    const many = parts.length > 1;
    fill(this.segments, many && parts.map((part, i) => h("span", { class: "segment", data: { quality: part.quality, step: String(i % 6) }, style: place(part) })));
    fill(this.labels, many && parts.map((part) => h("span", { style: place(part) }, part.quality)));
    this.element.classList.toggle("many", many);
  }

  show(n, quality) {
    if (this.dragging) return;
    this.range.value = String(n);
    this.#place(n);
    this.range.setAttribute("aria-valuetext", `${clock(this.#ms(n))} of ${clock(this.video.duration_ms)}, frame ${n}${quality ? `, ${quality}` : ""}`);
  }

  #ms(n) { return (n / this.video.fps) * 1000; }
  #place(n) { this.played.style.width = `${(n / Math.max(1, this.video.frames - 1)) * 100}%`; }

  #point(event) {
    if (!this.video || event.pointerType === "touch") return;
    const box = this.range.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    const n = Math.round(share * (this.video.frames - 1));
    // Steps, so that the pictures come from the browser's memory the second time.
    const step = Math.max(1, Math.floor(this.video.frames / 40));
    const src = frameUrl(this.video, n - (n % step));
    if (!this.picture.src.endsWith(src)) this.picture.src = src;
    setText(this.when, `${clock(this.#ms(n), true)} · ${n}`);
    this.bubble.hidden = false;
    const half = this.bubble.offsetWidth / 2;
    this.bubble.style.left = `${Math.max(half, Math.min(box.width - half, share * box.width))}px`;
  }
}
