//! A shard file: a valid safetensors file whose images begin on a page boundary, so that it can be mapped and read
//! without a copy. Layout: [`logodex_schemas::dataset::ShardEntry`].

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::ShardEntry;

/// The images begin at a multiple of this many bytes.
pub const ALIGNMENT: usize = 4096;

/// The rows of one shard, ready to be written. All vectors have one entry per row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ShardRows {
    /// `[n, side, side, 3]`, RGB.
    pub images: Vec<u8>,
    /// CRC-32/ISO-HDLC of each image's bytes.
    pub crc32: Vec<u32>,
    /// Brand index.
    pub brand: Vec<i64>,
    /// Row number.
    pub row: Vec<i64>,
    /// Number of the source image.
    pub image: Vec<i64>,
}

/// A tensor of a shard: its name, its dtype as safetensors spells it, and its shape.
type Field = (&'static str, &'static str, Vec<u64>);

/// The tensors of a shard of `n` rows, in their order in the file.
fn fields(n: u64, side: u32) -> [Field; 5] {
    let side = u64::from(side);
    [
        ("images", "U8", vec![n, side, side, 3]),
        ("crc32", "U32", vec![n]),
        ("brand", "I64", vec![n]),
        ("row", "I64", vec![n]),
        ("image", "I64", vec![n]),
    ]
}

/// Where the tensors of a shard lie, bytes from the beginning of the file: start and end of each, in the order
/// `images`, `crc32`, `brand`, `row`, `image`.
pub type Layout = [(usize, usize); 5];

