//! On a tree with every quirk and defect the outcome equals the truth that was planted: no unique image lost, each
//! copy dropped once, every defect refused with its reason, the rest built.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::dataset::Reject;
use logodex_schemas::plan::ConsolidationPlan;
use serde_json::Value;

use crate::workspace::{Workspace, repository};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

/// Builds `raw` and compares the dataset with `raw/truth.json`, image by image.
fn assert_outcome_is_the_truth(workspace: &Workspace, build: &str) {
    workspace.ok("logodex-data", build);
    workspace.ok("logodex-data", "check dataset");
    let truth: Value =
        serde_json::from_slice(&std::fs::read(workspace.path("raw/truth.json")).unwrap()).unwrap();
    let rejected: BTreeSet<_> = list(&truth, "rejects")
        .iter()
        .map(|reject| {
            let object = reject.get("object").and_then(Value::as_u64);
            (
                text(reject, "path").to_owned(),
                object,
                text(reject, "reason").to_owned(),
            )
        })
        .collect();
    let refused: BTreeSet<_> = std::fs::read_to_string(workspace.path("dataset/rejects.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let reject: Reject = serde_json::from_str(line).unwrap();
            assert!(!reject.detail.is_empty());
            let reason = serde_json::to_value(reject.reason).unwrap();
            (
                reject.path,
                reject.object.map(u64::from),
                reason.as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(refused, rejected, "what is refused, and why");

    let mut kept = BTreeMap::<(String, String), BTreeSet<String>>::new();
    let mut copies = BTreeSet::new();
    for brand in list(&truth, "brands") {
        let key = (
            text(brand, "category").to_owned(),
            text(brand, "brand").to_owned(),
        );
        let images = kept.entry(key).or_default();
        for image in list(brand, "images") {
            images.insert(text(image, "image").to_owned());
            copies.extend(
                list(image, "copies")
                    .iter()
                    .map(|copy| copy.as_str().unwrap().to_owned()),
            );
        }
    }
    let catalog =
        logodex_pipeline::build::parquet::read_catalog(&workspace.path("dataset/catalog.parquet"))
            .unwrap();
    let mut built = BTreeMap::<(String, String), BTreeSet<String>>::new();
    for row in &catalog {
        let inserted = built
            .entry((row.category.clone(), row.brand.clone()))
            .or_default()
            .insert(row.raw_image.clone());
        assert!(inserted, "{} has two rows", row.raw_image);
        let xml = std::fs::read_to_string(workspace.path("dataset").join(&row.annotation)).unwrap();
        assert_eq!(
            xml.matches("<index>").count(),
            xml.matches("</object>").count(),
            "every object of {} has an index",
            row.annotation
        );
    }
    for (brand, images) in &kept {
        assert_eq!(built.get(brand), Some(images), "the images of {brand:?}");
    }
    assert_eq!(built.len(), kept.len(), "the brands");

    let plan: ConsolidationPlan = serde_json::from_slice(
        &std::fs::read(workspace.path("dataset/consolidation.json")).unwrap(),
    )
    .unwrap();
    let mut dropped = BTreeSet::new();
    for group in &plan.groups {
        for copy in &group.dropped {
            assert!(
                dropped.insert(copy.image.clone()),
                "{} is dropped twice",
                copy.image
            );
        }
    }
    assert_eq!(dropped, copies, "the copies dropped");
}

#[test]
fn every_quirk_and_defect_ends_as_planted() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 8 --images-per-brand 5 --seed 21 --quirks --defects",
    );
    workspace.write("build.toml", "side = 32\n");
    assert_outcome_is_the_truth(
        &workspace,
        "build --raw raw --out dataset --config build.toml",
    );
}

#[test]
fn the_real_shape_consolidates_to_2863_brands() {
    let workspace = Workspace::new();
    let census = repository().join("fixtures/census.tsv");
    workspace.ok(
        "logodex-fixtures",
        &format!(
            "tree --out raw --seed 1 --census {} --scale 0.02",
            census.display()
        ),
    );
    workspace.write("build.toml", "side = 8\n");
    assert_outcome_is_the_truth(
        &workspace,
        "build --raw raw --out dataset --config build.toml",
    );
    let brands = std::fs::read_to_string(workspace.path("dataset/brand_to_index.csv")).unwrap();
    assert_eq!(brands.lines().count(), 1 + 2863);
}
