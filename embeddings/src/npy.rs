//! NumPy's `.npy` files, as far as embeddings and row numbers need them: little-endian, row-major, versions 1 to 3
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use anyhow::{Context, Result, bail, ensure};
use half::f16;

const MAGIC: &[u8] = b"\x93NUMPY";
/// What is said of a zip archive.
pub const NO_ZIP: &str = "it is a zip archive, as NumPy's .npz and torch.save are; save the array alone: numpy.save(\"mine.npy\", numpy.load(\"mine.npz\")[\"embeddings\"])";

/// Whether a file begins as a `.npy` does.
pub fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Whether a file begins as a zip archive does.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// A parsed header and the bytes behind it.
#[derive(Debug)]
struct Array<'a> {
    descr: String,
    shape: Vec<usize>,
    data: &'a [u8],
}

/// A matrix of floats `[N, D]` (`float32`, `float64` or `float16`), and D.
///
/// # Errors
/// Another type, shape or order, or a length that does not fit.
pub fn floats(bytes: &[u8]) -> Result<(Vec<f32>, usize)> {
    let array = parse(bytes)?;
    let &[_, dim] = array.shape.as_slice() else {
        bail!("it has shape {:?}, expected [N, D]", array.shape);
    };
    let values = match array.descr.as_str() {
        "<f4" => numbers(&array, f32::from_le_bytes)?,
        "<f8" => numbers(&array, |b| f64::from_le_bytes(b) as f32)?,
        "<f2" => numbers(&array, |b| f16::from_le_bytes(b).to_f32())?,
        other => bail!("its numbers are {other:?}, expected float32, float64 or float16"),
    };
    Ok((values, dim))
}

/// A list of integers `[N]` (`int64` or `int32`).
///
/// # Errors
/// As [`floats`].
pub fn integers(bytes: &[u8]) -> Result<Vec<i64>> {
    let array = parse(bytes)?;
    ensure!(
        array.shape.len() == 1,
        "it has shape {:?}, expected [N]",
        array.shape
    );
    match array.descr.as_str() {
        "<i8" => numbers(&array, i64::from_le_bytes),
        "<i4" => numbers(&array, |b| i64::from(i32::from_le_bytes(b))),
        other => bail!("its numbers are {other:?}, expected int64 or int32"),
    }
}

/// A file of a matrix `[N, D]`, `float32`.
pub fn of_floats(values: &[f32], dim: usize) -> Vec<u8> {
    let shape = format!("({}, {dim})", values.len() / dim.max(1));
    let data = values.iter().flat_map(|value| value.to_le_bytes());
    written("<f4", &shape, data)
}

/// A file of a list `[N]`, `int64`.
pub fn of_integers(values: &[i64]) -> Vec<u8> {
    let data = values.iter().flat_map(|value| value.to_le_bytes());
    written("<i8", &format!("({},)", values.len()), data)
}

fn written(descr: &str, shape: &str, data: impl Iterator<Item = u8>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version, length and header, closed by a newline, are a multiple of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(data);
    bytes
}

