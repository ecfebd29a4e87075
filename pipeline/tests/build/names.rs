//! Names in either form of Unicode, and names that no folder can have.

use crate::tree::{Tree, jpeg, xml};

const COMPOSED: &str = "Pe\u{f1}a";
const DECOMPOSED: &str = "Pen\u{303}a";

fn brands(tree: &Tree) -> Vec<String> {
    let text = std::fs::read_to_string(tree.path("dataset/brand_to_index.csv")).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|l| l.rsplit_once(',').unwrap().0.trim_matches('"').to_owned())
        .collect()
}

fn with(folders: &[(&str, &str)]) -> Tree {
    let tree = Tree::new();
    for (b, (folder, name)) in (0u32..).zip(folders) {
        for n in 0..2 {
            let image = jpeg(60, 50, 10 * b + n);
            let objects = xml(&[(name, [5, 5, 40, 40])]);
            tree.pair("Food", folder, 10 * b + n, &image, &objects);
        }
    }
    tree.write("build.toml", "side = 8\n");
    tree
}

const BUILD: &str = "build --raw @raw --out @dataset --config @build.toml";

#[test]
fn a_mark_makes_another_brand_and_a_form_does_not() {
    for form in [COMPOSED, DECOMPOSED] {
        let tree = with(&[(form, DECOMPOSED), ("Pena", "Pena")]);
        tree.ok(BUILD);
        assert_eq!(brands(&tree), ["Pena", COMPOSED]);
        for typed in [COMPOSED, DECOMPOSED] {
            let ask = |what: &str| tree.ok(&format!("why @dataset {what}"));
            assert!(ask(typed).contains("index 1"), "{}", ask(typed));
            let image = ask(&format!("Food/{typed}/1.jpg"));
            assert!(image.contains("row 3"), "{image}");
        }
    }
    let tree = with(&[(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)]);
    tree.ok(BUILD);
    assert_eq!(brands(&tree), [COMPOSED]);
    let plan = std::fs::read_to_string(tree.path("dataset/consolidation.json")).unwrap();
    assert!(plan.contains("\"foreign_names\": []"), "{plan}");
}

#[test]
fn overrides_name_a_folder_in_either_form() {
    let tree = with(&[(DECOMPOSED, COMPOSED), ("Other", "Other")]);
    let merge = format!(
        "[[merge]]\ncategory = \"Food\"\nfolders = [\"{COMPOSED}\", \"Other\"]\nbrand = \"{DECOMPOSED}\"\nreason = \"one\"\n"
    );
    tree.write("overrides.toml", merge);
    tree.ok("plan --raw @raw --out @plan.json --overrides @overrides.toml");
    tree.ok(&format!("{BUILD} --plan @plan.json"));
    assert_eq!(brands(&tree), [COMPOSED]);
}
