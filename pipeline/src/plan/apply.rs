//! Turns a plan into a catalog, if it is a plan for this tree.

use std::collections::BTreeMap;

use logodex_schemas::plan::{ConsolidationPlan, plan_header};

use super::consolidate::foreign::Names;
use crate::plan::catalog::{Catalog, Sample};
use crate::plan::placement::{Fate, PlanMismatch, place_images};
use crate::raw::pair::natural_order;
use crate::raw::scan::Scan;

/// Applies a plan to the tree that it was made for.
///
/// # Errors
/// [`PlanMismatch`] when it was made for another tree or contradicts itself.
pub fn apply(scan: &Scan, plan: &ConsolidationPlan) -> anyhow::Result<Catalog> {
    let mismatch = |detail: String| Err(PlanMismatch(detail).into());
    if plan.header != plan_header() {
        return mismatch(format!(
            "it is {} version {}",
            plan.header.format, plan.header.version
        ));
    }
    let tree = scan.raw_blake3.to_hex();
    if plan.raw_blake3 != tree.as_str() {
        return mismatch(format!(
            "it is for the tree {}, but this one is {tree}: files were added, removed or changed",
            plan.raw_blake3
        ));
    }
    let placement = place_images(scan, &plan.groups, &plan.overrides)?;
    if placement.summary != plan.summary {
        return mismatch(format!(
            "it counts {:?}, but its entries make {:?}",
            plan.summary, placement.summary
        ));
    }

    let names = Names::new(&placement);
    // (category, folder, name) → the brand whose index such an object gets.
    let mut elsewhere: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    for foreign in &plan.foreign_names {
        let named = names.resolve(&foreign.category, &foreign.name);
        let brand = named.map(|b| placement.brands[b as usize].name.as_str());
        if brand != foreign.brand.as_deref() {
            return mismatch(format!(
                "it says that {:?} in {}/{} means {:?}, but it means {brand:?}",
                foreign.name, foreign.category, foreign.folder, foreign.brand
            ));
        }
        if let Some(brand) = named.filter(|_| !foreign.whole_folder) {
            elsewhere.insert((&foreign.category, &foreign.folder, &foreign.name), brand);
        }
    }
    let mut samples = Vec::new();
    for (raw, (sample, fate)) in scan.samples.iter().zip(&placement.fates).enumerate() {
        let Fate::Kept(brand, stem) = fate else {
            continue;
        };
        let index = |name: &str| {
            let key = (sample.category.as_str(), sample.folder.as_str(), name);
            elsewhere.get(&key).copied().unwrap_or(*brand)
        };
        samples.push(Sample {
            brand: *brand,
            stem: stem.clone(),
            raw,
            object_indices: sample
                .parsed
                .objects
                .iter()
                .map(|o| index(&o.name))
                .collect(),
        });
    }
    samples.sort_by(|a, b| {
        a.brand
            .cmp(&b.brand)
            .then_with(|| natural_order(&a.stem, &b.stem))
    });
    Ok(Catalog {
        brands: placement.brands,
        samples,
    })
}
