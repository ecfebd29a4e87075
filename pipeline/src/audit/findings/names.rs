//! Findings about what brands and objects are called: wholly mislabelled folders, mis-clicked names, nearly equal brands.

use std::collections::BTreeMap;

use logodex_schemas::plan::audit::{Finding, FindingKind, NameCount, PicturePair};
use logodex_schemas::plan::{ConsolidationPlan, ForeignName, NameLikeness, NearName};

use super::labels::{labels, member};
use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::{Gallery, SHOWN};

/// A finding for every folder whose objects name another brand, and for every two brands of nearly one name.
pub fn findings(
    tree: &Tree<'_>,
    plan: &ConsolidationPlan,
    gallery: &mut Gallery<'_>,
) -> Vec<Finding> {
    let mut folders: BTreeMap<(&str, &str), Vec<&ForeignName>> = BTreeMap::new();
    for name in &plan.foreign_names {
        let key = (name.category.as_str(), name.folder.as_str());
        folders.entry(key).or_default().push(name);
    }
    let mut found: Vec<Finding> = folders
        .into_iter()
        .map(|((category, folder), said)| foreign(tree, category, folder, &said, gallery))
        .collect();
    found.extend(
        plan.near_names
            .iter()
            .map(|near| near_name(tree, near, gallery)),
    );
    found
}

fn foreign(
    tree: &Tree<'_>,
    category: &str,
    folder: &str,
    said: &[&ForeignName],
    gallery: &mut Gallery<'_>,
) -> Finding {
    let whole = said.iter().any(|name| name.whole_folder);
    let kind = match whole {
        true => FindingKind::MislabelledFolder,
        false => FindingKind::ForeignName,
    };
    let own = tree.brand_name(category, folder);
    let mut found = finding(kind, own, vec![format!("{category}/{folder}")]);
    let mut counts: Vec<NameCount> = said
        .iter()
        .map(|name| NameCount {
            name: name.name.clone(),
            objects: name.objects,
            brand: tree.foreign_brand(category, folder, &name.name),
        })
        .collect();
    counts.sort_by(|a, b| b.objects.cmp(&a.objects).then_with(|| a.name.cmp(&b.name)));
    let objects: u64 = counts.iter().map(|c| c.objects).sum();
    found.other = counts.iter().find_map(|c| c.brand.clone());
    found.weight = objects;
    let named: Vec<String> = counts
        .iter()
        .take(3)
        .map(|c| format!("“{}”", c.name))
        .collect();
    let more = counts.len().saturating_sub(named.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let named = named.join(", ") + &more;
    (found.says, found.otherwise) = if whole {
        (
            format!("No object of the folder names it; {objects} objects are named {named}."),
            format!("The folder is the label: its pictures are brand “{own}”."),
        )
    } else {
        let moved: u64 = counts
            .iter()
            .filter(|c| c.brand.is_some())
            .map(|c| c.objects)
            .sum();
        (
            match objects {
                1 => format!("One object of the folder is named {named}."),
                _ => format!("{objects} objects of the folder are named {named}."),
            },
            match (moved, objects - moved) {
                (0, _) => format!("The folder is the label: they count as “{own}”."),
                (1, 0) => {
                    format!("It gets the index of the brand that it names, not that of “{own}”.")
                }
                (_, 0) => {
                    format!("They get the index of the brand that they name, not that of “{own}”.")
                }
                (moved, rest) => format!(
                    "As the brand that they name: {moved}; as the folder's, “{own}”: {rest}."
                ),
            },
        )
    };
    let foreign = |i: &usize| {
        let objects = &tree.scan.samples[*i].parsed.objects;
        objects
            .iter()
            .any(|o| o.bbox.is_ok() && said.iter().any(|n| n.name == o.name))
    };
    let images: Vec<usize> = tree.folder(category, folder).filter(foreign).collect();
    found.names = counts;
    found.members = member(tree, category, folder);
    found.labels = vec![labels(tree, category, folder)];
    gallery.show(&mut found, &images);
    // A whole folder's pictures stand beside those of the brand that it may be.
    if let Some((other, brand)) = found
        .other
        .as_deref()
        .filter(|_| whole)
        .and_then(|o| o.split_once('/'))
    {
        let others = tree.kept(other, brand).into_iter().take(SHOWN / 2);
        let places: Vec<u32> = others.map(|i| gallery.place(i)).collect();
        let beside = found.alone.iter().zip(places);
        found.pairs = beside
            .map(|(&a, b)| PicturePair {
                a,
                b,
                same: None,
                because: None,
                distance: None,
                differ: false,
            })
            .collect();
    }
    found
}

fn near_name(tree: &Tree<'_>, near: &NearName, gallery: &mut Gallery<'_>) -> Finding {
    let (a, b) = (
        format!("{}/{}", near.category_a, near.brand_a),
        format!("{}/{}", near.category_b, near.brand_b),
    );
    let mut found = finding(FindingKind::NearName, &near.brand_a, vec![a, b.clone()]);
    found.other = Some(b);
    let alike = match near.alike {
        NameLikeness::Equal => "are equal but for case, punctuation or a leading “the”".to_owned(),
        NameLikeness::FirstWords => "begin with the same words".to_owned(),
        NameLikeness::Letters if near.edit_distance == 1 => "differ in one letter".to_owned(),
        NameLikeness::Letters => format!("differ in {} letters", near.edit_distance),
        NameLikeness::Similar => "have nearly the same letters".to_owned(),
    };
    let where_ = match near.category_a == near.category_b {
        true => String::new(),
        false => format!(" ({} and {})", near.category_a, near.category_b),
    };
    let shared = match near.images_near {
        0 => "they share no picture".to_owned(),
        1 => "they share one picture".to_owned(),
        n => format!("they share {n} pictures"),
    };
    found.says = format!(
        "“{}” and “{}”{where_} {alike}; {shared}.",
        near.brand_a, near.brand_b
    );
    found.otherwise = "Two brands, and a split may train on one and test on the other.".to_owned();
    let (a, b) = (
        tree.kept(&near.category_a, &near.brand_a),
        tree.kept(&near.category_b, &near.brand_b),
    );
    // What speaks most for one brand comes first.
    let likeness = match near.alike {
        NameLikeness::Equal => 1_000_000,
        NameLikeness::FirstWords => 0,
        NameLikeness::Letters => 10_000,
        NameLikeness::Similar => 0,
    };
    found.weight = near.images_near * 10_000_000 + likeness + a.len().min(b.len()) as u64;
    found.pairs_total = near.images_near;
    let beside = a.into_iter().zip(b).take(SHOWN / 2);
    found.pairs = beside
        .map(|(a, b)| PicturePair {
            a: gallery.place(a),
            b: gallery.place(b),
            same: None,
            because: None,
            distance: None,
            differ: false,
        })
        .collect();
    found
}
