//! Writes a shard file. Where everything lies in it is [`logodex_dataset::shard`]'s.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use logodex_dataset::shard::{Stored, header};
use serde::{Deserialize, Serialize};

/// Bytes hashed and written at once.
const PIECE: usize = 256 << 10;

/// The rows of one shard, ready to be written. All columns have one entry per row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ShardRows {
    /// The rows as stored, one after the other.
    pub stored: Vec<u8>,
    /// JPEG shards: where each row begins in `stored`, and where the last ends, `[n + 1]`. Raw shards: empty.
    pub offsets: Vec<u64>,
    /// CRC-32/ISO-HDLC of each row's stored bytes.
    pub crc32: Vec<u32>,
    /// Brand index, counted from the first row's, as are rows and images.
    pub brand: Vec<i64>,
    /// Row number.
    pub row: Vec<i64>,
    /// Number of the source image.
    pub image: Vec<i64>,
    /// Position of the object in its annotation, -1 for the whole picture.
    pub object: Vec<i64>,
}

/// A shard's file, as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Length, bytes.
    pub bytes: u64,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
    /// BLAKE3 of what follows its rows, hexadecimal.
    pub columns_blake3: String,
}

/// Writes a shard under a temporary name, syncs it, and renames it to `<folder>/<path>`.
///
/// # Errors
/// What the file system reports.
pub fn write(folder: &Path, path: &str, rows: &ShardRows, side: u32) -> anyhow::Result<ShardFile> {
    let n = rows.row.len() as u64;
    let padded = rows.stored.len().next_multiple_of(8);
    let (stored, padding) = match rows.offsets.len() {
        0 => (Stored::Raw { side }, 0),
        _ => (
            Stored::Jpeg {
                blob: padded as u64,
            },
            padded - rows.stored.len(),
        ),
    };
    let (header, layout) = header(n, stored);
    let mut columns = little_endian(&rows.offsets, u64::to_le_bytes);
    columns.extend(little_endian(&rows.crc32, u32::to_le_bytes));
    for column in [&rows.brand, &rows.row, &rows.image, &rows.object] {
        columns.extend(little_endian(column, i64::to_le_bytes));
    }
    let target = folder.join(path);
    let temporary = target.with_extension("tmp");
    let mut hasher = blake3::Hasher::new();
    let written = (|| -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        let mut put = |bytes: &[u8]| {
            // In pieces that stay in the processor's cache from the hash to the copy.
            bytes.chunks(PIECE).try_for_each(|piece| {
                hasher.update(piece);
                file.write_all(piece)
            })
        };
        put(&header)?;
        put(&rows.stored)?;
        put(&[0; 8][..padding])?;
        put(&columns)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &target)
    })();
    if written.is_err() {
        // A full disk is not helped by what is left of a file.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", target.display()))?;
    Ok(ShardFile {
        bytes: layout.end as u64,
        blake3: hasher.finalize().to_hex().to_string(),
        columns_blake3: blake3::hash(&columns).to_hex().to_string(),
    })
}

fn little_endian<T: Copy, const N: usize>(
    values: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes_of(value)).collect()
}

#[cfg(test)]
mod tests {
    use logodex_dataset::shard::{ALIGNMENT, Column, read_layout};
    use logodex_schemas::dataset::Encoding;
    use safetensors::{Dtype, SafeTensors};

    use super::*;

    fn rows(n: usize, side: usize, encoding: Encoding) -> ShardRows {
        let byte = |i: usize| (i * 7 % 251) as u8;
        let lengths: Vec<usize> = match encoding {
            Encoding::Jpeg => (0..n).map(|i| 5 + i % 11).collect(),
            _ => vec![side * side * 3; n],
        };
        let mut offsets = vec![0];
        for length in &lengths {
            offsets.push(offsets[offsets.len() - 1] + *length as u64);
        }
        let stored: Vec<u8> = (0..lengths.iter().sum()).map(byte).collect();
        ShardRows {
            crc32: offsets
                .windows(2)
                .map(|pair| crc32fast::hash(&stored[pair[0] as usize..pair[1] as usize]))
                .collect(),
            stored,
            offsets: if encoding == Encoding::Jpeg {
                offsets
            } else {
                Vec::new()
            },
            brand: (0..n as i64).map(|i| i / 2).collect(),
            row: (100..100 + n as i64).collect(),
            image: (50..50 + n as i64).collect(),
            object: (0..n as i64).map(|i| i % 3 - 1).collect(),
        }
    }

    #[test]
    fn the_safetensors_library_opens_a_shard() {
        for encoding in [Encoding::Raw, Encoding::Jpeg] {
            for (n, side) in [(1, 8), (5, 9), (300, 16)] {
                let dir = tempfile::tempdir().unwrap();
                let rows = rows(n, side, encoding);
                let entry = write(dir.path(), "0.safetensors", &rows, side as u32).unwrap();
                let bytes = std::fs::read(dir.path().join("0.safetensors")).unwrap();
                assert_eq!(entry.bytes, bytes.len() as u64);
                let columns = [rows.offsets.len(), rows.crc32.len(), 4 * n];
                let columns = 8 * columns[0] + 4 * columns[1] + 8 * columns[2];
                let columns = blake3::hash(&bytes[bytes.len() - columns..]).to_hex();
                assert_eq!(entry.columns_blake3, columns.as_str());
                assert_eq!(entry.blake3, blake3::hash(&bytes).to_hex().to_string());
                let layout = read_layout(&bytes, n as u64, side as u32, encoding).unwrap();

                let tensors = SafeTensors::deserialize(&bytes).unwrap();
                let column = |name: &str, dtype: Dtype| {
                    let tensor = tensors.tensor(name).unwrap();
                    assert_eq!(tensor.dtype(), dtype);
                    let begin = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
                    (begin, tensor.shape().to_vec(), tensor.data().to_vec())
                };
                let (begin, shape, data) = match encoding {
                    Encoding::Jpeg => column("blob", Dtype::U8),
                    _ => column("images", Dtype::U8),
                };
                assert_eq!((begin, begin % ALIGNMENT), (layout.rows, 0));
                assert!(bytes[8..begin].ends_with(b" "), "padded with spaces");
                assert_eq!(&data[..rows.stored.len()], rows.stored);
                match encoding {
                    Encoding::Jpeg => {
                        assert!(data.len() % 8 == 0 && data.len() < rows.stored.len() + 8);
                        let (begin, shape, data) = column("offsets", Dtype::U64);
                        assert_eq!((Some(begin), shape), (layout.offsets, vec![n + 1]));
                        assert_eq!(data, little_endian(&rows.offsets, u64::to_le_bytes));
                    }
                    _ => assert_eq!(shape, [n, side, side, 3]),
                }
                let (begin, shape, data) = column("crc32", Dtype::U32);
                assert_eq!((begin, shape), (layout.crc32, vec![n]));
                assert_eq!(data, little_endian(&rows.crc32, u32::to_le_bytes));
                for (name, which, values) in [
                    ("brand", Column::Brand, &rows.brand),
                    ("row", Column::Row, &rows.row),
                    ("image", Column::Image, &rows.image),
                    ("object", Column::Object, &rows.object),
                ] {
                    let (begin, shape, data) = column(name, Dtype::I64);
                    assert_eq!((begin, shape), (layout.column(which), vec![n]));
                    assert_eq!(data, little_endian(values, i64::to_le_bytes));
                }
                let left = std::fs::read_dir(dir.path()).unwrap().count();
                assert_eq!(left, 1, "no temporary file is left");
            }
        }
    }
}
