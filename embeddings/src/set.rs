//! An embedding file: the one door by which any model, from any tool, enters the evaluation.
//!
//! The file is a plain safetensors file with `embeddings` F32 `[N, D]`, `brand` I64 `[N]` and `row` I64 `[N]`; embeddings of 64
//! or 16 bits and integers of 32 are read, too, as from `.npy`. It is distrusted: whatever would make a metric silently wrong is refused here, so that nothing later re-checks.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::npy;
use logodex_program::durable::write_whole;
use logodex_schemas::run::history::{HISTORY_KEY, History};

/// The embeddings of some rows of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSet {
    /// Embedding size D.
    pub dim: usize,
    /// `[N, D]`, row-major, as the model gave them (normalised or not).
    pub embeddings: Vec<f32>,
    /// `[N]`: the brand index of each row.
    pub brand: Vec<i64>,
    /// `[N]`: the dataset row that each embedding belongs to.
    pub row: Vec<i64>,
}

impl EmbeddingSet {
    /// Number of embeddings N.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// The embedding at `position`, `[D]`.
    pub fn embedding(&self, position: usize) -> &[f32] {
        &self.embeddings[position * self.dim..(position + 1) * self.dim]
    }

    /// The embeddings whose position `keep` accepts, in the same order.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|&i| keep(i)).collect();
        Self {
            dim: self.dim,
            embeddings: kept
                .iter()
                .flat_map(|&i| self.embedding(i).iter().copied())
                .collect(),
            brand: kept.iter().map(|&i| self.brand[i]).collect(),
            row: kept.iter().map(|&i| self.row[i]).collect(),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file and the reason when it cannot be read, is no safetensors file, lacks a tensor, has one of another
    /// type or shape, or fails [`Self::check`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("{}: cannot read the embedding file", path.display()))?;
        Self::parse(&bytes)
            .with_context(|| format!("{}: not a usable embedding file", path.display()))
    }

    /// Writes the file, with what made the embeddings was trained on where that is known: to a temporary name beside it, then
    /// by rename.
    ///
    /// # Errors
    /// The set fails [`Self::check`], or the file cannot be written.
    pub fn write(&self, path: &Path, history: Option<&History>) -> Result<()> {
        self.check()?;
        let history = history.map(serde_json::to_string).transpose()?;
        let metadata = history.map(|json| HashMap::from([(HISTORY_KEY.to_owned(), json)]));
        let n = self.len();
        let embeddings: Vec<u8> = self
            .embeddings
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let brand: Vec<u8> = self.brand.iter().flat_map(|x| x.to_le_bytes()).collect();
        let row: Vec<u8> = self.row.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensors = [
            (
                "embeddings",
                TensorView::new(Dtype::F32, vec![n, self.dim], &embeddings)?,
            ),
            ("brand", TensorView::new(Dtype::I64, vec![n], &brand)?),
            ("row", TensorView::new(Dtype::I64, vec![n], &row)?),
        ];
        write_whole(path, &safetensors::serialize(tensors, metadata)?)
    }

