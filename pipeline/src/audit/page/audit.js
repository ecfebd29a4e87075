// What is typed and clicked.

const ROW = 58;
const state = {
  answers: new Answers(AUDIT.overrides, `logodex-audit ${AUDIT.raw_blake3}`),
  tab: "all", search: "", openOnly: true, shown: [], selected: null,
};
const $ = id => document.getElementById(id);
const texts = new Map(AUDIT.findings.map(f => [f.id, [f.brand, f.category, f.says, ...f.subjects].join(" ").toLowerCase()]));
const decided = finding => state.answers.of(finding).length > 0;

/** The answers that a finding takes: key, label, what it does, whether it is given. */
function actions(finding) {
  const given = state.answers.of(finding), is = table => given.some(g => g[0] === table);
  const give = (table, entry) => () => { answer(finding, table, entry); };
  const folders = finding.subjects.map(s => s.split("/").slice(1).join("/"));
  const list = [["a", "Accept", give("accept", { finding: finding.id, reason: REASONS.accept }), is("accept")]];
  if (finding.kind === "family") {
    list.push(["p", "Keep apart", give("keep_apart", { category: finding.category, folders, reason: REASONS.keep_apart }), is("keep_apart")]);
  }
  if ((finding.kind === "family" || finding.kind === "mislabelled_folder" || OF_BRANDS.has(finding.kind))) {
    list.push(["m", "Merge with…", () => askMerge(finding), is("merge")]);
  }
  if (["family", "mislabelled_folder"].includes(finding.kind)) {
    list.push(["r", "Rename…", () => askRename(finding), is("rename")]);
  }
  if (!OF_BRANDS.has(finding.kind) && finding.kind !== "foreign_name") {
    const pictures = finding.subjects[0].split("/").length > 2;
    list.push(["d", pictures ? "Drop pictures…" : finding.subjects.length > 1 ? "Drop folders…" : "Drop the folder…", () => askDrop(finding), is("drop")]);
  }
  list.push(["c", "Comment…", () => askComment(finding), false]);
  return list;
}

function answer(finding, table, entry) {
  const given = state.answers.of(finding);
  if (given.length === 1 && given[0][0] === table && JSON.stringify(given[0][1]) === JSON.stringify(entry)) {
    state.answers.clear(finding);
    return refresh();
  }
  state.answers.give(finding, table, entry);
  advance(finding);
}

/** The next finding that is undecided, after this one. */
function advance(finding) {
  const before = state.shown.indexOf(finding);
  const next = state.shown.slice(before + 1).find(f => !decided(f)) ?? state.shown.find(f => !decided(f));
  state.selected = next ?? finding;
  refresh();
}

function dropPicture(path) {
  state.answers.toggleDrop(path, REASONS.drop);
  refresh();
}

function takeBack(table, entry) {
  state.answers.change(now => now[table].splice(now[table].indexOf(entry), 1));
  refresh();
}

/** Asks in a dialog; `fields` are [name, label, element]. */
function ask(title, fields, then) {
  $("ask-title").textContent = title;
  $("ask-fields").replaceChildren(...fields.map(([, label, element]) => h("label", {}, label, element)));
  const dialog = $("ask");
  // On submit and not on close, which comes later: keys typed at once after Enter meet the page as it is then.
  dialog.querySelector("form").onsubmit = event => {
    event.preventDefault();
    closeAsk();
    then(Object.fromEntries(fields.map(([name, , e]) => [name, e.type === "checkbox" ? e.checked : e.value])));
  };
  dialog.showModal();
  fields[0][2].focus();
  fields[0][2].select?.();
}

/** Closes the dialog and leaves its field at once: until the next frame a closed dialog's field would still take the keys. */
function closeAsk() {
  document.activeElement.blur();
  $("ask").close();
}

const field = (value, more = {}) => h("input", { value, autocomplete: "off", spellcheck: "false", ...more });
const reasonOf = (finding, table) => state.answers.of(finding).find(g => g[0] === table)?.[1].reason ?? REASONS[table];

