//! Asks every question about a tree and its plan, and puts the riskiest first.

mod families;
mod labels;
mod names;
mod oddities;
mod quality;
mod seen;
mod shared_pictures;
mod similar_pictures;

use std::collections::BTreeMap;

use logodex_inference::Model;
use logodex_schemas::plan::ConsolidationPlan;
use logodex_schemas::plan::audit::{
    Audit, AuditBrand, FamilyVerdict, Finding, FindingKind, audit_header,
};
use logodex_schemas::split::Fold;

use super::finding::Tree;
use super::gallery::Gallery;
use crate::plan::placement::{Fate, Placement, place_images};
use crate::raw::scan::Scan;

/// What an audit is asked beside the tree and its plan.
pub struct Asked<'a> {
    /// What differs from an earlier plan.
    pub changed: Option<Vec<String>>,
    /// What a split says of the brands `<Category>/<brand>`.
    pub folds: &'a BTreeMap<String, Fold>,
    /// A model that is asked about every picture kept, or about its objects.
    pub model: Option<&'a Model>,
    /// The shorter side of the smallest object that the model is shown, pixels.
    pub min_object_px: u32,
}

/// What was found in a tree.
pub struct Found<'a> {
    /// The findings and their evidence.
    pub audit: Audit,
    /// The pictures that they show.
    pub gallery: Gallery<'a>,
    /// `seen.csv`, where a model was asked.
    pub seen: Option<Vec<u8>>,
}

/// The audit of a tree under a plan.
///
/// # Errors
/// A plan of another tree; what ONNX Runtime reports.
pub fn find<'a>(
    scan: &'a Scan,
    plan: &ConsolidationPlan,
    asked: Asked<'_>,
) -> anyhow::Result<Found<'a>> {
    let Asked { changed, model, .. } = asked;
    let placement = place_images(scan, &plan.groups, &plan.overrides)?;
    let tree = Tree::new(scan, &placement, asked.folds);
    let mut gallery = Gallery::new(scan);
    let seen = model
        .map(|model| seen::look(&tree, model, asked.min_object_px))
        .transpose()?;
    let mut findings = families::findings(&tree, &plan.groups, &mut gallery);
    findings.extend(names::findings(&tree, plan, &mut gallery));
    findings.extend(shared_pictures::findings(&tree, plan, &mut gallery));
    findings.extend(oddities::findings(&tree, &mut gallery));
    let limits = quality::limits(&tree);
    findings.extend(quality::findings(&tree, &limits, &mut gallery));
    if let Some(seen) = &seen {
        findings.extend(seen.findings(&tree, &mut gallery));
    }
    let accepted: Vec<&str> = plan
        .overrides
        .accept
        .iter()
        .map(|a| a.finding.as_str())
        .collect();
    for found in &mut findings {
        found.answered = accepted.contains(&found.id.as_str());
    }
    findings.sort_by(|a, b| {
        // Of one kind, what lies in several folds comes first.
        let order = |f: &Finding| (rank(f), f.folds.is_empty(), std::cmp::Reverse(f.weight));
        order(a).cmp(&order(b)).then_with(|| a.id.cmp(&b.id))
    });
    gallery.in_order_of(&mut findings);
    let mut refused = BTreeMap::new();
    for reject in &scan.rejects {
        *refused.entry(reject.reason).or_default() += 1;
    }
    let audit = Audit {
        header: audit_header(),
        raw_blake3: plan.raw_blake3.clone(),
        summary: plan.summary.clone(),
        refused,
        quality: limits,
        overrides: plan.overrides.clone(),
        pictures: gallery.pictures(),
        findings,
        brands: brands(&placement),
        changed,
        model: model.map(|model| model.metadata().fingerprint.clone()),
        rejects: scan.rejects.clone(),
    };
    Ok(Found {
        seen: seen.map(|seen| seen.table(&tree)).transpose()?,
        audit,
        gallery,
    })
}

/// The harm of doing nothing if the rules are wrong: wrong labels first, then leaks between folds, then noise.
fn rank(found: &Finding) -> u32 {
    match (found.kind, found.verdict) {
        (FindingKind::Family, Some(FamilyVerdict::Disjoint)) => 0,
        (FindingKind::MislabelledFolder, _) => 1,
        (FindingKind::SharedPicture, _) => 2,
        (FindingKind::Family, Some(FamilyVerdict::Conflict)) => 3,
        (FindingKind::NearPicture, _) => 4,
        (FindingKind::Family, Some(FamilyVerdict::Partial)) => 5,
        (FindingKind::NearName, _) => 6,
        (FindingKind::AlikeBrands, _) => 7,
        (FindingKind::ForeignName, _) => 8,
        (FindingKind::LooksLikeAnother, _) => 9,
        (FindingKind::OddBoxes, _) => 10,
        (FindingKind::SimilarPicture, _) => 11,
        (FindingKind::FarPicture, _) => 12,
        (FindingKind::LowInformation, _) => 13,
        (FindingKind::BlurryPictures, _) => 14,
        (FindingKind::DarkPictures, _) => 15,
        (FindingKind::LightPictures, _) => 16,
        (FindingKind::OddSize, _) => 17,
        (FindingKind::OddAspect, _) => 18,
        (FindingKind::GreyPictures, _) => 19,
        (FindingKind::Family, _) => 20,
        (FindingKind::OwnCopies, _) => 21,
    }
}

fn brands(placement: &Placement) -> Vec<AuditBrand> {
    let mut brands: Vec<AuditBrand> = placement
        .brands
        .iter()
        .map(|brand| AuditBrand {
            category: brand.category.clone(),
            brand: brand.name.clone(),
            folders: Vec::new(),
            images: 0,
        })
        .collect();
    for ((_, folder), &index) in &placement.folders {
        brands[index as usize].folders.push(folder.clone());
    }
    for fate in &placement.fates {
        if let Fate::Kept(index, _) = fate {
            brands[*index as usize].images += 1;
        }
    }
    brands.sort_by(|a, b| (&a.category, &a.brand).cmp(&(&b.category, &b.brand)));
    brands
}
