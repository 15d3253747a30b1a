// Who said what, in the room and between two: what is known of it here, unread counts, and older words on demand.

import { emit, isMe, on, store } from "./store.js";
import { api } from "./http.js";

export const ROOM = "room";
const PAGE = 50;
// What is kept in memory of one conversation; older words come back from the house.
const KEEP = 2000;

const all = new Map();
let current = ROOM;
let looking = false;

function make(key, person = null) {
  const conversation = { key, person, messages: [], seen: new Set(), unread: 0, more: key === ROOM, loading: false, gone: false };
  all.set(key, conversation);
  return conversation;
}
make(ROOM);

export const room = () => all.get(ROOM);
export const conversations = () => [...all.values()];
export const selected = () => all.get(current) ?? room();
export const unreadTotal = () => conversations().reduce((sum, { unread }) => sum + unread, 0);

export function select(key, person = null) {
  current = key;
  if (!all.has(key)) make(key, person);
  emit("conversation", selected());
  read();
}

/** Whether the selected conversation is before somebody's eyes. */
export function look(yes) {
  looking = yes;
  read();
}

function read() {
  if (!looking || document.hidden) return;
  const conversation = selected();
  if (conversation.unread === 0) return;
  conversation.unread = 0;
  emit("unread");
}
document.addEventListener("visibilitychange", read);

// The number in the history names a message; direct ones have none, and are told apart by the rest.
const nameOf = (said) => said.id ?? `${said.at}|${said.from?.id}|${said.text}`;

function keyOf(said) {
  if (!said.to) return ROOM;
  return isMe(said.from?.id) ? said.to : said.from?.id;
}

function remember(conversation, said) {
  const name = nameOf(said);
  if (conversation.seen.has(name)) return false;
  conversation.seen.add(name);
  return true;
}

function hear(said) {
  const key = keyOf(said);
  let conversation = all.get(key);
  if (!conversation) {
    const other = isMe(said.from?.id) ? store.people.get(said.to) : store.people.get(said.from?.id) ?? said.from;
    conversation = make(key, other ?? { id: key, name: "somebody", service: "" });
  }
  if (!remember(conversation, said)) return;
  conversation.messages.push(said);
  if (conversation.messages.length > KEEP) {
    for (const old of conversation.messages.splice(0, PAGE)) conversation.seen.delete(nameOf(old));
    conversation.more = key === ROOM;
  }
  emit("heard", { conversation, said });
  const seen = looking && !document.hidden && key === current;
  if (!seen && !isMe(said.from?.id) && !said.failed) {
    conversation.unread += 1;
    emit("unread");
  }
}

on("ws:said", hear);

on("ws:undelivered", (message) => hear({
  at: Date.now(), from: store.me, to: message.to, text: message.text, failed: message.reason || "It was not delivered.",
}));

on("ws:welcome", ({ history }) => {
  const conversation = room();
  const older = (history ?? []).filter((said) => !said.to);
  for (const said of (history ?? []).filter(({ to }) => to)) hear(said);
  // A house without a history takes nothing away from what was heard.
  const known = older.some((said) => conversation.seen.has(nameOf(said))) || (older.length === 0 && conversation.messages.length > 0);
  if (!known) {
    // After a long absence there is a hole between what is here and what the house sent: begin again from the end.
    conversation.messages = [];
    conversation.seen.clear();
    conversation.more = older.length > 0;
  }
  if (known) { for (const said of older) hear(said); return; }
  for (const said of older) if (remember(conversation, said)) conversation.messages.push(said);
  emit("history", conversation);
});

on("people", () => {
  for (const conversation of all.values()) {
    if (conversation.key === ROOM) continue;
    const person = store.people.get(conversation.key);
    conversation.gone = !person;
    if (person) conversation.person = person;
  }
});

/** Loads what was said before; resolves to how many messages came. */
export async function loadOlder(conversation) {
  if (!conversation.more || conversation.loading) return 0;
  const oldest = conversation.messages.find(({ id }) => id);
  if (!oldest) return 0;
  conversation.loading = true;
  try {
    const page = await api(`/api/messages?before=${encodeURIComponent(oldest.id)}&limit=${PAGE}`);
    const fresh = page.filter((said) => remember(conversation, said));
    conversation.messages.unshift(...fresh);
    conversation.more = page.length >= PAGE;
    return fresh.length;
  } finally {
    conversation.loading = false;
  }
}

export function search(words, before = null, signal = undefined) {
  const older = before ? `&before=${encodeURIComponent(before)}` : "";
  return api(`/api/messages?limit=${PAGE}&query=${encodeURIComponent(words)}${older}`, { signal });
}
