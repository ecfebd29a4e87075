// What is drawn: a finding with its evidence, the long tail, what was refused, what changed, what was decided.

const read = id => JSON.parse(document.getElementById(id).textContent);
const AUDIT = read("audit-data"), SHEETS = read("sheets-data");
const TILE = Number(document.body.dataset.tile), ACROSS = Number(document.body.dataset.across);
// What is empty is left out of the file.
AUDIT.findings = AUDIT.findings.map(f => ({ members: [], overlap: [], names: [], labels: [], pairs: [], pairs_total: 0, alone: [], alone_total: 0, ...f }));
const BRANDS = new Map(AUDIT.brands.map(brand => [`${brand.category}/${brand.brand}`, brand]));

const KINDS = {
  family: ["Families", "folders that become one brand"],
  mislabelled_folder: ["Mislabelled folders", "no object names its folder"],
  shared_picture: ["Shared files", "one file in several brands"],
  near_picture: ["Look-alikes", "pictures of several brands that look the same"],
  similar_picture: ["Similar pictures", "of several brands: a suspicion"],
  near_name: ["Near names", "two brands with nearly one name"],
  alike_brands: ["Alike brands", "two brands that look like one to the model"],
  foreign_name: ["Mis-clicked names", "objects that name another brand"],
  looks_like_another: ["Doubtful labels", "pictures that look like another brand to the model"],
  odd_boxes: ["Odd boxes", "tiny, of the whole picture, or refused"],
  low_information: ["Empty pictures", "next to nothing to be seen"],
  blurry_pictures: ["Blurry", "hardly an edge"],
  dark_pictures: ["Dark", "dark all over"],
  light_pictures: ["Light", "light all over"],
  odd_size: ["Odd size", "far smaller or larger than the others"],
  odd_aspect: ["Odd shape", "very long or very wide"],
  grey_pictures: ["Grey", "without colour"],
  far_picture: ["Far pictures", "like no other picture to the model"],
  own_copies: ["Own copies", "a folder holds pictures twice"],
};

const REASONS = {
  accept: "looked at, right as it is", keep_apart: "these are different brands", merge: "the same brand",
  rename: "its own spelling", drop: "not wanted",
};

/** An element: h("p.quiet", { title }, ...children); children that are no elements are text. */
function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") element.style.cssText = value; // an attribute is what the page's policy refuses
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child != null && child !== false));
  return element;
}

const n = value => value.toLocaleString("en-US");
const count = (value, one, many = one + "s") => `${n(value)} ${value === 1 ? one : many}`;

const urls = [];
/** The address of a contact sheet, made when it is first looked at. */
function sheetUrl(sheet) {
  if (!urls[sheet]) {
    const bytes = Uint8Array.from(atob(SHEETS[sheet]), c => c.charCodeAt(0));
    urls[sheet] = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  }
  return urls[sheet];
}

/** The boxes of a picture over `view`, [x, y, width, height] of its pixels; those that are not in `others` are filled. */
function boxesView(picture, view, others = null) {
  const element = name => document.createElementNS("http://www.w3.org/2000/svg", name), svg = element("svg");
  svg.setAttribute("class", "boxes");
  svg.setAttribute("viewBox", view.join(" "));
  for (const { bbox } of picture.objects) {
    const rect = element("rect"), [x, y, right, bottom] = bbox;
    for (const [name, value] of Object.entries({ x, y, width: right - x, height: bottom - y })) rect.setAttribute(name, value);
    if (others && !others.has(bbox.join())) rect.setAttribute("class", "extra");
    svg.append(rect);
  }
  return svg;
}

