// What only a page that is served can do: write the answers to the disk, show pictures in full.

/** Where the answers go; null in a page that is opened from a file. */
const SERVED = read("served-data");

/** The file of answers as it was last read or written: its tag, and its entries. */
const disk = { tag: null, entries: none(), busy: false };

/** Entries as one text, whatever the order of their keys. */
const sameAs = entries => JSON.stringify(Object.entries(entries).flatMap(([table, list]) =>
  list.map(entry => [table, ...Object.keys(entry).sort().map(key => [key, entry[key]])])));

/** Whether the file lacks something that is decided here. */
const unwritten = () => SERVED != null && sameAs(state.answers.now) !== sameAs(disk.entries);

/** Says something above the page; `choices` are [label, what it does]. */
function tell(what, { wrong = false, choices = [] } = {}) {
  const told = $("told"), hide = () => { told.hidden = true; };
  told.className = wrong ? "wrong" : "";
  told.replaceChildren(what, h("div", {}, choices.map(([label, act], i) =>
    h(i ? "button" : "button.main", { type: "button", onclick: () => { hide(); act(); } }, label)),
  h("button", { type: "button", onclick: hide }, "Close")));
  told.hidden = false;
  clearTimeout(tell.hides);
  if (!wrong && !choices.length) tell.hides = setTimeout(hide, 8000);
}

/** Reads the file: its answers are then known here, but not taken. */
async function readDisk() {
  const got = await fetch("overrides.toml"), text = await got.text();
  if (!got.ok) throw new Error(text);
  disk.entries = parseOverrides(text);
  disk.tag = got.headers.get("etag");
}

function takeDisk() {
  state.answers.change(now => Object.assign(now, clone(disk.entries)));
  refresh();
}

/** The page has answers and the file has others: a person says which hold. */
function askWhich(what) {
  tell(`${what} Nothing is written and nothing is lost: which answers hold?`, { wrong: true, choices: [
    ["Those of the file (undo brings mine back)", takeDisk], ["Mine; the file's are kept beside it", () => write()]] });
}

const GONE = "The program that serves this page has ended. What is decided stays in this browser; start it again, or save a copy.";

/** Writes the answers in the place of those that the page has seen. */
async function write() {
  if (disk.busy) return;
  disk.busy = true;
  const entries = clone(state.answers.now);
  const seen = disk.tag ? { "If-Match": disk.tag } : { "If-None-Match": "*" };
  try {
    const got = await fetch("overrides.toml", { method: "PUT", headers: { "Content-Type": "application/toml", ...seen }, body: state.answers.toml() });
    const said = await got.text();
    if (got.ok) {
      Object.assign(disk, { tag: got.headers.get("etag"), entries });
      tell(said);
      refresh();
    } else if (got.status === 412) {
      await readDisk();
      askWhich(said);
    } else tell(said, { wrong: true });
  } catch (error) {
    tell(error instanceof TypeError ? GONE : `The file on disk cannot be read here: ${error.message}`, { wrong: true });
  } finally {
    disk.busy = false;
  }
}

/** A page that is served goes on from the file, unless it has answers of its own. */
async function begin() {
  if (SERVED == null) return;
  try { await readDisk(); } catch (error) { return tell(`${SERVED}: ${error.message}`, { wrong: true }); }
  if (unwritten()) {
    if (sameAs(state.answers.now) === sameAs(state.answers.base)) takeDisk();
    else if (sameAs(disk.entries) !== sameAs(state.answers.base)) askWhich(`${SERVED} holds other answers than this browser.`);
  }
  refresh();
}

/** Shows a picture of the selected finding in full, with its boxes; `step` goes on from the one that is shown. */
function showFull(position, step = 0) {
  const all = state.selected ? [...new Set([...state.selected.pairs.flatMap(p => [p.a, p.b]), ...state.selected.alone])] : [position];
  const at = all[(all.indexOf(position) + step + all.length) % all.length], picture = AUDIT.pictures[at];
  showFull.at = at;
  $("full-picture").replaceChildren(
    h("img", { src: `picture/${at}`, alt: picture.image, width: picture.width, height: picture.height }),
    boxesView(picture, [0, 0, picture.width, picture.height]));
  $("full-picture").className = state.selected?.pairs.some(p => p.b === at) ? "b" : "a";
  const names = picture.objects.map(o => `${o.name} [${o.bbox.join(", ")}]`).join("; ");
  $("full-caption").replaceChildren(h("span.path", {}, picture.image), ` · ${picture.width} × ${picture.height} px · ${names || "no usable box"}`);
  if (!$("full").open) $("full").showModal();
}
