//! A model is shown every picture that an audit keeps, and the page asks about the labels that its table doubts.

use std::collections::BTreeSet;

use logodex_schemas::plan::audit::{Audit, FindingKind, audit_header};

use crate::workspace::{Workspace, small_dataset, tiny_config};

#[test]
fn every_picture_is_seen_and_what_the_table_doubts_is_asked_about() {
    let shared = small_dataset().path("dataset");
    let dataset = format!("--dataset {} --split s", shared.display());
    let w = Workspace::new();
    let config = tiny_config();
    w.ok(
        "logodex-train",
        &format!("fit {dataset} --config {} --run run", config.display()),
    );
    w.ok("logodex-train", "export --run run --out model.onnx");
    // Other brands than those that the model was trained on.
    w.ok(
        "logodex-fixtures",
        "tree --out raw --brands 20 --images-per-brand 10 --seed 77",
    );
    let audit = |options: &str| {
        w.ok(
            "logodex-data",
            &format!("audit --raw raw --out audit {options}"),
        );
        let json = std::fs::read(w.path("audit/audit.json")).unwrap();
        audit_header().parse::<Audit>(&json).unwrap()
    };
    let without = audit("");
    assert!(without.model.is_none() && !w.path("audit/seen.csv").exists());
    let with = audit("--model model.onnx");
    assert!(with.model.is_some());

    let mut table = csv::Reader::from_path(w.path("audit/seen.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let scores = rows.iter().map(|row| row[7].parse::<f64>().unwrap());
    assert!(
        scores.is_sorted_by(|a, b| a >= b),
        "the most doubtful first"
    );
    let pictures: BTreeSet<&str> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(
        pictures.len() as u64,
        with.summary.kept,
        "every picture kept was seen"
    );
    // Most neighbours are of other brands, and another brand is more like it than its own.
    let doubted = rows.iter().filter(|row| {
        let number = |at: usize| row[at].parse::<f64>().unwrap_or(f64::NAN);
        2.0 * number(10) > number(11) && number(7) > 0.0
    });
    let doubted: BTreeSet<String> = doubted.map(|row| row[0].to_owned()).collect();
    assert!(
        !doubted.is_empty(),
        "a network that has learnt next to nothing doubts much"
    );
    let asked = with
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::LooksLikeAnother);
    let asked: Vec<_> = asked.collect();
    let about: BTreeSet<String> = asked.iter().flat_map(|f| f.subjects.clone()).collect();
    assert_eq!(about, doubted);
    assert!(
        asked
            .iter()
            .all(|f| !f.pairs.is_empty() && f.other.is_some())
    );
    // All else is as without a model.
    let others = with.findings.iter().filter(|f| {
        !matches!(
            f.kind,
            FindingKind::LooksLikeAnother | FindingKind::AlikeBrands | FindingKind::FarPicture
        )
    });
    let ids = |found: &mut dyn Iterator<Item = &logodex_schemas::plan::audit::Finding>| {
        found.map(|f| f.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut { others }), ids(&mut without.findings.iter()));

    let said = w.fails(
        2,
        "logodex-data",
        "audit --raw raw --out audit --model none.onnx",
    );
    assert!(said.contains("none.onnx"), "{said}");
}
