// The house itself: living numbers, charts of the last five minutes, doors, live channels, people and actors.

import { h, icon, setText } from "./dom.js";
import { isAdmin, isBot, isMe, on, store } from "./store.js";
import { send } from "./connection.js";
import { api } from "./http.js";
import { bytes, number, span } from "./units.js";
import { avatar, badge, cleanName, nameElement } from "./text.js";
import { Chart, SPAN_MS } from "./charts.js";
import { actorTable } from "./actors.js";
import { showOut } from "./people.js";
import { complain } from "./toast.js";

const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %` : "–");
const rate = (n) => (Number.isFinite(n) ? `${number(n)}/s` : "–");
const byteRate = (n) => (Number.isFinite(n) ? `${bytes(n)}/s` : "–");

export function houseView() {
  const samples = [];
  const charts = [
    new Chart({ id: "chart-people", title: "People", format: number, floor: 5, lines: [{ color: "c1", get: (s) => s.people }] }),
    new Chart({ id: "chart-cpu", title: "Processor", format: percent, floor: 0.1, lines: [{ color: "c6", get: (s) => s.cpu }] }),
    new Chart({ id: "chart-memory", title: "Memory", format: bytes, floor: 1e7, lines: [{ color: "c5", get: (s) => s.rss }] }),
    new Chart({ id: "chart-messages", title: "Messages", format: rate, floor: 1, lines: [{ color: "c3", get: (s) => s.messages }] }),
    new Chart({ id: "chart-frames", title: "Frames sent", format: rate, floor: 10, lines: [{ color: "c2", get: (s) => s.frames }] }),
    new Chart({ id: "chart-streams", title: "Streams", format: number, floor: 5, lines: [{ color: "c4", get: (s) => s.streams }] }),
    new Chart({ id: "chart-traffic", title: "Traffic", format: byteRate, floor: 1000, lines: [{ name: "out", color: "c2", get: (s) => s.out }, { name: "in", color: "c1", get: (s) => s.in }] }),
    new Chart({ id: "chart-connections", title: "Connections", format: number, floor: 5, lines: [{ color: "c7", get: (s) => s.connections }] }),
  ];
  const facts = h("dl", { class: "facts card" });
  const doors = h("tbody");
  const live = h("tbody");
  const people = h("ul", { id: "house-people", class: "house-people", tabindex: "0", "aria-label": "People" });
  const actors = actorTable();
  const peopleCard = h("article", { class: "card panel", id: "house-people-panel" }, h("h2", {}, "People"), people);
  const element = h("section", { id: "house", class: "view", tabindex: "-1", "aria-labelledby": "title" },
    facts, h("div", { class: "grid chart-grid" }, charts.map((chart) => chart.element)),
    h("div", { class: "grid panel-grid" },
      h("article", { class: "card panel" }, h("h2", {}, "Doors"), table("doors", ["Service", "Open", "Accepted", "Refused"], doors)),
      h("article", { class: "card panel" }, h("h2", {}, "Live channels"), table("channels", ["Channel", "Watching", "Frames", "Missed"], live)), peopleCard),
    actors.element);
  let before = null;
  let open = false;
  let opened = false;
  let latest = null;

  function table(id, heads, body) {
    return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": heads[0] }, h("table", { id }, h("thead", {}, h("tr", {}, heads.map((head, i) => h("th", { scope: "col", class: i ? "right" : null }, head)))), body));
  }

  function sum(record) { return Object.values(record ?? {}).reduce((all, { open: n }) => all + (n ?? 0), 0); }

  function take(vitals) {
    latest = vitals;
    // Counters that go back began anew with the house: no rate from those.
    const seconds = before ? (vitals.at - before.at) / 1000 : 0;
    const per = (now, then) => (seconds > 0.2 && seconds < 10 && now >= then ? (now - then) / seconds : NaN);
    const traffic = vitals.traffic ?? {};
    const old = before?.traffic ?? {};
    if (before && vitals.at <= before.at) return;
    samples.push({
      at: vitals.at, people: vitals.people, cpu: vitals.cpu, rss: vitals.rss_bytes, streams: vitals.streams?.open, connections: sum(vitals.connections),
      messages: per(vitals.messages, before?.messages), frames: per(traffic.frames, old.frames), out: per(traffic.out_bytes, old.out_bytes), in: per(traffic.in_bytes, old.in_bytes),
    });
    while (samples.length && samples[0].at < vitals.at - SPAN_MS) samples.shift();
    before = vitals;
    if (open) draw();
  }

  function draw() {
    if (!latest) return;
    for (const chart of charts) chart.draw(samples);
    const v = latest;
    putFacts([
      ["Up for", span(v.uptime_s)], ["Version", store.session?.version ?? "–"], ["Threads", number(v.threads)],
      ["Messages", number(v.messages)], ["Videos", number(v.videos)], ["Files", v.files ? `${number(v.files.count)} · ${bytes(v.files.bytes)}` : "–"],
      ["Streams", v.streams ? `${number(v.streams.open)} of ${number(v.streams.most)}` : "–"], ["Restarts", number(v.restarts)],
    ]);
    putRows(doors, Object.entries(v.connections ?? {}), ([name, c]) => [name, number(c.open), number(c.accepted), number(c.refused)]);
    putRows(live, (v.live ?? []).map((c) => [c.name, c]), ([name, c]) => [cleanName(name), number(c.viewers), number(c.frames), number(c.missed)], "Nothing is on air");
    actors.draw(v.actors ?? []);
  }

  function putFacts(list) {
    if (facts.children.length !== list.length) facts.replaceChildren(...list.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", { class: "num" }))));
    list.forEach(([, value], i) => setText(facts.children[i].lastChild, value));
  }

  /** Rows are kept and only their texts change, so that nothing flickers and a selection stays. */
  function putRows(body, entries, cells, nothing = null) {
    const keys = entries.map(([name]) => name).join("\n");
    if (body.dataset.keys !== keys || body.children.length === 0) {
      body.dataset.keys = keys;
      body.replaceChildren(...entries.map((entry) => h("tr", {}, cells(entry).map((text, i) => h(i ? "td" : "th", { class: i ? "right num" : null, scope: i ? null : "row", dir: i ? null : "auto" }, text)))));
      if (entries.length === 0 && nothing) body.append(h("tr", {}, h("td", { class: "muted", colspan: "4" }, nothing)));
    } else entries.forEach((entry, row) => cells(entry).forEach((text, i) => setText(body.children[row].children[i], text)));
  }

  function drawPeople() {
    if (!open) return;
    const all = [...store.people.values()];
    people.replaceChildren(...all.slice(0, 200).map((person) => h("li", { data: { id: person.id } }, avatar(person), nameElement(person.name, { class: "clip" }), badge(person.service),
      isAdmin() && !isMe(person.id) && !isBot(person) && h("button", { class: "button ghost small icon-button kick-person", type: "button", title: "Show out", "aria-label": `Show ${cleanName(person.name)} out`, onclick: () => showOut(person) }, icon("out", true)))));
    if (all.length > 200) people.append(h("li", { class: "muted" }, `and ${all.length - 200} more`));
  }

  // Once opened, the numbers keep coming, so that the charts have no hole for each look at another view.
  const wanted = () => opened && !document.hidden;
  const subscribe = () => send({ type: "vitals", on: wanted() });
  document.addEventListener("visibilitychange", () => { if (opened) subscribe(); });
  on("ws:welcome", () => { if (opened) subscribe(); });
  on("ws:vitals", take);
  on("people", drawPeople);
  on("session", drawPeople);

  return {
    element, title: "House",
    show() {
      open = true;
      if (!opened) { opened = true; subscribe(); api("/api/house").then((v) => { if (!before) take(v); }, complain); }
      draw();
      drawPeople();
    },
    hide() { open = false; },
  };
}
