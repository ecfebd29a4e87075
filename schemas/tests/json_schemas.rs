//! `schemas/json` is what the types say. `make schemas` (LOGODEX_WRITE_SCHEMAS=1) writes it anew.

use std::path::Path;

#[test]
fn json_schemas_are_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
    let write = std::env::var_os("LOGODEX_WRITE_SCHEMAS").is_some();
    let mut expected = Vec::new();
    for (name, schema) in logodex_schemas::json_schemas() {
        let path = dir.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found,
            text,
            "{} is stale: run `make schemas`",
            path.display()
        );
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
