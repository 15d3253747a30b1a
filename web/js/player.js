// The player: the canvas, what one can do to it, and which quality comes.

import { fill, h, icon, setIcon, setText } from "./dom.js";
import { on, store } from "./store.js";
import { api, path } from "./http.js";
import { bytes, clock } from "./units.js";
import { cleanName } from "./text.js";
import { Playback } from "./playback.js";
import { AutoQuality, Meter } from "./quality.js";
import { SeekBar } from "./seekbar.js";
import { frameUrl, videoCard } from "./videos.js";
import { about } from "./player-info.js";
import { complain } from "./toast.js";

const QUALITY_KEY = "playhouse.quality";
const TICK_MS = 250;
const JUMP_MS = 1000;

/** What tests may look at. */
export const playerState = { video: null, playing: false, frame: 0, quality: null, choice: null, shown: 0, late: 0, throughput: 0, buffer: 0 };

export function playerView() {
  const canvas = h("canvas", { width: "640", height: "360", "aria-label": "The picture" });
  const meter = new Meter();
  const auto = new AutoQuality(meter);
  const playback = new Playback(canvas, meter, { stream: started, drawn, ended, lost });
  const bar = new SeekBar((n) => seek(n));
  let video = null;
  let choice = localStorage.getItem(QUALITY_KEY) ?? "interleaved";
  let wanted = false; // whether it should play: a lost connection or a hidden tab only interrupts it
  let over = false;
  let loop = false;
  let open = false;
  let plan = [];
  let timer = null;
  let wait = null;
  let asked = 0;

  const big = h("button", { class: "big-play", type: "button", tabindex: "-1", "aria-hidden": "true", onclick: toggle }, icon("play"));
  const message = h("p", { class: "stage-message", role: "status", hidden: true });
  const stage = h("div", { class: "stage", data: { playing: "false" } }, canvas, big, message);
  const play = h("button", { id: "play", class: "button ghost icon-button", type: "button", "aria-label": "Play", title: "Play (space)", onclick: toggle }, icon("play"));
  const times = h("span", { id: "times", class: "num" });
  const counter = h("span", { id: "frame", class: "num muted" });
  const quality = h("select", { id: "quality", "aria-label": "Quality", title: "Quality" });
  const loopButton = h("button", { id: "loop", class: "button ghost icon-button", type: "button", "aria-pressed": "false", "aria-label": "Again and again", title: "Again and again", onclick: () => { loop = !loop; loopButton.setAttribute("aria-pressed", loop); } }, icon("loop"));
  const full = h("button", { id: "full", class: "button ghost icon-button", type: "button", "aria-label": "Full screen", title: "Full screen (f)", onclick: fullScreen }, icon("full"));
  const download = h("a", { id: "download", class: "button ghost icon-button", "aria-label": "Download", title: "Download the MP4" }, icon("download"));
  const readout = h("p", { id: "readout", class: "readout num" });
  const player = h("div", { id: "player", tabindex: "0", role: "group", "aria-label": "Player" }, stage,
    h("div", { class: "controls" }, bar.element,
      h("div", { class: "buttons" }, play, times, counter, h("span", { class: "spring" }), quality, loopButton, download, full), readout));
  const info = h("div", { class: "player-info" });
  const others = h("div", { class: "other-videos" });
  const element = h("section", { id: "watch", class: "view watch", tabindex: "-1", "aria-labelledby": "title" },
    h("div", { class: "watch-main" }, player, info), h("aside", { class: "watch-side", "aria-label": "Other videos" }, others));
  const view = { element, title: "Player", parent: "videos", show, hide };

  const qualityName = (index) => video?.qualities[index]?.quality ?? "";
  const n = () => playback.frame;

  async function show(name) {
    open = true;
    const mine = ++asked;
    if (video?.name !== name) {
      leave();
      fill(info);
      let all;
      try {
        all = await api("/api/videos");
        const found = all.find((v) => v.name === name) ?? await api(`/api/videos/${path(name)}`);
        if (!open || mine !== asked) return; // somebody has gone on meanwhile
        video = found;
      } catch (error) { if (mine === asked) say(error.message); return; }
      view.title = cleanName(video.name).replaceAll("_", " ");
      view.onTitle?.();
      bar.setVideo(video);
      const best = video.qualities.at(-1);
      stage.style.aspectRatio = best ? `${best.width} / ${best.height}` : "16 / 9";
      fill(quality, h("option", { value: "interleaved" }, "Interleaved"), h("option", { value: "auto" }, "Auto"),
        video.qualities.map((q) => h("option", { value: q.quality }, q.quality)));
      if (![...quality.options].some(({ value }) => value === choice)) choice = "interleaved";
      quality.value = choice;
      fill(others, all.length > 1 && h("h2", {}, "Also here"), all.filter((v) => v.name !== name).map((v) => videoCard(v, true)));
      fill(info, about(video));
      playback.frame = 0;
      playback.shown = playback.late = 0;
      linkDownload();
    }
    timer ??= setInterval(tick, TICK_MS);
    wanted = true;
    begin(over ? 0 : n());
  }

  function leave() {
    wanted = false;
    over = false;
    playback.pause();
    video = null;
    say(null);
  }

  function hide() {
    open = false;
    clearInterval(timer);
    timer = null;
    playback.pause();
    update();
  }

  function say(text) {
    message.hidden = !text;
    setText(message, text ?? "");
  }

  const effective = () => (choice === "auto" ? qualityName(auto.pick) : choice);

  function begin(from) {
    if (!open || !video) return;
    clearTimeout(wait);
    over = false;
    const name = choice === "auto" ? auto.begin(video) : choice;
    meter.reset();
    if (!playback.start(video.name, name, from)) { say("Waiting for the connection…"); update(); return; }
    // A first picture may take a moment; only a longer wait is worth a word.
    wait = setTimeout(() => say("Loading…"), 600);
    update();
  }

  function started(stream) {
    plan = choice === "auto" ? [] : stream.plan ?? [];
    bar.setPlan(plan);
  }

  function drawn() {
    clearTimeout(wait);
    if (!message.hidden) say(null);
    bar.show(n(), qualityName(playback.quality));
    setText(times, `${clock((n() / video.fps) * 1000, true)} / ${clock(video.duration_ms)}`);
    setText(counter, `frame ${n()} of ${video.frames} · ${qualityName(playback.quality)}`);
    state();
  }

  function ended(end) {
    clearTimeout(wait);
    if (end?.reason === "over") {
      if (loop && open) { begin(0); return; }
      over = true;
      wanted = false;
      say(null);
    } else {
      wanted = false;
      say(end?.message || { gone: "This video is not there any more.", busy: "The house has no room for another viewer right now.", failed: "The video could not be played on." }[end?.reason] || "The video ended.");
    }
    update();
  }

  function lost() {
    clearTimeout(wait);
    if (wanted && open) say("The connection was lost. It goes on by itself.");
    update();
  }

  function toggle() {
    if (!video) return;
    if (wanted) { wanted = false; clearTimeout(wait); playback.pause(); say(null); update(); }
    else { wanted = true; begin(over || n() >= video.frames - 1 ? 0 : n()); }
  }

  function seek(to) {
    if (!video) return;
    const target = Math.max(0, Math.min(video.frames - 1, Math.round(to)));
    over = false;
    if (wanted) { playback.frame = target; bar.show(target, ""); begin(target); }
    else still(target);
  }

  let stills = 0;
  /** While paused, the picture comes by HTTP. */
  async function still(target) {
    const mine = ++stills;
    playback.frame = target;
    const part = plan.find(({ from, to }) => from <= target && target < to);
    const name = part?.quality ?? (choice === "interleaved" ? video.qualities[0].quality : effective());
    try {
      const response = await fetch(frameUrl(video, target, name));
      if (!response.ok) throw new Error("This frame could not be loaded.");
      const picture = await createImageBitmap(await response.blob());
      if (mine === stills && !wanted) {
        playback.draw(picture, target, video.qualities.findIndex((q) => q.quality === name));
        drawn();
      }
      picture.close();
    } catch (error) { complain(error); }
  }

  function choose(name) {
    choice = name;
    localStorage.setItem(QUALITY_KEY, name);
    linkDownload();
    if (wanted) {
      if (playback.playing) {
        const next = choice === "auto" ? auto.begin(video) : choice;
        playback.start(video.name, next, Math.min(video.frames - 1, n() + 1), true);
      } else begin(n());
    } else { plan = []; bar.setPlan([]); still(n()); }
    update();
  }

  function tick() {
    if (choice === "auto" && playback.playing) {
      const to = auto.tick(playback.buffer());
      if (to && n() + 2 < video.frames) playback.start(video.name, to, n() + 1, true);
    }
    update();
  }

  function linkDownload() {
    const best = video.qualities.find((q) => q.quality === choice) ?? video.qualities.at(-1);
    download.href = `/api/videos/${path(video.name, best.quality)}.mp4`;
    download.setAttribute("download", best.file);
    download.title = `Download ${best.file} (${bytes(best.bytes)})`;
  }

  function state() {
    Object.assign(playerState, {
      video: video?.name ?? null, playing: playback.playing, frame: n(), quality: qualityName(playback.quality) || null, choice,
      shown: playback.shown, late: playback.late, throughput: Math.round(meter.rate()), buffer: Math.round(playback.buffer()),
    });
  }

  function update() {
    state();
    const label = wanted ? "Pause" : over ? "Play again" : "Play";
    stage.dataset.playing = String(wanted);
    setIcon(play, wanted ? "pause" : "play");
    setIcon(big, over ? "retry" : "play");
    play.setAttribute("aria-label", label);
    play.title = `${label} (space)`;
    if (!video) { setText(readout, ""); return; }
    const line = playback.playing
      ? `${meter.rate() ? `${bytes(meter.rate())}/s arriving` : "beginning"}${meter.capacity ? `, bursts at ${bytes(meter.capacity)}/s` : ""} · ${(Math.max(0, playback.buffer()) / 1000).toFixed(1)} s ahead · ${playback.late} late`
      : `${playback.shown} frames shown, ${playback.late} late`;
    const picked = choice === "auto" ? `Auto picked ${effective()} · ` : choice === "interleaved" ? "All qualities in turn · " : "";
    setText(readout, picked + line);
    const option = [...quality.options].find(({ value }) => value === "auto");
    if (option) setText(option, choice === "auto" ? `Auto (${effective()})` : "Auto");
  }

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.requestFullscreen) player.requestFullscreen().catch(complain);
    else player.classList.toggle("fills"); // phones that give full screen to video elements alone
  }

  stage.addEventListener("click", (event) => { if (event.target === canvas) toggle(); });
  stage.addEventListener("dblclick", fullScreen);
  quality.addEventListener("change", () => choose(quality.value));
  // On the whole page, so that nobody has to find the player first; what has keys of its own keeps them.
  document.addEventListener("keydown", (event) => {
    if (!open || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, dialog, textarea, input:not(#seek), #top")) return;
    const onButton = event.target.closest("button, a, summary");
    const jump = video ? Math.round((video.fps * JUMP_MS) / 1000) : 0;
    const keys = {
      " ": onButton ? null : toggle, k: toggle, f: fullScreen, ArrowLeft: () => seek(n() - jump), ArrowRight: () => seek(n() + jump),
      ",": () => seek(n() - 1), ".": () => seek(n() + 1), Home: () => seek(0), End: () => seek(video.frames - 1), Escape: player.classList.contains("fills") ? fullScreen : null,
    };
    const act = keys[event.key];
    if (act && video) { event.preventDefault(); act(); }
  });
  on("ws:welcome", () => { if (open && wanted && video) begin(n()); });
  // A hidden tab draws nothing: the house need not send.
  document.addEventListener("visibilitychange", () => {
    if (!open || !wanted || store.state !== "open") return;
    if (document.hidden) playback.pause(); else begin(n());
  });
  return view;
}
