// What the server answers: the verdict, the nearest brands with the threshold as a line, the nearest enrolled pictures.

import { count, h, similarity, thumbnail } from "./api.js";

const picture = (id, alt) => id == null ? h("span.thumb") : thumbnail(`v1/pictures/${encodeURIComponent(id)}`, alt);

/** Similarities as parts of the width: from 0, or from the threshold where that is less, to 1. */
function scale(answer) {
  const low = Math.min(0, answer.threshold);
  return value => Math.min(Math.max((value - low) / (1 - low), 0), 1);
}

function chart(answer) {
  const part = scale(answer), cut = part(answer.threshold);
  const rows = answer.top.map(({ brand, similarity: s, picture: id }) => {
    const above = s >= answer.threshold;
    const row = h(above ? "div.row.above" : "div.row", { role: "listitem" },
      picture(id, `An enrolled picture of ${brand}`),
      h("div", {}, h("b", { title: brand }, brand), h("span.track", {}, h("i"))),
      h("output", { "aria-label": `similarity ${similarity(s)}, ${above ? "above" : "below"} the threshold` }, similarity(s)));
    row.querySelector("i").style.setProperty("--s", part(s));
    return row;
  });
  const label = h(cut > .6 ? "span.left" : "span", {}, `threshold ${similarity(answer.threshold)}`);
  const list = h("div.chart", { role: "list", "aria-label": "Nearest brands" }, h("div.axis", { role: "presentation" }, h("div", {}, label)), rows);
  list.style.setProperty("--t", cut);
  return list;
}

/** How often a stranger is named all the same, in words. */
export function strangers(answer) {
  const rate = answer.false_accept_rate;
  if (rate == null) return "The threshold was typed, not calibrated: how often a stranger is named all the same is not known.";
  const said = rate < .0001 ? "fewer than 1 in 10,000" : `about ${(rate * 100).toLocaleString("en-US", { maximumSignificantDigits: 2 })} %`;
  return `Calibrated so that ${said} of strangers are named all the same, at this gallery's size.`;
}

/** The answer as elements. */
export function answered(answer) {
  if (answer.top.length === 0) {
    return [h("p.verdict.unknown", {}, "Unknown"), h("p", {}, "The gallery is empty. Give the first brand its name below.")];
  }
  const known = answer.verdict === "known", [nearest] = answer.top;
  const said = known
    ? `Similarity ${similarity(answer.similarity)}, above the threshold of ${similarity(answer.threshold)}.`
    : `Nobody reaches the threshold of ${similarity(answer.threshold)}; the nearest is ${nearest.brand} with ${similarity(nearest.similarity)}.`;
  return [
    h(known ? "p.verdict" : "p.verdict.unknown", {}, known ? answer.brand : "Unknown"),
    h("p", {}, said),
    h("p.quiet", {}, strangers(answer)),
    chart(answer),
    h("h3", {}, "Nearest enrolled pictures"),
    h("div.pictures", {}, answer.nearest.map(({ picture: id, brand, similarity: s }) =>
      h("figure", {}, picture(id, `An enrolled picture of ${brand}`), h("figcaption", { title: brand }, similarity(s), h("br"), brand)))),
  ];
}

/** What enrolling says of itself; `undo` takes the pictures out again. */
export function enrolled(said, undo) {
  const { brand, pictures, check } = said;
  const lines = [h("p", {}, `Enrolled: ${brand} has ${count(pictures, "picture")} now. `,
    h("button.plain", { type: "button", onclick: undo }, "Undo"))];
  if (check.nearest) {
    lines.push(h(check.warning ? "p.wrong" : "p.quiet", {},
      check.warning ?? `The nearest other brand is ${check.nearest} with ${similarity(check.nearest_similarity)}.`));
  }
  return lines;
}
