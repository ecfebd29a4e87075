//! A person's word on top of the rules.

use super::*;

#[test]
fn overrides_win() {
    let tree = family();
    tree.pair("Food/coca cola/1", 20, &["coca cola"])
        .pair("Food/Coca-Cola Zero/1", 21, &["coca cola"])
        .pair("Food/76/1", 22, &["76"])
        .pair("Food/gone/1", 23, &["gone"]);
    let overrides = r#"
        merge = [{ category = "Food", folders = ["Coca-Cola Zero", "coca cola"], brand = "Coca-Cola", reason = "one" }]
        rename = [{ category = "Food", brand = "76", to = "Union 76", reason = "full name" }]
        drop = [
            { path = "Food/gone", reason = "no logo" },
            { path = "Electronic/gree-2/1.jpg", reason = "blurred" },
        ]
    "#;
    let plan = plan_with(&tree, overrides);
    // The copy of the image left out stands in for it: only the path named is left out.
    assert_eq!(summary(&plan), [6, 3, 11, 7, 2, 1]);
    let rules: Vec<_> = plan
        .groups
        .iter()
        .map(|g| (g.brand.as_str(), g.rule))
        .collect();
    assert_eq!(
        rules,
        [
            ("gree", GroupRule::SuffixFamily),
            ("Coca-Cola", GroupRule::Override),
            ("Union 76", GroupRule::Override),
        ]
    );
    assert_eq!(
        shown(&tree, &plan)[..3],
        [
            "Coca-Cola: Food/Coca-Cola Zero/1.jpg > 1",
            "Coca-Cola: Food/coca cola/1.jpg > 1_coca cola",
            "Union 76: Food/76/1.jpg > 1",
        ]
    );
    let text = summarize(&plan);
    assert!(text.contains("6 folders -> 3 brands"), "{text}");
    assert!(text.contains("2 left out by the overrides"), "{text}");
    assert!(
        text.contains("Food/Coca-Cola: Coca-Cola Zero (1), coca cola (1)"),
        "{text}"
    );
}

#[test]
fn dropping_a_folder_renames_no_other() {
    let tree = RawTree::new();
    tree.pair("Food/a/1", 1, &["a"])
        .pair("Food/a-1/1", 2, &["a-1"]);
    let plan = plan_with(&tree, r#"drop = [{ path = "Food/a/", reason = "no" }]"#);
    assert_eq!(shown(&tree, &plan), ["a: Food/a-1/1.jpg > 1"]);
    let undone = format!(
        "{}\n{}",
        plan.groups[0].undo, "[[drop]]\npath = 'Food/a'\nreason = 'no'"
    );
    assert_eq!(
        shown(&tree, &plan_with(&tree, &undone)),
        ["a-1: Food/a-1/1.jpg > 1"]
    );
}

#[test]
fn overrides_that_do_not_fit_the_tree_name_what_is_wrong() {
    let tree = family();
    tree.pair("Food/gree/1", 30, &["gree"]);
    let merge = |category: &str, folder: &str, brand: &str| {
        format!(
            "[[merge]]\ncategory = '{category}'\nfolders = ['gree-2', '{folder}']\nbrand = '{brand}'\nreason = ''\n"
        )
    };
    let rename = |brand: &str, to: &str| {
        format!(
            "[[rename]]\ncategory = 'Electronic'\nbrand = '{brand}'\nto = '{to}'\nreason = ''\n"
        )
    };
    let apart = "[[keep_apart]]\ncategory = 'Electronic'\nfolders = ['gree-2']\nreason = ''\n";
    let drop = |path: &str| format!("[[drop]]\npath = '{path}'\nreason = ''\n");
    for (overrides, word) in [
        (merge("Toys", "gree-10", "x"), "\"Toys\""),
        (merge("Electronic", "gree-3", "x"), "Electronic/gree-3"),
        (merge("Electronic", "gree-2", "x"), "two entries"),
        (merge("Electronic", "gree-10", "../x"), "\"../x\""),
        (merge("Electronic", "gree-10", ""), "\"\""),
        (
            merge("Electronic", "gree-10", "x") + apart,
            "[[merge]] and [[keep_apart]]",
        ),
        (
            merge("Electronic", "gree-10", "x") + &drop("Electronic/gree-10"),
            "[[drop]] and [[merge]]",
        ),
        (rename("gree-2", "x"), "Electronic/gree-2"),
        (rename("gree", "a/b"), "\"a/b\""),
        (rename("gree", "x") + &rename("gree", "y"), "renamed twice"),
        (
            apart.to_owned() + &rename("gree-2", "gree-10"),
            "Electronic/gree-10",
        ),
        (drop("Electronic/gree-2/99.jpg"), "Electronic/gree-2/99.jpg"),
        (drop("Electronic"), "\"Electronic\""),
        (
            "[[keep_apart]]\ncategory = 'Food'\nfolders = []\nreason = ''".to_owned(),
            "without folders",
        ),
    ] {
        let error = try_plan(&tree, &overrides).expect_err(&overrides);
        assert!(error.is::<OverrideError>(), "{overrides}: {error}");
        assert!(error.to_string().contains(word), "{overrides}: {error}");
    }
}

#[test]
fn rules_can_be_turned_off() {
    let tree = family();
    tree.pair("Food/McDonald's/1", 50, &["McDonald's"]).pair(
        "Food/mcdonalds/1",
        51,
        &["McDonald's"],
    );
    let brands = |suffix_families, folded_names| {
        let config = with_rules(ConsolidateConfig {
            suffix_families,
            folded_names,
            ..ConsolidateConfig::default()
        });
        let scan = tree.scan();
        let plan = propose_with(
            &scan,
            &config,
            &Overrides::default(),
            &pixel_hash,
            &thumbnail,
        );
        plan.expect("a plan").summary.brands
    };
    assert_eq!(brands(true, true), 2);
    assert_eq!(brands(true, false), 3);
    assert_eq!(brands(false, true), 3);
    assert_eq!(brands(false, false), 4);
}

#[test]
fn without_a_rule_everything_is_as_before_it() {
    let tree = family();
    tree.pair("Food/norton-1/1", 60, &["norton-1"])
        .pair("Food/norton-2/1", 61, &["norton-2"])
        .pair("Food/mcdonalds/1", 62, &["McDonald's"])
        .pair("Food/McDonald's/1", 63, &["McDonald's"]);
    let before = tree.scan();
    let with = plan(&tree);
    assert_eq!(
        (
            with.summary.brands,
            with.summary.dropped,
            with.summary.renamed
        ),
        (3, 3, 2)
    );
    let config = with_rules(ConsolidateConfig {
        suffix_families: false,
        folded_names: false,
        ..ConsolidateConfig::default()
    });
    let after = tree.scan();
    assert_eq!(after.raw_blake3, before.raw_blake3, "the tree is as it was");
    let without = propose_with(
        &after,
        &config,
        &Overrides::default(),
        &pixel_hash,
        &thumbnail,
    );
    let without = without.expect("a plan");
    assert!(without.groups.is_empty());
    let catalog = apply(&after, &without).expect("a catalog");
    assert_eq!(catalog.samples.len(), after.samples.len(), "every image");
    for sample in &catalog.samples {
        let raw = &after.samples[sample.raw];
        let brand = &catalog.brands[sample.brand as usize];
        assert_eq!((&brand.category, &brand.name), (&raw.category, &raw.folder));
        assert_eq!(sample.stem, raw.stem);
    }
}
