//! Compares the plan that the tree gives now with the one that a person reviewed.

use std::collections::BTreeMap;

use logodex_schemas::plan::{ConsolidationPlan, Group};

use logodex_program::failure::Failure;

/// At most this many differences are named.
const NAMED: usize = 10;

/// Accepts the plan of today if it is the one that was reviewed.
///
/// # Errors
/// [`Failure::PlanDiffers`], saying what differs.
pub fn compare(reviewed: &ConsolidationPlan, now: &ConsolidationPlan) -> anyhow::Result<()> {
    let mut differences = differences(reviewed, now);
    if differences.is_empty() {
        return Ok(());
    }
    let more = differences.len().saturating_sub(NAMED);
    differences.truncate(NAMED);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    Err(Failure::PlanDiffers(format!(
        "the plan of today is not the reviewed one: {}; review a new plan (logodex-data plan), nothing was built",
        differences.join("; ")
    ))
    .into())
}

/// What differs between an earlier plan and today's, a phrase each; nothing if they are equal.
pub fn differences(reviewed: &ConsolidationPlan, now: &ConsolidationPlan) -> Vec<String> {
    // Another limit is another plan only where another copy stays for it.
    let with_limit = ConsolidationPlan {
        min_object_px: reviewed.min_object_px,
        ..now.clone()
    };
    if *reviewed == with_limit {
        return Vec::new();
    }
    let mut differences = Vec::new();
    if reviewed.min_object_px != now.min_object_px {
        differences.push(format!(
            "min_object_px: {} reviewed, {} now, so that other copies stay (plan with the build's --config)",
            reviewed.min_object_px, now.min_object_px
        ));
    }
    if reviewed.raw_blake3 != now.raw_blake3 {
        differences.push("the raw tree is not the one that was reviewed (raw_blake3)".to_owned());
    }
    let numbers =
        |plan: &ConsolidationPlan| serde_json::to_value(&plan.summary).unwrap_or_default();
    let (was, is) = (numbers(reviewed), numbers(now));
    for (key, is) in is.as_object().into_iter().flatten() {
        if was[key] != *is {
            differences.push(format!("{key}: {} reviewed, {is} now", was[key]));
        }
    }
    let groups = |plan: &ConsolidationPlan| -> BTreeMap<(String, String), Group> {
        let key = |group: &Group| (group.category.clone(), group.brand.clone());
        plan.groups
            .iter()
            .map(|group| (key(group), group.clone()))
            .collect()
    };
    let (was, is) = (groups(reviewed), groups(now));
    for (key @ (category, brand), group) in &was {
        match is.get(key) {
            None => differences.push(format!("group {category}/{brand} is gone")),
            Some(other) if other != group => {
                differences.push(format!("group {category}/{brand} changed"))
            }
            Some(_) => {}
        }
    }
    for (category, brand) in is.keys().filter(|key| !was.contains_key(key)) {
        differences.push(format!("group {category}/{brand} is new"));
    }
    if reviewed.copies_across_brands != now.copies_across_brands {
        differences.push("copies_across_brands differ".to_owned());
    }
    if reviewed.near_images != now.near_images || reviewed.crowded_images != now.crowded_images {
        differences.push("near_images differ".to_owned());
    }
    if reviewed.near_names != now.near_names {
        differences.push("near_names differ".to_owned());
    }
    if reviewed.foreign_names != now.foreign_names {
        differences.push("foreign_names differ".to_owned());
    }
    if reviewed.overrides != now.overrides {
        differences.push("the overrides differ".to_owned());
    }
    if differences.is_empty() {
        differences.push("the order of its entries was changed".to_owned());
    }
    differences
}

#[cfg(test)]
mod tests {
    use logodex_schemas::plan::{Effect, GroupRule, Verdict, plan_header};

    use super::*;
    use logodex_program::failure::exit_code;

    fn plan() -> ConsolidationPlan {
        ConsolidationPlan {
            header: plan_header(),
            raw_blake3: "a".to_owned(),
            rules: Default::default(),
            min_object_px: 8,
            overrides: Default::default(),
            summary: Default::default(),
            groups: vec![Group {
                category: "Food".to_owned(),
                brand: "76".to_owned(),
                rule: GroupRule::SuffixFamily,
                verdict: Verdict::Shared,
                parts: Vec::new(),
                members: Vec::new(),
                overlap: Vec::new(),
                dropped: Vec::new(),
                renamed: Vec::new(),
                effect: Effect::default(),
                undo: String::new(),
            }],
            copies_across_brands: Vec::new(),
            near_images: Vec::new(),
            crowded_images: Vec::new(),
            near_names: Vec::new(),
            foreign_names: Vec::new(),
        }
    }

    #[test]
    fn what_differs_is_said() {
        compare(&plan(), &plan()).unwrap();
        let differs = |change: fn(&mut ConsolidationPlan), says: &str| {
            let mut now = plan();
            change(&mut now);
            let error = compare(&plan(), &now).unwrap_err();
            assert_eq!(exit_code(&error), 4);
            assert!(format!("{error:#}").contains(says), "{error:#}");
        };
        differs(|plan| plan.raw_blake3 = "b".to_owned(), "raw_blake3");
        differs(
            |plan| plan.summary.dropped = 3,
            "dropped: 0 reviewed, 3 now",
        );
        differs(|plan| plan.groups.clear(), "Food/76 is gone");
        differs(
            |plan| plan.groups[0].rule = GroupRule::Override,
            "Food/76 changed",
        );
        differs(
            |plan| {
                plan.min_object_px = 16;
                plan.groups[0].effect.dropped = 1;
            },
            "min_object_px: 8 reviewed, 16 now",
        );
        let mut now = plan();
        now.min_object_px = 16;
        compare(&plan(), &now).expect("no group is another for it");
        differs(
            |plan| plan.groups[0].brand = "77".to_owned(),
            "Food/77 is new",
        );
        differs(
            |plan| plan.crowded_images.push("Food/76/1.jpg".to_owned()),
            "near_images differ",
        );
    }
}
