//! An embedding file: the one door by which any model, from any tool, enters the evaluation.
//!
//! The file is a plain safetensors file with `embeddings` F32 `[N, D]`, `brand` I64 `[N]` and `row` I64 `[N]`. It is
//! distrusted: whatever would make a metric silently wrong is refused here, so that nothing later re-checks.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use logodex_program::durable::write_whole;

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

    /// Writes the file: to a temporary name beside it, then by rename.
    ///
    /// # Errors
    /// The set fails [`Self::check`], or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.check()?;
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
        write_whole(path, &safetensors::serialize(tensors, None)?)
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
        let file = SafeTensors::deserialize(bytes).context("it is no valid safetensors file")?;
        let embeddings = tensor(&file, "embeddings", Dtype::F32)?;
        let &[n, dim] = embeddings.shape() else {
            bail!(
                "`embeddings` has shape {:?}, expected [N, D]",
                embeddings.shape()
            );
        };
        let set = Self {
            dim,
            embeddings: little_endian(embeddings.data(), f32::from_le_bytes),
            brand: integers(&file, "brand", n)?,
            row: integers(&file, "row", n)?,
        };
        set.check()?;
        Ok(set)
    }
}

fn tensor<'a>(file: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<TensorView<'a>> {
    let Ok(tensor) = file.tensor(name) else {
        let mut names = file.names();
        names.sort_unstable();
        bail!(
            "it has no tensor `{name}`, only {names:?}; expected embeddings F32 [N, D], brand I64 [N], row I64 [N]"
        );
    };
    ensure!(
        tensor.dtype() == dtype,
        "`{name}` is {:?}, expected {dtype:?}",
        tensor.dtype()
    );
    Ok(tensor)
}

fn integers(file: &SafeTensors<'_>, name: &str, n: usize) -> Result<Vec<i64>> {
    let tensor = tensor(file, name, Dtype::I64)?;
    ensure!(
        tensor.shape() == [n],
        "`{name}` has shape {:?}, expected [{n}] as `embeddings` has {n} rows",
        tensor.shape()
    );
    Ok(little_endian(tensor.data(), i64::from_le_bytes))
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
        honest().write(&path).unwrap();
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
                    ("embeddings", Dtype::F64, vec![2, 3], vec![0; 48]),
                    brand.clone(),
                    row.clone(),
                ],
                "`embeddings` is F64, expected F32",
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
                    ("row", Dtype::I32, vec![2], vec![0; 8]),
                ],
                "`row` is I32, expected I64",
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
    }
}
