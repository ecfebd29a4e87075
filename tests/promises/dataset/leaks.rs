//! No picture lies in two folds: not the same file, nor one that looks the same, unless a person allows it.

use logodex_schemas::plan::ConsolidationPlan;
use logodex_schemas::split::{Fold, Split, SplitRow};

use crate::workspace::Workspace;

#[test]
fn a_split_with_a_picture_in_two_folds_is_refused_unless_allowed() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 8 --images-per-brand 4 --seed 3 --quirks",
    );
    // Kept apart, a family of exact copies and one of copies encoded anew are brands that share pictures.
    workspace.write(
        "overrides.toml",
        "[[keep_apart]]\ncategory = 'Clothes'\nfolders = ['timbuk2-1', 'timbuk2-2']\nreason = 'a test'\n\
         [[keep_apart]]\ncategory = 'Transportation'\nfolders = ['lexus-1', 'lexus-2']\nreason = 'a test'\n",
    );
    workspace.write("build.toml", "side = 32\n");
    let said = workspace.ok(
        "logodex-data",
        "plan --raw raw --overrides overrides.toml --out plan.json",
    );
    assert!(said.contains("look the same"), "{said}");
    workspace.ok(
        "logodex-data",
        "build --raw raw --plan plan.json --config build.toml --out dataset",
    );
    let plan = std::fs::read(workspace.path("dataset/consolidation.json")).unwrap();
    let plan: ConsolidationPlan = serde_json::from_slice(&plan).unwrap();
    assert_eq!(plan.copies_across_brands.len(), 4);
    let near: Vec<_> = plan
        .near_images
        .iter()
        .map(|n| (n.brand_a.as_str(), n.brand_b.as_str()))
        .collect();
    assert_eq!(
        near,
        [("lexus-1", "lexus-2"); 4],
        "nothing else looks the same"
    );

    let fold = |rows: &[SplitRow], brand: &str| -> Fold {
        rows.iter().find(|row| row.brand == brand).unwrap().fold
    };
    let (mut refused, mut drawn) = (0, 0);
    for seed in 0..12 {
        let draw =
            format!("split --dataset dataset --name s{seed} --seed {seed} --test 0.4 --val 0.3");
        let output = workspace.run("logodex-data", &draw);
        let csv = workspace.path(&format!("dataset/splits/s{seed}.csv"));
        if output.status.success() {
            drawn += 1;
        } else {
            let error = workspace.fails(2, "logodex-data", &draw);
            assert!(error.contains("--allow-duplicates"), "{error}");
            assert!(
                error.contains("timbuk2") || error.contains("lexus"),
                "{error}"
            );
            assert!(!csv.exists(), "nothing is written");
            refused += 1;
            workspace.ok("logodex-data", &format!("{draw} --allow-duplicates"));
        }
        let rows: Vec<SplitRow> = std::fs::read_to_string(&csv)
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| {
                let mut fields = line.split(',');
                let mut next = || fields.next().unwrap().trim_matches('"').to_owned();
                let (index, category, brand) = (next().parse().unwrap(), next(), next());
                let last = line.rsplit(',').next().unwrap().trim_matches('"');
                let fold = serde_json::from_value(last.into()).unwrap();
                SplitRow {
                    index,
                    category,
                    brand,
                    fold,
                }
            })
            .collect();
        let pairs = [("timbuk2-1", "timbuk2-2"), ("lexus-1", "lexus-2")];
        let apart = pairs
            .iter()
            .filter(|(a, b)| fold(&rows, a) != fold(&rows, b))
            .count() as u64;
        let json = std::fs::read(csv.with_extension("json")).unwrap();
        let split: Split = serde_json::from_slice(&json).unwrap();
        assert_eq!(split.duplicates_across_folds, 4 * apart, "seed {seed}");
        assert_eq!(apart == 0, output.status.success(), "seed {seed}");
    }
    assert!(refused > 0 && drawn > 0, "{refused} refused, {drawn} drawn");
    workspace.ok("logodex-data", "check dataset");
}

#[test]
fn one_more_image_moves_no_brand_to_another_fold() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 24 --images-per-brand 4 --seed 5",
    );
    workspace.write("build.toml", "side = 16\n");
    let build = |out: &str| {
        workspace.ok(
            "logodex-data",
            &format!("build --raw raw --out {out} --config build.toml"),
        );
        workspace.ok(
            "logodex-data",
            &format!("split --dataset {out} --name s --seed 7 --test 0.3 --val 0.3"),
        );
        std::fs::read_to_string(workspace.path(out).join("splits/s.csv")).unwrap()
    };
    let before = build("before");
    let catalog =
        logodex_pipeline::build::parquet::read_catalog(&workspace.path("before/catalog.parquet"));
    let row = catalog.unwrap().swap_remove(5);
    let root = workspace.path("raw/LogoDet-3K");
    // Bytes behind the end of the image: another file of the same brand.
    let mut jpeg = std::fs::read(root.join(&row.raw_image)).unwrap();
    jpeg.extend([0; 900]);
    let more = root.join(&row.raw_image).with_file_name("900");
    std::fs::write(more.with_extension("jpg"), jpeg).unwrap();
    std::fs::copy(root.join(&row.raw_annotation), more.with_extension("xml")).unwrap();
    let manifests =
        |name: &str| std::fs::read_to_string(workspace.path(name).join("manifest.json")).unwrap();
    assert_eq!(build("after"), before);
    assert_ne!(manifests("before"), manifests("after"), "one image more");
}
