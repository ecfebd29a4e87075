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

#[test]
fn a_stem_that_grows_too_long_is_cut() {
    let tree = Tree::new();
    let long = "é".repeat(125);
    for k in 1..=3 {
        let stem = format!("raw/LogoDet-3K/Food/kfc-{k}/{long}");
        tree.write(&format!("{stem}.jpg"), jpeg(60, 50, k));
        tree.write(&format!("{stem}.xml"), xml(&[("kfc", [5, 5, 40, 40])]));
    }
    tree.write("build.toml", "side = 8\n");
    let printed = tree.ok(BUILD);
    assert!(printed.contains("3 images, 3 rows"), "{printed}");
    let written = std::fs::read_dir(tree.path("dataset/annotations/Food/kfc")).unwrap();
    assert_eq!(written.count(), 3);
}

#[test]
fn names_that_do_not_fit_are_refused_before_work_begins() {
    let tree = with(&[("a", "a")]);
    let long = "n".repeat(250);
    let said = tree.fails(
        2,
        &format!("build --raw @raw --out @{long} --config @build.toml"),
    );
    assert!(said.contains("--out") && said.contains("shorter"), "{said}");
    tree.ok(BUILD);
    let said = tree.fails(
        2,
        &format!("split --dataset @dataset --name {long} --seed 1"),
    );
    assert!(said.contains("--name"), "{said}");
}

#[test]
fn two_brands_that_differ_in_case_only_are_refused() {
    let tree = with(&[("KFC", "KFC"), ("kfc", "kfc")]);
    tree.write(
        "build.toml",
        "side = 8\n[consolidate]\nfolded_names = false\n",
    );
    let said = tree.fails(2, BUILD);
    assert!(
        said.contains("Food/KFC and Food/kfc differ in case only"),
        "{said}"
    );
    assert!(!tree.path("dataset").exists());
}

#[test]
fn the_copy_with_a_usable_box_stays_and_boxes_lost_are_told() {
    let tree = Tree::new();
    let image = jpeg(60, 50, 1);
    tree.pair("Food", "kfc-1", 1, &image, &xml(&[("kfc", [40, 5, 5, 40])]));
    let two = xml(&[("kfc", [5, 5, 40, 40]), ("kfc", [6, 6, 50, 40])]);
    tree.pair("Food", "kfc-2", 1, &image, &two);
    let one = xml(&[("kfc", [7, 7, 40, 40])]);
    tree.pair("Food", "kfc-3", 1, &image, &one);
    tree.write("build.toml", "side = 8\nregion = \"object\"\n");
    let printed = tree.ok(BUILD);
    assert!(printed.contains("1 images, 2 rows"), "{printed}");
    assert!(
        printed.contains("Food/kfc-3/1.jpg: 1, kept Food/kfc-2/1.jpg"),
        "{printed}"
    );
    let told = tree.ok("why @dataset Food/kfc-3/1.jpg");
    assert!(told.contains("has no box [7.0, 7.0, 40.0, 40.0]"), "{told}");
}

#[test]
fn the_copy_stays_that_has_a_row_with_the_builds_limit_and_a_plan_for_another_is_refused() {
    let tree = Tree::new();
    let image = jpeg(60, 50, 1);
    tree.pair("Food", "kfc-1", 1, &image, &xml(&[("kfc", [5, 5, 40, 15])]));
    tree.pair("Food", "kfc-2", 1, &image, &xml(&[("kfc", [5, 5, 40, 40])]));
    tree.write(
        "build.toml",
        "side = 8\nregion = \"object\"\nmin_object_px = 16\n",
    );
    let rows = |printed: &str| printed.contains("1 images, 1 rows");
    let printed = tree.ok(BUILD);
    assert!(rows(&printed), "{printed}");
    tree.ok("plan --raw @raw --out @plan.json");
    let build = "build --raw @raw --out @planned --config @build.toml --plan @plan.json";
    let error = tree.fails(4, build);
    assert!(
        error.contains("min_object_px: 8 reviewed, 16 now"),
        "{error}"
    );
    tree.ok("plan --raw @raw --out @plan.json --config @build.toml");
    let printed = tree.ok(build);
    assert!(rows(&printed), "{printed}");
}
