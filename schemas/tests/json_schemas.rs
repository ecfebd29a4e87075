//! `schemas/json` and `schemas/xsd` hold what the code says. `make schemas` (LOGODEX_WRITE_SCHEMAS=1) writes them anew.

use std::path::Path;

/// Compares a generated file with the one that is there, after writing it where that is asked for.
fn assert_current(path: &Path, text: &str) {
    if std::env::var_os("LOGODEX_WRITE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found,
        text,
        "{} is stale: run `make schemas`",
        path.display()
    );
}

#[test]
fn the_xsd_is_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("xsd");
    assert_current(
        &dir.join("annotation.xsd"),
        &logodex_schemas::voc::annotation_xsd(),
    );
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn json_schemas_are_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
    let mut expected = Vec::new();
    for (name, schema) in logodex_schemas::json_schemas() {
        let path = dir.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        assert_current(&path, &text);
        expected.push(path);
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            expected.contains(&path),
            "{} belongs to no type: delete it",
            path.display()
        );
    }
}