    /// Whether every number can be used: sizes agree, brands and rows are not negative, no row occurs twice, every
    /// value is finite and no embedding is zero (a zero vector has no direction to normalise).
    ///
    /// # Errors
    /// The first lie, with the row that tells it.
    pub fn check(&self) -> Result<()> {
        let n = self.len();
        ensure!(n > 0, "there are no embeddings (N = 0)");
        ensure!(self.dim > 0, "embeddings have no values (D = 0)");
        ensure!(
            self.brand.len() == n && self.dim.checked_mul(n) == Some(self.embeddings.len()),
            "{} values and {} brands do not fit {n} rows of {} values",
            self.embeddings.len(),
            self.brand.len(),
            self.dim
        );
        for (&row, &brand) in self.row.iter().zip(&self.brand) {
            ensure!(row >= 0, "row {row} is negative");
            ensure!(
                u32::try_from(brand).is_ok(),
                "row {row}: brand {brand} is no brand index"
            );
        }
        let mut rows = self.row.clone();
        rows.sort_unstable();
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!("row {} occurs more than once", pair[0]);
        }
        for (position, &row) in self.row.iter().enumerate() {
            let embedding = self.embedding(position);
            if let Some(bad) = embedding.iter().find(|x| !x.is_finite()) {
                bail!("row {row}: its embedding holds {bad}, which is not a finite number");
            }
            ensure!(
                embedding.iter().any(|&x| x != 0.0),
                "row {row}: its embedding is the zero vector, which cannot be normalised"
            );
        }
        Ok(())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        if npy::is_zip(bytes) {
            bail!(npy::NO_ZIP);
        }
        let file = SafeTensors::deserialize(bytes)
            .context("it is no valid safetensors file, and embeddings are .safetensors or .npy")?;
        let embeddings = tensor(&file, "embeddings")?;
        let &[n, dim] = embeddings.shape() else {
            bail!(
                "`embeddings` has shape {:?}, expected [N, D]",
                embeddings.shape()
            );
        };
        let set = Self {
            dim,
            embeddings: floats(&embeddings)?,
            brand: integers(&file, "brand", n)?,
            row: integers(&file, "row", n)?,
        };
        set.check()?;
        Ok(set)
    }
}

fn tensor<'a>(file: &SafeTensors<'a>, name: &str) -> Result<TensorView<'a>> {
    file.tensor(name).map_err(|_| {
        let mut names = file.names();
        names.sort_unstable();
        anyhow!(
            "it has no tensor `{name}`, only {names:?}; expected embeddings F32 [N, D], brand I64 [N], row I64 [N]"
        )
    })
}

