// What the page asks of its server, and how an element is made.

/** An element: h("p.quiet", { title }, ...children); children that are no elements are text. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child != null && child !== false));
  return element;
}

export const $ = id => document.getElementById(id);
export const n = value => value.toLocaleString("en-US");
export const count = (value, one, many = one + "s") => `${n(value)} ${value === 1 ? one : many}`;
export const similarity = value => value.toFixed(3);

/** The server's refusal, in its words. */
export class Refusal extends Error {
  constructor(status, detail, after) {
    super(detail);
    this.status = status;
    this.after = after;
  }
}

const TOKEN = "logodex-token";

/** Asks in a dialog and gives what was typed, or null; without `label` it only asks yes or no. */
export function ask({ title, text = "", label = "", value = "", ok, secret = false }) {
  const dialog = $("ask"), input = $("ask-value");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-label").textContent = label;
  $("ask-ok").textContent = ok;
  input.hidden = $("ask-label").hidden = !label;
  input.type = secret ? "password" : "text";
  input.required = Boolean(label);
  input.value = value;
  return new Promise(answer => {
    const leave = given => {
      dialog.onclose = null;
      dialog.close();
      input.value = "";
      answer(given);
    };
    dialog.querySelector("form").onsubmit = event => {
      event.preventDefault();
      leave(label ? input.value : "yes");
    };
    $("ask-cancel").onclick = () => leave(null);
    dialog.onclose = () => leave(null);
    dialog.showModal();
    if (label) input.select();
  });
}

let asking = null;
/** Asks for the token once, however many requests were refused for want of it. */
function askToken() {
  asking ??= ask({
    title: "This server asks for a token", label: "Token", ok: "Go on", secret: true,
    text: "It was given to the server with --token-file. It is kept until this tab is closed.",
  }).then(token => {
    asking = null;
    if (token) sessionStorage.setItem(TOKEN, token.trim());
    return token;
  });
  return asking;
}

/** A response of the server; a refusal is thrown. What it is too busy for is asked again when it says so. */
export async function call(method, path, { body, signal, tries = 4 } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (typeof body === "string") headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, body, signal, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server cannot be reached. Is it still running?");
  }
  if (response.ok) return response;
  if (response.status === 401 && (sessionStorage.getItem(TOKEN) !== token || await askToken())) {
    return call(method, path, { body, signal, tries });
  }
  const after = Number(response.headers.get("Retry-After") ?? 1);
  if (response.status === 429 && tries > 1) {
    await new Promise(wake => setTimeout(wake, after * 1000));
    signal?.throwIfAborted();
    return call(method, path, { body, signal, tries: tries - 1 });
  }
  const said = await response.json().catch(() => ({}));
  throw new Refusal(response.status, said.detail ?? `The server answers ${response.status} ${response.statusText}`, after);
}

export const json = async (method, path, options) => (await call(method, path, options)).json();

export const brandPath = brand => `v1/brands/${encodeURIComponent(brand)}`;

const pictures = new Map();
const near = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    load(target.dataset.picture).then(url => { if (url) target.src = url; });
  }
}, { rootMargin: "200px" });

async function load(path) {
  if (!pictures.has(path)) {
    pictures.set(path, call("GET", path).then(async r => URL.createObjectURL(await r.blob())).catch(() => {
      pictures.delete(path);
      return null;
    }));
    // A page that is left open for a day does not keep every picture it ever showed.
    if (pictures.size > 600) {
      const [oldest, url] = pictures.entries().next().value;
      pictures.delete(oldest);
      url.then(u => u && URL.revokeObjectURL(u));
    }
  }
  return pictures.get(path);
}

/** An enrolled picture, fetched when it comes near the window: a token cannot travel in an address. */
export function thumbnail(path, alt = "") {
  const image = h("img.thumb", { alt, "data-picture": path });
  near.observe(image);
  return image;
}
