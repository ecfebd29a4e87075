// Who is enrolled: searched, renamed, removed.

import { $, ask, brandPath, count, h, json, n, thumbnail } from "./api.js";

const PAGE = 60;
let shown = [], next = null, asked = 0, tell = () => {};

function card({ brand, pictures, picture }) {
  return h("div.brand", {},
    picture == null ? h("span.thumb") : thumbnail(`v1/pictures/${encodeURIComponent(picture)}`),
    h("div", {}, h("b", { title: brand }, brand), h("span.quiet", {}, count(pictures, "picture")), h("br"),
      h("button", { type: "button", "aria-label": `Rename ${brand}`, onclick: () => rename(brand) }, "Rename"),
      h("button", { type: "button", "aria-label": `Remove ${brand}`, onclick: () => remove(brand, pictures) }, "Remove")));
}

async function rename(brand) {
  const name = await ask({ title: `Rename ${brand}`, label: "New name", value: brand, ok: "Rename" });
  if (name === null || name.trim() === brand) return;
  await attempt(() => json("PATCH", brandPath(brand), { body: JSON.stringify({ name: name.trim() }) }));
}

async function remove(brand, pictures) {
  const sure = await ask({
    title: `Remove ${brand}?`, ok: "Remove",
    text: `${count(pictures, "enrolled picture")} of it ${pictures === 1 ? "goes" : "go"} with it. This cannot be taken back here.`,
  });
  if (sure) await attempt(() => json("DELETE", brandPath(brand)));
}

async function attempt(work) {
  try {
    await work();
    tell(null);
  } catch (error) {
    tell(error);
  }
}

/** Asks for the first page anew, or for one more. */
export async function refresh(more = false) {
  const mine = ++asked, search = $("search").value.trim();
  const query = new URLSearchParams({ limit: PAGE });
  if (search) query.set("search", search);
  if (more && next) query.set("after", next);
  const found = await json("GET", `v1/brands?${query}`);
  if (mine !== asked) return;
  shown = more ? [...shown, ...found.brands] : found.brands;
  next = found.next;
  $("brands").replaceChildren(...shown.map(card));
  $("more").hidden = next == null;
  $("found").textContent = search ? `${count(found.total, "brand")} with “${search}”` : count(found.total, "brand");
  if (!search && shown.length === 0) {
    $("brands").replaceChildren(h("p.quiet", {}, "Nobody is enrolled yet. Put a picture in above and give its brand a name."));
  }
  $("known").replaceChildren(...shown.map(({ brand }) => h("option", { value: brand })));
}

/** The first lines: how large the gallery is, by which threshold it judges. */
export async function lead() {
  const { brands, pictures, threshold, model } = await json("GET", "v1/gallery");
  $("lead").textContent = `${count(brands, "brand")} enrolled with ${count(pictures, "picture")}. `
    + `What reaches a similarity of ${threshold.toFixed(3)} is named, all else is unknown. Model ${model.fingerprint.slice(0, 12)}, ${n(model.dim)} dimensions.`;
}

/** `changed(error)` is called after each change, or what went wrong with it. */
export function start(changed) {
  tell = changed;
  let wait;
  $("search").addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => refresh().catch(tell), 150);
  });
  $("more").addEventListener("click", () => refresh(true).catch(tell));
}
