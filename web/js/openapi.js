// Reads an OpenAPI 3.1 document: follows references, names types, makes examples. Nothing here touches the page.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const DEPTH = 6; // schemas may hold themselves

export class Document {
  constructor(json) {
    this.json = json ?? {};
  }

  /** What `#/components/…` points to; other things as they are. */
  resolve(node, hops = 8) {
    let at = node;
    while (at && typeof at.$ref === "string" && hops-- > 0) {
      if (!at.$ref.startsWith("#/")) return {};
      at = at.$ref.slice(2).split("/").reduce((inner, key) => inner?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.json);
    }
    return at ?? {};
  }

  schemas() { return Object.entries(this.json.components?.schemas ?? {}); }

  /** [{tag, description, operations: [{id, method, path, operation, parameters}]}], in the order of the document. */
  groups() {
    const groups = new Map((this.json.tags ?? []).map(({ name, description }) => [name, { tag: name, description, operations: [] }]));
    for (const [path, item] of Object.entries(this.json.paths ?? {})) {
      for (const method of METHODS) {
        const operation = item[method];
        if (!operation) continue;
        const tag = operation.tags?.[0] ?? "other";
        if (!groups.has(tag)) groups.set(tag, { tag, operations: [] });
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((p) => this.resolve(p));
        groups.get(tag).operations.push({ id: `${method}${path}`.replace(/[^a-zA-Z0-9]+/g, "-"), method, path, operation, parameters });
      }
    }
    return [...groups.values()].filter(({ operations }) => operations.length > 0);
  }

  /** A type in a few words; `link(name)` makes what stands for a named schema. The result is a list of texts and links. */
  type(schema, link) {
    if (!schema || Object.keys(schema).length === 0) return ["anything"];
    if (schema === true) return ["anything"];
    if (schema.$ref) return [link(schema.$ref.split("/").at(-1))];
    for (const [key, word] of [["oneOf", " or "], ["anyOf", " or "], ["allOf", " and "]]) {
      if (schema[key]) return schema[key].flatMap((part, i) => (i ? [word, ...this.type(part, link)] : this.type(part, link)));
    }
    if (schema.enum) return [schema.enum.map((v) => JSON.stringify(v)).join(" or ")];
    if (schema.const !== undefined) return [JSON.stringify(schema.const)];
    const types = [schema.type ?? (schema.properties ? "object" : "anything")].flat();
    return types.flatMap((type, i) => {
      const before = i ? [" or "] : [];
      if (type === "array") return [...before, "list of ", ...this.type(schema.items, link)];
      if (type === "object" && schema.additionalProperties && typeof schema.additionalProperties === "object") return [...before, "map to ", ...this.type(schema.additionalProperties, link)];
      return [...before, schema.format && type !== "null" ? `${type} (${schema.format})` : type];
    });
  }

  /** An example that fits a schema. */
  example(schema, depth = 0) {
    if (!schema || depth > DEPTH) return null;
    if (schema.$ref) return this.example(this.resolve(schema), depth + 1);
    if (schema.example !== undefined) return schema.example;
    if (schema.examples?.length) return schema.examples[0];
    if (schema.default !== undefined) return schema.default;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0];
    if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => this.example(part, depth + 1)).filter((v) => v && typeof v === "object"));
    const choice = (schema.oneOf ?? schema.anyOf)?.find(({ type }) => type !== "null");
    if (choice) return this.example(choice, depth + 1);
    const type = [schema.type].flat().find((t) => t && t !== "null") ?? (schema.properties ? "object" : null);
    switch (type) {
      case "object": return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, value]) => [key, this.example(value, depth + 1)]));
      case "array": return [this.example(schema.items, depth + 1)];
      case "integer": return schema.minimum ?? 0;
      case "number": return schema.minimum ?? 0.5;
      case "boolean": return true;
      case "string": return schema.format === "date-time" ? "2025-01-01T00:00:00Z" : "…";
      default: return null;
    }
  }

  /** A command line that makes the request. */
  curl({ method, path, operation, parameters }, origin) {
    const value = (p) => p.example ?? (p.schema ? this.example(p.schema) : null);
    const shown = (p, standIn) => { const v = value(p); return v === null || v === "…" || typeof v === "object" ? standIn : String(v); };
    let address = path;
    for (const p of parameters.filter((q) => q.in === "path")) address = address.replace(`{${p.name}}`, shown(p, p.name.toUpperCase()));
    const query = parameters.filter((p) => p.in === "query" && p.required).map((p) => `${encodeURIComponent(p.name)}=${encodeURIComponent(shown(p, p.name.toUpperCase()))}`).join("&");
    const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const parts = ["curl"];
    if (method === "head") parts.push("--head"); else if (method !== "get") parts.push("-X", method.toUpperCase());
    const body = this.resolve(operation.requestBody);
    const [kind, media] = Object.entries(body.content ?? {})[0] ?? [];
    if (kind) {
      parts.push("-H", quote(`content-type: ${kind}`));
      parts.push(kind.includes("json") ? `-d ${quote(JSON.stringify(media.example ?? this.example(media.schema)))}` : "--data-binary @FILE");
    }
    const answers = Object.entries(operation.responses ?? {}).filter(([status]) => status.startsWith("2")).flatMap(([, r]) => Object.keys(this.resolve(r).content ?? {}));
    if (answers.some((a) => /image|video|octet/.test(a))) parts.push("-O");
    parts.push(quote(`${origin}${address}${query ? `?${query}` : ""}`));
    return parts.join(" ");
  }
}
