//! Embedding files of any tool, matched to the rows of a dataset: what does not fit is refused by name.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use logodex_schemas::dataset::Region;
use logodex_schemas::split::Fold;

use logodex_dataset::{Dataset, Split};
use logodex_embeddings::npy;
use logodex_embeddings::set::EmbeddingSet;
use logodex_program::Failure;

/// What is judged: the rows of the test brands, and of the validation brands where there are any.
#[derive(Debug)]
pub struct Rows {
    /// Test rows.
    pub test: EmbeddingSet,
    /// Validation rows.
    pub val: Option<EmbeddingSet>,
    /// What was left out, for a person.
    pub notices: Vec<String>,
}

impl Rows {
    /// Those that show whole images, or those that show objects. None when no test row does.
    pub fn of_region(&self, dataset: &Dataset, region: Region) -> Option<Self> {
        let filter = |set: &EmbeddingSet| {
            let kept = set.filter(|i| {
                dataset.shows_object(set.row[i].cast_unsigned()) == (region == Region::Object)
            });
            (!kept.is_empty()).then_some(kept)
        };
        Some(Self {
            test: filter(&self.test)?,
            val: self.val.as_ref().and_then(filter),
            notices: Vec::new(),
        })
    }
}

/// Reads embedding files, puts them together and matches their rows to the dataset.
///
/// A `.npy` file holds embeddings alone: the file of `rows` in the same place says which rows they are of.
///
/// # Errors
/// [`Failure::Usage`] naming the file and what does not fit.
pub fn read(paths: &[PathBuf], rows: &[PathBuf], dataset: &Dataset, split: &Split) -> Result<Rows> {
    let mut all: Option<EmbeddingSet> = None;
    let mut rows = rows.iter();
    for path in paths {
        let set = match is_npy(path) {
            false => EmbeddingSet::read(path),
            true => match rows.next() {
                Some(rows) => read_npy(path, rows, dataset),
                None => Err(anyhow::anyhow!(
                    "{}: a .npy file does not say which rows its embeddings are of; give --rows FILE.npy (int64) or FILE.csv (a column `row`) for it",
                    path.display()
                )),
            },
        }
        .map_err(|e| Failure::Usage(format!("{e:#}")))?;
        match_rows(&set, dataset)
            .map_err(|reason| Failure::Usage(format!("{}: {reason}", path.display())))?;
        all = Some(match all {
            None => set,
            Some(first) => join(first, set)
                .map_err(|reason| Failure::Usage(format!("{}: {reason}", path.display())))?,
        });
    }
    let all = all.context("no embedding file was given")?;
    if let Some(left) = rows.next() {
        return Err(Failure::Usage(format!(
            "{}: --rows is for .npy files, and there is none for it",
            left.display()
        ))
        .into());
    }
    // Two files may each be right and still hold the same row.
    all.check()
        .map_err(|e| Failure::Usage(format!("the embedding files together: {e}")))?;
    sort_by_fold(&all, dataset, split).map_err(|reason| Failure::Usage(reason).into())
}

/// Embeddings `[N, dim]` that are in memory, and the dataset rows that they are of.
///
/// # Errors
/// [`Failure::Usage`] naming what does not fit.
pub fn in_memory(
    embeddings: Vec<f32>,
    dim: usize,
    row: Vec<i64>,
    dataset: &Dataset,
    split: &Split,
) -> Result<Rows> {
    let set = with_brands(embeddings, dim, row, dataset);
    let usage = |reason: String| anyhow::Error::from(Failure::Usage(reason));
    set.check().map_err(|e| usage(format!("{e:#}")))?;
    match_rows(&set, dataset).map_err(usage)?;
    sort_by_fold(&set, dataset, split).map_err(usage)
}

/// The dataset says of which brand a row is.
fn with_brands(embeddings: Vec<f32>, dim: usize, row: Vec<i64>, dataset: &Dataset) -> EmbeddingSet {
    let brand_of = |&row: &i64| match row.cast_unsigned() < dataset.n_rows() {
        true => i64::from(dataset.brand_of(row.cast_unsigned())),
        // Refused with its number when rows are matched.
        false => 0,
    };
    EmbeddingSet {
        dim,
        embeddings,
        brand: row.iter().map(brand_of).collect(),
        row,
    }
}

/// Whether a file is one of NumPy's, by its name or its content.
fn is_npy(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(6).read_to_end(&mut start));
    path.extension().is_some_and(|e| e == "npy") || (read.is_ok() && npy::is_npy(&start))
}

