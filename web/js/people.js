// The panel of conversations and people: who is here through which service, and who can be written to how.

import { coalesce, h, icon, setText } from "./dom.js";
import { isAdmin, isBot, isMe, on, store } from "./store.js";
import { avatar, badge, cleanName, nameElement } from "./text.js";
import { ROOM, conversations, room, select, selected } from "./conversations.js";
import { api, path } from "./http.js";
import { ask, complain, toast } from "./toast.js";

// More rows than this help nobody; the box above finds the others.
const MOST_ROWS = 200;

/** What writing to this person means, in a word and in a sentence. */
export function privacy(person) {
  if (isBot(person)) {
    return { icon: "bot", word: "in the clear", text: "The bot lives in the house: what you write to it, the house reads." };
  }
  if (person.reads === false) {
    return { icon: "no-text", word: "cannot read text", text: "This client has no way to show text. Nothing can be written to it." };
  }
  if (person.private) {
    return { icon: "open-lock", word: "in the clear", text: `What you write from here passes through the house in the clear; the house encrypts it for them. Only people of ${cleanName(person.service)} among themselves talk end to end.` };
  }
  return { icon: "open-lock", word: "in the clear", text: "What you write passes through the house in the clear: whoever runs the house could read it." };
}

const order = (a, b) => isBot(b) - isBot(a) || cleanName(a.name).localeCompare(cleanName(b.name));

export function peoplePanel(onChosen, onClose) {
  const filter = h("input", { id: "people-filter", type: "search", placeholder: "Find somebody", "aria-label": "Find somebody" });
  const rooms = h("ul", { class: "people-list", "aria-label": "Conversations" });
  const list = h("ul", { id: "people", class: "people-list", "aria-label": "People here" });
  const more = h("p", { class: "muted small-text people-more", hidden: true });
  const count = h("span", { class: "muted num", id: "people-count" });
  const element = h("aside", { class: "people-panel", "aria-label": "Conversations and people" },
    h("button", { class: "button small panel-close", type: "button", onclick: onClose }, icon("back", true), "Back to the talk"),
    rooms, h("h2", {}, "People here ", count), filter, list, more);

  const choose = (key, person) => { select(key, person); onChosen(); };

  function row(key, person, { unread, gone }) {
    const chosen = selected().key === key;
    const me = person && isMe(person.id);
    const how = person && !me && privacy(person);
    const open = h("button", {
      class: "person", type: "button", "aria-current": chosen ? "true" : null, disabled: me,
      title: me ? "This is you" : gone ? "Has left" : how?.text ?? "Everybody reads this", onclick: () => choose(key, person),
    },
      person ? avatar(person) : h("span", { class: "avatar room", "aria-hidden": "true" }, icon("people", true)),
      h("span", { class: "person-name" },
        person ? nameElement(person.name, { class: "clip" }) : h("span", { class: "clip" }, "Everyone"),
        person && h("span", { class: "person-line" }, badge(person.service), me && h("span", { class: "muted" }, "you"), gone && h("span", { class: "muted" }, "has left"),
          !me && !gone && how.icon === "no-text" && h("span", { class: "how" }, icon("no-text", true), "no text"),
          !me && !gone && how.icon === "open-lock" && h("span", { class: "how" }, icon("open-lock", true), h("span", {}, how.word))),
        !person && h("span", { class: "person-line muted" }, "the room of the house")),
      unread > 0 && h("b", { class: "count", "aria-label": `${unread} unread` }, unread > 99 ? "99+" : unread));
    const kick = person && !me && !gone && isAdmin() && !isBot(person) && h("button", {
      class: "button ghost small icon-button kick", type: "button", title: "Show out", "aria-label": `Show ${cleanName(person.name)} out`,
      onclick: () => showOut(person),
    }, icon("out", true));
    return h("li", { data: { key, id: person?.id ?? "", service: person?.service ?? "", name: person ? cleanName(person.name) : "" } }, open, kick);
  }

  function draw() {
    if (element.offsetParent === null && list.childElementCount > 0) return; // nobody looks; `show` draws again
    const focus = element.contains(document.activeElement) && document.activeElement.closest("li")?.dataset.key;
    const words = filter.value.trim().toLowerCase();
    const left = conversations().filter(({ key, gone }) => key !== ROOM && gone);
    rooms.replaceChildren(row(ROOM, null, room()), ...left.map((c) => row(c.key, c.person, c)));
    const unread = new Map(conversations().map((c) => [c.key, c.unread]));
    const found = [...store.people.values()].filter((p) => !words || cleanName(p.name).toLowerCase().includes(words) || String(p.service).includes(words));
    // Whoever has written to one stands first.
    found.sort((a, b) => (unread.get(b.id) > 0) - (unread.get(a.id) > 0) || order(a, b));
    list.replaceChildren(...found.slice(0, MOST_ROWS).map((p) => row(p.id, p, { unread: unread.get(p.id) ?? 0, gone: false })));
    more.hidden = found.length <= MOST_ROWS;
    setText(more, `and ${found.length - MOST_ROWS} more`);
    setText(count, store.people.size);
    if (focus) element.querySelector(`li[data-key="${CSS.escape(focus)}"] .person`)?.focus();
  }

  const redraw = coalesce(draw);
  for (const event of ["people", "unread", "conversation", "session"]) on(event, redraw);
  filter.addEventListener("input", redraw);
  return { element, draw };
}

export async function showOut(person) {
  const name = cleanName(person.name);
  const yes = await ask({ title: `Show ${name} out?`, text: "The connection is closed; they can come back.", confirm: "Show out", danger: true });
  if (!yes) return;
  try {
    await api(`/api/people/${path(person.id)}`, { method: "DELETE" });
    toast(`${name} was shown out`);
  } catch (error) { complain(error); }
}
