//! An open dataset, and how its rows become arrays.

use std::ops::Range;
use std::sync::Arc;

use numpy::{PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::arrays::{Integers, empty, writable};
use crate::errors::{RowError, of_any, usage, with_path};
use crate::threads;

/// A dataset that `logodex-data build` made: rows of square RGB pictures, sorted by brand.
///
/// A map-style dataset as `torch.utils.data.DataLoader` takes it, in this process, forked or spawned: `d[i]` is the picture
/// of row `i`, uint8 `[side, side, 3]`; of several rows at once, uint8 `[N, side, side, 3]`. A row's CRC-32 is compared when
/// the row is first touched; pictures of raw shards are read from the mapped file.
#[pyclass(frozen, module = "logodex")]
pub struct Dataset {
    pub inner: Arc<logodex_dataset::Dataset>,
    pub brands: PyOnceLock<Py<PyAny>>,
    pub catalog: PyOnceLock<Py<PyAny>>,
}

impl Dataset {
    /// A row number as Python counts: from the end where it is negative.
    pub fn row(&self, row: i64) -> PyResult<u64> {
        let n = self.inner.n_rows();
        let from_start = if row < 0 { row + n.cast_signed() } else { row };
        match u64::try_from(from_start) {
            Ok(row) if row < n => Ok(row),
            _ => Err(self.about(RowError::new_err(format!(
                "{}: row {row} is asked for, and it has {n} rows",
                self.inner.dir().display()
            )))),
        }
    }

    /// A range of rows.
    pub fn range(&self, given: &Bound<'_, PyAny>) -> PyResult<Range<u64>> {
        let part = |name| -> PyResult<i64> { given.getattr(name)?.extract() };
        match (part("start"), part("stop"), part("step")) {
            (Ok(start), Ok(stop), Ok(1)) if 0 <= start && start <= stop => {
                Ok(start.cast_unsigned()..stop.cast_unsigned())
            }
            _ => Err(usage(format!(
                "a row or a range of rows is seen in place, as view(range(0, 100)), not {}",
                given.repr()?
            ))),
        }
    }

    /// The exception, with this dataset's path.
    pub fn about(&self, error: PyErr) -> PyErr {
        with_path(error, self.inner.dir())
    }

    pub fn pictures<'py>(
        &self,
        py: Python<'py>,
        rows: &Integers,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let numbers = rows.values.iter().map(|row| self.row(*row));
        self.gather(
            py,
            &numbers.collect::<PyResult<Vec<_>>>()?,
            &rows.shape,
            out,
        )
    }

    /// The pictures of `rows` in `out` or a new array, `[shape, side, side, 3]`, without holding the interpreter.
    pub fn gather<'py>(
        &self,
        py: Python<'py>,
        rows: &[u64],
        shape: &[usize],
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let side = self.inner.side_px();
        let shape: Vec<usize> = shape.iter().copied().chain([side, side, 3]).collect();
        let out = match out {
            Some(out) => writable(out, &shape)?,
            None => empty(py, &shape),
        };
        let mut filled = out
            .try_readwrite()
            .map_err(|_| usage("out is read-only, or in use"))?;
        let pixels = filled.as_slice_mut()?;
        py.detach(|| fill(&self.inner, rows, pixels))
            .map_err(|error| of_any(&error))?;
        drop(filled);
        Ok(out)
    }
}

/// Copies the pictures of `rows` to `out`: on all threads, or, in one of several processes, on this one.
fn fill(dataset: &logodex_dataset::Dataset, rows: &[u64], out: &mut [u8]) -> anyhow::Result<()> {
    if rows.len() > 1 && !threads::is_worker() {
        return Ok(threads::parallel(|| dataset.gather(rows, out))??);
    }
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(dataset.row_bytes())) {
        out.copy_from_slice(&dataset.pixels(row)?);
    }
    Ok(())
}
