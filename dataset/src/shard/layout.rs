//! Where everything lies in a shard: its tensors, their order, and the header that says so.
//!
//! A shard is an ordinary safetensors file, written in one way only: the tensors in the order of [`ShardEntry`], the
//! header padded with spaces to a page boundary. So the header is a function of the number of rows and their lengths, and
//! a reader compares bytes where others would have to parse what they distrust.
//!
//! [`ShardEntry`]: logodex_schemas::dataset::ShardEntry

use logodex_schemas::dataset::Encoding;

/// The rows begin at a multiple of this many bytes, so that they can be mapped and read without a copy.
pub const ALIGNMENT: usize = 4096;

/// The I64 columns, in their order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Brand index, counted from the shard's first.
    Brand,
    /// Row number, counted from the shard's first.
    Row,
    /// Number of the source image, counted from the shard's first.
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

/// A tensor's name, and its part of the header.
type Entry = (&'static str, String);

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
    /// Where the rows end, and what says where they lie, their checksums and numbers begin.
    pub columns_begin: usize,
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
    let (bytes, layout, _) = header_and_entries(n, stored);
    (bytes, layout)
}

fn header_and_entries(n: u64, stored: Stored) -> (Vec<u8>, Layout, Vec<Entry>) {
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
        let entry = format!(
            r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#
        );
        entries.push((name, entry));
    }
    let texts: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
    let json = format!("{{{}}}", texts.join(","));
    let length = (8 + json.len()).next_multiple_of(ALIGNMENT) - 8;
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(8 + length, b' ');
    let begins: Vec<usize> = begins.iter().map(|begin| begin + bytes.len()).collect();
    let after = begins.len() - 5;
    let layout = Layout {
        rows: begins[0],
        columns_begin: begins[1],
        offsets: matches!(stored, Stored::Jpeg { .. }).then(|| begins[1]),
        crc32: begins[after],
        columns: [1, 2, 3, 4].map(|i| begins[after + i]),
        end: end as usize + bytes.len(),
    };
    (bytes, layout, entries)
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
    let (expected, layout, entries) = header_and_entries(n, stored);
    if file.len() != layout.end {
        return Err(format!(
            "it has {} bytes where {n} rows of side {side} take {}",
            file.len(),
            layout.end
        ));
    }
    let found = &file[..expected.len()];
    if found != expected {
        let other = entries.iter().find(|(_, entry)| !contains(found, entry));
        let which = other.map_or(String::new(), |(name, _)| format!(": see tensor `{name}`"));
        return Err(format!(
            "its safetensors header is not that of {n} rows of side {side}{which}"
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

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The little-endian number at a place in a file, which must lie in it.
pub(crate) fn u64_at(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| file[at + i]))
}

#[cfg(test)]
mod tests;
