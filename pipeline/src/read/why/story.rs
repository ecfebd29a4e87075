//! The records of one image or one brand, in words, a line per step.

use std::collections::BTreeMap;

use logodex_schemas::dataset::{CatalogRow, Reject};
use logodex_schemas::plan::{Group, GroupRule, Sameness, Verdict};
use logodex_schemas::split::Fold;

use super::records::{Records, stem_path};
use crate::raw::name::nfc;
use crate::raw::reject::describe;

/// Look-alikes, foreign names and the like shown of each kind.
const SHOWN: usize = 5;

/// The story of an image `<Category>/<folder>/<stem>`, or none if the dataset knows nothing of it.
pub fn of_image(records: &Records, stem: &str) -> Option<String> {
    let (folder, name) = stem.rsplit_once('/')?;
    let (category, folder_name) = folder.split_once('/')?;
    let brand = records.brand_name(category, folder_name);
    let rows: Vec<&CatalogRow> = records
        .rows
        .iter()
        .filter(|row| stem_path(&row.raw_image) == stem)
        .collect();
    let refused: Vec<&Reject> = records
        .rejects
        .iter()
        .filter(|reject| stem_path(&reject.path) == stem)
        .collect();
    let group = records.group(category, folder_name);
    let dropped = group.and_then(|g| g.dropped.iter().find(|d| stem_path(&d.image) == stem));
    let left_out = records.left_out(folder, stem);
    let annotation = match rows.first() {
        Some(row) => Some(row.annotation.clone()),
        None => records.annotation(category, folder_name, name),
    };

    let mut lines = vec![match rows.first() {
        Some(row) => format!("raw image {}, BLAKE3 {}", row.raw_image, row.blake3),
        None => format!("raw image {stem}.*"),
    }];
    lines.push(match group {
        Some(group) => format!("folder {folder} -> {}", joined(group)),
        None => format!("folder {folder} -> brand {category}/{brand}, by itself"),
    });
    let whole = refused.iter().filter(|reject| reject.object.is_none());
    let whole: Vec<String> = whole
        .map(|reject| format!("refused: {}", describe(reject)))
        .collect();
    if let Some(drop) = left_out {
        let with = if stem_path(&drop.path) == stem {
            ""
        } else {
            " with its folder"
        };
        lines.push(format!(
            "left out{with} by the overrides: {}; it has no row",
            drop.reason
        ));
    } else if let Some(copy) = dropped {
        let same = match copy.same {
            Sameness::Bytes => "bytes",
            Sameness::Pixels => "decoded pixels",
        };
        lines.push(format!(
            "dropped as a copy of {}: the same {same}; it has no row of its own. The image kept:",
            copy.kept
        ));
        let kept = of_image(records, stem_path(&copy.kept)).unwrap_or_default();
        lines.extend(kept.lines().map(|line| format!("  {line}")));
        let lost = copy.boxes_lost.iter();
        lines.extend(
            lost.map(|edges| format!("the image kept has no box {edges:?}, which this copy has")),
        );
        lines.extend(whole);
    } else if rows.is_empty() && !whole.is_empty() {
        lines.extend(whole);
        lines.push("it has no row".to_owned());
    } else {
        lines.push(format!("kept -> {}", annotation?));
        let objects = refused.iter().filter(|reject| reject.object.is_some());
        lines.extend(objects.map(|reject| format!("refused: {}", describe(reject))));
        if rows.is_empty() {
            lines.push(format!(
                "it has no row: with region = \"object\" every box of it is refused or less than {} px in width or \
                 height",
                records.manifest.config.min_object_px
            ));
        }
        lines.extend(rows.iter().map(|row| of_row(records, row)));
        lines.extend(look_alikes(records, stem));
        // Another file of the same stem.
        lines.extend(whole);
        lines.extend(folds(records, category, brand));
    }
    Some(lines.join("\n"))
}

fn of_row(records: &Records, row: &CatalogRow) -> String {
    let shard = &records.manifest.shards[row.shard as usize].path;
    let shows = match row.object {
        Some(object) => format!("object {object} {:?}", row.name.as_deref().unwrap_or("")),
        None => "the whole image".to_owned(),
    };
    format!(
        "row {}: {shows}, {} x {} px at ({}, {}) of {} x {} px; {shard}, position {}",
        row.row,
        row.region_width,
        row.region_height,
        row.x,
        row.y,
        row.width,
        row.height,
        row.position
    )
}

/// The brand that a group makes, why, and of what.
fn joined(group: &Group) -> String {
    let rule = match group.rule {
        GroupRule::Folder => "by itself",
        GroupRule::SuffixFamily => "a suffix family",
        GroupRule::FoldedName => "names equal but for case and punctuation",
        GroupRule::SuffixFamilyAndFoldedName => {
            "a suffix family and names equal but for case and punctuation"
        }
        GroupRule::Override => "by the overrides",
    };
    let members: Vec<&str> = group.members.iter().map(|m| m.folder.as_str()).collect();
    let of = if members.len() == 1 {
        String::new()
    } else {
        format!(": {}", members.join(", "))
    };
    let though = match group.verdict {
        Verdict::Disjoint => ", though folders share no picture",
        _ => "",
    };
    format!(
        "brand {}/{}, {rule}{of}{though}",
        group.category, group.brand
    )
}

