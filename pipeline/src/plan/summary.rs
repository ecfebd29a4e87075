//! Sums a plan up in a few lines, for the person who is to judge it.

use std::collections::BTreeMap;
use std::fmt::Write;

use logodex_schemas::plan::{ConsolidationPlan, GroupRule, Verdict};

/// Entries shown of each list; the plan itself has them all.
const SHOWN: usize = 12;

/// A plan in a few lines, for a person.
pub fn summarize(plan: &ConsolidationPlan) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_summary(plan, &mut text);
    text
}

fn write_summary(plan: &ConsolidationPlan, out: &mut String) -> std::fmt::Result {
    let s = &plan.summary;
    writeln!(out, "{} folders -> {} brands", s.folders, s.brands)?;
    let left_out = s.images.saturating_sub(s.kept + s.dropped);
    write!(
        out,
        "{} images: {} kept ({} under another name), {} dropped as copies",
        s.images, s.kept, s.renamed, s.dropped
    )?;
    match left_out {
        0 => writeln!(out)?,
        n => writeln!(out, ", {n} left out by the overrides")?,
    }
    for (rule, what) in [
        (GroupRule::SuffixFamily, "suffix families"),
        (
            GroupRule::FoldedName,
            "names that differ in case and punctuation only",
        ),
        (GroupRule::SuffixFamilyAndFoldedName, "joined by both rules"),
        (GroupRule::Override, "formed by the overrides"),
        (
            GroupRule::Folder,
            "single folders with copies, or with a name in another form of Unicode",
        ),
    ] {
        let n = plan.groups.iter().filter(|g| g.rule == rule).count();
        if n > 0 {
            writeln!(out, "  {what}: {n}")?;
        }
    }

    let dropped = plan.groups.iter().flat_map(|g| &g.dropped);
    let lost: Vec<String> = dropped
        .filter(|copy| !copy.boxes_lost.is_empty())
        .map(|copy| {
            format!(
                "{}: {}, kept {}",
                copy.image,
                copy.boxes_lost.len(),
                copy.kept
            )
        })
        .collect();
    list(
        out,
        "dropped copies with boxes that the image kept has not",
        &lost,
    )?;
    let disjoint = plan.groups.iter();
    let disjoint: Vec<String> = disjoint
        .filter(|g| g.verdict == Verdict::Disjoint)
        .map(|g| {
            let folders: Vec<String> = g
                .members
                .iter()
                .map(|m| format!("{} ({})", m.folder, m.images))
                .collect();
            format!("{}/{}: {}", g.category, g.brand, folders.join(", "))
        })
        .collect();
    list(
        out,
        "brands joined though their folders share no picture (disjoint; apart with [[keep_apart]], or with \
         join_disjoint = false all that names join)",
        &disjoint,
    )?;
    let folded: Vec<String> = plan
        .groups
        .iter()
        .filter(|g| {
            matches!(
                g.rule,
                GroupRule::FoldedName | GroupRule::SuffixFamilyAndFoldedName
            )
        })
        .map(|g| {
            let folders: Vec<&str> = g.members.iter().map(|m| m.folder.as_str()).collect();
            format!("{}/{}: {}", g.category, g.brand, folders.join(", "))
        })
        .collect();
    list(out, "joined by spelling", &folded)?;
    let across: Vec<String> = plan
        .copies_across_brands
        .iter()
        .map(|c| c.images.join(" = "))
        .collect();
    list(
        out,
        "files that lie in several brands (kept in each; decide with [[merge]] or [[drop]])",
        &across,
    )?;
    let near: Vec<String> = plan
        .near_images
        .iter()
        .map(|n| format!("{} ~ {} ({:.3})", n.a, n.b, n.correlation))
        .collect();
    list(
        out,
        "images of two brands that look the same (kept in both; decide with [[merge]] or [[drop]])",
        &near,
    )?;
    list(
        out,
        "images that resemble more than are compared (pairs may be missing above)",
        &plan.crowded_images,
    )?;
    let names: Vec<String> = plan
        .near_names
        .iter()
        .map(|n| {
            let shared = match n.images_near {
                0 => String::new(),
                pairs => format!(", {pairs} pictures shared"),
            };
            format!(
                "{}/{} ~ {}/{}{shared}",
                n.category_a, n.brand_a, n.category_b, n.brand_b
            )
        })
        .collect();
    list(
        out,
        "brands with nearly the same name (kept apart; decide with [[merge]])",
        &names,
    )?;

    let mut whole: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut single = 0;
    for foreign in &plan.foreign_names {
        if foreign.whole_folder {
            let names = whole
                .entry((&foreign.category, &foreign.folder))
                .or_default();
            names.push(format!("{} ({})", foreign.name, foreign.objects));
        } else {
            single += foreign.objects;
        }
    }
    let whole: Vec<String> = whole
        .iter()
        .map(|((category, folder), names)| format!("{category}/{folder} -> {}", names.join(", ")))
        .collect();
    list(
        out,
        "folders that never name their own brand (the folder is the label)",
        &whole,
    )?;
    if single > 0 {
        writeln!(
            out,
            "{single} objects name another brand than their folder's"
        )?;
    }
    Ok(())
}

fn list(out: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{} {title}:", lines.len())?;
    for line in lines.iter().take(SHOWN) {
        writeln!(out, "  {line}")?;
    }
    match lines.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  ... and {more} more, in the plan"),
    }
}
