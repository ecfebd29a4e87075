//! What a dataset may lie about, and that each lie is caught: every test is named after one.

use std::fs;
use std::path::Path;

use logodex_dataset::dataset::{Dataset, DatasetError};
use logodex_schemas::dataset::Region;
use logodex_schemas::split::Fold;
use logodex_trainer::data::sampler::FoldRows;

use crate::support::{SHARD_ROWS, Workspace, picture};

fn corrupt(dir: &Path) -> String {
    match Dataset::open(dir) {
        Err(e @ DatasetError::Corrupt { .. }) => e.to_string(),
        other => panic!("expected a corrupt dataset, got {:?}", other.map(|_| ())),
    }
}

/// Changes a file by a function of its text.
fn edit(path: &Path, change: impl Fn(String) -> String) {
    let text = fs::read_to_string(path).expect("read");
    let changed = change(text.clone());
    assert_ne!(text, changed, "the edit changes something");
    fs::write(path, changed).expect("write");
}

#[test]
fn rows_come_back_in_the_order_asked_across_shards() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    assert_eq!((dataset.n_rows(), dataset.side_px()), (40, 32));
    let rows = [39u64, 0, 17, 17, 15, 16];
    let mut out = vec![0; rows.len() * dataset.row_bytes()];
    dataset.gather(&rows, &mut out).expect("gathers");
    for (row, pixels) in rows.iter().zip(out.chunks(dataset.row_bytes())) {
        assert_eq!(
            pixels,
            picture(32, *row as usize / 4, *row as usize),
            "row {row}"
        );
    }
    assert_eq!(dataset.brand_of(39), 9);
    assert_eq!(dataset.image_of(17), dataset.image_of(16));
    assert_ne!(dataset.image_of(17), dataset.image_of(18));
}

#[test]
fn a_fold_is_its_brands_and_their_rows() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    let split = dataset.split("s").expect("split");
    let val = dataset.fold(&split, Fold::Val);
    assert_eq!(val.iter().map(|b| b.index).collect::<Vec<_>>(), [2, 5]);
    let rows = FoldRows::new(&dataset, &val, Region::Both);
    assert_eq!(rows.brands[1].rows, [20, 21, 22, 23]);
    assert_eq!(rows.brands[1].images, [10, 10, 11, 11]);
}

#[test]
fn a_flipped_bit_is_told_with_shard_and_row() {
    let w = Workspace::small();
    let path = w.dataset.join("shards/00001.safetensors");
    let mut bytes = fs::read(&path).expect("shard");
    // The pixels of the shard's third row, found by what they are.
    let pixels = picture(32, (SHARD_ROWS + 2) / 4, SHARD_ROWS + 2);
    let at = bytes
        .windows(pixels.len())
        .position(|window| window == pixels)
        .expect("the picture is in the shard");
    bytes[at + 100] ^= 4;
    fs::write(&path, bytes).expect("shard");

    let dataset = Dataset::open(&w.dataset).expect("a flipped pixel is not seen at opening");
    let mut out = vec![0; dataset.row_bytes()];
    dataset
        .gather(&[17], &mut out)
        .expect("its neighbour is whole");
    for _ in 0..2 {
        let error = dataset
            .gather(&[18], &mut out)
            .expect_err("damaged")
            .to_string();
        assert!(
            error.contains("00001.safetensors") && error.contains("row 18"),
            "{error}"
        );
    }
}

#[test]
fn a_truncated_shard_is_refused_before_it_is_mapped() {
    let w = Workspace::small();
    let path = w.dataset.join("shards/00002.safetensors");
    let bytes = fs::read(&path).expect("shard");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("shard");
    let error = corrupt(&w.dataset);
    assert!(
        error.contains("00002.safetensors") && error.contains("truncated"),
        "{error}"
    );
}

#[test]
fn a_shard_that_claims_other_tensors_is_refused() {
    let w = Workspace::small();
    let path = w.dataset.join("shards/00000.safetensors");
    let bytes = fs::read(&path).expect("shard");
    for (from, to, told) in [
        ("\"crc32\"", "\"crc23\"", "crc32"),
        ("[16,32,32,3]", "[32,16,32,3]", "images"),
    ] {
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .expect("in the header");
        let mut lying = bytes.clone();
        lying[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, lying).expect("shard");
        let error = corrupt(&w.dataset);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused() {
    let w = Workspace::small();
    let path = w.dataset.join("shards/00000.safetensors");
    let mut bytes = fs::read(&path).expect("shard");
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, bytes).expect("shard");
    assert!(corrupt(&w.dataset).contains("safetensors"));
}

#[test]
fn shards_in_another_order_are_refused() {
    let w = Workspace::small();
    let (a, b) = (
        w.dataset.join("shards/00000.safetensors"),
        w.dataset.join("shards/00001.safetensors"),
    );
    let (first, second) = (fs::read(&a).expect("a"), fs::read(&b).expect("b"));
    assert_eq!(
        first.len(),
        second.len(),
        "so that only the rows tell them apart"
    );
    fs::write(&a, second).expect("a");
    fs::write(&b, first).expect("b");
    assert!(corrupt(&w.dataset).contains("position 0 is row 16"));
}

#[test]
fn another_version_is_told_as_such() {
    let w = Workspace::small();
    edit(&w.dataset.join("manifest.json"), |t| {
        t.replace("\"version\": 2", "\"version\": 3")
    });
    assert!(corrupt(&w.dataset).contains("version 3"));
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let w = Workspace::small();
    edit(&w.dataset.join("manifest.json"), |t| {
        t.replace("\"created_by\": \"test\"", "\"created_by\": \"tess\"")
    });
    assert!(corrupt(&w.dataset).contains("seal"));
}

#[test]
fn a_directory_without_manifest_is_no_dataset_and_a_missing_one_a_slip() {
    let w = Workspace::small();
    fs::remove_file(w.dataset.join("manifest.json")).expect("removed");
    assert!(corrupt(&w.dataset).contains("manifest"));
    let missing = Dataset::open(&w.path("nowhere"));
    assert!(matches!(missing, Err(DatasetError::NotFound(_))));
}

#[test]
fn edited_brands_are_refused() {
    let w = Workspace::small();
    edit(&w.dataset.join("brands.csv"), |t| {
        t.replace("brand 03", "brand 33")
    });
    assert!(corrupt(&w.dataset).contains("BLAKE3"));
}

#[test]
fn a_split_is_refused_when_unknown_edited_or_of_another_dataset() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    match dataset.split("t") {
        Err(DatasetError::NotFound(message)) => assert!(message.contains("it has s"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        dataset.split("../s"),
        Err(DatasetError::NotFound(_))
    ));

    w.write_split("other", &[Fold::Train; 10], "0123");
    let error = dataset
        .split("other")
        .expect_err("another dataset")
        .to_string();
    assert!(error.contains("another build"), "{error}");

    w.write_split("short", &[Fold::Train; 9], dataset.manifest_blake3());
    let error = dataset
        .split("short")
        .expect_err("a brand is missing")
        .to_string();
    assert!(error.contains("exactly"), "{error}");

    edit(&w.dataset.join("splits/s.csv"), |t| {
        t.replacen("test", "train", 1)
    });
    let error = dataset.split("s").expect_err("edited").to_string();
    assert!(error.contains("edited"), "{error}");
}
