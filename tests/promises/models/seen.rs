//! A model that never met a tree's brands finds the labels that are wrong in it, and a brand that goes by two names.

use std::collections::BTreeSet;

use logodex_schemas::plan::audit::{Audit, FindingKind, audit_header};

use crate::workspace::{Workspace, contents, small_dataset, tiny_config};

/// Gives every `nth` picture, with its annotation, to a folder of the next category; returns their new paths.
fn plant_noise(root: &std::path::Path, nth: usize) -> BTreeSet<String> {
    let files = contents(root)
        .into_keys()
        .filter(|path| path.ends_with(".jpg"));
    let pictures: Vec<_> = files.map(|path| root.join(path)).collect();
    let folders: Vec<_> = pictures.iter().map(|p| p.parent().unwrap()).collect();
    let mut moved = BTreeSet::new();
    for i in (nth / 2..pictures.len()).step_by(nth) {
        // Half of the tree away lies another brand.
        let to = folders[(i + pictures.len() / 2) % pictures.len()];
        let name = to.file_name().unwrap().to_str().unwrap();
        let annotation = pictures[i].with_extension("xml");
        let text = std::fs::read_to_string(&annotation).unwrap();
        let (_, rest) = text.split_once("<name>").unwrap();
        let (own, _) = rest.split_once("</name>").unwrap();
        let text = text.replace(&format!("<name>{own}<"), &format!("<name>{name}<"));
        std::fs::write(to.join(format!("moved-{i}.xml")), text).unwrap();
        std::fs::remove_file(annotation).unwrap();
        let new = to.join(format!("moved-{i}.jpg"));
        std::fs::rename(&pictures[i], &new).unwrap();
        moved.insert(new.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
    }
    moved
}

#[test]
fn wrong_labels_come_first_and_are_asked_about() {
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
    let moved = plant_noise(&w.path("raw/LogoDet-3K"), 20);
    assert_eq!(moved.len(), 10);

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
    let tenth = rows.len() / 10;
    let first: BTreeSet<String> = rows[..tenth].iter().map(|row| row[0].to_owned()).collect();
    let found = moved.intersection(&first).count();
    // Three epochs at 32 px tell brands apart somewhat; chance would find one of ten.
    assert!(
        found >= 5,
        "{found} of {} among the first tenth",
        moved.len()
    );

    let asked = with
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::LooksLikeAnother);
    let asked: Vec<_> = asked.collect();
    let about: BTreeSet<String> = asked.iter().flat_map(|f| f.subjects.clone()).collect();
    assert!(moved.intersection(&about).count() >= 5, "{about:?}");
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