/// Embeddings from a `.npy` file and the rows that they are of from another, or from a CSV with a column `row`. The
/// dataset says of which brand a row is.
fn read_npy(path: &Path, rows: &Path, dataset: &Dataset) -> Result<EmbeddingSet> {
    let bytes = |path: &Path| {
        std::fs::read(path).with_context(|| format!("{}: cannot read the file", path.display()))
    };
    let unusable = |path: &Path| format!("{}: not usable", path.display());
    let (embeddings, dim) = npy::floats(&bytes(path)?).with_context(|| unusable(path))?;
    let listed = bytes(rows)?;
    let row = match is_npy(rows) || npy::is_zip(&listed) {
        true => npy::integers(&listed),
        false => csv_rows(&listed),
    }
    .with_context(|| unusable(rows))?;
    ensure!(
        dim.checked_mul(row.len()) == Some(embeddings.len()),
        "{}: it lists {} rows, but {} holds {} embeddings",
        rows.display(),
        row.len(),
        path.display(),
        embeddings.len() / dim.max(1)
    );
    let set = with_brands(embeddings, dim, row, dataset);
    set.check().with_context(|| unusable(path))?;
    Ok(set)
}

/// The column `row` of a CSV file.
fn csv_rows(bytes: &[u8]) -> Result<Vec<i64>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let place = reader
        .headers()?
        .iter()
        .position(|name| name.trim() == "row");
    let place = place.context("it has no column `row`")?;
    reader
        .records()
        .map(|record| {
            let record = record?;
            let cell = record.get(place).unwrap_or_default();
            cell.trim().parse().with_context(|| {
                let line = record.position().map_or(0, csv::Position::line);
                format!("line {line}: {cell:?} is no row number")
            })
        })
        .collect()
}

fn join(mut first: EmbeddingSet, second: EmbeddingSet) -> Result<EmbeddingSet, String> {
    if first.dim != second.dim {
        return Err(format!(
            "embeddings of {} values cannot be put together with the first file's of {}",
            second.dim, first.dim
        ));
    }
    first.embeddings.extend(second.embeddings);
    first.brand.extend(second.brand);
    first.row.extend(second.row);
    Ok(first)
}

/// Every row must exist and belong to the brand that the file says.
fn match_rows(set: &EmbeddingSet, dataset: &Dataset) -> Result<(), String> {
    for (&row, &brand) in set.row.iter().zip(&set.brand) {
        let n_rows = dataset.n_rows();
        if row.cast_unsigned() >= n_rows {
            return Err(format!(
                "row {row} is not in the dataset, whose rows are 0 to {}",
                n_rows.saturating_sub(1)
            ));
        }
        let truth = dataset.brand_of(row.cast_unsigned());
        if i64::from(truth) != brand {
            return Err(format!(
                "row {row} has brand {brand}, but in the dataset it is of brand {truth} ({:?}): the file was made for another build",
                dataset.brands()[truth as usize].brand
            ));
        }
    }
    Ok(())
}

fn sort_by_fold(all: &EmbeddingSet, dataset: &Dataset, split: &Split) -> Result<Rows, String> {
    let of = |fold: Fold| all.filter(|i| split.folds()[all.brand[i] as usize] == Some(fold));
    // Where none shows objects, or none a whole picture, these are not judged, and so not missing.
    let shown = [false, true].map(|object| {
        let mut rows = all.row.iter().map(|row| row.cast_unsigned());
        rows.any(|row| dataset.shows_object(row) == object)
    });
    let expected = |fold: Fold| {
        let rows = dataset.rows(&dataset.fold(split, fold), Region::Both);
        let shown = |row: &&u64| shown[usize::from(dataset.shows_object(**row))];
        rows.iter().filter(shown).count() as u64
    };
    let (test, val, train) = (of(Fold::Test), of(Fold::Val), of(Fold::Train));
    if test.is_empty() {
        return Err(format!(
            "none of the {} embeddings belongs to a test brand of split {:?}",
            all.len(),
            split.info.name
        ));
    }
    let mut notices = Vec::new();
    if !train.is_empty() {
        notices.push(format!(
            "{} embeddings of training brands are not used",
            train.len()
        ));
    }
    for (fold, set) in [(Fold::Test, &test), (Fold::Val, &val)] {
        let (found, expected) = (set.len() as u64, expected(fold));
        if 0 < found && found < expected {
            notices.push(format!(
                "{} of the {expected} {} rows have no embedding: the result cannot be compared with one over all rows",
                expected - found,
                fold.name()
            ));
        }
    }
    Ok(Rows {
        test,
        val: Some(val).filter(|val| !val.is_empty()),
        notices,
    })
}
