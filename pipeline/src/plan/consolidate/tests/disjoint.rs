//! Folders that only names join: stated, and taken apart where the rules ask for it.

use logodex_schemas::plan::Verdict;

use super::*;

/// `nz-1` shares nothing with `nz-2` and `nz-3`, which hold the same picture; `gree`'s folders share pictures, `Mc`'s
/// have one that looks the same, and `norton-2` alone has images.
fn mixed() -> RawTree {
    let tree = family();
    tree.pair("Clothes/nz-1/1", 50, &["nz-1"])
        .pair("Clothes/nz-2/1", 51, &["nz-2"])
        .pair("Clothes/nz-3/1", 51, &["nz-3"])
        .pair("Clothes/nz-3/2", 52, &["nz-3"])
        .pair("Food/Mc/1", 53, &["Mc"])
        .encoded("Food/mc./1", 53, "!", &["mc"])
        .file("Food/norton-1/1.jpg", "")
        .pair("Food/norton-2/1", 54, &["norton-2"])
        .pair("Sports/own/1", 55, &["own"])
        .pair("Sports/own/2", 55, &["own"]);
    tree
}

/// The pixels of a picture with a `!` in its encoding are another's.
fn by_encoding(scan: &Scan, sample: usize) -> anyhow::Result<Option<blake3::Hash>> {
    let bytes = std::fs::read(scan.root.join(&scan.samples[sample].image))?;
    match bytes.contains(&b'!') {
        true => Ok(Some(blake3::hash(&bytes))),
        false => pixel_hash(scan, sample),
    }
}

fn plan_with_rule(tree: &RawTree, join_disjoint: bool, overrides: &str) -> ConsolidationPlan {
    let config = with_rules(ConsolidateConfig {
        join_disjoint,
        ..ConsolidateConfig::default()
    });
    let overrides: Overrides = toml::from_str(overrides).expect("TOML");
    propose_with(&tree.scan(), &config, &overrides, &by_encoding, &thumbnail).expect("a plan")
}

fn verdicts(plan: &ConsolidationPlan) -> Vec<(&str, Verdict, String)> {
    let parts = |g: &Group| {
        let parts: Vec<String> = g.parts.iter().map(|part| part.join("+")).collect();
        parts.join(" ")
    };
    let groups = plan.groups.iter();
    groups
        .map(|g| (g.brand.as_str(), g.verdict, parts(g)))
        .collect()
}

#[test]
fn the_plan_states_which_brands_names_alone_join() {
    let tree = mixed();
    let plan = plan_with_rule(&tree, true, "");
    let stated = |brand, verdict, parts: &str| (brand, verdict, parts.to_owned());
    assert_eq!(
        verdicts(&plan),
        [
            stated("nz", Verdict::Disjoint, "nz-1 nz-2+nz-3"),
            stated("gree", Verdict::Shared, ""),
            stated("Mc", Verdict::Shared, ""),
            stated("norton", Verdict::Shared, ""),
            stated("own", Verdict::OneFolder, ""),
        ]
    );
    let json = serde_json::to_string(&plan).expect("JSON");
    assert!(json.contains(r#""verdict":"disjoint","parts":[["nz-1"],["nz-2","nz-3"]]"#));
    let text = summarize(&plan);
    assert!(
        text.contains("Clothes/nz: nz-1 (1), nz-2 (1), nz-3 (2)"),
        "{text}"
    );
    assert_eq!(text.matches("share no picture").count(), 1, "{text}");
}

#[test]
fn without_the_rule_each_part_is_a_brand_named_by_its_first_folder() {
    let tree = mixed();
    let joined = plan_with_rule(&tree, true, "");
    let apart = plan_with_rule(&tree, false, "");
    assert_eq!(apart.summary.brands, joined.summary.brands + 1);
    assert_eq!(apart.summary.kept, joined.summary.kept, "nothing is lost");
    let of_clothes = |plan: &ConsolidationPlan| {
        let lines = shown(&tree, plan);
        let lines = lines.into_iter().filter(|line| line.contains("Clothes/"));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        of_clothes(&apart),
        [
            "nz-1: Clothes/nz-1/1.jpg > 1",
            "nz-2: Clothes/nz-2/1.jpg > 1",
            "nz-2: Clothes/nz-3/2.jpg > 2",
        ]
    );
    let nz = &apart.groups[0];
    assert_eq!(
        (nz.brand.as_str(), nz.rule, nz.verdict),
        ("nz-2", GroupRule::SuffixFamily, Verdict::Shared)
    );
    assert!(apart.groups.iter().all(|g| g.verdict != Verdict::Disjoint));
    // A person's word is no name: what it joins stays joined, and it names the parts.
    let overrides = r#"
        merge = [{ category = "Clothes", folders = ["nz-1", "nz-3"], brand = "nz", reason = "one" }]
        rename = [{ category = "Clothes", brand = "nz-2", to = "old nz", reason = "its name" }]
    "#;
    let told = plan_with_rule(&tree, false, overrides);
    assert_eq!(
        of_clothes(&told),
        [
            "nz: Clothes/nz-1/1.jpg > 1",
            "nz: Clothes/nz-3/2.jpg > 2",
            "nz: Clothes/nz-3/1.jpg > 1_3",
            "old nz: Clothes/nz-2/1.jpg > 1",
        ]
    );
    assert_eq!(told.groups[0].verdict, Verdict::Disjoint);
}

#[test]
fn two_forms_of_one_name_are_one_brand_whatever_their_pictures() {
    let tree = RawTree::new();
    tree.pair("Food/Pe\u{f1}a/1", 1, &["Pe\u{f1}a"])
        .pair("Food/Pen\u{303}a/1", 2, &["Pe\u{f1}a"])
        .pair("Food/Pe\u{f1}a-1/1", 3, &["Pe\u{f1}a"]);
    let joined = plan_with_rule(&tree, true, "");
    assert_eq!(joined.summary.brands, 1);
    assert_eq!(joined.groups[0].parts.len(), 2);
    let apart = plan_with_rule(&tree, false, "");
    assert_eq!(apart.summary.brands, 2);
    assert_eq!(apart.groups[0].brand, "Pe\u{f1}a");
}
