// The console of the house. Handles for tests (all stay as they are):
//   door      #name #password #enter #door-error
//   frame     #nav [data-view="chat|videos|live|files|house"] · #title · #connection[data-state="open|waiting|…"] · #banner #come-back ·
//             #listen #volume · #camera-badge · #me-button #my-name #rename #become-admin #admin-password #dialog-confirm #sign-out
//   chat      #message #send #ask-bot #search #privacy #show-people · #messages .msg[data-id][data-from] .text ·
//             #people li[data-id][data-name][data-service] .person
//   videos    #videos .card[data-name]
//   player    #player canvas · #play #seek #quality #frame #times #loop #full #download #readout
//   live      #live-grid .tile[data-name] canvas · .tile .record · #camera
//   files     #upload-input #drop · #files .file[data-number][data-name] · .file .offer .remove · #uploads .upload[data-name][data-phase] progress
//   house     #house · #chart-… .chart-value · #doors #channels #actors · #house-people .kick-person
// and window.playhouse: { connected, state, me, admin, people, view, player, sound, live, camera, uploads }, to be read only.

import { h, icon, setText, fill } from "./dom.js";
import { on, store } from "./store.js";
import { retry, secondsToRetry } from "./connection.js";
import { begin, listenAtDoor } from "./session.js";
import { unreadTotal } from "./conversations.js";
import { chatView } from "./chat.js";
import { videosView } from "./videos.js";
import { playerState, playerView } from "./player.js";
import { liveState, liveView } from "./live.js";
import { cameraState, onCamera, toggleCamera } from "./camera.js";
import { soundControls, soundState } from "./sound.js";
import { filesView } from "./files.js";
import { uploadState } from "./uploads.js";
import { houseView } from "./house.js";

const $ = (id) => document.getElementById(id);
const makers = { chat: chatView, videos: videosView, watch: playerView, live: liveView, files: filesView, house: houseView };
const views = new Map();
let current = null;
let currentName = "";
let lastNotice = "";

function view(name) {
  if (!views.has(name)) {
    const made = makers[name]();
    made.element.hidden = true;
    made.onTitle = () => { if (current === made) title(); };
    views.set(name, made);
    $("main").append(made.element);
  }
  return views.get(name);
}

function route() {
  let [name, argument = ""] = location.hash.slice(1).split("/");
  if (!Object.hasOwn(makers, name)) name = "chat";
  try { argument = decodeURIComponent(argument); } catch { argument = ""; }
  const next = view(name);
  if (current !== next) {
    current?.hide();
    if (current) current.element.hidden = true;
    next.element.hidden = false;
  }
  const moved = current !== null && current !== next;
  current = next;
  currentName = name;
  for (const link of document.querySelectorAll("#nav [data-view]")) {
    if (link.dataset.view === (next.parent ?? name)) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  title();
  next.show(argument);
  // Whoever listens instead of looking hears where they are.
  if (moved) $("title").focus({ preventScroll: true });
}

function title() {
  const unread = unreadTotal();
  setText($("title"), current?.title ?? "");
  document.title = `${unread ? `(${unread}) ` : ""}${current?.title ?? ""} · playhouse`;
  $("unread").hidden = unread === 0;
  setText($("unread"), unread > 99 ? "99+" : unread);
  $("unread").setAttribute("aria-label", `${unread} unread`);
}

const WORDS = { idle: "", connecting: "Connecting…", open: "Connected", closed: "Not connected" };
function connection() {
  const { state } = store;
  const seconds = secondsToRetry();
  $("connection").dataset.state = state;
  // The countdown is for the eye: read out each second it would drown everything else.
  if (state !== "waiting") fill($("connection"), WORDS[state]);
  else if ($("connection").childElementCount) setText($("connection").lastChild, ` in ${seconds} s`);
  else fill($("connection"), "Cut off; again", h("span", { "aria-hidden": "true" }, ` in ${seconds} s`));
  if (state === "waiting" && seconds >= 3 && $("banner").hidden) banner("The house does not answer.", retryButton("Try now"));
}

function retryButton(words) {
  return h("button", { class: "button small", type: "button", id: "come-back", onclick: () => { lastNotice = ""; retry(); } }, icon("retry", true), words);
}

function banner(text, ...buttons) {
  $("banner").hidden = !text;
  fill($("banner"), text && h("span", {}, text), text && buttons);
}

function start() {
  listenAtDoor();
  soundControls($("listen"), $("volume"));
  onCamera(() => { $("camera-badge").hidden = !cameraState.on; });
  $("camera-badge").title = "Stop my camera";
  $("camera-badge").addEventListener("click", toggleCamera);
  $("skip").addEventListener("click", () => current?.element.focus());
  view("chat"); // it hears from the beginning, and counts what is unread
  on("entered", route);
  addEventListener("hashchange", () => { if (!$("app").hidden) route(); });
  on("unread", title);
  on("state", (state) => {
    connection();
    if (state === "open") banner("");
    if (state === "closed") {
      const text = lastNotice || "The connection was closed.";
      banner(text, retryButton("Come back in"));
    }
  });
  on("ws:notice", ({ text }) => { lastNotice = text || ""; banner(lastNotice); });
  setInterval(() => { if (store.state === "waiting") connection(); }, 500);
  begin();
}

Object.defineProperty(window, "playhouse", {
  value: Object.freeze({
    get connected() { return store.state === "open"; },
    get state() { return store.state; },
    get me() { return store.me && { ...store.me }; },
    get admin() { return Boolean(store.session?.admin); },
    get people() { return [...store.people.values()].map((person) => ({ ...person })); },
    get view() { return currentName; },
    get player() { return { ...playerState }; },
    get sound() { return { ...soundState }; },
    get live() { return liveState.tiles.map((tile) => ({ ...tile })); },
    get camera() { return { ...cameraState }; },
    get uploads() { return { ...uploadState }; },
  }),
});

start();
