//! Tar files for WebDataset hold every row, in an order of chance, as it is.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use logodex_dataset::Dataset;
use logodex_schemas::dataset::CatalogRow;

use super::export::{catalog, folds, quirky};
use crate::workspace::{Workspace, contents};

#[test]
fn webdataset_gives_back_every_row_and_the_same_bytes_twice() {
    let shared = quirky();
    let workspace = Workspace::new();
    let dataset = Dataset::open(&shared.path("dataset")).unwrap();
    let rows = catalog(dataset.dir());
    let folds = folds(&dataset.dir().join("splits/s.csv"));
    let export = |out: &str, more: &str| {
        workspace.ok(
            "logodex-data",
            &format!(
                "export {} --to webdataset --out {out} {more}",
                dataset.dir().display()
            ),
        );
        contents(&workspace.path(out))
    };
    for (out, split) in [("folds", "--split s"), ("all", "")] {
        let files = export(out, split);
        assert!(
            files == export(&format!("{out}-again"), split),
            "the same bytes"
        );
        let mut found = BTreeMap::new();
        for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".tar")) {
            let fold = name.strip_suffix("-000000.tar").expect("one tar of a fold");
            for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(
                    (
                        header.mtime().unwrap(),
                        header.uid().unwrap(),
                        header.mode().unwrap()
                    ),
                    (0, 0, 0o644)
                );
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                let (key, extension) = path.split_once('.').unwrap();
                assert_eq!(key.len(), 9);
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                let sample: &mut BTreeMap<String, Vec<u8>> = found
                    .entry((key.parse::<u64>().unwrap(), fold.to_owned()))
                    .or_default();
                assert!(sample.insert(extension.to_owned(), content).is_none());
            }
        }
        assert_eq!(found.len(), rows.len());
        for (((number, fold), sample), row) in found.iter().zip(&rows) {
            assert_eq!(
                sample.keys().collect::<Vec<_>>(),
                ["cls", "json", "png"],
                "row {number}"
            );
            let expected = match split {
                "" => "all",
                _ => folds[&row.brand_index].as_str(),
            };
            assert_eq!((*number, fold.as_str()), (row.row, expected));
            assert_eq!(sample["cls"], row.brand_index.to_string().into_bytes());
            let json: CatalogRow = serde_json::from_slice(&sample["json"]).unwrap();
            assert_eq!(&json, row);
            let picture = image::load_from_memory(&sample["png"]).unwrap().to_rgb8();
            assert_eq!(picture.dimensions(), (24, 24));
            let pixels = dataset.pixels(row.row).unwrap();
            assert!(
                picture.as_raw()[..] == pixels[..],
                "the pixels of row {number}"
            );
        }
    }
}

/// The rows that a folder's tar files of a fold hold, in their order, each with the extension and bytes of its picture.
fn tarred(folder: &Path, fold: &str) -> Vec<(u64, String, Vec<u8>)> {
    let mut rows = Vec::new();
    for (name, bytes) in contents(folder) {
        if !(name.starts_with(fold) && name.ends_with(".tar")) {
            continue;
        }
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let (row, extension) = path.split_once('.').unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if !matches!(extension, "cls" | "json") {
                rows.push((row.parse().unwrap(), extension.to_owned(), content));
            }
        }
    }
    rows
}

#[test]
fn webdataset_has_an_order_of_chance_and_keeps_jpeg_rows_as_they_are() {
    let shared = quirky();
    let workspace = Workspace::new();
    workspace.write("jpeg.toml", "side = 24\nencoding = \"jpeg\"\n");
    workspace.ok(
        "logodex-data",
        &format!(
            "build --raw {} --out dataset --config jpeg.toml",
            shared.path("raw").display()
        ),
    );
    let dataset = Dataset::open(&workspace.path("dataset")).unwrap();
    let export = |out: &str, more: &str| {
        workspace.ok(
            "logodex-data",
            &format!("export dataset --to webdataset --out {out} {more}"),
        );
        tarred(&workspace.path(out), "all")
    };
    let order = |rows: &[(u64, String, Vec<u8>)]| rows.iter().map(|row| row.0).collect::<Vec<_>>();
    let (first, second) = (export("first", ""), export("second", "--seed 1"));
    for (row, extension, bytes) in first.iter().chain(&second) {
        assert_eq!(extension, "jpg");
        assert!(bytes[..] == dataset.stored(*row).unwrap()[..], "row {row}");
    }
    assert_eq!(first, export("again", "--seed 0"), "0 is the default");
    assert_ne!(order(&first), order(&second));
    let mut sorted = order(&first);
    sorted.sort();
    assert_eq!(sorted, (0..dataset.n_rows()).collect::<Vec<_>>());
    // Neighbours are of one brand as often as chance has it; in the order of the rows nearly always.
    let pairs = first.windows(2);
    let alike = pairs.filter(|two| dataset.brand_of(two[0].0) == dataset.brand_of(two[1].0));
    let alike = alike.count() as u64;
    assert!(
        alike * 5 < dataset.n_rows(),
        "{alike} of {}",
        dataset.n_rows()
    );
}
