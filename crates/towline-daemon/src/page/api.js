"use strict";

// Shows /v1/openapi.json as text; nothing in it is taken for markup.
function put(parent, kind, text) {
  const element = document.createElement(kind);
  element.textContent = text;
  parent.append(element);
  return element;
}

function show(api) {
  const main = document.getElementById("routes");
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const section = put(main, "section", "");
      put(section, "h2", `${method.toUpperCase()} ${path}`);
      put(section, "p", [operation.summary, operation.description].filter(Boolean).join("\n\n"));
      for (const parameter of operation.parameters ?? []) {
        put(section, "p", `${parameter.in} ${parameter.name}: ${parameter.description ?? ""}`);
      }
      details(section, "takes", operation.requestBody?.content);
      for (const [status, answer] of Object.entries(operation.responses)) {
        details(section, `answers ${status}`, answer.content);
      }
    }
  }
  for (const [name, schema] of Object.entries(api.components?.schemas ?? {})) {
    details(main, name, schema);
  }
}

function details(parent, title, value) {
  if (!value) return;
  const box = put(parent, "details", "");
  put(box, "summary", title);
  put(box, "pre", JSON.stringify(value, null, 2));
}

fetch("/v1/openapi.json", {
  headers: { authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}` },
})
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.statusText))))
  .then((api) => {
    document.getElementById("said").textContent = `${api.info.title} ${api.info.version}`;
    show(api);
  })
  .catch((error) => {
    document.getElementById("said").append(` (${error.message})`);
  });
