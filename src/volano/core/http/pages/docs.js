// Draws /api/openapi.json. Everything is made with createElement: no text can become markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const BOUNDS = {
  minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<",
  minLength: "length ≥", maxLength: "length ≤", minItems: "items ≥", maxItems: "items ≤",
  pattern: "matches", format: "", default: "default",
};
let api;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== ""));
  return element;
}

const deref = (schema) => (schema?.$ref ? api.components.schemas[nameOf(schema)] : schema) ?? {};
const nameOf = (schema) => schema.$ref?.split("/").pop() ?? "";

// Text with `code` between backticks.
function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

function typeName(schema) {
  if (schema.$ref) return nameOf(schema);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.prefixItems) return `[${schema.prefixItems.map(typeName).join(", ")}]`;
  if (schema.type === "array") return `${typeName(schema.items || {})}[]`;
  if (schema.additionalProperties?.type || schema.additionalProperties?.$ref)
    return `{ text: ${typeName(schema.additionalProperties)} }`;
  return [schema.type ?? "any"].flat().join(" | ");
}

function rules(schema) {
  return Object.entries(BOUNDS)
    .filter(([key]) => key in schema)
    .map(([key, word]) => `${word} ${typeof schema[key] === "string" && key !== "default" ? schema[key] : JSON.stringify(schema[key])}`.trim())
    .join(", ");
}

// The first schema inside that has fields of its own to show.
function fieldsOf(schema) {
  const whole = deref(schema);
  if (whole.properties) return whole;
  const inner = [whole.items, whole.additionalProperties, ...(whole.prefixItems ?? []), ...(whole.anyOf ?? whole.oneOf ?? [])];
  for (const part of inner) if (part && typeof part === "object") {
    const found = fieldsOf(part);
    if (found) return found;
  }
  return null;
}

function field(name, schema, needed) {
  const label = [
    name ? make("span", { class: "name" }, name) : "",
    needed ? make("span", { class: "need", title: "needed" }, "*") : "",
    " ", make("span", { class: "type" }, typeName(schema)),
    " ", make("span", { class: "rule" }, rules(schema)),
    schema.description ? make("span", { class: "soft" }, "  ", prose(schema.description)) : "",
  ];
  const inside = fieldsOf(schema);
  if (!inside) return make("li", {}, label);
  // Filled when opened, so that types that contain themselves end.
  const details = make("details", {}, make("summary", {}, label));
  details.addEventListener("toggle", () => details.append(fields(inside)), { once: true });
  return make("li", {}, details);
}

function fields(schema) {
  const needed = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties).map(([name, one]) => field(name, one, needed.has(name)));
  return make("ul", { class: "schema" }, rows);
}

function schemaBlock(schema) {
  const inside = fieldsOf(schema);
  const head = make("div", {}, make("span", { class: "type" }, typeName(schema)));
  const about = deref(schema).description;
  if (about) head.append("  ", make("span", { class: "soft" }, prose(about)));
  return inside ? [head, fields(inside)] : [head];
}

function example(schema, depth = 0) {
  const whole = deref(schema);
  if ("default" in whole) return whole.default;
  if ("const" in whole) return whole.const;
  if (whole.enum) return whole.enum[0];
  const choice = (whole.anyOf ?? whole.oneOf)?.find((one) => one.type !== "null");
  if (choice) return example(choice, depth);
  if (whole.properties) {
    const needed = whole.required ?? [];
    const names = Object.keys(whole.properties).filter((name) => needed.includes(name));
    return Object.fromEntries(names.map((name) => [name, example(whole.properties[name], depth + 1)]));
  }
  if (whole.prefixItems) return whole.prefixItems.map((one) => example(one, depth + 1));
  if (whole.type === "array") return depth < 6 && whole.items ? [example(whole.items, depth + 1)] : [];
  if (whole.type === "string") return whole.format === "date-time" ? new Date().toISOString() : "…";
  if (whole.type === "integer" || whole.type === "number") return whole.minimum ?? 0;
  return whole.type === "boolean" ? false : {};
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function curl(path, method, operation) {
  const parts = [`curl ${quoted(location.origin + path)}`];
  if (method !== "get") parts.splice(0, 1, `curl -X ${method.toUpperCase()} ${quoted(location.origin + path)}`);
  if (operation.security?.length) parts.push('-H "Authorization: Bearer $VOLANO_KEY"');
  if (operation.parameters?.some((one) => /idempotency-?key$/i.test(one.$ref ?? one.name)))
    parts.push('-H "Idempotency-Key: $(uuidgen)"');
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type) parts.push(`-H ${quoted(`Content-Type: ${type}`)}`);
  if (type === "application/json") {
    const value = content.example ?? example(content.schema);
    const line = JSON.stringify(value);
    parts.push(`-d ${quoted(line.length < 70 ? line : JSON.stringify(value, null, 2))}`);
  }
  else if (type) parts.push("--data-binary @file");
  return parts.join(" \\\n  ");
}

