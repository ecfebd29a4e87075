//! No picture lies in two folds: not the same file, nor one that looks the same, unless a person allows it.

use std::path::Path;

use logodex_schemas::plan::ConsolidationPlan;
use logodex_schemas::split::{Fold, Split, SplitRow};

use crate::workspace::Workspace;

/// The rows of a split; a brand's name must hold no comma.
fn rows_of(csv: &Path) -> Vec<SplitRow> {
    let text = std::fs::read_to_string(csv).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').map(|f| f.trim_matches('"')).collect();
            SplitRow {
                index: fields[0].parse().unwrap(),
                category: fields[1].to_owned(),
                brand: fields[2].to_owned(),
                fold: serde_json::from_value(fields[fields.len() - 1].into()).unwrap(),
            }
        })
        .collect()
}

fn fold(rows: &[SplitRow], brand: &str) -> Fold {
    rows.iter().find(|row| row.brand == brand).unwrap().fold
}

fn plan_of(workspace: &Workspace) -> ConsolidationPlan {
    let plan = std::fs::read(workspace.path("dataset/consolidation.json")).unwrap();
    serde_json::from_slice(&plan).unwrap()
}

/// A tree of so many plain brands of three images, as `<Category>/<brand>` in byte order.
fn plain_brands(workspace: &Workspace, brands: usize) -> Vec<String> {
    workspace.ok(
        "logodex-fixtures",
        &format!("tree --out raw --brands {brands} --images-per-brand 3 --seed 6"),
    );
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        entries.map(|e| name(e).into_string().unwrap()).collect()
    };
    let root = workspace.path("raw/LogoDet-3K");
    let mut folders = Vec::new();
    for category in names(&root) {
        let brands = names(&root.join(&category)).into_iter();
        folders.extend(brands.map(|brand| format!("{category}/{brand}")));
    }
    folders.sort();
    folders
}

/// The first image of a folder with its annotation.
fn first_pair(workspace: &Workspace, folder: &str) -> (Vec<u8>, String) {
    let folder = workspace.path("raw/LogoDet-3K").join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    let first = paths.iter().min().unwrap();
    let xml = std::fs::read_to_string(first.with_extension("xml")).unwrap();
    (std::fs::read(first).unwrap(), xml)
}

fn put(workspace: &Workspace, folder: &str, image: &[u8], xml: &str) {
    workspace.write(&format!("raw/LogoDet-3K/{folder}/900.xml"), xml);
    let path = workspace.path(&format!("raw/LogoDet-3K/{folder}/900.jpg"));
    std::fs::write(path, image).unwrap();
}

/// The same picture as another file.
fn encoded_anew(jpeg: &[u8], quality: u8, progressive: bool) -> Vec<u8> {
    let picture = logodex_pixels::decode(jpeg).unwrap();
    let (width, height) = (picture.width as u16, picture.height as u16);
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_progressive(progressive);
    let rgb = picture.to_rgb();
    encoder
        .encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    out
}

/// Draws twelve splits and says of each which brands lie where, and why it was refused if it was.
fn twelve_splits(workspace: &Workspace) -> Vec<(Vec<SplitRow>, Option<String>)> {
    let draw = |seed: u64| {
        let draw =
            format!("split --dataset dataset --name s{seed} --seed {seed} --test 0.3 --val 0.3");
        let output = workspace.run("logodex-data", &draw);
        let refused = (!output.status.success()).then(|| {
            let error = workspace.fails(2, "logodex-data", &draw);
            workspace.ok("logodex-data", &format!("{draw} --allow-duplicates"));
            error
        });
        let csv = workspace.path(&format!("dataset/splits/s{seed}.csv"));
        (rows_of(&csv), refused)
    };
    let splits: Vec<_> = (0..12).map(draw).collect();
    let refused = splits.iter().filter(|split| split.1.is_some()).count();
    assert!((1..12).contains(&refused), "{refused} of 12 were refused");
    splits
}