/** A picture with its boxes; pressing it drops the picture or takes that back. */
function shot(position, role, note, others) {
  const picture = AUDIT.pictures[position], dropped = state.answers.now.drop.some(d => d.path === picture.image);
  const frame = h("button.shot", {
    type: "button", title: `${picture.image}\n${picture.width} × ${picture.height} px\nPress to drop this picture`,
    "aria-pressed": String(dropped), "aria-label": `${picture.image}, press to drop`, onclick: () => dropPicture(picture.image),
  });
  if (picture.tile != null) {
    const sheet = Math.floor(picture.tile / ACROSS ** 2), at = picture.tile % ACROSS ** 2;
    const x = at % ACROSS, y = Math.floor(at / ACROSS), place = i => `${i / (ACROSS - 1) * 100}%`;
    frame.append(h("span.sheet", {
      style: `background-image:url(${sheetUrl(sheet)});background-size:${ACROSS * 100}%;background-position:${place(x)} ${place(y)}`,
    }));
  } else if (SERVED != null) {
    frame.append(h("img", { src: `picture/${position}`, alt: "", loading: "lazy" }));
  } else {
    frame.append(h("span.none", {}, "No room for this picture in the page"));
  }
  if (picture.tile != null || SERVED != null) {
    const side = Math.max(picture.width, picture.height);
    frame.append(boxesView(picture, [(picture.width - side) / 2, (picture.height - side) / 2, side, side], others));
  }
  const names = [...new Set(picture.objects.map(o => o.name))].slice(0, 3).map(name => `“${name}”`).join(", ");
  const path = picture.image.split("/").slice(1).join("/");
  return h(`figure.${role}${dropped ? ".dropped" : ""}`, {}, frame,
    h("figcaption", {}, SERVED == null ? h("span.path", {}, path)
      : h("button.link.path", { type: "button", title: "Show it in full (f)", onclick: () => showFull(position) }, path), h("br"),
    `${count(picture.objects.length, "box", "boxes")} ${names}`, note?.length > 0 && h("br"), note));
}

function table(head, rows) {
  return h("div.wide", {}, h("table", {}, h("thead", {}, h("tr", {}, head.map(t => t instanceof HTMLTableCellElement ? t : h("th", {}, t)))),
    h("tbody", {}, rows.map(row => h("tr", {}, row.map(cell => cell instanceof HTMLTableCellElement ? cell : h("td", {}, cell)))))));
}

/** A cell of prose or of paths, which wraps, and the head of such a column. */
const prose = (...what) => h("td.text", {}, ...what);
const left = what => h("th.left", {}, what);

/** How many pictures of A look like one of B, and of B like one of A: nearly the same, and similar. */
const looks = ({ a_within_4, b_within_4, a_within_8, b_within_8 }) =>
  [`${n(a_within_4)}, ${n(b_within_4)}`, `${n(a_within_8)}, ${n(b_within_8)}`];

