// Short words at the edge of the page, and questions that stop everything.

import { h, icon } from "./dom.js";

const MOST = 4;

export function toast(text, bad = false) {
  const box = document.getElementById("toasts");
  const element = h("div", { class: bad ? "toast bad" : "toast" }, icon(bad ? "warn" : "check"), h("span", {}, text));
  box.append(element);
  while (box.children.length > MOST) box.firstChild.remove();
  setTimeout(() => element.remove(), bad ? 8000 : 4000);
}

export const complain = (error) => { if (error?.name !== "AbortError") toast(error.message, true); };

/** Resolves to true, or to what was typed if `field` is given; to null when it was called off. */
export function ask({ title, text, confirm, danger = false, field = null }) {
  return new Promise((resolve) => {
    const input = field && h("input", { type: field.type ?? "text", required: true, autocomplete: field.autocomplete ?? "off", id: field.id });
    let result = null;
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
      h("form", { method: "dialog", onsubmit: () => { result = input ? input.value : true; } },
        h("h2", { id: "dialog-title" }, title),
        text && h("p", { class: "muted" }, text),
        input && h("label", { class: "field" }, field.label, input),
        h("div", { class: "actions" },
          h("button", { class: "button ghost", type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button", { class: danger ? "button danger" : "button primary", type: "submit", id: "dialog-confirm" }, confirm))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
