//! Writes a shard file: a valid safetensors file whose images begin on a page boundary, so that it can be mapped and read
//! without a copy. Layout: [`logodex_schemas::dataset::ShardEntry`].

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{Encoding, ShardEntry};

/// The images begin at a multiple of this many bytes.
pub const ALIGNMENT: usize = 4096;

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
    /// Brand index.
    pub brand: Vec<i64>,
    /// Row number.
    pub row: Vec<i64>,
    /// Number of the source image.
    pub image: Vec<i64>,
    /// Position of the object in its annotation, -1 for the whole picture.
    pub object: Vec<i64>,
}

/// The I64 columns, in their order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Brand index.
    Brand,
    /// Row number.
    Row,
    /// Number of the source image.
    Image,
    /// Position of the object, -1 for the whole picture.
    Object,
}

/// What the length of a shard depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Rows of pixels of a square of this side.
    Raw {
        /// Pixels.
        side: u32,
    },
    /// JPEGs, these many bytes together, padded to a multiple of 8.
    Jpeg {
        /// Bytes.
        blob: u64,
    },
}

/// A tensor of a shard: its name, its dtype as safetensors spells it, and its shape.
type Field = (&'static str, &'static str, Vec<u64>);

/// The tensors of a shard of `n` rows, in their order in the file.
fn fields(n: u64, stored: Stored) -> Vec<Field> {
    let mut fields = match stored {
        Stored::Raw { side } => {
            let side = u64::from(side);
            vec![("images", "U8", vec![n, side, side, 3])]
        }
        Stored::Jpeg { blob } => vec![("blob", "U8", vec![blob]), ("offsets", "U64", vec![n + 1])],
    };
    fields.push(("crc32", "U32", vec![n]));
    fields.extend(["brand", "row", "image", "object"].map(|name| (name, "I64", vec![n])));
    fields
}

/// Where the tensors of a shard lie, bytes from the beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Where the rows begin.
    pub rows: usize,
    /// JPEG shards: where the offsets begin.
    pub offsets: Option<usize>,
    /// Where the checksums begin.
    pub crc32: usize,
    /// Where `brand`, `row`, `image` and `object` begin.
    columns: [usize; 4],
    /// The length of the file.
    pub end: usize,
}

impl Layout {
    /// Where a column begins.
    pub fn column(&self, column: Column) -> usize {
        self.columns[column as usize]
    }
}

/// The header (with its length in front) of a shard of `n` rows, padded with spaces to [`ALIGNMENT`], and the layout.
pub fn header(n: u64, stored: Stored) -> (Vec<u8>, Layout) {
    let mut entries = Vec::new();
    let mut begins = Vec::new();
    let mut end = 0;
    for (name, dtype, shape) in fields(n, stored) {
        let width = match dtype {
            "U8" => 1,
            "U32" => 4,
            _ => 8,
        };
        let begin = end;
        end += shape.iter().product::<u64>() * width;
        begins.push(begin as usize);
        let shape = shape
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",");
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#
        ));
    }
    let json = format!("{{{}}}", entries.join(","));
    let length = (8 + json.len()).next_multiple_of(ALIGNMENT) - 8;
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(8 + length, b' ');
    let begins: Vec<usize> = begins.iter().map(|begin| begin + bytes.len()).collect();
    let after = begins.len() - 5;
    let layout = Layout {
        rows: begins[0],
        offsets: matches!(stored, Stored::Jpeg { .. }).then(|| begins[1]),
        crc32: begins[after],
        columns: [1, 2, 3, 4].map(|i| begins[after + i]),
        end: end as usize + bytes.len(),
    };
    (bytes, layout)
}

