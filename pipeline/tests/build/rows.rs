//! What a dataset holds.

use std::collections::BTreeMap;

use logodex_dataset::Dataset;
use logodex_pipeline::build::parquet::read_catalog;
use logodex_pixels::Fit;
use logodex_pixels::decode::decode;
use logodex_pixels::resize::{Crop, resize_into};
use logodex_schemas::dataset::{BoxRow, BrandIndexRow, ImageRow};
use safetensors::SafeTensors;

use crate::tree::{Tree, contents, jpeg, xml};

/// `usual` has 9 brands of 4, 5, 6, 4, … images, of which every second has two objects.
const IMAGES: u64 = 45;

#[test]
fn a_row_per_image_shows_the_whole_picture() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 24\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    assert_eq!((dataset.n_rows(), catalog.len() as u64), (IMAGES, IMAGES));
    for row in &catalog {
        let picture =
            decode(&std::fs::read(tree.path("raw/LogoDet-3K").join(&row.raw_image)).unwrap())
                .unwrap();
        let mut expected = vec![0; 24 * 24 * 3];
        resize_into(
            &picture,
            Crop::whole(&picture),
            Fit::Squash,
            24,
            &mut expected,
        )
        .unwrap();
        assert_eq!(
            dataset.pixels(row.row).unwrap(),
            expected,
            "{}",
            row.raw_image
        );
        assert_eq!((row.image, row.object), (row.row, None));
        assert_eq!(
            (row.width, row.height, row.region_width, row.region_height),
            (picture.width, picture.height, picture.width, picture.height)
        );
        assert_eq!(row.name.as_ref(), Some(&row.brand));
    }
    assert!(dataset.pixels(IMAGES).is_err());
}

#[test]
fn a_row_per_object_shows_its_box_with_context() {
    let tree = Tree::usual();
    tree.write(
        "build.toml",
        "side = 16\nregion = \"object\"\ncontext = 0.1\n",
    );
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    let objects = dataset.manifest().counts.objects;
    assert_eq!(catalog.len() as u64, objects);
    assert!(objects > IMAGES);
    let mut per_image = BTreeMap::<u64, Vec<u32>>::new();
    for row in &catalog {
        per_image
            .entry(row.image)
            .or_default()
            .push(row.object.unwrap());
        if row.object == Some(0) {
            // The box 10, 12, 60, 50 and a tenth of 50 and of 38 on each side.
            assert_eq!(
                (row.x, row.y, row.region_width, row.region_height),
                (5, 8, 60, 46)
            );
        }
        let picture =
            decode(&std::fs::read(tree.path("raw/LogoDet-3K").join(&row.raw_image)).unwrap())
                .unwrap();
        let crop = Crop {
            x: row.x,
            y: row.y,
            width: row.region_width,
            height: row.region_height,
        };
        let mut expected = vec![0; 16 * 16 * 3];
        resize_into(&picture, crop, Fit::Squash, 16, &mut expected).unwrap();
        assert_eq!(dataset.pixels(row.row).unwrap(), expected);
    }
    assert_eq!(
        per_image.keys().copied().collect::<Vec<_>>(),
        (0..IMAGES).collect::<Vec<_>>()
    );
    assert!(
        per_image
            .values()
            .all(|objects| *objects == [0] || *objects == [0, 1])
    );

    // The ordinary library reads the same from the file.
    let bytes = std::fs::read(tree.path("dataset/shards/00000.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let column = |name: &str| -> Vec<i64> {
        let tensor = tensors.tensor(name).unwrap();
        tensor
            .data()
            .chunks(8)
            .map(|value| i64::from_le_bytes(value.try_into().unwrap()))
            .collect()
    };
    assert_eq!(column("row"), (0..catalog.len() as i64).collect::<Vec<_>>());
    assert_eq!(
        column("brand"),
        catalog
            .iter()
            .map(|row| i64::from(row.brand_index))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        column("image"),
        catalog
            .iter()
            .map(|row| row.image as i64)
            .collect::<Vec<_>>()
    );
}

#[test]
fn brands_are_ranges_of_rows_under_the_names_of_their_folders() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    let names: Vec<&str> = dataset
        .brands()
        .iter()
        .map(|brand| brand.brand.as_str())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    assert!(
        names.contains(&"76")
            && names.contains(&"Bravo!,  Cucina Italiana")
            && names.contains(&"\"quoted\"")
    );
    let lookup: Vec<BrandIndexRow> =
        csv::Reader::from_path(tree.path("dataset/brand_to_index.csv"))
            .unwrap()
            .deserialize()
            .collect::<Result<_, _>>()
            .unwrap();
    for (brand, line) in dataset.brands().iter().zip(&lookup) {
        assert_eq!((&brand.brand, brand.index), (&line.brand, line.index));
        assert_eq!(brand.n_rows, brand.n_images);
    }
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    for brand in dataset.brands() {
        let rows = &catalog[brand.first_row as usize..(brand.first_row + brand.n_rows) as usize];
        assert!(
            rows.iter()
                .all(|row| row.brand_index == brand.index && row.category == brand.category)
        );
        // Natural order: 8, 10, 12, not 10, 12, 8.
        let stems: Vec<u32> = rows
            .iter()
            .map(|row| {
                row.raw_image
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .trim_end_matches(".jpg")
                    .parse()
                    .unwrap()
            })
            .collect();
        assert!(stems.is_sorted() && stems[0] == 8, "{stems:?}");
        for row in rows {
            let xml = std::fs::read_to_string(tree.path("dataset").join(&row.annotation)).unwrap();
            let index = format!("<index>{}</index>", brand.index);
            assert_eq!(
                xml.matches(&index).count(),
                xml.matches("</object>").count(),
                "{xml}"
            );
        }
    }
}

