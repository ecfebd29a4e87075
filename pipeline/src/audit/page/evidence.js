// What a card shows of its folders beyond tables: the rule, the effect, the label histograms, and of two copies which is believed.

/** What joined a family's folders, and the key of the configuration that says so. */
const RULES = {
  suffix_family: "joined by suffix_families: base-1, base-2, …",
  folded_name: "joined by folded_names: equal but for case and punctuation",
  suffix_family_and_folded_name: "joined by suffix_families and folded_names",
};

/** Why of two copies the one is kept: at the picture, and once in a sentence. */
const BECAUSE = {
  trusted_folder: ["kept: its folder is trusted more", "its folder is the more trusted, the spelling that most objects bear, without a number or with the lowest"],
  first_of_folder: ["kept: the first of its folder", "it is the first of its folder"],
  has_box: ["kept: the other has no box for it", "the one that would come first has no box, or none large enough to make a row"],
};

/** What was believed of the pairs that are shown, and why. */
function believed(pairs) {
  const reasons = [...new Set(pairs.map(p => p.because).filter(Boolean))];
  return reasons.length > 0 && h("p.quiet", {}, "Of two copies the annotation of the one that is kept is believed: ",
    reasons.map(reason => BECAUSE[reason][1]).join("; or "), ".");
}

/** The effect of a group, and of keeping its folders apart, in numbers. */
function effectView({ effect, apart }) {
  const facts = [["kept", effect.kept], ["copies dropped", effect.dropped], ["renamed", effect.renamed],
    ["objects relabelled", effect.relabelled]].map(([what, value]) => [what, n(value)]);
  if (apart) facts.push(["brands, if apart", `+${n(apart.brands)}`], ["pictures, if apart", `+${n(apart.kept)}`]);
  return h("dl.facts", {}, facts.map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", {}, value))));
}

/** What a name in a folder is: the folder's own, one of its family, another brand's, or nobody's. */
function namedAs(finding, folder, { name, brand }) {
  if (name === folder) return "own";
  if (brand) return "foreign";
  return name === finding.brand || finding.members.some(m => m.folder === name) ? "family" : "nobody";
}

const NAMED = { own: "the folder", family: "its family", foreign: "another brand", nobody: "no brand of the tree" };

/** The label histogram of each folder, all on one scale. */
function labelsView(finding) {
  const most = Math.max(1, ...finding.labels.flatMap(f => f.names.map(x => x.objects)));
  const seen = new Set();
  const bar = (folder, x) => {
    const as = namedAs(finding, folder, x);
    seen.add(as);
    return [h("span.name", {}, x.name, x.brand && h("small", {}, `is ${x.brand}`)),
      h(`span.track.${as}`, {}, h("i", { style: `width:${(x.objects / most * 100).toFixed(1)}%` })), h("span", {}, n(x.objects))];
  };
  const histograms = finding.labels.slice(0, 12).map(({ folder, names, others }) => h("div.histogram", {}, h("b", {}, folder),
    names.length ? names.flatMap(x => bar(folder, x)) : h("span.quiet", {}, "no usable object"),
    others > 0 && h("span.quiet", {}, `${n(others)} objects of other names`)));
  return [h("h3", {}, "What the objects are named, by folder"),
    h("div.legend.quiet", {}, Object.keys(NAMED).filter(as => seen.has(as)).map(as => h("span", {}, h(`i.box.${as}`), NAMED[as]))),
    h("div.histograms", {}, histograms),
    finding.labels.length > 12 && h("p.quiet", {}, `${n(finding.labels.length - 12)} more folders are in audit.json.`)];
}

/** The boxes of a picture as keys. */
const boxKeys = position => new Set(AUDIT.pictures[position].objects.map(o => o.bbox.join()));

/** Two pictures side by side: what is the same, which is kept and why, and which boxes only one has. */
function pairView({ a, b, same, because, distance, differ }) {
  const [ofA, ofB] = [boxKeys(a), boxKeys(b)];
  const only = (own, other) => [...own].filter(key => !other.has(key)).length;
  const more = (own, other) => differ && only(own, other) > 0 && h("span.mark", {}, `${count(only(own, other), "box", "boxes")} the other has not`);
  const lines = (...parts) => parts.filter(Boolean).flatMap((part, i) => i ? [h("br"), part] : [part]);
  return h("div.pair", {},
    shot(a, "a", lines(because && h("b", {}, BECAUSE[because][0]), more(ofA, ofB)), differ && ofB),
    shot(b, "b", lines(same && { bytes: "same bytes", pixels: "same pixels" }[same] + (because ? ", dropped" : ""),
      distance != null && `${distance} of 64 bits of the look differ`, more(ofB, ofA)), differ && ofA));
}
