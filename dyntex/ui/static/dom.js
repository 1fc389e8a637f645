// Elements, made in one line.

/** An element: h("p", {class: "soft", onclick: f}, "words", child). null and false children are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !["class", "list", "width", "height"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const find = (selector) => document.querySelector(selector);

/** A labelled control of the form. */
export function field(label, control, hint = "", extra = "") {
  return h("label", { class: extra }, label, control, hint && h("span", { class: "soft" }, hint));
}

export function select(name, options, value = "") {
  const control = h("select", { name }, options.map(([key, words]) => h("option", { value: key }, words)));
  control.value = value;
  return control;
}

export function duration(seconds) {
  if (seconds < 1.5) return "a second";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export const memory = (mib) => (mib < 1000 ? `${Math.round(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`);

/** A button that copies words and says so. */
export function copyButton(words) {
  return h("button", {
    type: "button",
    onclick: async (event) => {
      const button = event.currentTarget;
      await navigator.clipboard.writeText(words());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    },
  }, "Copy");
}