/// The header (with its length in front) of a shard of `n` rows, padded with spaces to [`ALIGNMENT`], and the layout.
pub fn header(n: u64, side: u32) -> (Vec<u8>, Layout) {
    let mut entries = Vec::new();
    let mut layout = [(0, 0); 5];
    let mut end = 0;
    for (place, (name, dtype, shape)) in layout.iter_mut().zip(fields(n, side)) {
        let width = match dtype {
            "U8" => 1,
            "U32" => 4,
            _ => 8,
        };
        let begin = end;
        end += shape.iter().product::<u64>() * width;
        *place = (begin as usize, end as usize);
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
    let layout = layout.map(|(begin, end)| (begin + bytes.len(), end + bytes.len()));
    (bytes, layout)
}

/// Reads where the tensors lie from the head of a shard file of `file_bytes` bytes, and checks that it is exactly what
/// a shard of `n` rows is.
///
/// # Errors
/// What differs.
pub fn read_layout(file: &[u8], n: u64, side: u32) -> Result<Layout, String> {
    let (expected, layout) = header(n, side);
    let end = layout[4].1;
    if file.len() != end {
        return Err(format!(
            "it has {} bytes where {n} rows of side {side} take {end}",
            file.len()
        ));
    }
    // The header is a function of n and side, so that comparing bytes checks every dtype, shape and offset.
    if file.get(..expected.len()) != Some(&expected) {
        return Err(format!(
            "its safetensors header is not that of {n} rows of side {side}"
        ));
    }
    Ok(layout)
}

/// Writes a shard under a temporary name, syncs it, and renames it to `<dataset>/<path>`.
///
/// # Errors
/// What the file system reports.
pub fn write(
    dataset: &Path,
    path: &str,
    rows: &ShardRows,
    side: u32,
) -> anyhow::Result<ShardEntry> {
    let n = rows.row.len() as u64;
    let (header, layout) = header(n, side);
    let target = dataset.join(path);
    let temporary = target.with_extension("tmp");
    let mut hasher = blake3::Hasher::new();
    let written = (|| -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        let mut put = |bytes: &[u8]| {
            hasher.update(bytes);
            file.write_all(bytes)
        };
        put(&header)?;
        put(&rows.images)?;
        put(&little_endian(&rows.crc32, u32::to_le_bytes))?;
        for column in [&rows.brand, &rows.row, &rows.image] {
            put(&little_endian(column, i64::to_le_bytes))?;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, &target)
    })();
    written.with_context(|| format!("cannot write {}", target.display()))?;
    Ok(ShardEntry {
        path: path.to_owned(),
        first_row: rows.row.first().map_or(0, |&row| row as u64),
        n_rows: n,
        bytes: layout[4].1 as u64,
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

    fn rows(n: usize, side: usize) -> ShardRows {
        let images: Vec<u8> = (0..n * side * side * 3)
            .map(|i| (i * 7 % 251) as u8)
            .collect();
        ShardRows {
            crc32: images
                .chunks(side * side * 3)
                .map(crc32fast::hash)
                .collect(),
            images,
            brand: (0..n as i64).map(|i| i / 2).collect(),
            row: (100..100 + n as i64).collect(),
            image: (50..50 + n as i64).collect(),
        }
    }

    #[test]
    fn the_safetensors_library_opens_a_shard() {
        for (n, side) in [(1, 8), (5, 9), (300, 16)] {
            let dir = tempfile::tempdir().unwrap();
            let rows = rows(n, side);
            let entry = write(dir.path(), "0.safetensors", &rows, side as u32).unwrap();
            let bytes = std::fs::read(dir.path().join("0.safetensors")).unwrap();
            assert_eq!(
                (entry.bytes, entry.n_rows, entry.first_row),
                (bytes.len() as u64, n as u64, 100)
            );
            assert_eq!(entry.blake3, blake3::hash(&bytes).to_hex().to_string());

            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let images = tensors.tensor("images").unwrap();
            assert_eq!(
                (images.dtype(), images.shape()),
                (Dtype::U8, &[n, side, side, 3][..])
            );
            assert_eq!(images.data(), rows.images);
            let begin = images.data().as_ptr() as usize - bytes.as_ptr() as usize;
            assert_eq!(begin % ALIGNMENT, 0);
            assert!(bytes[8..begin].ends_with(b" "), "padded with spaces");
            let crc = tensors.tensor("crc32").unwrap();
            assert_eq!((crc.dtype(), crc.shape()), (Dtype::U32, &[n][..]));
            for (i, crc) in crc.data().chunks(4).enumerate() {
                let image = &images.data()[i * side * side * 3..(i + 1) * side * side * 3];
                assert_eq!(
                    u32::from_le_bytes(crc.try_into().unwrap()),
                    crc32fast::hash(image)
                );
            }
            for (name, column) in [
                ("brand", &rows.brand),
                ("row", &rows.row),
                ("image", &rows.image),
            ] {
                let tensor = tensors.tensor(name).unwrap();
                assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::I64, &[n][..]));
                let values: Vec<i64> = tensor
                    .data()
                    .chunks(8)
                    .map(|value| i64::from_le_bytes(value.try_into().unwrap()))
                    .collect();
                assert_eq!(&values, column);
            }
            assert_eq!(
                std::fs::read_dir(dir.path()).unwrap().count(),
                1,
                "no temporary file is left"
            );
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let (mut file, layout) = header(3, 8);
        file.resize(layout[4].1, 0);
        assert_eq!(read_layout(&file, 3, 8), Ok(layout));
        let lie = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = file.clone();
            change(&mut file);
            read_layout(&file, 3, 8).unwrap_err()
        };
        assert!(lie(&|file| file.truncate(4700)).contains("bytes"));
        assert!(lie(&|file| file.push(0)).contains("bytes"));
        assert!(lie(&|file| file[0] ^= 0x80).contains("header"));
        let shape = file.windows(3).position(|three| three == b"[3,").unwrap() + 1;
        assert!(lie(&|file| file[shape] = b'9').contains("header"));
        assert!(read_layout(&file, 4, 8).is_err() && read_layout(&file, 3, 9).is_err());
        assert!(read_layout(&[], 3, 8).is_err());
    }
}
