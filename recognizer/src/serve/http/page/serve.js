// What is dropped, pasted and clicked.

import { answered, enrolled } from "./answer.js";
import { $, brandPath, call, h, json } from "./api.js";
import * as gallery from "./gallery.js";
import * as stage from "./stage.js";

function problem(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

function form(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value != null) body.append(name, value);
  return body;
}

const picture = () => ({ image: stage.file(), box: stage.box()?.join(",") });

let running = null;
/** Identifies what the box holds; an older question that is still on its way is dropped. */
async function identify() {
  if (!stage.file()) return;
  running?.abort();
  const mine = running = new AbortController();
  $("answer").setAttribute("aria-busy", "true");
  try {
    const answer = await json("POST", "v1/identify", { body: form({ ...picture(), top: 5 }), signal: mine.signal });
    problem(null);
    $("answer").replaceChildren(...answered(answer));
    $("enrol").hidden = false;
    suggest(answer.verdict === "known" ? answer.brand : fileName);
  } catch (error) {
    if (error.name === "AbortError") return;
    problem(error);
    $("answer").replaceChildren(h("p.quiet", {}, "No answer."));
  } finally {
    if (running === mine) $("answer").removeAttribute("aria-busy");
  }
}

let fileName = "", suggested = "";
/** Puts a name into the field, unless a person has typed one: of the unknown that of its file, so that one click enrols it. */
function suggest(name) {
  if (["", suggested].includes($("brand").value)) suggested = $("brand").value = name;
}

let wait;
function soon() {
  clearTimeout(wait);
  wait = setTimeout(identify, 180);
}

async function take(file) {
  try {
    await stage.show(file);
  } catch (error) {
    return problem(error);
  }
  problem(null);
  // What is pasted is called image.png.
  fileName = /^image\.\w+$/.test(file.name ?? "image.png") ? "" : file.name.replace(/\.\w+$/, "").replace(/[_-]+/g, " ").trim();
  suggested = $("brand").value = fileName;
  $("drop").hidden = true;
  $("work").hidden = false;
  $("enrolled").replaceChildren();
  $("stage").focus({ preventScroll: true });
  await identify();
}

async function changed(error) {
  problem(error);
  if (error) return;
  try {
    await Promise.all([gallery.refresh(), gallery.lead(), identify()]);
  } catch (failure) {
    problem(failure);
  }
}

async function enrol(event) {
  event.preventDefault();
  const brand = $("brand").value.trim(), button = $("enrol-button");
  if (!brand || button.disabled) return;
  button.disabled = true;
  try {
    const said = await json("POST", `${brandPath(brand)}/pictures`, { body: form(picture()) });
    const undo = async () => {
      try {
        for (const id of said.enrolled) await call("DELETE", `v1/pictures/${encodeURIComponent(id)}`);
        $("enrolled").replaceChildren(h("p.quiet", {}, `Taken out of ${said.brand} again.`));
        await changed(null);
      } catch (error) {
        problem(error);
      }
    };
    $("enrolled").replaceChildren(...enrolled(said, undo));
    await changed(null);
  } catch (error) {
    problem(error);
  } finally {
    button.disabled = false;
  }
}

function other() {
  $("file").value = "";
  $("file").click();
}

function start() {
  stage.start(soon);
  gallery.start(changed);
  $("file").addEventListener("change", () => { if ($("file").files[0]) take($("file").files[0]); });
  $("other").addEventListener("click", other);
  $("enrol").addEventListener("submit", enrol);
  addEventListener("paste", event => {
    const file = [...event.clipboardData.files].find(f => f.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  let over = 0;
  addEventListener("dragenter", () => { over++; document.body.classList.add("over"); });
  addEventListener("dragleave", () => { if (--over <= 0) document.body.classList.remove("over"); });
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => {
    event.preventDefault();
    over = 0;
    document.body.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
  Promise.all([gallery.lead(), gallery.refresh()]).catch(error => {
    $("lead").textContent = "";
    problem(error);
  });
}

start();
