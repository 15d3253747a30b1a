// What is on air, as a grid. Each tile that can be seen is a stream of its own; the others are stopped.

import { empty, h, icon, setText } from "./dom.js";
import { isAdmin, on, store } from "./store.js";
import { api, path } from "./http.js";
import { cleanName } from "./text.js";
import { LiveTile } from "./live-tile.js";
import { cameraButton } from "./camera.js";
import { complain, toast } from "./toast.js";

const LOOK_MS = 3000;

export const liveState = { tiles: [] };

export function liveView() {
  const grid = h("div", { id: "live-grid", class: "grid live-grid" });
  const nothing = empty("live", "Nothing is on air", "Turn on your camera, or send pictures with any client of tumip or lan_video.");
  nothing.hidden = true;
  const sum = h("p", { class: "muted", role: "status" });
  const element = h("section", { id: "live", class: "view", tabindex: "-1", "aria-labelledby": "title" },
    h("div", { class: "view-head" }, sum, cameraButton()), grid, nothing);
  const tiles = new Map();
  let timer = null;
  let open = false;
  let large = null;

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const tile = [...tiles.values()].find((t) => t.element === entry.target);
      if (tile) { tile.visible = entry.isIntersecting; tile.update(open); }
    }
  }, { threshold: 0.05 });

  async function look() {
    let channels;
    try { channels = await api("/api/live"); } catch { return; }
    if (!open) return;
    const names = new Set(channels.map(({ name }) => name));
    for (const [name, tile] of tiles) if (!names.has(name)) drop(name, tile);
    for (const channel of channels) {
      let tile = tiles.get(channel.name);
      if (!tile) {
        tile = new LiveTile(channel.name, { enlarge, record, again: look });
        tiles.set(channel.name, tile);
        grid.append(tile.element);
        observer.observe(tile.element);
      }
      tile.describe(channel, isAdmin());
    }
    nothing.hidden = channels.length > 0;
    setText(sum, channels.length === 0 ? "" : `${channels.length} ${channels.length === 1 ? "channel" : "channels"} on air. A click makes one larger.`);
    if (large && !tiles.has(large)) enlarge(null);
    publish();
  }

  function drop(name, tile) {
    observer.unobserve(tile.element);
    tile.stop();
    tile.element.remove();
    tiles.delete(name);
  }

  function enlarge(name) {
    large = name === large ? null : name;
    grid.classList.toggle("has-large", Boolean(large));
    for (const tile of tiles.values()) tile.setLarge(tile.name === large);
    if (large) tiles.get(large)?.element.scrollIntoView({ block: "nearest" });
  }

  async function record(channel) {
    try {
      const { recorded } = await api(`/api/live/${path(channel.name)}/recording`, { method: "PUT", body: { on: !channel.recorded } });
      toast(recorded ? `${cleanName(channel.name)} is being recorded` : "The recording ended");
      look();
    } catch (error) { complain(error); }
  }

  function publish() {
    liveState.tiles = [...tiles.values()].map(({ name, shown, playing }) => ({ name, shown, playing }));
  }

  const all = () => { for (const tile of tiles.values()) tile.update(open && !document.hidden); };
  document.addEventListener("visibilitychange", () => { if (open) all(); });
  on("ws:welcome", () => { if (open) { look(); all(); } });
  on("ws:camera", () => { if (open) setTimeout(look, 300); });
  on("session", () => { if (open) look(); });
  setInterval(() => { if (open) { publish(); all(); } }, 1000);

  return {
    element, title: "Live",
    show() {
      open = true;
      if (tiles.size === 0 && store.state) nothing.hidden = true;
      look();
      all();
      timer ??= setInterval(look, LOOK_MS);
    },
    hide() {
      open = false;
      clearInterval(timer);
      timer = null;
      all();
    },
  };
}