function askMerge(finding) {
  const own = OF_BRANDS.has(finding.kind) ? [] : [`${finding.category}/${finding.brand}`];
  const choices = [...BRANDS.values()].filter(b => b.category === finding.category && !own.includes(`${b.category}/${b.brand}`));
  const [category, ...rest] = (finding.other ?? "").split("/");
  const with_ = field(category === finding.category ? rest.join("/") : "", { list: "brands", required: true });
  const names = h("datalist", { id: "brands" }, choices.map(b => h("option", { value: b.brand })));
  const brand = field(finding.kind === "mislabelled_folder" && with_.value ? with_.value : finding.brand, { required: true });
  const reason = field(reasonOf(finding, "merge"), { required: true });
  ask(`Merge ${finding.category}/${finding.brand} with…`, [["with", "a brand of the same category", with_],
    ["brand", "the name of the whole", brand], ["reason", "because", reason]], got => {
    const other = BRANDS.get(`${finding.category}/${got.with}`);
    if (!other) return complain(`${finding.category} has no brand “${got.with}”; brands of one category can be merged.`);
    const named = new Set([...(BRANDS.get(`${finding.category}/${finding.brand}`)?.folders ?? []), ...other.folders]);
    // The most trusted first: a family's order is known.
    const order = finding.members.map(m => m.folder).filter(f => named.has(f));
    const folders = [...new Set(finding.kind === "mislabelled_folder" ? [...other.folders, ...named] : [...order, ...named])];
    answer(finding, "merge", { category: finding.category, folders, brand: got.brand, reason: got.reason });
  });
  $("ask-fields").append(names);
}

function askRename(finding) {
  const old = state.answers.of(finding).find(g => g[0] === "rename")?.[1];
  ask(`Rename ${finding.category}/${finding.brand}`, [["to", "its name from now on", field(old?.to ?? finding.brand, { required: true })],
    ["reason", "because", field(reasonOf(finding, "rename"), { required: true })]], got => {
    if (got.to === finding.brand) return complain("The name is the same.");
    answer(finding, "rename", { category: finding.category, brand: finding.brand, to: got.to, reason: got.reason });
  });
}

function askDrop(finding) {
  const dropped = new Set(state.answers.now.drop.map(d => d.path));
  const boxes = finding.subjects.map(path => [path, path, h("input", { type: "checkbox", checked: dropped.has(path) || finding.subjects.length === 1 })]);
  ask("Leave out", [...boxes, ["reason", "because", field(reasonOf(finding, "drop"), { required: true })]], got => {
    state.answers.change(now => {
      now.drop = now.drop.filter(d => !finding.subjects.includes(d.path));
      for (const path of finding.subjects) if (got[path]) now.drop.push({ path, reason: got.reason });
      now.accept = now.accept.filter(a => a.finding !== finding.id);
    });
    advance(finding);
  });
}

function askComment(finding) {
  const given = state.answers.of(finding);
  const reason = field(given[0]?.[1].reason ?? "", { required: true });
  ask(given.length ? "Why it is decided so" : "Accept, because", [["reason", "comment", reason]], got => {
    if (!given.length) return answer(finding, "accept", { finding: finding.id, reason: got.reason });
    state.answers.change(() => { for (const [, entry] of given) entry.reason = got.reason; });
    refresh();
  });
}

function complain(what) {
  ask(what, [["", "", h("span")]], () => {});
}