/// Reads where the tensors lie from a shard file, and checks that it is exactly what a shard of `n` rows is: of raw rows
/// of `side`, or of JPEGs.
///
/// # Errors
/// What differs.
pub fn read_layout(file: &[u8], n: u64, side: u32, encoding: Encoding) -> Result<Layout, String> {
    let stored = match encoding {
        Encoding::Jpeg => {
            // All but the blob has a length that n alone decides.
            let rest = header(n, Stored::Jpeg { blob: 0 }).1.end as u64;
            let blob = (file.len() as u64).checked_sub(rest);
            let blob = blob.filter(|blob| blob % 8 == 0).ok_or_else(|| {
                format!("its {} bytes are not those of {n} JPEG rows", file.len())
            })?;
            Stored::Jpeg { blob }
        }
        _ => Stored::Raw { side },
    };
    let (expected, layout) = header(n, stored);
    if file.len() != layout.end {
        return Err(format!(
            "it has {} bytes where {n} rows of side {side} take {}",
            file.len(),
            layout.end
        ));
    }
    // The header is a function of n and the length, so that comparing bytes checks every dtype, shape and offset.
    if file.get(..expected.len()) != Some(&expected) {
        return Err(format!(
            "its safetensors header is not that of {n} rows of side {side}"
        ));
    }
    if let Some(at) = layout.offsets {
        let offset = |i: u64| u64_at(file, at + i as usize * 8);
        let blob = (at - layout.rows) as u64;
        let rising = (0..n).all(|i| offset(i) < offset(i + 1));
        if offset(0) != 0 || !rising || offset(n).next_multiple_of(8) != blob {
            return Err("its offsets do not divide its blob".to_owned());
        }
    }
    Ok(layout)
}

/// The little-endian number at a place in a file, which must lie in it.
pub fn u64_at(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| file[at + i]))
}

/// Writes a shard under a temporary name, syncs it, and renames it to `<folder>/<path>`.
///
/// # Errors
/// What the file system reports.
pub fn write(folder: &Path, path: &str, rows: &ShardRows, side: u32) -> anyhow::Result<ShardEntry> {
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
        put(&little_endian(&rows.offsets, u64::to_le_bytes))?;
        put(&little_endian(&rows.crc32, u32::to_le_bytes))?;
        for column in [&rows.brand, &rows.row, &rows.image, &rows.object] {
            put(&little_endian(column, i64::to_le_bytes))?;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, &target)
    })();
    if written.is_err() {
        // A full disk is not helped by what is left of a file.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", target.display()))?;
    Ok(ShardEntry {
        path: path.to_owned(),
        first_row: rows.row.first().map_or(0, |&row| row as u64),
        n_rows: n,
        bytes: layout.end as u64,
        blake3: hasher.finalize().to_hex().to_string(),
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
                assert_eq!(
                    (entry.bytes, entry.n_rows, entry.first_row),
                    (bytes.len() as u64, n as u64, 100)
                );
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

    #[test]
    fn a_header_that_lies_is_refused() {
        let (mut file, layout) = header(3, Stored::Raw { side: 8 });
        file.resize(layout.end, 0);
        let read = |file: &[u8], n, side| read_layout(file, n, side, Encoding::Raw);
        assert_eq!(read(&file, 3, 8), Ok(layout));
        let lie = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = file.clone();
            change(&mut file);
            read(&file, 3, 8).unwrap_err()
        };
        assert!(lie(&|file| file.truncate(4700)).contains("bytes"));
        assert!(lie(&|file| file.push(0)).contains("bytes"));
        assert!(lie(&|file| file[0] ^= 0x80).contains("header"));
        let shape = file.windows(3).position(|three| three == b"[3,").unwrap() + 1;
        assert!(lie(&|file| file[shape] = b'9').contains("header"));
        assert!(read(&file, 4, 8).is_err() && read(&file, 3, 9).is_err());
        assert!(read(&[], 3, 8).is_err());
    }

    #[test]
    fn offsets_that_lie_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "0", &rows(3, 8, Encoding::Jpeg), 8).unwrap();
        let file = std::fs::read(dir.path().join("0")).unwrap();
        let read = |file: &[u8], n| read_layout(file, n, 8, Encoding::Jpeg);
        let at = read(&file, 3).unwrap().offsets.unwrap();
        for (place, value) in [(0, 1), (1, 0), (1, 1 << 40), (3, 1 << 40), (3, 0)] {
            let mut file = file.clone();
            file[at + place * 8..][..8].copy_from_slice(&u64::to_le_bytes(value));
            assert!(read(&file, 3).is_err(), "offset {place} = {value}");
        }
        assert!(read(&file, 2).is_err() && read(&file[..file.len() - 8], 3).is_err());
        assert!(read(&file[..100], 3).is_err());
    }
}