#[test]
fn the_same_bytes_at_any_thread_count_place_and_order_of_creation() {
    let tree = Tree::usual();
    let elsewhere = Tree::new();
    for (path, bytes) in contents(&tree.path("raw/LogoDet-3K")).iter().rev() {
        elsewhere.write(&format!("deep/er/LogoDet-3K/{path}"), bytes);
    }
    // Seven rows a shard: shard boundaries, and one image whose loss shifts all that follows.
    let broken = "LogoDet-3K/Clothes/C-IN2/10.jpg";
    for (tree, root) in [(&tree, "raw"), (&elsewhere, "deep/er")] {
        tree.write(&format!("{root}/{broken}"), &jpeg(80, 60, 3)[..500]);
        tree.write(
            "build.toml",
            "side = 224\nshard_mib = 1\nregion = \"object\"\n",
        );
    }
    tree.ok("build --raw @raw --out @dataset --config @build.toml --threads 1");
    elsewhere
        .ok("build --raw @deep/er/LogoDet-3K --out @a/dataset --config @build.toml --threads 2");
    for (tree, dataset) in [(&tree, "dataset"), (&elsewhere, "a/dataset")] {
        tree.ok(&format!(
            "split --dataset @{dataset} --name s --seed 3 --test 0.2 --val 0.3"
        ));
        tree.ok(&format!("check @{dataset}"));
    }
    let (one, two) = (
        contents(&tree.path("dataset")),
        contents(&elsewhere.path("a/dataset")),
    );
    assert!(
        one.keys()
            .filter(|path| path.starts_with("shards/"))
            .count()
            > 3
    );
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        two.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &one {
        assert!(bytes == &two[path], "{path} differs");
    }
}

#[test]
fn small_boxes_make_no_row_and_their_image_stays_annotated() {
    let tree = Tree::new();
    for n in 0..4 {
        let boxes = match n {
            0 => vec![("a", [10, 10, 14, 40])],
            1 => vec![("a", [10, 10, 14, 40]), ("a", [5, 5, 40, 40])],
            _ => vec![("a", [-20, -5, 30, 900])],
        };
        tree.pair("Food", "a", n, &jpeg(60, 50, n), &xml(&boxes));
    }
    tree.write(
        "build.toml",
        "side = 8\nregion = \"object\"\nmin_object_px = 5\ncontext = 0.0\n",
    );
    let printed = tree.ok("build --raw @raw --out @dataset --config @build.toml");
    assert!(
        printed.contains("2 objects are smaller than 5 px"),
        "{printed}"
    );
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    let rows: Vec<_> = catalog
        .iter()
        .map(|row| (row.image, row.object.unwrap(), row.region_height))
        .collect();
    assert_eq!(
        rows,
        [(0, 1, 35), (1, 0, 50), (2, 0, 50)],
        "boxes are clipped; images with rows are dense"
    );
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    let brand = &dataset.brands()[0];
    assert_eq!((brand.n_rows, brand.n_images, brand.n_objects), (3, 4, 5));
    assert!(tree.path("dataset/annotations/Food/a/0.xml").exists());
    assert_eq!(dataset.manifest().counts.rejects, 0);
    tree.ok("check @dataset");
}

#[test]
fn the_raw_tree_is_left_as_it_was() {
    let tree = Tree::usual();
    let before = contents(&tree.path("raw"));
    tree.write("build.toml", "side = 8\n");
    tree.ok("plan --raw @raw --out @plan.json");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    assert!(before == contents(&tree.path("raw")));
}

#[test]
fn a_dry_run_writes_nothing() {
    let tree = Tree::usual();
    let printed = tree.ok("build --raw @raw --out @dataset --dry-run");
    assert!(
        printed.contains("9 brands, 45 images, 45 rows"),
        "{printed}"
    );
    assert!(!tree.path("dataset").exists());
}

#[test]
fn images_are_listed_by_content_for_readers_without_parquet() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 16\nregion = \"both\"\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let listed: Vec<ImageRow> = csv::Reader::from_path(tree.path("dataset/images.csv"))
        .unwrap()
        .into_deserialize()
        .collect::<Result<_, _>>()
        .unwrap();
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    let expected: BTreeMap<u64, String> = catalog
        .iter()
        .map(|row| (row.image, row.blake3.clone()))
        .collect();
    assert!(catalog.len() > expected.len());
    let listed: Vec<(u64, String)> = listed.into_iter().map(|r| (r.image, r.blake3)).collect();
    assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn boxes_are_listed_for_readers_without_parquet() {
    let tree = Tree::usual();
    tree.write(
        "build.toml",
        "side = 16\nregion = \"both\"\ncontext = 0.0\n",
    );
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let catalog = read_catalog(&tree.path("dataset/catalog.parquet")).unwrap();
    let listed: Vec<BoxRow> = csv::Reader::from_path(tree.path("dataset/boxes.csv"))
        .unwrap()
        .into_deserialize()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(listed.len(), catalog.len());
    // Without context the region of an object is its box.
    let mut of_image = BTreeMap::<u64, Vec<[u32; 2]>>::new();
    for row in catalog.iter().filter(|row| row.object.is_some()) {
        let size = [row.region_width, row.region_height];
        of_image.entry(row.image).or_default().push(size);
    }
    for (row, listed) in catalog.iter().zip(&listed) {
        let boxes = &of_image[&row.image];
        let shown = match row.object {
            Some(object) => boxes[object as usize],
            None => *boxes.iter().max_by_key(|[w, h]| w * h).unwrap(),
        };
        assert_eq!((listed.row, listed.boxes), (row.row, boxes.len() as u32));
        assert_eq!([listed.width, listed.height], shown);
    }
    assert!(listed.iter().any(|row| row.boxes == 2));
}