/// Images of other brands that are or look the same.
fn look_alikes(records: &Records, stem: &str) -> Vec<String> {
    let plan = &records.plan;
    let copies = plan.copies_across_brands.iter();
    let copies = copies.map(|c| (c.images.iter().collect(), "is the same file as"));
    let near = plan.near_images.iter();
    let near = near.map(|n| (vec![&n.a, &n.b], "looks the same as"));
    let mut lines = Vec::new();
    for (images, what) in copies.chain(near) {
        let (own, others): (Vec<&String>, _) = images
            .into_iter()
            .partition(|image| stem_path(image) == stem);
        if !own.is_empty() {
            let others = others.iter();
            lines.extend(others.map(|other| format!("it {what} {other} of another brand")));
        }
    }
    shorten(lines)
}

fn shorten(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("... and {more} more, in consolidation.json"));
    }
    lines
}

fn folds(records: &Records, category: &str, brand: &str) -> Vec<String> {
    let Some(brand) = records.brand(category, brand) else {
        return Vec::new();
    };
    let fold = |(name, folds): &(String, BTreeMap<u32, Fold>)| {
        let fold = folds.get(&brand.index).map(|fold| fold.name());
        format!(
            "split {name}: {}",
            fold.unwrap_or("in no fold, having no row")
        )
    };
    records.splits.iter().map(fold).collect()
}

/// The story of every brand or folder of a name, alone or as `<Category>/<name>`; none where there is none.
pub fn of_brand(records: &Records, what: &str) -> Option<String> {
    let mut told: Vec<(&str, &str)> = Vec::new();
    let mut lines = Vec::new();
    let what = nfc(what);
    for (category, name) in records.names() {
        let asked = nfc(name);
        if what != asked && what != nfc(&format!("{category}/{name}")) {
            continue;
        }
        let is_brand = records.brand(category, name).is_some();
        let brand = if is_brand {
            name
        } else {
            records.brand_name(category, name)
        };
        if told.contains(&(category, brand)) {
            continue;
        }
        told.push((category, brand));
        if brand != name {
            lines.push(format!(
                "folder {category}/{name} -> brand {category}/{brand}"
            ));
        }
        lines.extend(brand_lines(records, category, brand));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn brand_lines(records: &Records, category: &str, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match records.brand(category, name) {
        Some(brand) if brand.n_rows > 0 => lines.push(format!(
            "brand {category}/{name}: index {}, {} images, {} objects, rows {} to {}",
            brand.index,
            brand.n_images,
            brand.n_objects,
            brand.first_row,
            brand.first_row + brand.n_rows - 1
        )),
        Some(brand) => lines.push(format!(
            "brand {category}/{name}: index {}, {} images, no row",
            brand.index, brand.n_images
        )),
        None => lines.push(format!(
            "{category}/{name}: no image of it is in the dataset"
        )),
    }
    let is_this = |g: &&Group| g.category == category && g.brand == name;
    let group = records.plan.groups.iter().find(is_this);
    if let Some(group) = group {
        let effect = &group.effect;
        lines.push(joined(group));
        lines.push(format!(
            "{} images kept ({} under another name), {} dropped as copies, {} objects relabelled",
            effect.kept, effect.renamed, effect.dropped, effect.relabelled
        ));
    }
    let overrides = &records.plan.overrides;
    let renames = overrides
        .rename
        .iter()
        .filter(|r| r.category == category && r.to == name);
    lines.extend(
        renames.map(|r| format!("renamed from {} by the overrides: {}", r.brand, r.reason)),
    );
    let merges = overrides
        .merge
        .iter()
        .filter(|m| m.category == category && m.brand == name);
    lines.extend(merges.map(|m| format!("joined by the overrides: {}", m.reason)));
    let own = |c: &str, folder: &str| c == category && records.brand_name(category, folder) == name;
    let aparts = overrides.keep_apart.iter();
    let aparts = aparts.filter(|k| k.category == category && k.folders.iter().any(|f| f == name));
    lines.extend(aparts.map(|k| format!("kept apart by the overrides: {}", k.reason)));
    let in_brand = |path: &str| {
        let path = path.trim_end_matches('/');
        path.split_once('/')
            .is_some_and(|(c, rest)| own(c, rest.split('/').next().unwrap_or(rest)))
    };
    let drops = overrides.drop.iter().filter(|d| in_brand(&d.path));
    lines.extend(shorten(
        drops
            .map(|d| format!("left out by the overrides: {}: {}", d.path, d.reason))
            .collect(),
    ));
    let refused = records
        .rejects
        .iter()
        .filter(|reject| in_brand(&reject.path));
    lines.extend(shorten(
        refused
            .map(|r| format!("refused: {}", describe(r)))
            .collect(),
    ));
    let foreign = records
        .plan
        .foreign_names
        .iter()
        .filter(|f| own(&f.category, &f.folder));
    lines.extend(shorten(
        foreign
            .map(|f| {
                format!(
                    "{} objects in {}/{} are named {:?}",
                    f.objects, f.category, f.folder, f.name
                )
            })
            .collect(),
    ));
    let near = records.plan.near_names.iter().filter_map(|n| {
        let (a, b) = (
            (n.category_a.as_str(), n.brand_a.as_str()),
            (n.category_b.as_str(), n.brand_b.as_str()),
        );
        let this = (category, name);
        let other = if a == this {
            b
        } else if b == this {
            a
        } else {
            return None;
        };
        Some(format!(
            "nearly the same name: {}/{}, {} pictures shared",
            other.0, other.1, n.images_near
        ))
    });
    lines.extend(shorten(near.collect()));
    lines.extend(folds(records, category, name));
    lines
}
