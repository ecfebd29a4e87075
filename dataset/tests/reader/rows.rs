//! Rows come back as they were written.

use logodex_dataset::{Dataset, DatasetError, Encoding, Fold, Region};
use logodex_pixels::{decode, encode};

use crate::tiny;

#[test]
fn rows_come_back_in_the_order_asked_across_shards() {
    let w = tiny::small();
    let dataset = Dataset::open(w.path()).expect("opens");
    assert_eq!((dataset.n_rows(), dataset.side_px()), (40, 32));
    let rows = [39u64, 0, 17, 17, 15, 16];
    let mut out = vec![0; rows.len() * dataset.row_bytes()];
    dataset.gather(&rows, &mut out).expect("gathers");
    for (row, pixels) in rows.iter().zip(out.chunks(dataset.row_bytes())) {
        assert_eq!(
            pixels,
            tiny::picture(32, *row as usize / 4, *row as usize),
            "row {row}"
        );
    }
    assert_eq!(dataset.brand_of(39), 9);
    assert_eq!(dataset.image_of(17), dataset.image_of(16));
    assert_ne!(dataset.image_of(17), dataset.image_of(18));
}

#[test]
fn neighbouring_rows_lie_side_by_side_and_not_across_shards() {
    let w = tiny::small();
    let dataset = Dataset::open(w.path()).expect("opens");
    let rows = dataset.stored_rows(17..32).expect("whole").expect("raw");
    let copied: Vec<u8> = (17..32)
        .flat_map(|row| tiny::picture(32, row / 4, row))
        .collect();
    assert_eq!(rows, copied);
    assert_eq!(dataset.stored_rows(3..3).expect("none"), Some(&[][..]));
    assert_eq!(dataset.stored_rows(15..17).expect("two shards"), None);
    let error = dataset.stored_rows(32..41).expect_err("too many");
    assert!(matches!(error, DatasetError::NoSuchRow { row: 40, .. }));
}

#[test]
fn rows_of_jpeg_shards_are_decoded_by_the_one_decoder() {
    let dir = tempfile::tempdir().expect("a folder");
    let side = 16;
    let stored = |brand, row| encode(&tiny::picture(side, brand, row), 16, 90).expect("a JPEG");
    let brands = [(3, Fold::Train), (0, Fold::Train), (18, Fold::Test)];
    tiny::write(dir.path(), side, &brands, Encoding::Jpeg, &stored);
    let dataset = Dataset::open(dir.path()).expect("opens");
    assert_eq!(
        (dataset.brand_of(2), dataset.brand_of(3)),
        (0, 2),
        "a brand without rows holds none"
    );
    let rows: Vec<u64> = (0..21).rev().collect();
    let mut out = vec![0; rows.len() * dataset.row_bytes()];
    dataset.gather(&rows, &mut out).expect("gathers");
    for (&row, pixels) in rows.iter().zip(out.chunks(dataset.row_bytes())) {
        let jpeg = stored(dataset.brand_of(row) as usize, row as usize);
        assert_eq!(dataset.stored(row).expect("whole"), jpeg);
        assert_eq!(pixels, decode(&jpeg).expect("decodes").to_rgb());
        assert_eq!(pixels, &*dataset.pixels(row).expect("decodes"));
    }
    assert_eq!(dataset.stored_rows(0..3).expect("whole"), None);
}

#[test]
fn a_jpeg_of_another_size_is_damage() {
    let dir = tempfile::tempdir().expect("a folder");
    let stored = |brand, row| match row {
        1 => encode(&tiny::picture(8, brand, row), 8, 90).expect("a JPEG"),
        _ => encode(&tiny::picture(16, brand, row), 16, 90).expect("a JPEG"),
    };
    tiny::write(dir.path(), 16, &[(3, Fold::Train)], Encoding::Jpeg, &stored);
    let dataset = Dataset::open(dir.path()).expect("opens");
    dataset.pixels(0).expect("decodes");
    let error = dataset.pixels(1).expect_err("too small");
    assert!(matches!(error, DatasetError::Corrupt { .. }));
    let error = error.to_string();
    assert!(
        error.contains("row 1: ") && error.contains("8 × 8"),
        "{error}"
    );
}

#[test]
fn a_row_that_is_not_there_is_an_error() {
    let w = tiny::small();
    let dataset = Dataset::open(w.path()).expect("opens");
    let mut out = vec![0; dataset.row_bytes()];
    for row in [40, u64::MAX] {
        for error in [
            dataset.stored(row).expect_err("no such row"),
            dataset.pixels(row).expect_err("no such row"),
            dataset.gather(&[row], &mut out).expect_err("no such row"),
        ] {
            match error {
                DatasetError::NoSuchRow {
                    path, n_rows: 40, ..
                } => assert_eq!(path, w.path()),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_fold_is_its_brands_and_their_rows() {
    let w = tiny::small();
    let dataset = Dataset::open(w.path()).expect("opens");
    let split = dataset.split("s").expect("split");
    let val = dataset.fold(&split, Fold::Val);
    assert_eq!(val.iter().map(|b| b.index).collect::<Vec<_>>(), [2, 5]);
    let rows = [8, 9, 10, 11, 20, 21, 22, 23];
    assert_eq!(dataset.rows(&val, Region::Both), rows);
    assert_eq!(dataset.rows(&val, Region::Image), rows);
    assert_eq!(dataset.rows(&val, Region::Object), [0u64; 0]);
}
