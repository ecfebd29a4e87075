//! A tensor and its storage as a pickle describes them.

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

/// A tensor as the pickle describes it: a view of a storage, in elements. Nothing here is checked against the storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    pub(super) storage: Storage,
    pub(super) offset: i64,
    pub(super) size: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

/// The file's entry `data/<key>`: `numel` numbers of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) numel: i64,
}

/// The kind of number in torch's storage of this name.
pub(super) fn storage_kind(name: &str) -> Result<Kind> {
    Ok(match name {
        "FloatStorage" => Kind::Float,
        "DoubleStorage" => Kind::Double,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        _ => bail!(
            "a tensor is a torch.{}, which is not read",
            name.escape_debug()
        ),
    })
}

/// The tensor that a checked description makes of its storage's numbers.
pub(super) fn view(numbers: &Tensor, description: &Description) -> Result<Tensor> {
    let Description {
        size,
        stride,
        offset,
        ..
    } = description;
    Ok(numbers.f_as_strided(size, stride, *offset)?)
}

/// Does the view lie within its storage?
pub(super) fn check(description: &Description) -> Result<()> {
    let Description {
        storage,
        offset,
        size,
        stride,
    } = description;
    let all = || size.iter().zip(stride);
    ensure!(
        size.len() == stride.len() && *offset >= 0 && all().all(|(n, step)| *n >= 0 && *step >= 0),
        "its size {size:?}, stride {stride:?} and offset {offset} are no view"
    );
    let last = all().try_fold(*offset, |last, (n, step)| {
        last.checked_add((n - 1).checked_mul(*step)?)
    });
    let count = size
        .iter()
        .try_fold(1_i64, |count, n| count.checked_mul(*n));
    let fits = match (count, last) {
        (Some(0), _) => *offset <= storage.numel,
        (Some(_), Some(last)) => last < storage.numel,
        _ => false,
    };
    ensure!(
        fits,
        "its size {size:?}, stride {stride:?} and offset {offset} reach beyond its storage of {}",
        storage.numel
    );
    Ok(())
}

/// In bytes.
pub(super) fn length_of(storage: &Storage) -> Result<u64> {
    u64::try_from(storage.numel)
        .ok()
        .and_then(|n| n.checked_mul(storage.kind.elt_size_in_bytes() as u64))
        .context("its storage has no sensible length")
}
