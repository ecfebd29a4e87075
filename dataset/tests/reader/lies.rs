//! What a dataset may lie about, and that each lie is caught: every test is named after one.

use std::fs;
use std::path::Path;

use logodex_dataset::{Dataset, DatasetError, Encoding, Fold, Manifest};
use logodex_schemas::dataset::DATASET_VERSION;
use logodex_schemas::header::seal;

use crate::tiny::{self, SHARD_ROWS, picture};

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
fn a_flipped_bit_is_told_with_shard_and_row() {
    let w = tiny::small();
    let path = w.path().join("shards/00001.safetensors");
    let mut bytes = fs::read(&path).expect("shard");
    // The pixels of the shard's third row, found by what they are.
    let pixels = picture(32, (SHARD_ROWS + 2) / 4, SHARD_ROWS + 2);
    let at = bytes
        .windows(pixels.len())
        .position(|window| window == pixels)
        .expect("the picture is in the shard");
    bytes[at + 100] ^= 4;
    fs::write(&path, bytes).expect("shard");

    let dataset = Dataset::open(w.path()).expect("a flipped pixel is not seen at opening");
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
    let w = tiny::small();
    let path = w.path().join("shards/00002.safetensors");
    let bytes = fs::read(&path).expect("shard");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("shard");
    let error = corrupt(w.path());
    assert!(
        error.contains("00002.safetensors") && error.contains("truncated"),
        "{error}"
    );
}

#[test]
fn a_shard_that_claims_other_tensors_is_refused() {
    let w = tiny::small();
    let path = w.path().join("shards/00000.safetensors");
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
        let error = corrupt(w.path());
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused() {
    let w = tiny::small();
    let path = w.path().join("shards/00000.safetensors");
    let mut bytes = fs::read(&path).expect("shard");
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, bytes).expect("shard");
    assert!(corrupt(w.path()).contains("safetensors"));
}

#[test]
fn shards_in_another_order_are_refused() {
    let w = tiny::small();
    let (a, b) = (
        w.path().join("shards/00000.safetensors"),
        w.path().join("shards/00001.safetensors"),
    );
    let (first, second) = (fs::read(&a).expect("a"), fs::read(&b).expect("b"));
    assert_eq!(
        first.len(),
        second.len(),
        "so that only the rows tell them apart"
    );
    fs::write(&a, second).expect("a");
    fs::write(&b, first).expect("b");
    assert!(corrupt(w.path()).contains("or another shard"));
}

#[test]
fn a_flipped_bit_of_a_number_or_a_checksum_is_told_at_opening() {
    let w = tiny::small();
    let path = w.path().join("shards/00001.safetensors");
    let whole = fs::read(&path).expect("shard");
    let columns = SHARD_ROWS * (4 + 4 * 8);
    for at in (whole.len() - columns..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).expect("shard");
        let error = corrupt(w.path());
        assert!(
            error.contains("00001.safetensors") && error.contains("numbers"),
            "{error}"
        );
    }
}

#[test]
fn another_version_is_told_as_such() {
    let w = tiny::small();
    edit(&w.path().join("manifest.json"), |t| {
        t.replace(
            &format!("\"version\": {DATASET_VERSION}"),
            "\"version\": 99",
        )
    });
    assert!(corrupt(w.path()).contains("version 99"));
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let w = tiny::small();
    edit(&w.path().join("manifest.json"), |t| {
        t.replace("\"created_by\": \"test\"", "\"created_by\": \"tess\"")
    });
    assert!(corrupt(w.path()).contains("seal"));
}

#[test]
fn a_directory_without_manifest_is_no_dataset_and_a_missing_one_a_slip() {
    let w = tiny::small();
    fs::remove_file(w.path().join("manifest.json")).expect("removed");
    assert!(corrupt(w.path()).contains("manifest"));
    let empty = w.path().join("empty");
    fs::create_dir(&empty).expect("made");
    let nothing = Dataset::open(&empty);
    assert!(matches!(nothing, Err(DatasetError::NotFound { .. })));
    let missing = Dataset::open(&w.path().join("nowhere"));
    assert!(matches!(missing, Err(DatasetError::NotFound { .. })));
}

