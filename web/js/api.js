// The page of the API: shows /openapi.json to people.

import { fill, h, icon } from "./dom.js";
import { Document } from "./openapi.js";

const $ = (id) => document.getElementById(id);
const schemaLink = (name) => h("a", { href: `#schema-${name}` }, name);
const prose = (text) => text && h("p", { class: "prose" }, ticks(String(text)));

/** Words in `ticks` as code; more of Markdown is not needed here. */
function ticks(text) {
  return text.split(/`([^`]+)`/g).map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

function method(name) { return h("span", { class: "method", data: { method: name } }, name.toUpperCase()); }

function limits(schema) {
  const notes = [];
  if (schema.default !== undefined && schema.default !== null) notes.push(`default ${JSON.stringify(schema.default)}`);
  if (schema.minimum !== undefined) notes.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) notes.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) notes.push(`at most ${schema.maxLength} long`);
  if (schema.pattern) notes.push(`like ${schema.pattern}`);
  return notes.join(", ");
}

function property(doc, name, schema, required, where = "") {
  const resolved = doc.resolve(schema);
  const note = limits(schema);
  return h("div", { class: "row" },
    h("div", {}, h("code", { class: "key" }, name), " ", where && h("span", { class: "chip" }, where), " ", required && h("span", { class: "need" }, "required")),
    h("div", {}, h("span", { class: "type" }, doc.type(schema, schemaLink)), note && h("span", { class: "muted small-text" }, ` ${note}`), prose(schema.description ?? (schema.$ref ? "" : resolved.description))));
}

function properties(doc, schema) {
  if (schema.allOf) return schema.allOf.flatMap((part) => properties(doc, doc.resolve(part)));
  return Object.entries(schema.properties ?? {}).map(([name, value]) => property(doc, name, value, schema.required?.includes(name)));
}

function content(doc, node) {
  return Object.entries(node.content ?? {}).map(([kind, media]) => h("div", {},
    h("span", { class: "muted small-text" }, kind), media.schema && [" ", h("span", { class: "type" }, doc.type(media.schema, schemaLink))]));
}

function curl(command) {
  const pre = h("pre", { class: "curl", tabindex: "0" }, command);
  const button = h("button", { class: "button small icon-button", type: "button", "aria-label": "Copy the command", title: "Copy", onclick: async () => {
    try { await navigator.clipboard.writeText(command); button.replaceChildren(icon("check", true)); setTimeout(() => button.replaceChildren(icon("copy", true)), 1500); } catch { getSelection().selectAllChildren(pre); }
  } }, icon("copy", true));
  return h("div", { class: "curl-frame" }, pre, button);
}

function operation(doc, op) {
  const { operation: o } = op;
  const body = doc.resolve(o.requestBody);
  const bodySchema = Object.values(body.content ?? {})[0]?.schema;
  const inline = bodySchema && !bodySchema.$ref ? properties(doc, bodySchema) : [];
  return h("article", { class: "card op", id: op.id, data: { method: op.method, path: op.path } },
    h("header", {}, method(op.method), h("span", { class: "path" }, op.path), o.deprecated && h("span", { class: "chip" }, "deprecated"), o.security?.length > 0 && h("span", { class: "chip" }, icon("lock", true), o.security.flatMap(Object.keys).join(", "))),
    o.summary && h("h3", {}, ticks(o.summary)), prose(o.description),
    op.parameters.length > 0 && [h("h4", {}, "Parameters"), h("div", { class: "rows" }, op.parameters.map((p) => property(doc, p.name, { ...(p.schema ?? {}), description: p.description ?? p.schema?.description }, p.required, p.in)))],
    Object.keys(body).length > 0 && [h("h4", {}, "Body"), prose(body.description), content(doc, body), inline.length > 0 && h("div", { class: "rows" }, inline)],
    h("h4", {}, "Answers"),
    h("div", { class: "rows" }, Object.entries(o.responses ?? {}).map(([status, node]) => {
      const answer = doc.resolve(node);
      return h("div", { class: "row" }, h("div", {}, h("span", { class: "status", data: { kind: status[0] } }, status)), h("div", {}, prose(answer.description), content(doc, answer)));
    })),
    h("h4", {}, "For example"), curl(doc.curl(op, location.origin)));
}

function schema(doc, name, node) {
  const rows = properties(doc, node);
  return h("article", { class: "card schema", id: `schema-${name}` }, h("h3", {}, name), prose(node.description),
    rows.length ? h("div", { class: "rows" }, rows) : h("p", { class: "type" }, doc.type(node, schemaLink)),
    rows.length > 0 && h("pre", { class: "shape", tabindex: "0" }, JSON.stringify(doc.example(node), null, 2)));
}

function contents(doc, groups) {
  const body = h("div", { class: "toc-body", id: "toc-body" }, groups.map(({ tag, operations }) => [h("h2", {}, tag),
    operations.map((op) => h("a", { href: `#${op.id}`, title: op.path }, method(op.method), h("span", {}, op.operation.summary ?? op.path)))]),
    doc.schemas().length > 0 && h("h2", {}, "Schemas"), doc.schemas().map(([name]) => h("a", { href: `#schema-${name}` }, h("span", {}, name))));
  const toggle = h("button", { id: "toc-toggle", class: "button small wide", type: "button", "aria-expanded": "false", "aria-controls": "toc-body", onclick: () => toggle.setAttribute("aria-expanded", $("toc").classList.toggle("open")) }, "Contents");
  fill($("toc"), toggle, body);
}

async function start() {
  const main = $("doc");
  try {
    const response = await fetch("/openapi.json", { credentials: "same-origin" });
    if (response.status === 401) throw new Error("This house has a password: sign in at the console first.");
    if (!response.ok) throw new Error(`The house answered ${response.status}.`);
    const doc = new Document(await response.json());
    const { info = {} } = doc.json;
    const groups = doc.groups();
    fill($("api-title"), info.title ? `The API of ${info.title}` : "The API of the house");
    fill($("api-version"), [`version ${info.version ?? "?"}`, `OpenAPI ${doc.json.openapi ?? "?"}`, info.license?.name].filter(Boolean).join(" · "));
    contents(doc, groups);
    fill(main, prose(info.description), groups.map(({ tag, description, operations }) => [h("header", { class: "tag-head" }, h("h2", {}, tag), prose(description)), operations.map((op) => operation(doc, op))]),
      doc.schemas().length > 0 && h("header", { class: "tag-head" }, h("h2", {}, "Schemas")), doc.schemas().map(([name, node]) => schema(doc, name, node)));
    // The place that the address names did not exist when the page was opened.
    if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  } catch (error) {
    fill(main, h("div", { class: "empty" }, icon("warn"), h("strong", {}, "The description could not be shown"), h("p", {}, error.message), h("a", { class: "button", href: "/" }, "To the console")));
  }
  main.removeAttribute("aria-busy");
}

start();
