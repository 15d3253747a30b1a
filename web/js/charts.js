// Small charts as SVG: lines over the last five minutes. A gap in the data is a gap in the line.

import { h, setText, svg } from "./dom.js";
import { span, time } from "./units.js";

const WIDTH = 300;
const HEIGHT = 64;
export const SPAN_MS = 5 * 60_000;
// While there is little to show, it is not squeezed into a corner.
const LEAST_SPAN_MS = 60_000;
const GAP_MS = 4000;

/** A card with a title, the newest value in large, and one line for each of `lines`: [{name, color, get(sample)}]. */
export class Chart {
  constructor({ id, title, lines, format, floor = 0 }) {
    this.lines = lines;
    this.format = format;
    this.floor = floor; // the axis reaches at least this high, so that noise does not look like mountains
    this.value = h("strong", { class: "chart-value num" }, "–");
    this.detail = h("span", { class: "muted small-text num" });
    this.top = h("span", { class: "chart-top muted num" });
    this.reach = h("span", { class: "chart-reach muted num" });
    this.plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "plot" });
    this.paths = lines.map(({ color }, i) => {
      const area = i === 0 && lines.length === 1 ? svg("path", { class: "area", fill: `var(--${color})` }) : null;
      const line = svg("path", { class: "line", stroke: `var(--${color})` });
      if (area) this.plot.append(area);
      this.plot.append(line);
      return { area, line };
    });
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, x1: -1, x2: -1 });
    this.plot.append(this.cursor);
    this.element = h("article", { class: "card chart", id },
      h("header", {}, h("h2", {}, title), lines.length > 1 && h("span", { class: "legend" }, lines.map((line) => h("span", { class: "key", style: { "--dot": `var(--${line.color})` } }, line.name)))),
      h("p", { class: "chart-line" }, this.value, this.detail), h("div", { class: "plot-frame" }, this.reach, this.top, this.plot));
    this.plot.addEventListener("pointermove", (event) => this.#point(event));
    this.plot.addEventListener("pointerleave", () => { this.pointed = null; this.draw(this.samples); });
  }

  draw(samples) {
    this.samples = samples;
    if (samples.length === 0) return;
    const end = samples.at(-1).at;
    this.span = Math.max(LEAST_SPAN_MS, Math.min(SPAN_MS, end - samples[0].at));
    setText(this.reach, span(this.span / 1000));
    const values = this.lines.map(({ get }) => samples.map(get));
    const top = nice(Math.max(this.floor, 1.1 * Math.max(...values.flat().filter(Number.isFinite))));
    const x = (at) => WIDTH - ((end - at) / this.span) * WIDTH;
    const y = (value) => HEIGHT - 1.5 - (value / top) * (HEIGHT - 5);
    values.forEach((row, i) => {
      let line = "";
      let area = "";
      let from = null;
      let before = null;
      samples.forEach((sample, k) => {
        const value = row[k];
        if (!Number.isFinite(value)) { before = null; return; }
        const point = `${x(sample.at).toFixed(1)} ${y(value).toFixed(1)}`;
        if (before === null || sample.at - before > GAP_MS) {
          if (from !== null && this.paths[i].area) area += `L${x(last(samples, k)).toFixed(1)} ${HEIGHT}Z`;
          line += `M${point}`;
          area += `M${x(sample.at).toFixed(1)} ${HEIGHT}L${point}`;
          from = sample.at;
        } else {
          line += `L${point}`;
          area += `L${point}`;
        }
        before = sample.at;
      });
      this.paths[i].line.setAttribute("d", line);
      if (this.paths[i].area && from !== null) this.paths[i].area.setAttribute("d", `${area}L${x(before ?? end).toFixed(1)} ${HEIGHT}Z`);
    });
    setText(this.top, this.format(top));
    const sample = this.pointed ? this.#nearest(this.pointed) : samples.at(-1);
    const shown = this.lines.map(({ get }) => get(sample));
    setText(this.value, this.format(shown[0]));
    setText(this.detail, [...this.lines.slice(1).map(({ name }, i) => `${name} ${this.format(shown[i + 1])}`), this.pointed ? `at ${time(sample.at)}, ${Math.round((end - sample.at) / 1000)} s ago` : ""].filter(Boolean).join(" · "));
    this.plot.setAttribute("aria-label", `now ${this.lines.map(({ name }, i) => `${name ?? ""} ${this.format(shown[i])}`.trim()).join(", ")}; at most ${this.format(Math.max(...values.flat().filter(Number.isFinite)))} in five minutes`);
    const place = this.pointed ? x(sample.at) : -1;
    this.cursor.setAttribute("x1", place);
    this.cursor.setAttribute("x2", place);
  }

  #nearest(at) {
    return this.samples.reduce((best, sample) => (Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best));
  }

  #point(event) {
    if (!this.samples?.length) return;
    const box = this.plot.getBoundingClientRect();
    this.pointed = this.samples.at(-1).at - (1 - (event.clientX - box.left) / box.width) * this.span;
    this.draw(this.samples);
  }
}

const last = (samples, k) => samples[Math.max(0, k - 1)].at;

/** The next round number: 1, 2 or 5 times a power of ten. */
function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (value <= step * power) return step * power;
  return value;
}
