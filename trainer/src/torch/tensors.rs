//! Named tensors in safetensors files with deterministic bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use logodex_schemas::run::history::{HISTORY_KEY, History};
use safetensors::tensor::{Dtype, SafeTensors, View};
use tch::{Device, Kind, Tensor};

/// Writes named tensors as one safetensors file: contiguous whatever their memory format, and the same bytes for the
/// same tensors (ordered by element size, then name; no metadata).
///
/// # Errors
/// The file cannot be written, or a tensor's kind has no safetensors counterpart.
pub fn save_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    save(path, tensors, None)
}

/// As [`save_tensors`], with what they were trained on in the file's metadata.
///
/// # Errors
/// As there.
pub fn save_with_history(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    history: &History,
) -> Result<()> {
    let json = serde_json::to_string(history)?;
    let metadata = HashMap::from([(HISTORY_KEY.to_owned(), json)]);
    save(path, tensors, Some(metadata))
}

fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: Option<HashMap<String, String>>,
) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            let view = TensorBytes::new(tensor).with_context(|| format!("tensor {name}"))?;
            Ok((name, view))
        })
        .collect::<Result<Vec<_>>>()
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    safetensors::serialize_to_file(views, metadata, path)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Reads every tensor of a safetensors file onto the CPU.
///
/// # Errors
/// The file cannot be read, is no valid safetensors file, or has a kind that libtorch does not know.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("{}: is not a valid safetensors file", path.display()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let tensor = kind_of(view.dtype())
            .and_then(|kind| {
                let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
                Ok(Tensor::f_from_data_size(view.data(), &size, kind)?)
            })
            .with_context(|| format!("{}: tensor {name}", path.display()))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Whether every number is finite, as every whole number is.
pub fn is_finite(tensor: &Tensor) -> bool {
    tensor.detach().isfinite().all().int64_value(&[]) != 0
}

/// A tensor as safetensors wants to see it; its bytes are copied out only when its turn comes.
struct TensorBytes {
    tensor: Tensor,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl TensorBytes {
    fn new(tensor: &Tensor) -> Result<Self> {
        Ok(Self {
            tensor: tensor.detach(),
            shape: tensor.size().iter().map(|&n| n as usize).collect(),
            dtype: dtype_of(tensor.kind())?,
        })
    }
}

impl View for TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let contiguous = self.tensor.to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; self.data_len()];
        contiguous.copy_data_u8(&mut bytes, contiguous.numel());
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

/// The kinds that a safetensors file and libtorch share.
const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Bool, Dtype::BOOL),
    (Kind::Uint8, Dtype::U8),
    (Kind::Int8, Dtype::I8),
    (Kind::Int16, Dtype::I16),
    (Kind::Int, Dtype::I32),
    (Kind::Int64, Dtype::I64),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
];

pub(crate) fn dtype_of(kind: Kind) -> Result<Dtype> {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found
        .map(|(_, dtype)| *dtype)
        .with_context(|| format!("safetensors has no kind {kind:?}"))
}

fn kind_of(dtype: Dtype) -> Result<Kind> {
    let found = KINDS.iter().find(|(_, known)| *known == dtype);
    found
        .map(|(kind, _)| *kind)
        .with_context(|| format!("libtorch has no dtype {dtype:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::channels_last;

    #[test]
    fn tensors_keep_their_bits_kinds_and_shapes_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let images = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).view([2, 3, 4, 5]);
        let tensors = BTreeMap::from([
            ("b.images".to_owned(), channels_last(&images)),
            ("a.count".to_owned(), Tensor::from(7_i64)),
            (
                "c.half".to_owned(),
                Tensor::from_slice(&[1.5_f32, -2.0]).to_kind(Kind::BFloat16),
            ),
            (
                "d.empty".to_owned(),
                Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)),
            ),
        ]);
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        save_tensors(&one, &tensors).unwrap();
        let read = load_tensors(&one).unwrap();
        assert_eq!(
            read.keys().collect::<Vec<_>>(),
            tensors.keys().collect::<Vec<_>>()
        );
        for (name, tensor) in &tensors {
            assert_eq!(read[name].kind(), tensor.kind(), "{name}");
            assert_eq!(read[name], *tensor, "{name}");
        }
        save_tensors(&two, &read).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.safetensors");
        assert!(
            format!("{:#}", load_tensors(&path).unwrap_err()).contains("broken.safetensors"),
            "missing"
        );
        std::fs::write(&path, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
        let message = format!("{:#}", load_tensors(&path).unwrap_err());
        assert!(message.contains("broken.safetensors"), "{message}");
    }
}
