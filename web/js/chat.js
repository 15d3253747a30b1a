// The chat: the messages of the selected conversation, the box to write in, the search, and the people beside them.

import { debounce, fill, h, icon, setText } from "./dom.js";
import { isBot, on, store } from "./store.js";
import { send } from "./connection.js";
import { badge, cleanName, nameElement } from "./text.js";
import { MessageList } from "./messages.js";
import { peoplePanel, privacy } from "./people.js";
import { ROOM, loadOlder, look, search, select, selected, unreadTotal } from "./conversations.js";
import { complain } from "./toast.js";

const MAX_BYTES = 16_384;
const QUESTIONS = ["What is on?", "Who is here?", "help"];
const encoder = new TextEncoder();

export function chatView() {
  const list = new MessageList({ older, again: putBack });
  const panel = peoplePanel(() => { toggle(false); if (matchMedia("(min-width: 760px)").matches) box.focus(); }, () => { toggle(false); peopleButton.focus(); });
  const drafts = new Map();
  let shown = null;
  let lastSaid = "";
  let hits = null; // what the search found, while it is shown

  const head = h("div", { class: "talk-name" });
  const note = h("p", { id: "privacy", class: "privacy" });
  const searchBox = h("input", { id: "search", type: "search", placeholder: "Search", "aria-label": "Search what was said in the room" });
  const peopleButton = h("button", { id: "show-people", class: "button small", type: "button", "aria-expanded": "false", onclick: () => toggle() },
    icon("people", true), h("span", { class: "num" }, "0"), h("b", { class: "count", hidden: true }));
  const box = h("textarea", { id: "message", rows: "1", placeholder: "Write to everyone", "aria-label": "Message", enterkeyhint: "send", dir: "auto" });
  const sendButton = h("button", { id: "send", class: "button primary icon-button", type: "submit", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const askBot = h("button", { id: "ask-bot", class: "button ghost icon-button", type: "button", title: "Ask the bot", "aria-label": "Ask the bot", onclick: startBot }, icon("bot"));
  const hint = h("p", { class: "box-hint muted small-text", role: "status" });
  const quick = h("div", { class: "quick", hidden: true }, QUESTIONS.map((text) =>
    h("button", { class: "button small", type: "button", onclick: () => say(text) }, text)));
  const form = h("form", { id: "say", class: "say", autocomplete: "off" }, askBot, box, sendButton);
  const element = h("section", { id: "chat", class: "view chat", tabindex: "-1", "aria-labelledby": "title" },
    panel.element,
    h("div", { class: "talk" },
      h("header", { class: "talk-head" }, head, h("div", { class: "talk-search" }, searchBox), peopleButton), note,
      list.element, quick, form, hint));

  function toggle(open = !element.classList.contains("with-people")) {
    element.classList.toggle("with-people", open);
    peopleButton.setAttribute("aria-expanded", open);
    if (open) panel.draw();
  }

  function describe() {
    const { key, person, gone } = selected();
    const how = person && privacy(person);
    fill(head, key === ROOM
      ? h("h2", {}, "Everyone")
      : [h("button", { class: "button ghost small icon-button", type: "button", title: "Back to everyone", "aria-label": "Back to everyone", onclick: () => select(ROOM) }, icon("back", true)),
        h("h2", { class: "clip" }, nameElement(person.name)), badge(person.service)]);
    fill(note, key === ROOM
      ? [icon("people", true), h("span", {}, "Everyone reads this, whatever their client. It passes through the house in the clear, and the house keeps the last of it.")]
      : [icon(how.icon, true), h("span", {}, gone ? "Has left the house. " : "", how.text)]);
    note.dataset.clear = String(how?.icon !== "no-text");
    searchBox.disabled = key !== ROOM;
    searchBox.parentElement.hidden = key !== ROOM;
    box.placeholder = key === ROOM ? "Write to everyone" : `Write to ${cleanName(person.name).slice(0, 24)}`;
    askBot.hidden = key !== ROOM;
    quick.hidden = !isBot(person) || gone;
    able();
  }

  function able() {
    const { person, gone } = selected();
    const mute = gone || person?.reads === false;
    box.disabled = mute;
    const size = encoder.encode(box.value).length;
    sendButton.disabled = mute || store.state !== "open" || size > MAX_BYTES || !box.value.trim();
    setText(hint, size > MAX_BYTES * 0.8 ? `${size.toLocaleString("en")} of ${MAX_BYTES.toLocaleString("en")} bytes${size > MAX_BYTES ? ": too long for one message" : ""}`
      : store.state !== "open" && box.value ? "Not connected; your words stay here." : "");
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight + 2, 180)}px`;
  }

  function draw() {
    hits = null;
    const conversation = selected();
    if (shown && shown !== conversation.key) {
      drafts.set(shown, box.value);
      box.value = drafts.get(conversation.key) ?? "";
      searchBox.value = "";
    }
    shown = conversation.key;
    const person = conversation.person;
    list.show(conversation.messages, { placeholder: conversation.key === ROOM
      ? ["chat", "Nothing was said yet", "Say hello: everyone in the house hears it."]
      : ["chat", `You and ${cleanName(person.name)}`, person.reads === false ? "Nothing can be written to this client." : "Only the two of you see what is written here, besides the house. It is gone when you close the page."] });
    describe();
  }

  async function older() {
    if (hits) return olderHits();
    const conversation = selected();
    if (!conversation.more || conversation.loading) return;
    list.busy(true);
    const came = await loadOlder(conversation).catch(complain);
    list.busy(false);
    if (came && conversation === selected() && !hits) list.prepend(conversation.messages);
  }

  let asked = null;
  const find = debounce(async () => {
    const words = searchBox.value.trim();
    asked?.abort();
    if (!words) { if (hits) draw(); return; }
    asked = new AbortController();
    try {
      const found = await search(words, null, asked.signal);
      if (words !== searchBox.value.trim()) return;
      hits = { words, messages: found, more: found.length >= 50, loading: false };
      list.show(found, { words, placeholder: ["search", "Nothing found", `Nobody said “${words}”, as far as the house remembers.`] });
    } catch (error) { complain(error); }
  }, 250);

  async function olderHits() {
    const mine = hits;
    if (!mine.more || mine.loading || !mine.messages[0]) return;
    mine.loading = true;
    const page = await search(mine.words, mine.messages[0].id).catch(() => []);
    mine.loading = false;
    mine.more = page.length >= 50;
    mine.messages.unshift(...page);
    if (mine === hits && page.length) list.prepend(mine.messages);
  }

  function say(text) {
    const { key } = selected();
    const words = text.trim();
    if (!words) return false;
    if (hits) { searchBox.value = ""; draw(); }
    lastSaid = text;
    return send({ type: "say", text: words, ...(key === ROOM ? {} : { to: key }) });
  }

  function putBack(text) {
    box.value = text;
    able();
    box.focus();
  }

  function startBot() {
    if (!box.value.startsWith("@bot")) box.value = `@bot ${box.value}`;
    able();
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!sendButton.disabled && say(box.value)) { box.value = ""; able(); box.focus(); }
  });
  box.addEventListener("input", able);
  box.addEventListener("keydown", (event) => {
    // Enter also ends the writing of one character in some scripts: then it sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  searchBox.addEventListener("input", find);
  searchBox.addEventListener("keydown", (event) => { if (event.key === "Escape") { searchBox.value = ""; find(); } });
  element.addEventListener("keydown", (event) => { if (event.key === "Escape" && element.classList.contains("with-people")) { toggle(false); peopleButton.focus(); } });

  on("conversation", draw);
  on("history", (conversation) => { if (conversation === selected() && !hits) draw(); });
  on("heard", ({ conversation, said }) => { if (conversation === selected() && !hits) list.add(said); });
  // What was refused is not lost.
  on("ws:error", ({ about }) => { if (about === "say" && !box.value) putBack(lastSaid); });
  on("state", able);
  on("people", () => { describe(); setText(peopleButton.children[1], store.people.size); });
  on("unread", () => {
    // What waits in other conversations: where the panel is hidden, the button to it says so.
    const elsewhere = unreadTotal() - selected().unread;
    peopleButton.lastChild.hidden = elsewhere === 0;
    setText(peopleButton.lastChild, elsewhere);
  });
  draw();
  return {
    element, title: "Chat",
    show() { look(true); panel.draw(); describe(); if (list.atEnd) list.toEnd(); },
    hide() { look(false); },
  };
}
