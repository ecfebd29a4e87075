//! The ordinary safetensors library reads from a shard what this crate reads.

use std::fs;

use logodex_dataset::shard::{ALIGNMENT, Column, Shard};
use logodex_dataset::{Dataset, Encoding, Fold};
use safetensors::{Dtype, SafeTensors};

use crate::tiny;

fn little_endian(bytes: &[u8]) -> Vec<i64> {
    let (chunks, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    chunks.iter().map(|b| i64::from_le_bytes(*b)).collect()
}

#[test]
fn the_safetensors_library_finds_the_same_rows_and_columns() {
    for encoding in [Encoding::Raw, Encoding::Jpeg] {
        let dir = tempfile::tempdir().expect("a folder");
        let (side, n) = (9, 21);
        let stored = |brand: usize, row: usize| match encoding {
            // Any bytes: the length of each is another.
            Encoding::Jpeg => vec![brand as u8; 5 + row % 11],
            _ => tiny::picture(side, brand, row),
        };
        let brands = [(5, Fold::Train), (9, Fold::Val), (7, Fold::Test)];
        tiny::write(dir.path(), side, &brands, encoding, &stored);
        let dataset = Dataset::open(dir.path()).expect("opens");
        assert_eq!((dataset.n_rows(), dataset.manifest().shards.len()), (n, 2));
        for entry in &dataset.manifest().shards {
            let bytes = fs::read(dir.path().join(&entry.path)).expect("shard");
            let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
            let tensor = |name: &str, dtype: Dtype| {
                let tensor = tensors.tensor(name).expect("a tensor");
                assert_eq!(tensor.dtype(), dtype, "{name}");
                tensor
            };
            let n = entry.n_rows as usize;
            let (rows, offsets) = match encoding {
                Encoding::Jpeg => {
                    let offsets = little_endian(tensor("offsets", Dtype::U64).data());
                    (tensor("blob", Dtype::U8), offsets)
                }
                _ => {
                    let images = tensor("images", Dtype::U8);
                    assert_eq!(images.shape(), [n, side, side, 3]);
                    let row_bytes = side * side * 3;
                    (images, (0..=n).map(|i| (i * row_bytes) as i64).collect())
                }
            };
            let begin = rows.data().as_ptr() as usize - bytes.as_ptr() as usize;
            assert_eq!(begin % ALIGNMENT, 0);
            assert!(bytes[8..begin].ends_with(b" "), "padded with spaces");
            let crc32 = tensor("crc32", Dtype::U32);
            let shard = Shard::open(dir.path(), entry, dataset.manifest()).expect("opens");
            for position in 0..n {
                let row = &rows.data()[offsets[position] as usize..offsets[position + 1] as usize];
                assert_eq!(row, shard.stored(position).expect("whole"));
                assert_eq!(
                    row,
                    dataset
                        .stored(entry.first_row + position as u64)
                        .expect("whole")
                );
                let crc32 = &crc32.data()[position * 4..][..4];
                assert_eq!(crc32, crc32fast::hash(row).to_le_bytes());
            }
            for (name, column, first) in [
                ("brand", Column::Brand, i64::from(entry.first_brand)),
                ("row", Column::Row, entry.first_row as i64),
                ("image", Column::Image, entry.first_image as i64),
                ("object", Column::Object, 0),
            ] {
                let read: Vec<i64> = (0..n).map(|i| shard.number(column, i) - first).collect();
                assert_eq!(
                    read,
                    little_endian(tensor(name, Dtype::I64).data()),
                    "{name}"
                );
            }
        }
    }
}
