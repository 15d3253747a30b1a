// The list of messages: days, groups of one person's words, scrolling that stays where one reads.

import { coalesce, empty, h, icon } from "./dom.js";
import { day, dayKey, fullTime, shortTime, time } from "./units.js";
import { avatar, badge, nameElement, rich } from "./text.js";
import { isMe } from "./store.js";

const GROUP_MS = 5 * 60_000;
const LONG = 1200;
// Rows beyond this are taken off the top while the newest are being read.
const MOST_ROWS = 600;
const NEAR = 80;

export class MessageList {
  /** `older()` is called when somebody scrolls to the top; `again(text)` puts words back into the box. */
  constructor({ older, again }) {
    this.older = older;
    this.again = again;
    this.rows = h("div", { id: "messages", role: "log", "aria-live": "polite", "aria-label": "Messages", tabindex: "0" });
    this.jump = h("button", { class: "button small jump", type: "button", hidden: true, onclick: () => this.toEnd() }, icon("down", true), h("span", {}, "Newest"));
    this.element = h("div", { class: "messages-frame" }, this.rows, this.jump);
    this.waiting = [];
    this.last = null;
    this.words = "";
    this.atEnd = true;
    this.missed = 0;
    this.flush = coalesce(() => this.#flush());
    this.rows.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The keyboard of a phone and a growing box must not hide the newest words.
    new ResizeObserver(() => { if (this.atEnd) this.#scrollDown(); }).observe(this.rows);
  }

  show(messages, { words = "", placeholder = null } = {}) {
    this.waiting = [];
    this.words = words;
    this.last = null;
    this.rows.replaceChildren();
    if (messages.length === 0 && placeholder) this.rows.append(empty(...placeholder));
    else this.rows.append(this.#build(messages));
    this.last = messages.at(-1) ?? null;
    this.toEnd();
  }

  add(said) {
    this.waiting.push(said);
    if (this.waiting.length > MOST_ROWS) this.waiting.shift();
    this.flush();
  }

  /** Everything again after older messages came in front, with the line that was read where it was. */
  prepend(messages) {
    const height = this.rows.scrollHeight;
    const top = this.rows.scrollTop;
    this.waiting = [];
    this.last = null;
    this.rows.replaceChildren(this.#build(messages));
    this.last = messages.at(-1) ?? null;
    this.rows.scrollTop = top + this.rows.scrollHeight - height;
  }

  busy(yes) {
    this.rows.querySelector(".loading")?.remove();
    if (yes) this.rows.prepend(h("p", { class: "loading muted" }, "Loading older messages…"));
  }

  toEnd() {
    this.atEnd = true;
    this.missed = 0;
    this.#scrollDown();
    this.#button();
  }

  #scrollDown() { this.rows.scrollTop = this.rows.scrollHeight; }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.rows;
    if (clientHeight === 0) return; // hidden
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.atEnd) this.missed = 0;
    this.#button();
    if (scrollTop < 120 && scrollHeight > clientHeight) this.older();
  }

  #button() {
    this.jump.hidden = this.atEnd;
    this.jump.lastChild.textContent = this.missed ? `${this.missed} new` : "Newest";
  }

  #flush() {
    if (this.waiting.length === 0) return;
    const batch = this.waiting;
    this.waiting = [];
    this.rows.querySelector(".empty")?.remove();
    const atEnd = this.atEnd;
    this.rows.append(this.#build(batch, this.last));
    this.last = batch.at(-1);
    if (atEnd || isMe(this.last.from?.id)) {
      while (this.rows.children.length > MOST_ROWS) this.rows.firstChild.remove();
      this.toEnd();
    } else {
      this.missed += batch.length;
      this.#button();
    }
  }

  #build(messages, before = null) {
    const out = document.createDocumentFragment();
    for (const said of messages) {
      const newDay = !before || dayKey(before.at) !== dayKey(said.at);
      if (newDay) out.append(h("div", { class: "day", role: "separator" }, h("span", {}, day(said.at))));
      const grouped = !newDay && before.from?.id === said.from?.id && said.at - before.at < GROUP_MS;
      out.append(this.#row(said, grouped));
      before = said;
    }
    return out;
  }

  #row(said, grouped) {
    const mine = isMe(said.from?.id);
    const body = h("div", { class: "text", dir: "auto" });
    const text = String(said.text ?? "");
    if (text.length > LONG) {
      body.append(rich(text.slice(0, LONG), this.words), "…");
      const more = h("button", { class: "button small", type: "button", onclick: () => {
        body.replaceChildren(rich(text, this.words));
        more.remove();
      } }, `Show all ${text.length.toLocaleString("en")} characters`);
      return this.#article(said, mine, grouped, [body, more]);
    }
    body.append(rich(text, this.words));
    return this.#article(said, mine, grouped, [body]);
  }

  #article(said, mine, grouped, content) {
    const failed = said.failed && h("p", { class: "failed" }, icon("warn", true), h("span", {}, `Not delivered: ${said.failed}`),
      h("button", { class: "button small ghost", type: "button", onclick: () => this.again(said.text) }, "Put it back"));
    return h("article", {
      class: `msg${mine ? " mine" : ""}${grouped ? " grouped" : ""}${said.failed ? " undelivered" : ""}`,
      data: { id: said.id ?? "", from: said.from?.id ?? "" },
    },
      grouped ? h("time", { class: "aside", title: fullTime(said.at) }, shortTime(said.at)) : avatar(said.from),
      h("div", { class: "msg-body" },
        !grouped && h("header", {}, nameElement(said.from?.name, { class: "who" }), mine && h("span", { class: "chip" }, "you"),
          !mine && badge(said.from?.service), h("time", { class: "muted", title: fullTime(said.at) }, time(said.at))),
        content, failed));
  }
}
