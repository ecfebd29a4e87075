//! An export holds what the dataset holds, or is not there: each form is read back and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use logodex_dataset::Dataset;
use logodex_pipeline::build::parquet::read_catalog;
use logodex_schemas::dataset::CatalogRow;
use serde_json::Value;

use crate::house::python_readers::check;
use crate::workspace::{Workspace, binary, contents};

mod refused;

/// A dataset of every quirk with a split `s`, built once for all tests that only read it.
pub fn quirky() -> &'static Workspace {
    static SHARED: OnceLock<Workspace> = OnceLock::new();
    SHARED.get_or_init(|| {
        let workspace = Workspace::new();
        workspace.ok(
            "logodex-fixtures",
            "tree --out raw --brands 4 --images-per-brand 4 --seed 9 --quirks",
        );
        workspace.write("build.toml", "side = 24\n");
        workspace.ok(
            "logodex-data",
            "build --raw raw --out dataset --config build.toml",
        );
        workspace.ok(
            "logodex-data",
            "split --dataset dataset --name s --seed 4 --test 0.2 --val 0.2",
        );
        workspace
    })
}

pub fn catalog(dataset: &Path) -> Vec<CatalogRow> {
    read_catalog(&dataset.join("catalog.parquet")).unwrap()
}

/// Brand → fold of a split.
pub fn folds(csv: &Path) -> BTreeMap<u32, String> {
    let text = std::fs::read_to_string(csv).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let (index, fold) = (line.split_once(','), line.rsplit_once(','));
            (
                index.unwrap().0.parse().unwrap(),
                fold.unwrap().1.trim_matches('"').to_owned(),
            )
        })
        .collect()
}

#[test]
fn folders_built_again_hold_the_same_images_under_the_same_names() {
    let shared = quirky();
    let workspace = Workspace::new();
    let (dataset, raw) = (shared.path("dataset"), shared.path("raw"));
    let export = |out: &str, more: &str| {
        workspace.ok(
            "logodex-data",
            &format!(
                "export {} --to folders --split s --raw {} --out {out} {more}",
                dataset.display(),
                raw.display()
            ),
        )
    };
    let said = export("folders", "--link copy");
    let rows = catalog(&dataset);
    assert!(said.contains(&format!("{} images", rows.len())), "{said}");

    let folds = folds(&dataset.join("splits/s.csv"));
    let mut files = 3; // the lookup and the split
    for (half, of_half) in [("train_val", &["train", "val"][..]), ("test", &["test"])] {
        workspace.ok(
            "logodex-data",
            &format!(
                "build --raw folders/{half} --out again-{half} --config {}",
                shared.path("build.toml").display()
            ),
        );
        let key = |row: &CatalogRow| {
            (
                row.category.clone(),
                row.brand.clone(),
                row.annotation.clone(),
                row.blake3.clone(),
            )
        };
        let expected: BTreeSet<_> = rows
            .iter()
            .filter(|row| of_half.contains(&folds[&row.brand_index].as_str()))
            .map(key)
            .collect();
        let found: BTreeSet<_> = catalog(&workspace.path(&format!("again-{half}")))
            .iter()
            .map(key)
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected, "{half}");
        for (_, _, annotation, _) in &expected {
            let place = annotation.replacen("annotations", &format!("folders/{half}"), 1);
            assert_eq!(
                std::fs::read(workspace.path(&place)).unwrap(),
                std::fs::read(dataset.join(annotation)).unwrap(),
                "the indexed annotation"
            );
        }
        files += 2 * expected.len();
    }
    for (name, original) in [
        ("brand_to_index.csv", "brand_to_index.csv"),
        ("split.csv", "splits/s.csv"),
        ("split.json", "splits/s.json"),
    ] {
        assert_eq!(
            std::fs::read(workspace.path("folders").join(name)).unwrap(),
            std::fs::read(dataset.join(original)).unwrap()
        );
    }
    assert_eq!(contents(&workspace.path("folders")).len(), files);

    // Copies, which leave the raw files as they are, their inodes, too; on request hard links, the very files.
    let original = raw.join("LogoDet-3K").join(&rows[0].raw_image);
    let changed = || {
        let found = std::fs::metadata(&original).unwrap();
        (found.ctime(), found.ctime_nsec(), found.nlink())
    };
    let before = changed();
    export("copied", "");
    assert_eq!(changed(), before);
    export("linked", "--link hard");
    for out in ["copied", "linked"] {
        assert!(contents(&workspace.path("folders")) == contents(&workspace.path(out)));
    }
    let first = &rows[0];
    let half = match folds[&first.brand_index].as_str() {
        "test" => "test",
        _ => "train_val",
    };
    let place = first
        .annotation
        .replacen("annotations", half, 1)
        .replace(".xml", ".jpg");
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let at = |out: &str| inode(&workspace.path(out).join(&place));
    assert_eq!(at("linked"), inode(&original), "a link");
    for out in ["folders", "copied"] {
        assert_ne!(at(out), inode(&original), "a copy");
    }
}

