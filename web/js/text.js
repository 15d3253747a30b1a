// What peers wrote, made fit to be shown: control characters and those that turn the writing direction around
// are made visible, links can be followed, nothing is ever read as HTML.

import { h } from "./dom.js";

// C0 and C1 but for tab and newline; embeddings, overrides and isolates; line and paragraph separators; BOM.
// Joiners and plain direction marks stay: emoji and right-to-left scripts need them.
const ODD = "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb";
const ODD_ALL = new RegExp(`[${ODD}]`, "g");
const TOKENS = new RegExp(`(https?://[^\\s<>"'${ODD}]+)|([${ODD}])`, "gi");
const MAX_NAME = 80;

/** A name on one line, without anything that could make it look like another one's. */
export function cleanName(name) {
  const flat = String(name ?? "").replace(ODD_ALL, "\u25a1").replace(/\s+/g, " ").trim();
  const letters = Array.from(flat);
  if (letters.length === 0) return "(no name)";
  return letters.length > MAX_NAME ? letters.slice(0, MAX_NAME).join("") + "…" : flat;
}

export function nameElement(name, props = {}) {
  return h("bdi", { ...props, dir: "auto" }, cleanName(name));
}

/** Text nodes, links, and marks for what cannot be seen; with `words`, those are highlighted. */
export function rich(text, words = "") {
  const out = document.createDocumentFragment();
  const source = String(text ?? "").replace(/\r\n?/g, "\n");
  let at = 0;
  for (const match of source.matchAll(TOKENS)) {
    if (match.index > at) plain(out, source.slice(at, match.index), words);
    if (match[1]) link(out, match[1], words);
    else out.append(h("span", { class: "odd", title: "a character that cannot be seen" }, label(match[2])));
    at = match.index + match[0].length;
  }
  if (at < source.length) plain(out, source.slice(at), words);
  return out;
}

function label(character) {
  const code = character.codePointAt(0);
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

function link(out, address, words) {
  // Punctuation at the end belongs to the sentence.
  const tail = /[.,;:!?)\]}]+$/.exec(address)?.[0] ?? "";
  const clean = address.slice(0, address.length - tail.length);
  try {
    const url = new URL(clean);
    out.append(h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, clean));
    if (tail) plain(out, tail, words);
  } catch {
    plain(out, address, words);
  }
}

function plain(out, text, words) {
  const needle = words.trim().toLowerCase();
  if (!needle) { out.append(text); return; }
  const lower = text.toLowerCase();
  // Where lower-casing changes the length, places would not fit any more.
  if (lower.length !== text.length) { out.append(text); return; }
  let at = 0;
  for (let found = lower.indexOf(needle); found >= 0; found = lower.indexOf(needle, at)) {
    out.append(text.slice(at, found), h("mark", {}, text.slice(found, found + needle.length)));
    at = found + needle.length;
  }
  out.append(text.slice(at));
}

const HUES = 8;
/** The first letter on a colour that belongs to the name. */
export function avatar(person, props = {}) {
  const name = cleanName(person?.name);
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  const first = Array.from(name.replace(/^[^\p{L}\p{N}]+/u, "") || name)[0];
  return h("span", { class: "avatar", "aria-hidden": "true", ...props, style: { "--hue": `var(--c${(sum % HUES) + 1})` } }, first);
}

export function badge(service) {
  return h("span", { class: "chip badge", data: { service: String(service) } }, cleanName(service));
}
