"use strict";
// What a person decides, kept as the entries of overrides.toml: what the page hands back is what it keeps.

/** Findings about two brands: their subjects are no folders. */
const OF_BRANDS = new Set(["near_name", "alike_brands"]);

/** An empty set of overrides. */
const none = () => ({ merge: [], keep_apart: [], rename: [], drop: [], accept: [] });

const clone = value => JSON.parse(JSON.stringify(value));

/** The folder `<Category>/<folder>` of an image's or a folder's path. */
const folderOf = path => path.split("/").slice(0, 2).join("/");

/** All answers, with undo. `base` are the overrides that the plan obeys already. */
class Answers {
  constructor(base, key) {
    this.base = { ...none(), ...clone(base) };
    this.key = key;
    this.now = clone(this.base);
    this.past = [];
    try {
      // Answers kept for another overrides.toml are not of this page: the file wins.
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept && JSON.stringify(kept.base) === JSON.stringify(this.base)) this.now = { ...none(), ...kept.now };
    } catch { /* Without storage the answers live as long as the page. */ }
  }

  change(by) {
    const before = clone(this.now);
    by(this.now);
    if (JSON.stringify(before) === JSON.stringify(this.now)) return;
    this.past.push(before);
    this.keep();
  }

  undo() {
    if (!this.past.length) return false;
    this.now = this.past.pop();
    this.keep();
    return true;
  }

  keep() {
    try { localStorage.setItem(this.key, JSON.stringify({ base: this.base, now: this.now })); } catch { /* as above */ }
  }

  get total() {
    return Object.values(this.now).reduce((sum, list) => sum + list.length, 0);
  }

  /** The entries that answer a finding: [table, entry]. */
  of(finding) {
    const folders = new Set(finding.subjects.map(folderOf)), found = [];
    for (const [table, list] of Object.entries(this.now)) for (const entry of list) {
      if (answers(table, entry, finding, folders)) found.push([table, entry]);
    }
    return found;
  }

  /** Takes every answer of a finding back. */
  clear(finding) {
    this.change(now => {
      for (const [table, entry] of this.of(finding)) now[table].splice(now[table].indexOf(entry), 1);
    });
  }

  /** Puts an answer in the place of those that a finding had; a rename goes with a merge. */
  give(finding, table, entry) {
    this.change(now => {
      for (const [old, was] of this.of(finding)) {
        if (old === "drop" && table !== "accept") continue;
        now[old].splice(now[old].indexOf(was), 1);
      }
      now[table].push(entry);
    });
  }

  /** Drops a picture or a folder, or takes that back. */
  toggleDrop(path, reason) {
    this.change(now => {
      const at = now.drop.findIndex(entry => entry.path === path);
      if (at < 0) now.drop.push({ path, reason }); else now.drop.splice(at, 1);
    });
  }

  toml() {
    const text = value => JSON.stringify(value).replace(/\u007f/g, "\\u007F");
    const lines = ["# Decided in the audit of a raw tree; `logodex-data plan`, `build` and `audit` take it as --overrides."];
    for (const [table, list] of Object.entries(this.now)) for (const entry of list) {
      lines.push("", `[[${table}]]`);
      for (const [key, value] of Object.entries(entry)) {
        lines.push(`${key} = ${Array.isArray(value) ? `[${value.map(text).join(", ")}]` : text(value)}`);
      }
    }
    return lines.join("\n") + "\n";
  }
}

/** Whether an entry answers a finding, whose folders are given. */
function answers(table, entry, finding, folders) {
  const family = ["family", "mislabelled_folder", ...OF_BRANDS].includes(finding.kind);
  if (table === "accept") return entry.finding === finding.id;
  if (table === "drop") return finding.subjects.includes(entry.path);
  if (table === "rename") {
    return family && !OF_BRANDS.has(finding.kind) && entry.category === finding.category && entry.brand === finding.brand;
  }
  if (!family) return false;
  const own = OF_BRANDS.has(finding.kind) ? new Set(finding.subjects.flatMap(foldersOfBrand)) : folders;
  const named = entry.folders.filter(folder => own.has(`${entry.category}/${folder}`)).length;
  // Of two brands with nearly one name, a merge must hold folders of both.
  return OF_BRANDS.has(finding.kind)
    ? finding.subjects.every(brand => foldersOfBrand(brand).some(f => entry.folders.includes(f.split("/").slice(1).join("/"))))
      && named > 1
    : named > 0;
}

/** `<Category>/<folder>` of each folder of a brand `<Category>/<brand>`. */
function foldersOfBrand(key) {
  const brand = BRANDS.get(key);
  return brand ? brand.folders.map(folder => `${brand.category}/${folder}`) : [];
}

/** Reads what `toml` wrote, edited by hand or not: tables of strings and of lists of strings. */
function parseOverrides(source) {
  const found = none();
  let entry = null, at = 0, line = 1;
  const wrong = what => { throw new Error(`line ${line}: ${what}`); };
  const skip = lines => {
    for (; at < source.length; at++) {
      if (source[at] === "#") while (at < source.length && source[at] !== "\n") at++;
      if (source[at] === "\n") { if (!lines) return; line++; } else if (!/[ \t\r]/.test(source[at] ?? "\n")) return;
    }
  };
  const string = () => {
    const quote = source[at];
    if (quote !== '"' && quote !== "'") wrong("a text in quotes is expected");
    let end = at + 1;
    while (end < source.length && source[end] !== quote) {
      if (source[end] === "\n") wrong("a text does not end");
      end += quote === '"' && source[end] === "\\" ? 2 : 1;
    }
    const raw = source.slice(at, end + 1);
    at = end + 1;
    if (quote === "'") return raw.slice(1, -1);
    try { return JSON.parse(raw.replace(/\\U([0-9a-fA-F]{8})/g, (_, hex) => String.fromCodePoint(parseInt(hex, 16)))); }
    catch { return wrong("a text with an escape that is none"); }
  };
  for (skip(true); at < source.length; skip(true)) {
    const head = /^\[\[\s*([\w-]+)\s*\]\]/.exec(source.slice(at, at + 80));
    if (head) {
      if (!(head[1] in found)) wrong(`[[${head[1]}]] is no entry of the overrides`);
      found[head[1]].push(entry = {});
      at += head[0].length;
      continue;
    }
    const key = /^([\w-]+)[ \t]*=[ \t]*/.exec(source.slice(at, at + 80));
    if (!key || !entry) wrong("neither [[…]] nor key = value of one");
    at += key[0].length;
    if (source[at] !== "[") { entry[key[1]] = string(); continue; }
    const list = entry[key[1]] = [];
    for (at++, skip(true); source[at] !== "]"; skip(true)) {
      list.push(string());
      skip(true);
      if (source[at] === ",") at++; else if (source[at] !== "]") wrong("a list does not end");
    }
    at++;
  }
  return found;
}