function copyable(text) {
  const button = make("button", { class: "copy", type: "button", onclick: async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } }, "Copy");
  return make("div", { class: "curl" }, make("pre", {}, text), button);
}

function parameterRows(parameters) {
  return parameters.map((one) => (one.$ref ? api.components.parameters[one.$ref.split("/").pop()] : one)).map((one) =>
    make("tr", {},
      make("td", {}, make("span", { class: "name" }, one.name), one.required ? make("span", { class: "need", title: "needed" }, "*") : ""),
      make("td", { class: "soft" }, one.in),
      make("td", {}, make("span", { class: "type" }, typeName(one.schema)), " ", make("span", { class: "rule" }, rules(one.schema)),
        one.description ? make("div", { class: "soft" }, prose(one.description)) : "")));
}

function answerRows(responses) {
  return Object.entries(responses).map(([status, response]) => {
    const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
    const fine = status < 400;
    const told = fine
      ? [type ? make("span", { class: "soft" }, type) : "No content", ...(content && Object.keys(content.schema).length ? schemaBlock(content.schema) : [])]
      : [make("div", { class: "problems" }, response.description.split("\n\n").map((line) => make("p", {}, prose(line))))];
    return make("tr", {}, make("td", {}, make("span", { class: `status ${fine ? "fine" : "refused"}` }, status)), make("td", {}, told));
  });
}

function operationBody(path, method, operation) {
  const body = Object.entries(operation.requestBody?.content ?? {});
  const parameters = operation.parameters ?? [];
  const roles = operation["x-roles"];
  return make("div", { class: "inside" },
    operation.description ? make("p", { class: "text" }, prose(operation.description)) : "",
    roles ? make("p", { class: "text soft" }, "For the roles ", roles.join(", "), ".") : "",
    make("h3", {}, "Try it"), copyable(curl(path, method, operation)),
    parameters.length ? [make("h3", {}, "Parameters"), make("table", {}, parameterRows(parameters))] : "",
    body.map(([type, content]) => [make("h3", {}, `Body · ${type}`), Object.keys(content.schema).length ? schemaBlock(content.schema) : make("span", { class: "soft" }, "Bytes as they are.")]),
    make("h3", {}, "Answers"), make("table", {}, answerRows(operation.responses)));
}

function operationRow(path, method, operation) {
  // A line may break after a slash, and nowhere inside of a part.
  const name = path.split(/(?<=\/)/).map((part) => [make(part.startsWith("{") ? "i" : "span", {}, part), make("wbr")]);
  const row = make("details", { class: "operation", id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, name),
      make("span", { class: "summary" }, prose(operation.summary ?? "")),
      make("span", { class: "badge", title: "permission" }, operation["x-permission"])));
  row.dataset.text = [path, method, operation.summary, operation.description, operation["x-permission"], operation.tags].join(" ").toLowerCase();
  row.addEventListener("toggle", () => row.append(operationBody(path, method, operation)), { once: true });
  return row;
}

function draw() {
  document.title = `${api.info.title} API`;
  document.getElementById("title").textContent = `${api.info.title} API`;
  document.getElementById("version").textContent = api.info.version;
  const byTag = new Map(api.tags.map((tag) => [tag.name, []]));
  for (const [path, methods] of Object.entries(api.paths))
    for (const method of METHODS) if (methods[method])
      byTag.get(methods[method].tags[0]).push(operationRow(path, method, methods[method]));
  const sections = api.tags.map((tag) => make("section", { id: `tag-${tag.name}` },
    make("h2", {}, tag.name), make("p", {}, prose(tag.description ?? "")), byTag.get(tag.name)));
  const intro = make("section", { class: "intro" }, make("h2", {}, "What every operation has in common"),
    make("p", { class: "text" }, prose(api.info.description)));
  document.getElementById("main").replaceChildren(intro, ...sections,
    make("p", { class: "nothing", id: "nothing", hidden: "" }, "Nothing matches."));
  document.getElementById("tags").replaceChildren(...api.tags.map((tag) =>
    make("a", { href: `#tag-${tag.name}` }, tag.name, make("span", {}, String(byTag.get(tag.name).length)))));
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const section of document.querySelectorAll("main section:not(.intro)")) {
    let any = false;
    for (const row of section.querySelectorAll(".operation")) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      any ||= !row.hidden;
    }
    section.hidden = !any;
    shown += any;
  }
  document.querySelector(".intro").hidden = words.length > 0;
  document.getElementById("nothing").hidden = shown > 0;
}

function openLinked() {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked?.matches(".operation")) linked.open = true;
  linked?.scrollIntoView();
}

fetch("/api/openapi.json").then((answer) => answer.json()).then((described) => {
  api = described;
  draw();
  openLinked();
  document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
  addEventListener("hashchange", openLinked);
});
