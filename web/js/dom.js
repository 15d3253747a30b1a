// Small helpers to build elements. Text only ever becomes a text node: what peers say never meets innerHTML.

const SVG = "http://www.w3.org/2000/svg";

/** `h("button", {class: "x", onclick: f, data: {id: 1}}, "text", child)`; nothing is made of null and false. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") element.className = value;
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key === "style") for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else element.setAttribute(key, value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  append(element, children);
  return element;
}

export function icon(name, small = false) {
  return svg("svg", { class: small ? "icon small" : "icon", "aria-hidden": "true" },
    svg("use", { href: `/assets/icons.svg#${name}` }));
}

export function setIcon(element, name) {
  element.querySelector("use").setAttribute("href", `/assets/icons.svg#${name}`);
}

/** Writes only what has changed: a selection in the element and a screen reader's place in it stay. */
export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

export function empty(iconName, title, text, ...more) {
  return h("div", { class: "empty" }, icon(iconName), h("strong", {}, title), text && h("p", {}, text), ...more);
}

/** Calls `f` once per animation frame at most, however often it is asked; in a hidden tab a timer stands in. */
export function coalesce(f) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => { asked = false; f(); };
    if (document.hidden) setTimeout(run, 250); else requestAnimationFrame(run);
  };
}

export function debounce(f, ms) {
  let timer;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => f(...args), ms); };
}
