// The table of actors: whatever each of them tells of its state.

import { h, setText } from "./dom.js";
import { number } from "./units.js";

const MOST_ROWS = 150;
const words = (key) => String(key).replaceAll("_", " ");

function value(v) {
  if (typeof v === "number") return number(v);
  if (typeof v === "boolean") return v ? "yes" : "no";
  if (v === null || v === undefined) return "–";
  return typeof v === "string" ? v : JSON.stringify(v);
}

export function actorTable() {
  const filter = h("input", { id: "actor-filter", type: "search", placeholder: "Find an actor", "aria-label": "Find an actor" });
  const body = h("tbody");
  const count = h("span", { class: "muted num" });
  const more = h("p", { class: "muted small-text", hidden: true });
  const element = h("article", { class: "card panel actors", id: "actors" },
    h("div", { class: "list-head" }, h("h2", {}, "Actors ", count), filter),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Actor"), h("th", { scope: "col" }, "State"))), body), more);
  let latest = [];

  function draw(actors) {
    latest = actors;
    const wanted = filter.value.trim().toLowerCase();
    const found = actors.filter((actor) => !wanted || Object.values(actor).some((v) => value(v).toLowerCase().includes(wanted)));
    const shown = found.slice(0, MOST_ROWS);
    // What an actor tells decides the shape of its row; while that stays, only texts change.
    const shape = JSON.stringify(shown.map((actor) => [actor.actor, ...Object.keys(actor)]));
    if (body.dataset.shape !== shape) {
      body.dataset.shape = shape;
      body.replaceChildren(...shown.map((actor) => h("tr", { data: { actor: actor.actor } }, h("th", { scope: "row" }, words(actor.actor)),
        h("td", {}, h("div", { class: "states" }, members(actor).map(([key]) => h("span", { class: "state" }, h("span", { class: "muted" }, words(key)), " ", h("b", { class: "num" }))))))));
    }
    shown.forEach((actor, row) => {
      const cells = body.children[row].lastChild.firstChild.children;
      members(actor).forEach(([, v], i) => setText(cells[i].lastChild, value(v)));
    });
    setText(count, actors.length);
    more.hidden = found.length <= MOST_ROWS;
    setText(more, `and ${found.length - MOST_ROWS} more`);
  }

  const members = (actor) => Object.entries(actor).filter(([key]) => key !== "actor");
  filter.addEventListener("input", () => draw(latest));
  return { element, draw };
}
