// The videos of the house as cards; moving over a picture leafs through the video.

import { empty, h, icon } from "./dom.js";
import { api, path } from "./http.js";
import { cleanName } from "./text.js";
import { clock, number } from "./units.js";
import { complain } from "./toast.js";

const PICTURES = 8;
const LOOK_MS = 10_000; // videos come and go without a restart
// Not the first frame: it is often black.
const COVER = 0.3;

export const frameUrl = (video, n, quality = null) =>
  `/api/videos/${path(video.name)}/frames/${n}.jpg${quality ? `?quality=${encodeURIComponent(quality)}` : ""}`;

export const watchHash = (name) => `#watch/${encodeURIComponent(name)}`;

/** A quality with a picture of a good size for a card: big enough, and not the biggest. */
function cardQuality(video) {
  return (video.qualities.find(({ width }) => width >= 320) ?? video.qualities.at(-1))?.quality;
}

export function videoCard(video, compact = false) {
  const quality = cardQuality(video);
  const at = (share) => Math.min(video.frames - 1, Math.floor(video.frames * share));
  const image = h("img", { alt: "", loading: "lazy", decoding: "async", src: frameUrl(video, at(COVER), quality) });
  image.addEventListener("error", () => image.classList.add("broken"));
  const line = h("span", { class: "scrub-line", "aria-hidden": "true" });
  const picture = h("span", { class: "card-picture" }, image, line, h("span", { class: "duration num" }, clock(video.duration_ms)));
  let part = -1;
  picture.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const box = picture.getBoundingClientRect();
    const now = Math.max(0, Math.min(PICTURES - 1, Math.floor(((event.clientX - box.left) / box.width) * PICTURES)));
    line.style.width = `${((now + 1) / PICTURES) * 100}%`;
    if (now === part) return;
    part = now;
    image.src = frameUrl(video, at((now + 0.5) / PICTURES), quality);
  });
  picture.addEventListener("pointerleave", () => {
    part = -1;
    line.style.width = "0";
    image.src = frameUrl(video, at(COVER), quality);
  });
  return h("a", { class: `card video-card${compact ? " compact" : ""}`, href: watchHash(video.name), data: { name: video.name } },
    picture,
    h("span", { class: "card-text" },
      h("strong", { class: "clip", dir: "auto" }, cleanName(video.name).replaceAll("_", " ")),
      h("span", { class: "muted small-text num" }, `${video.frames} frames at ${number(video.fps)} a second`),
      !compact && h("span", { class: "chips" }, video.qualities.map((q) => h("span", { class: "chip" }, q.quality)))));
}

export function videosView() {
  const grid = h("div", { class: "grid video-grid" });
  const element = h("section", { id: "videos", class: "view", tabindex: "-1", "aria-labelledby": "title" }, grid);
  let shown = "";
  let timer = null;

  async function load() {
    if (!shown) grid.replaceChildren(...Array.from({ length: 6 }, () => h("div", { class: "skeleton card-skeleton" })));
    try {
      const videos = await api("/api/videos");
      const state = JSON.stringify(videos);
      if (state === shown) return;
      shown = state;
      grid.replaceChildren(...videos.map((video) => videoCard(video)));
      if (videos.length === 0) grid.replaceChildren(empty("videos", "No videos yet", "Files named name_720p.mp4 in the folder of videos appear here by themselves."));
    } catch (error) {
      if (shown) return; // the next look may find the house again
      complain(error);
      grid.replaceChildren(empty("warn", "The videos could not be loaded", error.message, h("button", { class: "button", type: "button", onclick: load }, icon("retry"), "Try again")));
    }
  }
  return {
    element, title: "Videos",
    show() { load(); timer ??= setInterval(load, LOOK_MS); },
    hide() { clearInterval(timer); timer = null; },
  };
}