fn numbers<T, const SIZE: usize>(
    array: &Array,
    number: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>> {
    let expected = array
        .shape
        .iter()
        .try_fold(SIZE, |n, side| n.checked_mul(*side));
    ensure!(
        expected == Some(array.data.len()),
        "it holds {} bytes of numbers, which do not fit its shape {:?}",
        array.data.len(),
        array.shape
    );
    Ok(array
        .data
        .as_chunks::<SIZE>()
        .0
        .iter()
        .map(|b| number(*b))
        .collect())
}

fn parse(bytes: &[u8]) -> Result<Array<'_>> {
    ensure!(!is_zip(bytes), NO_ZIP);
    let rest = bytes.strip_prefix(MAGIC).context("it is no .npy file")?;
    let cut = "it ends within its header";
    let &[major, _, ref rest @ ..] = rest else {
        bail!("{cut}");
    };
    let (length, rest) = match major {
        1 => rest
            .split_first_chunk::<2>()
            .map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
        2 | 3 => rest
            .split_first_chunk::<4>()
            .map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        _ => bail!("it is of .npy version {major}, expected 1, 2 or 3"),
    }
    .context(cut)?;
    let (header, data) = rest.split_at_checked(length).context(cut)?;
    let header = std::str::from_utf8(header).context("its header is no text")?;
    // The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
    let after = |key: &str| -> Result<&str> {
        let (_, rest) = header
            .split_once(&format!("'{key}':"))
            .with_context(|| format!("its header lacks {key:?}"))?;
        Ok(rest.trim_start())
    };
    ensure!(
        after("fortran_order")?.starts_with("False"),
        "it is in Fortran's order; save numpy.ascontiguousarray(…)"
    );
    let descr = after("descr")?.split('\'').nth(1);
    let shape = after("shape")?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .context("its shape is no tuple")?
        .0;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("its shape is no tuple of integers")?;
    Ok(Array {
        descr: descr
            .context("its type is a record, not a number")?
            .to_owned(),
        shape,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As numpy 2.4 writes it.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let padded = format!("{header:<117}\n");
        bytes.extend((padded.len() as u16).to_le_bytes());
        bytes.extend(padded.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    }

    #[test]
    fn floats_of_three_widths_and_integers_of_two_are_read() {
        let data: Vec<u8> = [1.0f32, -2.5, 0.1, 4.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let read = floats(&file(&header("<f4", "(2, 2)"), &data)).unwrap();
        assert_eq!(read, (vec![1.0, -2.5, 0.1, 4.0], 2));
        let data: Vec<u8> = [0.5f64, 0.1].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(
            floats(&file(&header("<f8", "(1, 2)"), &data)).unwrap().0,
            [0.5, 0.1]
        );
        // 1, −2, 65504, the smallest subnormal.
        let data: Vec<u8> = [0x3c00u16, 0xc000, 0x7bff, 1]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(
            floats(&file(&header("<f2", "(4, 1)"), &data)).unwrap().0,
            [1.0, -2.0, 65504.0, 2f32.powi(-24)]
        );
        let data: Vec<u8> = [7i64, 9].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(
            integers(&file(&header("<i8", "(2,)"), &data)).unwrap(),
            [7, 9]
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let values = [1.0, -2.5, 0.1, 4.0, 5.0, 6.0];
        assert_eq!(
            floats(&of_floats(&values, 3)).unwrap(),
            (values.to_vec(), 3)
        );
        assert_eq!(integers(&of_integers(&[7, -9])).unwrap(), [7, -9]);
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let numpys = file(&header("<f4", "(2, 3)"), &data);
        assert_eq!(of_floats(&values, 3), numpys, "as NumPy writes it");
    }

    #[test]
    fn lies_and_other_kinds_are_refused_with_their_reason() {
        let refused = |bytes: &[u8]| format!("{:#}", floats(bytes).unwrap_err());
        assert!(refused(b"PK").contains("no .npy file"));
        assert!(refused(b"PK\x03\x04\x14").contains("NumPy's .npz"));
        assert!(refused(b"\x93NUMPY\x01\x00\xff\xff").contains("ends within"));
        assert!(refused(&file(&header("<f4", "(2, 2)"), &[0; 12])).contains("do not fit"));
        assert!(
            refused(&file(&header("<f4", "(4294967296, 4294967296)"), &[])).contains("do not fit")
        );
        assert!(refused(&file(&header("<f4", "(4,)"), &[0; 16])).contains("[N, D]"));
        assert!(refused(&file(&header(">f4", "(1, 1)"), &[0; 4])).contains(">f4"));
        let fortran = header("<f4", "(1, 1)").replace("False", "True");
        assert!(refused(&file(&fortran, &[0; 4])).contains("Fortran"));
        assert!(integers(&file(&header("<f4", "(1,)"), &[0; 4])).is_err());
    }
}
