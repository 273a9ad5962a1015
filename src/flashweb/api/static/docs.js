// Draws openapi.json as a list of operations that can be tried. No library, no inline code, no other host.
"use strict";

const EXAMPLES = {
  createChatCompletion: (model) => ({
    model,
    messages: [{ role: "user", content: [{ type: "text", text: "What is in this picture?" }] }],
    max_tokens: 64,
    stream: true,
  }),
};

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function resolve(schema, root) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split("/").reduce((node, key) => node[key], root);
}

function typeOf(schema, root) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const several = schema.anyOf || schema.oneOf;
  if (several) return [...new Set(several.map((item) => typeOf(item, root)))].filter((name) => name !== "null").join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items || {}, root)}`;
  return schema.type || "any";
}

function limits(schema) {
  const parts = [schema, ...(schema.anyOf || [])];
  const words = [];
  for (const part of parts) {
    if (part.minimum !== undefined) words.push(`≥ ${part.minimum}`);
    if (part.exclusiveMinimum !== undefined) words.push(`> ${part.exclusiveMinimum}`);
    if (part.maximum !== undefined) words.push(`≤ ${part.maximum}`);
    if (part.maxItems !== undefined) words.push(`at most ${part.maxItems} entries`);
    if (part.maxLength !== undefined) words.push(`at most ${part.maxLength} characters`);
  }
  return words.join(", ");
}

function schemaTable(schema, root) {
  const body = make("tbody");
  const required = new Set(schema.required || []);
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const resolved = resolve(property, root);
    const text = [property.description || resolved.description || "", limits(property)].filter(Boolean).join("; ");
    const title = make("code", { textContent: name + (required.has(name) ? " *" : "") });
    body.append(make("tr", {}, make("td", {}, title), make("td", { textContent: typeOf(property, root) }), make("td", { textContent: text })));
  }
  const head = make("thead", {}, make("tr", {}, make("th", { textContent: "field" }), make("th", { textContent: "type" }), make("th", { textContent: "meaning" })));
  return make("table", {}, head, body);
}

function headers(withBody) {
  const key = document.getElementById("key").value;
  return { ...(withBody && { "Content-Type": "application/json" }), ...(key && { Authorization: `Bearer ${key}` }) };
}

async function send(method, path, body, output) {
  output.textContent = "…";
  try {
    const response = await fetch(path, { method, headers: headers(body !== null), body });
    output.textContent = `${response.status} ${response.statusText}  ${response.headers.get("x-request-id") || ""}\n\n`;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) output.textContent += part.value;
  } catch (error) {
    output.textContent = String(error);
  }
}

function tryIt(method, path, operation, model) {
  const output = make("pre", { textContent: "" });
  const button = make("button", { type: "button", textContent: "Send" });
  const address = make("input", { value: path.replace(/\{[^}]*\}/, model), ariaLabel: "path" });
  const example = EXAMPLES[operation.operationId];
  const editor = example ? make("textarea", { value: JSON.stringify(example(model), null, 2), spellcheck: false, ariaLabel: "body" }) : null;
  button.addEventListener("click", () => send(method.toUpperCase(), address.value, editor ? editor.value : null, output));
  return make("div", {}, ...(editor ? [editor] : []), make("p", { className: "bar" }, button, address), output);
}

function drawOperation(path, method, operation, root, model) {
  const summary = make("summary", {}, make("span", { className: "method", textContent: method.toUpperCase() }), make("code", { textContent: path }), ` ${operation.summary || ""}`);
  const inside = make("div", {}, make("p", { textContent: operation.description || "" }));
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  if (content) inside.append(schemaTable(resolve(content.schema, root), root));
  const answers = make("ul");
  for (const [status, response] of Object.entries(operation.responses || {})) answers.append(make("li", {}, make("code", { textContent: status }), ` ${response.description}`));
  inside.append(answers, tryIt(method, path, operation, model));
  return make("details", {}, summary, inside);
}

async function draw() {
  const place = document.getElementById("operations");
  const root = await (await fetch("/openapi.json")).json();
  const model = document.querySelector("strong").textContent;
  document.getElementById("intro").textContent = root.info.description;
  place.textContent = "";
  for (const [path, methods] of Object.entries(root.paths)) {
    for (const [method, operation] of Object.entries(methods)) place.append(drawOperation(path, method, operation, root, model));
  }
  place.append(make("h2", { textContent: "Shapes" }));
  for (const [name, schema] of Object.entries(root.components.schemas)) {
    place.append(make("details", {}, make("summary", {}, make("code", { textContent: name })), make("div", {}, make("p", { textContent: schema.description || "" }), schemaTable(schema, root))));
  }
}

draw().catch((error) => { document.getElementById("operations").textContent = String(error); });
