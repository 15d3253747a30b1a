// Beneath the player: the files of a video, and its addresses for other players.

import { h, icon } from "./dom.js";
import { path } from "./http.js";
import { bytes } from "./units.js";
import { toast } from "./toast.js";

export function about(video) {
  const plain = `${location.origin}/api/videos/${path(video.name)}/mjpeg`;
  return [
    h("div", { class: "qualities" }, video.qualities.map((q) =>
      h("a", { class: "quality-file", href: `/api/videos/${path(video.name, q.quality)}.mp4`, download: q.file },
        h("strong", {}, q.quality), h("span", { class: "muted small-text num" }, `${q.width} × ${q.height}`),
        h("span", { class: "muted small-text num" }, `${bytes(q.bytes)} MP4`), icon("download", true)))),
    h("details", { class: "elsewhere" }, h("summary", {}, "Watch it in another program"),
      h("p", { class: "muted small-text" }, "A browser, VLC, FFmpeg or OpenCV play this address as it is:"),
      copyLine(plain)),
  ];
}

export function copyLine(text) {
  const code = h("code", { tabindex: "0" }, text);
  return h("p", { class: "copy-line" }, code,
    h("button", { class: "button small icon-button", type: "button", "aria-label": "Copy", title: "Copy", onclick: () => copy(text, code) }, icon("copy", true)));
}

async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    // Browsers keep the clipboard from pages without https: then it is at least selected.
    getSelection().selectAllChildren(element);
    toast("Selected; copy it with the keyboard");
  }
}