#[test]
fn a_key_that_is_not_its_brands_is_refused() {
    let w = tiny::small();
    edit(&w.path().join("brands.csv"), |t| {
        t.replace("Food/brand 03", "Food/brand 04")
    });
    let bytes = fs::read(w.path().join("brands.csv")).expect("brands.csv");
    let path = w.path().join("manifest.json");
    let json = fs::read(&path).expect("manifest");
    let mut manifest: Manifest = serde_json::from_slice(&json).expect("JSON");
    let entry = manifest.files.get_mut("brands.csv").expect("listed");
    entry.blake3 = blake3::hash(&bytes).to_hex().to_string();
    fs::write(&path, seal(&manifest).expect("JSON")).expect("manifest");
    assert!(corrupt(w.path()).contains("\"Food/brand 04\" is no key of brand 3"));
}

#[test]
fn edited_brands_are_refused() {
    let w = tiny::small();
    edit(&w.path().join("brands.csv"), |t| {
        t.replace("brand 03", "brand 33")
    });
    assert!(corrupt(w.path()).contains("BLAKE3"));
}

#[test]
fn a_split_is_refused_when_unknown_edited_or_of_another_dataset() {
    let w = tiny::small();
    let dataset = Dataset::open(w.path()).expect("opens");
    match dataset.split("t") {
        Err(DatasetError::NotFound { reason, .. }) => {
            assert!(reason.contains("it has s"), "{reason}");
            assert_eq!(logodex_dataset::Split::names(w.path()), ["s"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        dataset.split("../s"),
        Err(DatasetError::NotFound { .. })
    ));

    tiny::write_split(w.path(), "other", &[Fold::Train; 10], "0123");
    let error = dataset
        .split("other")
        .expect_err("another dataset")
        .to_string();
    assert!(error.contains("another build"), "{error}");

    tiny::write_split(
        w.path(),
        "short",
        &[Fold::Train; 9],
        dataset.manifest_blake3(),
    );
    let error = dataset
        .split("short")
        .expect_err("a brand is missing")
        .to_string();
    assert!(error.contains("exactly"), "{error}");

    edit(&w.path().join("splits/s.csv"), |t| {
        t.replacen("test", "train", 1)
    });
    let error = dataset.split("s").expect_err("edited").to_string();
    assert!(error.contains("edited"), "{error}");
}

#[test]
fn half_a_split_is_damage_and_not_a_slip() {
    for (left, missing) in [("s.csv", "s.json"), ("s.json", "s.csv")] {
        let w = tiny::small();
        fs::remove_file(w.path().join("splits").join(missing)).expect("removed");
        let dataset = Dataset::open(w.path()).expect("opens");
        let error = dataset.split("s").expect_err("half a split");
        assert!(
            matches!(error, DatasetError::Corrupt { .. }),
            "{left}: {error}"
        );
        assert!(error.to_string().contains(missing), "{left}: {error}");
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused_though_it_is_sealed() {
    type Lie = fn(&mut Manifest);
    let lies: [(&str, Lie); 9] = [
        ("side = 4", |m| m.config.side = 4),
        ("how its shards store", |m| m.encoding = Encoding::Auto),
        ("outside the dataset", |m| {
            m.shards[1].path = "../00001.safetensors".into();
        }),
        ("outside the dataset", |m| {
            m.shards[1].path = "/00001.safetensors".into();
        }),
        ("outside the dataset", |m| {
            let entry = m.files["brands.csv"].clone();
            m.files.insert("../brands.csv".into(), entry);
        }),
        ("does not continue at row 16", |m| {
            m.shards[1].first_row = 17;
        }),
        ("does not continue at row 16", |m| m.shards[1].n_rows = 0),
        ("does not continue at row 16", |m| {
            m.shards[1].n_rows = 1 << 33;
        }),
        ("counts 41", |m| m.counts.rows = 41),
    ];
    for (told, lie) in lies {
        let w = tiny::small();
        let path = w.path().join("manifest.json");
        let json = fs::read(&path).expect("manifest");
        let mut manifest: Manifest = serde_json::from_slice(&json).expect("JSON");
        lie(&mut manifest);
        fs::write(&path, seal(&manifest).expect("JSON")).expect("manifest");
        let error = corrupt(w.path());
        assert!(
            error.contains(told) && error.contains("manifest.json"),
            "{told}: {error}"
        );
    }
}

#[test]
fn a_listed_file_of_another_length_is_refused() {
    let w = tiny::small();
    let path = w.path().join("brands.csv");
    let mut bytes = fs::read(&path).expect("brands.csv");
    bytes.pop();
    fs::write(&path, bytes).expect("brands.csv");
    let error = corrupt(w.path());
    assert!(
        error.contains("brands.csv") && error.contains("bytes"),
        "{error}"
    );
}
