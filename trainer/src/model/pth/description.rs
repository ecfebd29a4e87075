//! A tensor and its storage as a pickle describes them.

use anyhow::{Result, bail};
use tch::Kind;

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