/** A finding with everything that speaks for and against it. */
function card(finding) {
  const parts = [
    h("h2", {}, finding.brand, finding.verdict && h(`span.verdict.${finding.verdict}`, {}, finding.verdict)),
    h("div.quiet", {}, [KINDS[finding.kind][0], finding.category, RULES[finding.rule]].filter(Boolean).join(" · ")),
    h("p.says", {}, finding.says),
    h("p.quiet", {}, "If nothing is decided: ", finding.otherwise),
    h("div.answers", {}, actions(finding).map(([key, label, act, on]) =>
      h("button", { type: "button", "data-key": key, "aria-pressed": String(on), onclick: act }, label, h("kbd", {}, key)))),
    h("div.state", {}, state.answers.of(finding).map(([t, e]) => `${said(t, e)} (${e.reason})`).join("; ")),
    finding.effect && effectView(finding),
  ];
  if (finding.members.length) {
    parts.push(h("h3", {}, finding.members.length > 1 ? "Folders, the most trusted first" : "The folder"), table(
      ["folder", "pictures", "objects", "named as folder", "as family", "as others", "boxes / picture", "median box, px"],
      finding.members.map(m => [m.folder, n(m.images), n(m.objects), n(m.named_as_folder), n(m.named_as_family),
        n(m.objects - m.named_as_folder - m.named_as_family), m.boxes ? m.boxes.per_image.toFixed(2) : "–",
        m.boxes ? `${Math.round(m.boxes.median_width)} × ${Math.round(m.boxes.median_height)}` : "–"])));
  }
  if (finding.overlap.length) {
    const images = new Map(finding.members.map(m => [m.folder, m.images]));
    parts.push(h("h3", {}, "Pictures in two folders"), table(
      ["A", left("B"), "same bytes", "same pixels", "alike ≤ 4 bits", "≤ 8 bits", "only A", "only B"],
      finding.overlap.slice(0, 28).map((o, i) => [o.a, h("td.left", {}, o.b), n(o.same_bytes), n(o.same_pixels), ...looks(finding.looks[i]),
        n(Math.max(0, images.get(o.a) - o.same_pixels)), n(Math.max(0, images.get(o.b) - o.same_pixels))])),
      h("p.quiet", {}, "Alike: pictures of A that look like one of B, and of B like one of A, by bits of 64 in which their hashes differ."));
  }
  if (finding.labels.length) parts.push(...labelsView(finding));
  if (finding.pairs.length) {
    const of = finding.pairs_total > finding.pairs.length ? `, ${finding.pairs.length} of ${n(finding.pairs_total)}` : "";
    const exact = finding.pairs[0].same, dropped = finding.pairs.some(p => p.because), differ = finding.pairs.some(p => p.differ);
    parts.push(h("h3", {}, exact ? `The same picture in two places${of}` : `Side by side${of}`), believed(finding.pairs),
      exact && h("div.legend.quiet", {}, h("span", {}, h("i.a"), dropped ? "boxes of the picture kept" : "boxes of the first"),
        h("span", {}, h("i.b"), dropped ? "boxes of the copy" : "boxes of the other"), differ && h("span", {}, h("i.extra"), "a box that the other has not")),
      h("div.pairs", {}, finding.pairs.map(pairView)));
  }
  if (finding.alone.length) {
    const of = finding.alone_total > finding.alone.length ? `, ${finding.alone.length} of ${n(finding.alone_total)}` : "";
    const what = finding.kind === "family" ? "Pictures that only one folder has" : "Pictures";
    parts.push(h("h3", {}, what + of), h("div.pictures", {}, finding.alone.map((at, i) => shot(at, "a", measure(finding, i)))));
  }
  if (finding.subjects.length > 1 && !finding.members.length) {
    parts.push(h("h3", {}, "All it is about"), h("p.path", {}, finding.subjects.slice(0, 60).map((s, i) => s + (finding.flagged ? ` (${measure(finding, i)})` : "")).join(", ")));
  }
  return parts;
}

/** The number that flagged picture `i` of a finding, in its unit. */
function measure(finding, i) {
  if (!finding.flagged) return null;
  const value = finding.flagged[i].value, unit = {
    low_information: "bits of entropy", blurry_pictures: "edges", dark_pictures: "brightness", light_pictures: "brightness",
    odd_size: "px, √ of the area", odd_aspect: "shorter by longer side", grey_pictures: "levels of colour",
  };
  return `${Number(value.toPrecision(3))} ${unit[finding.kind]}`;
}

/** An answer in words. */
function said(table, entry) {
  switch (table) {
    case "accept": return "Accepted";
    case "keep_apart": return `Kept apart: ${entry.folders.join(", ")}`;
    case "merge": return `Merged into “${entry.brand}”: ${entry.folders.join(", ")}`;
    case "rename": return `“${entry.brand}” is renamed “${entry.to}”`;
    default: return `Dropped: ${entry.path}`;
  }
}

/** What an answer changes, beside what the plan does without it. */
function effect(table, entry) {
  if (table === "accept") return "nothing";
  if (table === "rename") return "a name";
  const key = JSON.stringify(entry);
  if ((state.answers.base[table] ?? []).some(e => JSON.stringify(e) === key)) return "in force already";
  if (table === "drop") {
    const brand = [...BRANDS.values()].find(b => b.folders.some(f => `${b.category}/${f}` === entry.path));
    if (entry.path.split("/").length > 2) return "−1 picture";
    return brand?.folders.length === 1 ? `−1 brand, −${count(brand.images, "picture")}` : "a folder less";
  }
  if (table === "keep_apart") {
    const family = AUDIT.findings.find(f => f.apart && answers(table, entry, f, new Set(f.subjects)));
    if (!family) return "";
    const all = entry.folders.length === family.members.length;
    return all ? `+${count(family.apart.brands, "brand")}, +${count(family.apart.kept, "picture")}` : "part of a family kept apart";
  }
  const brands = [...BRANDS.values()].filter(b => b.category === entry.category && b.folders.some(f => entry.folders.includes(f)));
  return `${count(brands.length, "brand")} become one`;
}

