// The door: who one is, the password if the house has one, and the menu of oneself.

import { fill, h, icon, setText } from "./dom.js";
import { emit, on, store } from "./store.js";
import { api } from "./http.js";
import { connect, disconnect } from "./connection.js";
import { avatar, nameElement } from "./text.js";
import { ask, complain, toast } from "./toast.js";

const NAME_KEY = "playhouse.name";
const $ = (id) => document.getElementById(id);

/** Asks the house how one enters; goes in at once where nothing has to be asked. */
export async function begin() {
  try {
    store.session = await api("/api/session");
  } catch (error) {
    door(`${error.message} Trying again…`);
    setTimeout(begin, 2000);
    return;
  }
  emit("session");
  const name = localStorage.getItem(NAME_KEY);
  if (store.session.signed_in && name) enter(name); else door();
}

function door(message = "") {
  $("app").hidden = true;
  $("door").hidden = false;
  const need = Boolean(store.session?.password_needed && !store.session.signed_in);
  $("password-field").hidden = !need;
  $("password").required = need;
  $("name").value ||= localStorage.getItem(NAME_KEY) ?? "";
  complainAtDoor(message);
  ($("name").value && need ? $("password") : $("name")).focus();
}

function complainAtDoor(message) {
  $("door-error").hidden = !message;
  setText($("door-error"), message);
}

function enter(name) {
  localStorage.setItem(NAME_KEY, name);
  complainAtDoor("");
  $("enter").disabled = true;
  connect(name);
}

export function listenAtDoor() {
  $("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = $("name").value.trim();
    if (!name) { $("name").value = ""; $("name").focus(); return; }
    $("enter").disabled = true;
    try {
      if (!$("password-field").hidden) {
        store.session = await api("/api/session", { method: "POST", body: { password: $("password").value } });
        $("password").value = "";
        emit("session");
      }
      enter(name);
    } catch (error) {
      complainAtDoor(error.message);
      $("enter").disabled = false;
      $("password").select();
    }
  });
  on("ws:welcome", () => {
    $("enter").disabled = false;
    $("door").hidden = true;
    if ($("app").hidden) { $("app").hidden = false; emit("entered"); }
    drawMe();
  });
  on("ws:error", (message) => {
    if (message.about === "join") { disconnect(); door(message.message); $("enter").disabled = false; } else toast(message.message || "The house refused that.", true);
  });
  on("state", (state) => {
    if (state === "waiting" && !$("door").hidden) { complainAtDoor("The house does not answer. Trying again…"); $("enter").disabled = false; }
  });
  on("signed-out", () => {
    store.session = { ...store.session, signed_in: false, admin: false, password_needed: true };
    $("enter").disabled = false;
    door(store.me ? "You are signed out. Enter the password again." : "");
  });
  on("session", drawMe);
  document.addEventListener("click", (event) => { if (!$("me").contains(event.target)) $("me").open = false; });
  $("me").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("me").open = false; $("me-button").focus(); } });
}

function drawMe() {
  if (!store.me) return;
  const { session, me } = store;
  const face = avatar(me, { id: "me-avatar" });
  $("me-avatar").replaceWith(face);
  $("me-button").setAttribute("aria-label", `You: ${me.name}`);
  fill($("me-menu"),
    h("div", { class: "me-line" }, avatar(me), h("div", { class: "clip" }, h("strong", { id: "my-name", class: "clip" }, nameElement(me.name)), h("div", { class: "muted small-text" }, session?.admin ? "admin of the house" : "in the house"))),
    h("button", { id: "rename", class: "button ghost small", type: "button", onclick: rename }, icon("people", true), "Change my name"),
    session?.admin_possible && !session.admin && h("button", { id: "become-admin", class: "button ghost small", type: "button", onclick: becomeAdmin }, icon("key", true), "Sign in as admin"),
    h("a", { class: "button ghost small menu-api", href: "/api" }, icon("api", true), "The API"),
    (session?.password_needed || session?.admin) && h("button", { id: "sign-out", class: "button ghost small", type: "button", onclick: signOut }, icon("out", true), "Sign out"),
    h("p", { class: "menu-foot" }, `playhouse ${session?.version ?? ""}`));
}

async function rename() {
  $("me").open = false;
  const name = (await ask({ title: "What shall the house call you?", text: "You leave and come back under the new name.", confirm: "Change", field: { label: "Your name", id: "new-name", autocomplete: "nickname" } }))?.trim();
  if (!name) return;
  disconnect();
  enter(name);
}

async function becomeAdmin() {
  $("me").open = false;
  const password = await ask({ title: "Sign in as admin", text: "Admins show people out, remove files, choose what lan_file gives and record.", confirm: "Sign in", field: { label: "Admin password", type: "password", id: "admin-password", autocomplete: "current-password" } });
  if (!password) return;
  try {
    store.session = await api("/api/session", { method: "POST", body: { password } });
    toast(store.session.admin ? "You are admin now" : "That is the password of the house, not the admin's", !store.session.admin);
    emit("session");
  } catch (error) { complain(error); }
}

async function signOut() {
  try { await api("/api/session", { method: "DELETE" }); } catch (error) { complain(error); return; }
  location.reload();
}
