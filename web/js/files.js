// The files of the house: what there is, what goes up, and what lan_file gives.

import { empty, h, icon, setText } from "./dom.js";
import { isAdmin, on } from "./store.js";
import { api, path } from "./http.js";
import { bytes, day, number, time } from "./units.js";
import { cleanName, nameElement } from "./text.js";
import { uploadList } from "./uploads.js";
import { ask, complain, toast } from "./toast.js";

const LOOK_MS = 5000;

export function filesView() {
  const uploads = uploadList();
  const input = h("input", { id: "upload-input", type: "file", multiple: true, class: "sr", "aria-label": "Choose files to upload" });
  const choose = () => input.click();
  const drop = h("div", { id: "drop", class: "drop" }, icon("upload"),
    h("p", {}, h("strong", {}, "Drop files here"), h("span", { class: "muted" }, " and everyone in the house can fetch them")),
    h("button", { class: "button primary", type: "button", onclick: choose }, "Choose files"), input);
  const list = h("ul", { class: "file-list card" });
  const offer = h("p", { id: "offer", class: "muted small-text", hidden: true });
  const sum = h("span", { class: "muted num" });
  const element = h("section", { id: "files", class: "view", tabindex: "-1", "aria-labelledby": "title" },
    h("div", { class: "narrow" }, drop, uploads.element, h("div", { class: "list-head" }, h("h2", {}, "In the house ", sum), offer), list));
  let timer = null;
  let shown = "";
  let files = [];
  let offered = null;

  async function load() {
    if (!shown) list.replaceChildren(...Array.from({ length: 3 }, () => h("li", { class: "skeleton file-skeleton" })));
    try {
      [files, offered] = await Promise.all([api("/api/files"), api("/api/offer").catch(() => null)]);
      draw();
    } catch (error) {
      if (!shown) list.replaceChildren(h("li", {}, empty("warn", "The files could not be loaded", error.message)));
    }
  }

  function draw() {
    const state = JSON.stringify([files, offered, isAdmin()]);
    if (state === shown) return;
    shown = state;
    const focus = list.contains(document.activeElement) ? [document.activeElement.closest("li")?.dataset.number, document.activeElement.dataset.act] : null;
    list.replaceChildren(...(files.length ? files.map(row) : [h("li", {}, empty("files", "No files yet", "What anyone uploads, from here or with packetchat, appears here."))]));
    if (focus?.[0]) list.querySelector(`li[data-number="${CSS.escape(focus[0])}"] [data-act="${focus[1]}"]`)?.focus();
    setText(sum, files.length ? `${files.length} · ${bytes(files.reduce((all, f) => all + f.bytes, 0))}` : "");
    offer.hidden = !offered;
    if (offered) {
      offer.replaceChildren(icon("offer", true), h("span", {}, "lan_file gives ", h("strong", {}, nameElement(offered.name)), offered.file === "latest" ? ", the newest upload" : ""));
      if (isAdmin() && offered.file !== "latest") offer.append(h("button", { class: "button ghost small", type: "button", onclick: () => give("latest") }, "Give the newest"));
    }
  }

  function row(file) {
    const name = cleanName(file.name);
    const isOffer = offered?.file === file.number;
    return h("li", { class: "file", data: { number: file.number, name: file.name } },
      h("span", { class: "file-icon", "aria-hidden": "true" }, icon("file"), h("span", {}, ending(name))),
      h("div", { class: "file-body" },
        h("a", { href: `/api/files/${path(file.number)}/content`, download: name, class: "clip file-name", data: { act: "name" } }, nameElement(file.name)),
        h("span", { class: "muted small-text num" }, `${bytes(file.bytes)} · ${day(file.added)}, ${time(file.added)}`),
        h("details", { class: "hash" }, h("summary", { class: "small-text muted" }, "SHA-256 ", h("span", { class: "mono" }, `${String(file.sha256 ?? "").slice(0, 8)}…`)), h("code", { class: "sha" }, file.sha256))),
      isOffer && h("span", { class: "chip" }, icon("offer", true), "given by lan_file"),
      h("div", { class: "file-tools" },
        h("a", { class: "button ghost icon-button", href: `/api/files/${path(file.number)}/content`, download: name, title: "Download", "aria-label": `Download ${name}`, data: { act: "download" } }, icon("download")),
        isAdmin() && !isOffer && h("button", { class: "button ghost icon-button offer", type: "button", title: "Let lan_file give it", "aria-label": `Let lan_file give ${name}`, data: { act: "offer" }, onclick: () => give(file.number) }, icon("offer")),
        isAdmin() && h("button", { class: "button ghost icon-button danger remove", type: "button", title: "Remove", "aria-label": `Remove ${name}`, data: { act: "remove" }, onclick: () => remove(file) }, icon("remove"))));
  }

  function ending(name) {
    const end = /\.([A-Za-z0-9]{1,4})$/.exec(name)?.[1];
    return end ? end.toLowerCase() : "";
  }

  async function give(file) {
    try { offered = await api("/api/offer", { method: "PUT", body: { file } }); toast(`lan_file now gives ${cleanName(offered.name)}`); draw(); } catch (error) { complain(error); }
  }

  async function remove(file) {
    const name = cleanName(file.name);
    if (!await ask({ title: `Remove ${name}?`, text: `${number(file.bytes)} bytes are gone from the house for everyone.`, confirm: "Remove", danger: true })) return;
    try { await api(`/api/files/${path(file.number)}`, { method: "DELETE" }); toast(`${name} was removed`); } catch (error) { complain(error); }
    load();
  }

  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = "";
    uploads.add(chosen);
  });
  // The whole view takes what is dropped; elsewhere on the page a dropped file must not replace the page.
  let over = 0;
  const has = (event) => event.dataTransfer?.types.includes("Files");
  element.addEventListener("dragenter", (event) => { if (has(event)) { over += 1; drop.classList.add("over"); } });
  element.addEventListener("dragleave", () => { over = Math.max(0, over - 1); if (over === 0) drop.classList.remove("over"); });
  element.addEventListener("drop", (event) => {
    over = 0;
    drop.classList.remove("over");
    // A folder stands there as a file, too, and cannot be read.
    const items = [...(event.dataTransfer?.items ?? [])].filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory);
    uploads.add(items.map((item) => item.getAsFile()).filter(Boolean));
  });
  for (const event of ["dragover", "drop"]) addEventListener(event, (e) => { if (has(e)) e.preventDefault(); });
  on("uploaded", load);
  on("session", () => { if (timer) draw(); });

  return {
    element, title: "Files",
    show() { load(); uploads.recall(choose); timer ??= setInterval(load, LOOK_MS); },
    hide() { clearInterval(timer); timer = null; },
  };
}