#[test]
fn two_brands_of_one_name_have_keys_of_their_own_wherever_they_are_read() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 18 --images-per-brand 3 --seed 2",
    );
    let root = workspace.path("raw/LogoDet-3K");
    let names = |path: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        entries.map(|e| name(e).into_string().unwrap()).collect()
    };
    let categories: Vec<String> = names(&root).into_iter().take(2).collect();
    for category in &categories {
        let category = root.join(category);
        let brand = names(&category).pop_first().unwrap();
        std::fs::rename(category.join(brand), category.join("Lacta")).unwrap();
    }
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    workspace.ok("logodex-data", "check dataset");
    let dataset = Dataset::open(&workspace.path("dataset")).unwrap();
    let twins: Vec<_> = dataset
        .brands()
        .iter()
        .filter(|brand| brand.brand == "Lacta")
        .map(|brand| (brand.index, brand.key.as_str()))
        .collect();
    let expected: Vec<String> = categories.iter().map(|c| format!("{c}/Lacta")).collect();
    let found: Vec<&str> = twins.iter().map(|twin| twin.1).collect();
    assert_eq!(found, expected);
    let keys: BTreeSet<&str> = dataset.brands().iter().map(|b| b.key.as_str()).collect();
    assert_eq!(keys.len(), 18);
    // The paper's lookup stays what it is: brand and index, whatever is named twice.
    let lookup = std::fs::read_to_string(workspace.path("dataset/brand_to_index.csv")).unwrap();
    let lines: Vec<&str> = lookup.lines().collect();
    assert_eq!(lines[0], "\"brand\",\"index\"");
    assert_eq!(lines.len(), 19);
    for &(index, _) in &twins {
        assert_eq!(lines[index as usize + 1], format!("\"Lacta\",{index}"));
    }

    workspace.ok(
        "logodex-data",
        "export dataset --to coco --raw raw --out coco",
    );
    let path = workspace.path("coco/annotations/instances_all.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let categories = file["categories"].as_array().unwrap();
    let names: BTreeSet<&str> = categories
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 18, "readers find a category by its name");
    for &(index, key) in &twins {
        let category = &categories[index as usize];
        assert_eq!(
            (
                &category["key"],
                &category["name"],
                &category["brand_index"]
            ),
            (&key.into(), &key.into(), &index.into())
        );
        let said = workspace.ok("logodex-data", &format!("why dataset {key}"));
        assert!(said.contains(key), "{said}");
    }
    let said = workspace.ok("logodex-data", "why dataset Lacta");
    assert!(expected.iter().all(|key| said.contains(key)), "{said}");
    let (dataset, coco) = (workspace.path("dataset"), workspace.path("coco"));
    check("read_coco", &[&dataset, &coco, Path::new("all")]);
}

#[test]
fn coco_holds_every_image_once_with_its_bytes() {
    // Boxes and brands are compared by pycocotools and another XML parser: python_readers.
    let shared = quirky();
    let workspace = Workspace::new();
    let dataset = shared.path("dataset");
    workspace.ok(
        "logodex-data",
        &format!(
            "export {} --to coco --split s --raw {} --out coco",
            dataset.display(),
            shared.path("raw").display()
        ),
    );
    let folds = folds(&dataset.join("splits/s.csv"));
    let by_number: BTreeMap<u64, CatalogRow> = catalog(&dataset)
        .into_iter()
        .map(|row| (row.image, row))
        .collect();
    let mut seen = BTreeSet::new();
    for fold in ["train", "val", "test"] {
        let path = workspace.path(&format!("coco/annotations/instances_{fold}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for image in file["images"].as_array().unwrap() {
            let number = image["id"].as_u64().unwrap() - 1;
            let row = &by_number[&number];
            assert_eq!(folds[&row.brand_index], fold);
            let name = image["file_name"].as_str().unwrap();
            let bytes = std::fs::read(workspace.path("coco/images").join(name)).unwrap();
            let blake3 = blake3::hash(&bytes).to_hex().to_string();
            assert_eq!(blake3, row.blake3);
            assert_eq!(image["blake3"], blake3);
            assert!(seen.insert(number), "image {number} is there twice");
        }
    }
    assert_eq!(seen.len(), by_number.len());
}

#[test]
fn an_image_of_several_rows_is_exported_once() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 3 --images-per-brand 20 --seed 2",
    );
    workspace.write("objects.toml", "side = 16\nregion = \"object\"\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config objects.toml",
    );
    let rows = catalog(&workspace.path("dataset"));
    let images: BTreeSet<u64> = rows.iter().map(|row| row.image).collect();
    assert!(images.len() < rows.len(), "an image with two rows");
    workspace.ok(
        "logodex-data",
        "export dataset --to coco --raw raw --out coco",
    );
    assert_eq!(contents(&workspace.path("coco/images")).len(), images.len());
    let path = workspace.path("coco/annotations/instances_all.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(file["images"].as_array().unwrap().len(), images.len());
    assert!(file["annotations"].as_array().unwrap().len() >= rows.len());
}