#[test]
fn three_brands_and_one_file_are_one_group_though_the_first_has_no_row() {
    let workspace = Workspace::new();
    let brands = plain_brands(&workspace, 8);
    let (image, xml) = first_pair(&workspace, &brands[7]);
    let small = "<annotation><object><name>x</name><bndbox><xmin>10</xmin><ymin>8</ymin><xmax>14</xmax>\
                 <ymax>12</ymax></bndbox></object></annotation>";
    for (folder, xml) in brands.iter().zip([small, &xml, &xml]) {
        put(&workspace, folder, &image, xml);
    }
    workspace.write(
        "build.toml",
        "side = 16\nregion = \"object\"\nmin_object_px = 16\n",
    );
    workspace.write(
        "overrides.toml",
        &format!(
            "[[drop]]\npath = '{}'\nreason = 'its picture is planted'\n",
            brands[7]
        ),
    );
    workspace.ok(
        "logodex-data",
        "plan --raw raw --overrides overrides.toml --config build.toml --out plan.json",
    );
    workspace.ok(
        "logodex-data",
        "build --raw raw --plan plan.json --config build.toml --out dataset",
    );
    let plan = plan_of(&workspace);
    assert_eq!(plan.copies_across_brands.len(), 1);
    assert_eq!(plan.copies_across_brands[0].images.len(), 3);
    let name = |folder: &str| folder.split_once('/').unwrap().1.to_owned();
    let [b, c] = [&brands[1], &brands[2]];
    for (rows, refused) in twelve_splits(&workspace) {
        let apart = fold(&rows, &name(b)) != fold(&rows, &name(c));
        assert_eq!(refused.is_some(), apart, "{refused:?}");
        if let Some(error) = refused {
            let both = [b, c].map(|folder| format!("{folder}/900.jpg"));
            assert!(both.iter().all(|image| error.contains(image)), "{error}");
            assert!(
                !error.contains(&brands[0]),
                "what has no row leaks nothing: {error}"
            );
        }
    }
}

#[test]
fn a_picture_like_a_file_of_forty_brands_is_of_their_group() {
    let workspace = Workspace::new();
    let brands = plain_brands(&workspace, 42);
    let (image, xml) = first_pair(&workspace, &brands[0]);
    for folder in &brands[1..40] {
        put(&workspace, folder, &image, &xml);
    }
    put(
        &workspace,
        &brands[41],
        &encoded_anew(&image, 70, false),
        &xml,
    );
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --config build.toml --out dataset",
    );
    let plan = plan_of(&workspace);
    assert_eq!(plan.copies_across_brands[0].images.len(), 40);
    assert!(plan.crowded_images.is_empty());
    let near = format!("{}/900.jpg", brands[41]);
    assert!(!plan.near_images.is_empty());
    assert!(plan.near_images.iter().all(|n| n.a == near || n.b == near));
    let draw = "split --dataset dataset --name s --seed 1 --test 0.3 --val 0.3";
    let error = workspace.fails(2, "logodex-data", draw);
    assert!(error.contains("1 group of images"), "{error}");
    assert!(error.contains("and 38 more of this group"), "{error}");
    workspace.ok("logodex-data", &format!("{draw} --allow-duplicates"));
    let json = std::fs::read(workspace.path("dataset/splits/s.json")).unwrap();
    let split: Split = serde_json::from_slice(&json).unwrap();
    assert_eq!(split.duplicates_across_folds, 1);
}

#[test]
fn a_progressive_copy_of_a_sequential_file_leaks() {
    let workspace = Workspace::new();
    let brands = plain_brands(&workspace, 16);
    let (ours, others) = brands.split_at(8);
    for (quality, (from, to)) in (30..).step_by(8).zip(ours.iter().zip(others)) {
        let (image, xml) = first_pair(&workspace, from);
        put(&workspace, to, &encoded_anew(&image, quality, true), &xml);
    }
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --config build.toml --out dataset",
    );
    let plan = plan_of(&workspace);
    let brand = |image: &str| image.rsplit_once('/').unwrap().0.to_owned();
    let near: Vec<[String; 2]> = plan
        .near_images
        .iter()
        .map(|n| [brand(&n.a), brand(&n.b)])
        .collect();
    let expected: Vec<[String; 2]> = ours
        .iter()
        .zip(others)
        .map(|(a, b)| [a.clone(), b.clone()])
        .collect();
    assert_eq!(near, expected);
    let draw = "split --dataset dataset --name s --seed 1 --test 0.3 --val 0.3";
    let error = workspace.fails(2, "logodex-data", draw);
    assert!(
        error.contains("900.jpg") && error.contains(" ~ "),
        "{error}"
    );
}

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
    let plan = plan_of(&workspace);
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
        let rows = rows_of(&csv);
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