fn floats(tensor: &TensorView) -> Result<Vec<f32>> {
    let bytes = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F32 => little_endian(bytes, f32::from_le_bytes),
        Dtype::F64 => little_endian(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => little_endian(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => little_endian(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        other => bail!("`embeddings` is {other:?}, expected F32, F64, F16 or BF16"),
    })
}

fn integers(file: &SafeTensors<'_>, name: &str, n: usize) -> Result<Vec<i64>> {
    let tensor = tensor(file, name)?;
    ensure!(
        tensor.shape() == [n],
        "`{name}` has shape {:?}, expected [{n}] as `embeddings` has {n} rows",
        tensor.shape()
    );
    Ok(match tensor.dtype() {
        Dtype::I64 => little_endian(tensor.data(), i64::from_le_bytes),
        Dtype::I32 => little_endian(tensor.data(), |b| i32::from_le_bytes(b).into()),
        other => bail!("`{name}` is {other:?}, expected I64 or I32"),
    })
}

fn little_endian<T, const SIZE: usize>(bytes: &[u8], number: fn([u8; SIZE]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<SIZE>()
        .0
        .iter()
        .map(|b| number(*b))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn honest() -> EmbeddingSet {
        EmbeddingSet {
            dim: 2,
            embeddings: vec![1.0, 0.0, 0.0, 2.0, -1.0, 0.5],
            brand: vec![0, 0, 4],
            row: vec![7, 8, 1],
        }
    }

    fn file(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn error_of(set: &EmbeddingSet) -> String {
        set.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.safetensors");
        honest().write(&path, None).unwrap();
        assert_eq!(EmbeddingSet::read(&path).unwrap(), honest());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_value_that_is_not_finite_is_refused_by_its_row() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut set = honest();
            set.embeddings[3] = bad;
            assert!(error_of(&set).starts_with("row 8:"), "{}", error_of(&set));
        }
    }

    #[test]
    fn a_zero_vector_is_refused_by_its_row() {
        let mut set = honest();
        set.embeddings[4..].fill(0.0);
        assert!(error_of(&set).starts_with("row 1:"), "{}", error_of(&set));
    }

    #[test]
    fn a_row_that_occurs_twice_or_is_negative_is_refused() {
        let mut set = honest();
        set.row[2] = 7;
        assert_eq!(error_of(&set), "row 7 occurs more than once");
        set.row[2] = -7;
        assert_eq!(error_of(&set), "row -7 is negative");
    }

    #[test]
    fn a_brand_that_is_no_index_is_refused() {
        for brand in [-1, 1 << 32] {
            let mut set = honest();
            set.brand[1] = brand;
            assert!(error_of(&set).contains("is no brand index"));
        }
    }

    #[test]
    fn an_empty_file_is_refused() {
        let mut set = honest().filter(|_| false);
        assert!(error_of(&set).contains("N = 0"));
        set = honest();
        set.dim = 0;
        set.embeddings.clear();
        assert!(error_of(&set).contains("D = 0"));
    }

    #[test]
    fn lies_about_type_shape_and_presence_are_refused() {
        let floats = |n: usize| vec![63u8; 4 * n];
        let ints = |n: usize| vec![0u8; 8 * n];
        let row2 = [1i64, 2]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>();
        let good = ("embeddings", Dtype::F32, vec![2, 3], floats(6));
        let brand = ("brand", Dtype::I64, vec![2], ints(2));
        let row = ("row", Dtype::I64, vec![2], row2);
        assert!(EmbeddingSet::parse(&file(&[good.clone(), brand.clone(), row.clone()])).is_ok());
        let cases = [
            (vec![brand.clone(), row.clone()], "no tensor `embeddings`"),
            (vec![good.clone(), brand.clone()], "no tensor `row`"),
            (
                vec![
                    ("embeddings", Dtype::I8, vec![2, 3], vec![0; 6]),
                    brand.clone(),
                    row.clone(),
                ],
                "`embeddings` is I8, expected F32, F64, F16 or BF16",
            ),
            (
                vec![
                    ("embeddings", Dtype::F32, vec![6], floats(6)),
                    brand.clone(),
                    row.clone(),
                ],
                "expected [N, D]",
            ),
            (
                vec![
                    good.clone(),
                    ("brand", Dtype::I64, vec![3], ints(3)),
                    row.clone(),
                ],
                "expected [2]",
            ),
            (
                vec![
                    good.clone(),
                    brand.clone(),
                    ("row", Dtype::U8, vec![2], vec![0; 2]),
                ],
                "`row` is U8, expected I64 or I32",
            ),
        ];
        for (tensors, expected) in cases {
            let error = format!("{:#}", EmbeddingSet::parse(&file(&tensors)).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
        let error = format!(
            "{:#}",
            EmbeddingSet::parse(b"not a tensor in sight").unwrap_err()
        );
        assert!(error.contains("no valid safetensors"), "{error}");
        let error = format!("{:#}", EmbeddingSet::parse(b"PK\x03\x04").unwrap_err());
        assert!(
            error.contains("zip archive") && error.contains(".npz"),
            "{error}"
        );
    }

    #[test]
    fn numbers_of_other_widths_are_read_and_what_fp32_cannot_hold_is_refused() {
        let values = [1.0f32, -2.5, 0.15625, 4.0];
        let of = |bytes: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|x| bytes(*x)).collect();
        let narrow = |n: i32| n.to_le_bytes().to_vec();
        let read = |dtype, data: Vec<u8>| {
            EmbeddingSet::parse(&file(&[
                ("embeddings", dtype, vec![2, 2], data),
                (
                    "brand",
                    Dtype::I32,
                    vec![2],
                    [narrow(0), narrow(1)].concat(),
                ),
                ("row", Dtype::I32, vec![2], [narrow(7), narrow(9)].concat()),
            ]))
        };
        for (dtype, data) in [
            (Dtype::F64, of(&|x| f64::from(x).to_le_bytes().to_vec())),
            (Dtype::F16, of(&|x| f16::from_f32(x).to_le_bytes().to_vec())),
            (
                Dtype::BF16,
                of(&|x| bf16::from_f32(x).to_le_bytes().to_vec()),
            ),
        ] {
            let set = read(dtype, data).unwrap();
            assert_eq!(
                (set.embeddings, set.row),
                (values.to_vec(), vec![7, 9]),
                "{dtype:?}"
            );
        }
        let large = (0..4).flat_map(|_| 1e300f64.to_le_bytes()).collect();
        let error = format!("{:#}", read(Dtype::F64, large).unwrap_err());
        assert!(
            error.contains("row 7") && error.contains("not a finite number"),
            "{error}"
        );
    }
}