function save() {
  const link = h("a", { href: URL.createObjectURL(new Blob([state.answers.toml()], { type: "application/toml" })), download: "overrides.toml" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function open_file(event) {
  const [file] = event.target.files;
  try {
    const found = parseOverrides(await file.text());
    state.answers.change(now => Object.assign(now, found));
    refresh();
  } catch (error) {
    $("open-error").textContent = `${file.name}: ${error.message}`;
  }
}

// ------------------------------------------------------------------------------------------------------------------

const PAGES = { tail: ["Long tail", longTailView], refused: ["Refused", refusedView], changed: ["Changed", changedView], decisions: ["Answers", decisionsView] };

function drawTabs() {
  const open = kind => AUDIT.findings.filter(f => (kind === "all" || f.kind === kind) && !decided(f)).length;
  const kinds = Object.keys(KINDS).filter(kind => AUDIT.findings.some(f => f.kind === kind));
  const pages = Object.keys(PAGES).filter(page => page !== "changed" || AUDIT.changed);
  const numbers = { refused: AUDIT.rejects.length, decisions: state.answers.total, changed: AUDIT.changed?.length };
  const tab = (key, label, number) => h("button", {
    type: "button", role: "tab", "data-tab": key, "aria-selected": String(state.tab === key), onclick: () => go(key),
  }, label, number != null && h("i", {}, n(number)));
  $("tabs").replaceChildren(tab("all", "Queue", open("all")), ...kinds.map(k => tab(k, KINDS[k][0], open(k))),
    ...pages.map(p => tab(p, PAGES[p][0], numbers[p])));
  const done = AUDIT.findings.length - open("all");
  $("progress").max = AUDIT.findings.length || 1;
  $("progress").value = done;
  $("done").textContent = `${n(done)} of ${n(AUDIT.findings.length)} decided${unwritten() ? ", not all written" : ""}`;
}

function drawHeader() {
  const s = AUDIT.summary, refused = AUDIT.rejects.length;
  $("answer").textContent = `${count(s.folders, "folder")} become ${count(s.brands, "brand")}`;
  $("lead").textContent = `${n(s.kept)} of ${count(s.images, "picture")} are kept, ${n(s.dropped)} are dropped as copies, ` +
    `${n(s.renamed)} are kept under another name; ${count(refused, "file or object", "files and objects")} are refused. ` +
    "If nothing is decided, this is what is built. What needs a person, the riskiest first:";
  const kinds = Object.keys(KINDS).filter(kind => AUDIT.findings.some(f => f.kind === kind));
  $("needs").replaceChildren(...kinds.map(kind => {
    const of = AUDIT.findings.filter(f => f.kind === kind), risky = of.filter(f => ["disjoint", "conflict"].includes(f.verdict)).length;
    return h("button", { type: "button", onclick: () => go(kind) }, h("b", {}, n(of.length)),
      h("span", {}, `${KINDS[kind][0]}: ${KINDS[kind][1]}${risky ? `; ${n(risky)} share no picture or disagree` : ""}`));
  }));
}

function drawList() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  state.shown = AUDIT.findings.filter(f => (state.tab === "all" || f.kind === state.tab)
    && words.every(word => texts.get(f.id).includes(word)) && (!state.openOnly || !decided(f) || f === state.selected));
  if (!state.shown.includes(state.selected)) state.selected = state.shown[0] ?? null;
  $("shown").textContent = `${n(state.shown.length)} shown`;
  const open = state.shown.filter(f => !decided(f));
  $("bulk").replaceChildren(...(open.length > 1 ? [h("button", { type: "button", id: "accept-all", onclick: () => acceptAll(open) },
    `Accept all ${n(open.length)} undecided that are shown`)] : []));
  $("rows").style.height = `${state.shown.length * ROW}px`;
  drawRows();
}

/** Only the rows in sight are there: a list of thousands scrolls as one of ten. */
function drawRows() {
  const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.shown.length, first + Math.ceil(list.clientHeight / ROW) + 8);
  $("rows").replaceChildren(...state.shown.slice(first, last).map((finding, i) => {
    const done = decided(finding);
    return h(`div.row${done ? ".decided" : ""}`, {
      role: "option", style: `top:${(first + i) * ROW}px`, "aria-selected": String(finding === state.selected),
      onclick: () => { state.selected = finding; refresh(); },
    }, h("em", {}, done ? "✓" : finding.verdict ?? ""), h("b", {}, OF_BRANDS.has(finding.kind) ? finding.subjects.map(s => s.split("/").slice(1).join("/")).join(" · ") : finding.brand),
    h("span", {}, finding.members.length > 1 ? `${finding.members.length} folders: ${finding.says.split("; ").pop()}` : finding.says));
  }));
}

function refresh() {
  drawTabs();
  const page = PAGES[state.tab];
  $("queue").hidden = !!page;
  $("other").hidden = !page;
  $("other").replaceChildren(...(page ? page[1]().filter(Boolean) : []));
  if (page) return;
  drawList();
  $("card").replaceChildren(...(state.selected ? card(state.selected).filter(Boolean)
    : [h("p.quiet", {}, state.search ? "Nothing matches." : "Everything here is decided.")]));
}

function go(tab) {
  state.tab = tab;
  state.selected = null;
  $("list").scrollTop = 0;
  refresh();
  $("tabs").querySelector("[aria-selected=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
  const top = document.querySelector("nav").offsetTop;
  if (tab !== "all" && window.scrollY < top) window.scrollTo(0, top);
}

function move(by) {
  const at = state.shown.indexOf(state.selected) + by;
  if (at < 0 || at >= state.shown.length) return;
  state.selected = state.shown[at];
  const list = $("list"), top = at * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  refresh();
}

function acceptAll(findings) {
  state.answers.change(now => now.accept.push(...findings.map(f => ({ finding: f.id, reason: REASONS.accept }))));
  refresh();
}

const KEYS = [["j k", "next and previous finding"], ["a", "accept what the rules do"], ["p", "keep the folders apart"], ["m", "merge with another brand"],
  ["r", "rename the brand"], ["d", "drop folders or pictures"], ["c", "comment"], ["u", "undo the last answer"], ["/", "search"], ["e", "all answers, and the file"],
  ...(SERVED == null ? [["s", "save overrides.toml"]] : [["s", "write overrides.toml"], ["f", "the finding's pictures in full"]]),
  ["q", "back to the queue"], ["?", "these keys"]];

document.addEventListener("keydown", event => {
  if ($("full").open) {
    const step = { j: 1, ArrowRight: 1, ArrowDown: 1, k: -1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); showFull(showFull.at, step); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "search")) event.target.blur();
    return;
  }
  const keys = {
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), "/": () => $("search").focus(),
    u: () => { if (state.answers.undo()) refresh(); }, e: () => go("decisions"), q: () => go("all"), "?": () => $("help").showModal(),
    s: SERVED == null ? save : write,
    f: () => {
      const first = state.selected?.pairs[0]?.a ?? state.selected?.alone[0];
      if (SERVED != null && first != null && !PAGES[state.tab]) showFull(first);
    },
  };
  const act = keys[event.key] ?? (state.selected && !PAGES[state.tab] && actions(state.selected).find(a => a[0] === event.key)?.[2]);
  if (!act) return;
  event.preventDefault();
  act();
});
$("search").addEventListener("input", event => { state.search = event.target.value; $("list").scrollTop = 0; state.selected = null; refresh(); });
$("open-only").addEventListener("change", event => { state.openOnly = event.target.checked; refresh(); });
$("ask-cancel").addEventListener("click", closeAsk);
$("ask").addEventListener("cancel", event => { event.preventDefault(); closeAsk(); });
$("full-before").addEventListener("click", () => showFull(showFull.at, -1));
$("full-next").addEventListener("click", () => showFull(showFull.at, 1));
$("full-close").addEventListener("click", () => $("full").close());
window.addEventListener("beforeunload", event => { if (unwritten()) event.preventDefault(); });
$("list").addEventListener("scroll", drawRows, { passive: true });
window.addEventListener("resize", drawRows);
$("keys").replaceChildren(...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]));
drawHeader();
refresh();
begin();