function decisionsView() {
  const rows = Object.entries(state.answers.now).flatMap(([t, list]) => list.map(entry => [
    prose(said(t, entry)), prose(effect(t, entry)), prose(entry.reason),
    h("button", { type: "button", onclick: () => takeBack(t, entry) }, "Take back")]));
  const open = AUDIT.findings.filter(f => !decided(f)).length;
  return [
    h("h2", {}, count(rows.length, "answer")),
    h("p.quiet", {}, `${count(open, "finding")} undecided: for these the rules stand. The file below holds every answer; open it here ` +
      "again, or give it to audit, plan or build as --overrides."),
    SERVED != null && h("p.quiet", {}, unwritten() ? "Not written yet: " : "Written: ", h("span.path", {}, SERVED)),
    h("div.answers", {}, SERVED != null && h("button.main", { type: "button", id: "write", onclick: write }, "Write overrides.toml", h("kbd", {}, "s")),
      h(SERVED == null ? "button.main" : "button", { type: "button", id: "save", onclick: save }, SERVED == null ? "Save overrides.toml" : "Save a copy"),
      h("button", { type: "button", id: "copy", onclick: () => navigator.clipboard?.writeText(state.answers.toml()) }, "Copy"),
      h("label.button", {}, "Open overrides.toml", h("input", { type: "file", id: "open", accept: ".toml", hidden: true, onchange: open_file }))),
    h("p.wrong", { id: "open-error", role: "alert" }),
    rows.length > 0 && table(["answer", left("what it changes"), left("reason"), ""], rows),
    h("h3", {}, "overrides.toml"), h("textarea", { readonly: true, id: "toml", spellcheck: "false" }, state.answers.toml()),
  ];
}

function longTailView() {
  const by = Map.groupBy ? Map.groupBy(AUDIT.brands, b => b.category) : AUDIT.brands.reduce(
    (map, b) => map.set(b.category, [...(map.get(b.category) ?? []), b]), new Map());
  const most = Math.max(1, ...AUDIT.brands.map(b => b.images));
  const tail = ([category, brands]) => {
    const images = brands.map(b => b.images).sort((a, b) => b - a), wide = 100 / images.length;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 50");
    svg.setAttribute("preserveAspectRatio", "none");
    // Square roots, as otherwise all but the largest brands are a line.
    images.forEach((value, i) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect"), high = Math.sqrt(value / most) * 50;
      for (const [k, v] of Object.entries({ x: i * wide, y: 50 - high, width: wide * 0.92, height: high })) rect.setAttribute(k, v);
      svg.append(rect);
    });
    const middle = images[Math.floor(images.length / 2)];
    return h("div", {}, h("h3", {}, category), svg, h("small", {}, `${count(brands.length, "brand")}, ` +
      `${n(images.reduce((a, b) => a + b, 0))} pictures; most ${n(images[0])}, median ${n(middle)}, least ${n(images.at(-1))}`));
  };
  return [h("h2", {}, "The long tail"), h("p.quiet", {}, "Pictures per brand after the clean-up, the largest first; heights are square roots, the same scale for all."),
    h("div.tails", {}, [...by].map(tail))];
}

function refusedView() {
  const shown = 400;
  return [h("h2", {}, `${count(AUDIT.rejects.length, "file or object", "files and objects")} refused`),
    h("p.quiet", {}, "They make no rows. Mend or remove them in the source of the tree; nothing here changes them."),
    table(["reason", "number"], Object.entries(AUDIT.refused).sort((a, b) => b[1] - a[1]).map(([r, k]) => [r.replaceAll("_", " "), n(k)])),
    h("h3", {}, AUDIT.rejects.length > shown ? `The first ${shown}; all are in audit.json` : "Each"),
    table(["file", left("why")], AUDIT.rejects.slice(0, shown).map(r =>
      [prose(h("span.path", {}, r.path + (r.object == null ? "" : `, object ${r.object}`))), prose(r.detail)]))];
}

function changedView() {
  return [h("h2", {}, "Since the last plan"), AUDIT.changed.length
    ? h("ul", {}, AUDIT.changed.map(change => h("li", {}, change))) : h("p", {}, "Nothing changed.")];
}
