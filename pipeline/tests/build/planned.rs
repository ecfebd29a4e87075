//! What a plan says before anything is rendered is what comes.

use logodex_dataset::Dataset;
use logodex_dataset::shard::{Column, Shard};
use logodex_pipeline::build::parquet::read_catalog;
use logodex_pipeline::config::build_config;
use logodex_pipeline::plan::apply::apply;
use logodex_pipeline::plan::consolidate::propose;
use logodex_pipeline::plan::sharding::{ShardInputs, ShardSpec, shard_specs};
use logodex_pipeline::raw::scan::scan;
use logodex_schemas::plan::Overrides;

use crate::tree::{Tree, jpeg, xml};

fn planned(tree: &Tree, config: &str) -> Vec<ShardSpec> {
    let config = build_config(Some(&tree.path(config))).unwrap();
    let scan = scan(&tree.path("raw")).unwrap();
    let plan = propose(&scan, &config, &Overrides::default()).unwrap();
    let catalog = apply(&scan, &plan).unwrap();
    shard_specs(ShardInputs::new(&scan, &catalog, &config))
}

#[test]
fn every_shard_is_known_to_the_row_before_it_is_rendered() {
    let tree = Tree::usual();
    // Clipped, clipped to less than 8 pixels, small, outside, no box at all, and an image without any row.
    let odd = [
        [-20, -20, 30, 30],
        [85, 3, 200, 60],
        [5, 5, 9, 60],
        [90, 3, 200, 60],
        [9, 9, 5, 5],
    ];
    let odd: Vec<_> = odd.into_iter().map(|bbox| ("odd", bbox)).collect();
    tree.pair("Food", "odd", 1, &jpeg(90, 70, 4001), &xml(&odd));
    tree.pair("Food", "odd", 2, &jpeg(90, 70, 4002), &xml(&odd[2..]));
    tree.pair("Food", "odd", 3, &jpeg(90, 70, 4003), &xml(&odd[..1]));
    for (n, region) in ["image", "object", "both"].into_iter().enumerate() {
        for encoding in ["raw", "jpeg"] {
            let config = format!("{region}-{encoding}.toml");
            tree.write(
                &config,
                format!(
                    "side = 300\nshard_mib = 1\nregion = \"{region}\"\nencoding = \"{encoding}\"\n"
                ),
            );
            let specs = planned(&tree, &config);
            let out = format!("{region}-{encoding}");
            let said = tree.ok(&format!(
                "build --raw @raw --out @{out} --config @{config} --dry-run"
            ));
            let rows: usize = specs.iter().map(|spec| spec.rows.len()).sum();
            assert!(
                said.contains(&format!("{rows} rows in {} shards", specs.len())),
                "{said}"
            );
            assert_eq!(rows, [48, 66 + 2, 48 + 66 + 2][n], "{region}");
            tree.ok(&format!("build --raw @raw --out @{out} --config @{config}"));
            let dataset = Dataset::open(&tree.path(&out)).unwrap();
            let manifest = dataset.manifest();
            assert_eq!(manifest.shards.len(), specs.len());
            for (entry, spec) in manifest.shards.iter().zip(&specs) {
                assert_eq!(
                    (entry.first_row, entry.n_rows),
                    (spec.first_row, spec.rows.len() as u64)
                );
                let shard = Shard::open(dataset.dir(), entry, manifest).unwrap();
                let first = |column| shard.number(column, 0) as u64;
                assert_eq!(
                    (
                        first(Column::Row),
                        first(Column::Image),
                        first(Column::Brand)
                    ),
                    (
                        spec.first_row,
                        spec.first_image,
                        u64::from(spec.first_brand)
                    )
                );
            }
            let catalog = read_catalog(&tree.path(&format!("{out}/catalog.parquet"))).unwrap();
            assert!((0..).zip(&catalog).all(|(i, row)| row.row == i));
            let images = catalog.last().unwrap().image + 1;
            assert_eq!(
                images,
                48 - u64::from(region == "object"),
                "no number is left out"
            );
            assert_eq!(manifest.counts.images, 48, "an image without a row is kept");
            tree.ok(&format!("check @{out}"));
        }
    }
}

#[test]
fn an_annotation_of_many_boxes_asks_for_its_rows_alone() {
    let tree = Tree::new();
    // 20,000 objects of 1 to 80 px: few of them can be used, and no two are the same.
    let objects: Vec<_> = (0..20_000i64)
        .map(|i| {
            let (x, y) = (i % 200, i / 200);
            ("many", [x, y, x + 1 + i % 7, y + 2])
        })
        .chain([("many", [10, 10, 60, 60])])
        .collect();
    tree.pair("Food", "many", 1, &jpeg(90, 70, 1), &xml(&objects));
    tree.write("object.toml", "region = \"object\"\nmax_rejects = 20000\n");
    let specs = planned(&tree, "object.toml");
    assert_eq!(specs.len(), 1);
    assert_eq!(specs[0].rows, 0..1);
    tree.ok("build --raw @raw --out @dataset --config @object.toml");
    assert_eq!(Dataset::open(&tree.path("dataset")).unwrap().n_rows(), 1);
}

#[test]
fn an_image_with_more_rows_than_a_shard_is_cut_and_all_its_rows_are_there() {
    let tree = Tree::usual();
    let objects: Vec<_> = (0..23)
        .map(|i| ("many", [i, i, i + 30 + i % 3, i + 40]))
        .collect();
    for n in [7, 8] {
        tree.pair("Food", "many", n, &jpeg(90, 70, 5000 + n), &xml(&objects));
    }
    for encoding in ["raw", "jpeg"] {
        let config = format!("side = 512\nregion = \"both\"\nencoding = \"{encoding}\"\n");
        tree.write("small.toml", format!("{config}shard_mib = 1\n"));
        tree.write("large.toml", format!("{config}shard_mib = 64\n"));
        // A row has 768 KiB, a JPEG counts for an eighth.
        let most = if encoding == "raw" { 1 } else { 10 };
        let specs = planned(&tree, "small.toml");
        assert!(
            specs
                .iter()
                .all(|spec| (1..=most).contains(&spec.rows.len()))
        );
        let cut = specs.iter().filter(|spec| spec.rows.start > 0).count();
        assert!(cut >= 4, "{cut} shards begin within an image");
        for size in ["small", "large"] {
            tree.ok(&format!(
                "build --raw @raw --out @{encoding}-{size} --config @{size}.toml"
            ));
            tree.ok(&format!("check @{encoding}-{size}"));
        }
        let open = |size: &str| Dataset::open(&tree.path(&format!("{encoding}-{size}"))).unwrap();
        let (small, large) = (open("small"), open("large"));
        assert_eq!(small.manifest().shards.len(), specs.len());
        assert_eq!(small.n_rows(), large.n_rows());
        for row in 0..small.n_rows() {
            assert!(
                small.pixels(row).unwrap() == large.pixels(row).unwrap(),
                "row {row}"
            );
        }
        for table in ["boxes.csv", "brands.csv"] {
            let bytes = |size: &str| {
                std::fs::read(tree.path(&format!("{encoding}-{size}/{table}"))).unwrap()
            };
            assert!(bytes("small") == bytes("large"), "{table}");
        }
        let images = |size: &str| -> Vec<_> {
            let catalog =
                read_catalog(&tree.path(&format!("{encoding}-{size}/catalog.parquet"))).unwrap();
            catalog
                .into_iter()
                .map(|row| (row.image, row.object))
                .collect()
        };
        assert_eq!(images("small"), images("large"));
    }
}
