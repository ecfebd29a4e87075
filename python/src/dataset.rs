//! What Python asks of `logodex.Dataset`.

use std::path::PathBuf;
use std::sync::Arc;

use logodex_dataset::Encoding;
use numpy::ndarray::{ArrayViewD, IxDyn};
use numpy::{PyArray1, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple, PyType};

use crate::arrays::{Key, integers, key};
use crate::errors::{of_dataset, usage};
use crate::opened::Dataset;
use crate::split::Split;

#[pymethods]
impl Dataset {
    #[new]
    fn new(path: PathBuf) -> PyResult<Self> {
        let inner = logodex_dataset::Dataset::open(&path).map_err(|e| of_dataset(&e))?;
        Ok(Self {
            inner: Arc::new(inner),
            brands: PyOnceLock::new(),
            catalog: PyOnceLock::new(),
        })
    }

    /// The directory that it was opened from.
    #[getter]
    fn path(&self) -> PathBuf {
        self.inner.dir().to_owned()
    }

    /// Side of the square pictures, pixels.
    #[getter]
    fn side(&self) -> usize {
        self.inner.side_px()
    }

    /// BLAKE3 of the manifest, hexadecimal: two datasets are equal where it is.
    #[getter]
    fn identity(&self) -> &str {
        self.inner.manifest_blake3()
    }

    /// Every brand; that of label `i` is at place `i`.
    #[getter]
    fn brands<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = self.brands.get_or_try_init(py, || {
            let brand = py.import("logodex.catalog")?.getattr("Brand")?;
            let all = self.inner.brands().iter().map(|row| {
                let fields = PyDict::new(py);
                fields.set_item("index", row.index)?;
                fields.set_item("category", &row.category)?;
                fields.set_item("brand", &row.brand)?;
                fields.set_item("key", &row.key)?;
                fields.set_item("first_row", row.first_row)?;
                fields.set_item("n_rows", row.n_rows)?;
                fields.set_item("n_images", row.n_images)?;
                fields.set_item("n_objects", row.n_objects)?;
                brand.call((), Some(&fields))
            });
            let all = all.collect::<PyResult<Vec<_>>>()?;
            PyResult::Ok(PyTuple::new(py, all)?.into_any().unbind())
        })?;
        Ok(made.bind(py).clone())
    }

    /// `catalog.parquet`, a line for each row: a frame of polars or, where that is not installed, of pandas.
    #[getter]
    fn catalog<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = self.catalog.get_or_try_init(py, || {
            let bytes = py.detach(|| self.inner.tables().listed("catalog.parquet"));
            let bytes = PyBytes::new(py, &bytes.map_err(|e| of_dataset(&e))?);
            let read = py.import("logodex.catalog")?.getattr("of_parquet")?;
            PyResult::Ok(read.call1((bytes,))?.unbind())
        })?;
        Ok(made.bind(py).clone())
    }

    /// The brand of each row, int64 `[N]`.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let brands = self.inner.brands().iter();
        let labels = brands
            .flat_map(|brand| std::iter::repeat_n(i64::from(brand.index), brand.n_rows as usize));
        PyArray1::from_iter(py, labels)
    }

    /// The number of the source image of each row, int64 `[N]`: crops of one picture share it.
    #[getter]
    fn images<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let rows = 0..self.inner.n_rows();
        PyArray1::from_iter(py, rows.map(|row| self.inner.image_of(row)))
    }

    /// Whether each row shows one object, bool `[N]`; else it shows a whole picture.
    #[getter]
    fn objects<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        let rows = 0..self.inner.n_rows();
        PyArray1::from_iter(py, rows.map(|row| self.inner.shows_object(row)))
    }

    /// The rows of each shard, as ranges: `view` shows neighbours of one shard.
    #[getter]
    fn shards<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let range = py.import("builtins")?.getattr("range")?;
        let shards = self.inner.manifest().shards.iter();
        let ranges = shards.map(|s| range.call1((s.first_row, s.first_row + s.n_rows)));
        PyList::new(py, ranges.collect::<PyResult<Vec<_>>>()?)
    }

    /// The names of its splits.
    #[getter]
    fn splits(&self) -> Vec<String> {
        logodex_dataset::Split::names(self.inner.dir())
    }

    fn __len__(&self) -> usize {
        self.inner.n_rows() as usize
    }

    fn __getitem__<'py>(&self, rows: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        match key(rows, self.__len__())? {
            Key::One(row) => self.gather(rows.py(), &[self.row(row)?], &[], None),
            Key::Many(rows_given) => self.pictures(rows.py(), &rows_given, None),
        }
    }

    /// What `torch.utils.data.DataLoader` asks for: the samples of a batch, read together.
    fn __getitems__<'py>(&self, rows: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let pictures = self.pictures(rows.py(), &integers(rows)?, None)?;
        pictures.try_iter()?.collect()
    }

    /// The pictures of `rows`, uint8 `[N, side, side, 3]`, read on all threads while Python goes on.
    ///
    /// Args:
    ///     rows: integers in a list, range, array or tensor; in another shape than `[N]`, pictures come in that shape.
    ///     out: uint8 of that shape, C-contiguous, to be filled instead of a new array: an array, or a tensor of the CPU.
    ///
    /// Raises:
    ///     RowError: a row that is not there.
    ///     CorruptError: a row whose bytes are not those that were written.
    #[pyo3(signature = (rows, out=None))]
    fn batch<'py>(
        &self,
        rows: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pictures = self.pictures(rows.py(), &integers(rows)?, out)?;
        Ok(out.cloned().unwrap_or(pictures.into_any()))
    }

    /// Pictures where they lie in their shard, without a copy: read-only uint8 `[side, side, 3]` of a row, or
    /// `[N, side, side, 3]` of a range of rows of one shard. The rows' checksums are compared first.
    ///
    /// Raises:
    ///     UsageError: rows of several shards, or rows that are JPEGs.
    ///     RowError, CorruptError: as `batch`.
    fn view<'py>(
        slf: &Bound<'py, Self>,
        rows: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let this = slf.get();
        let (rows, count) = match rows.extract::<i64>() {
            Ok(row) => {
                let row = this.row(row)?;
                (row..row + 1, None)
            }
            Err(_) => {
                let range = this.range(rows)?;
                let n = (range.end - range.start) as usize;
                (range, Some(n))
            }
        };
        let pixels = this
            .inner
            .stored_rows(rows.clone())
            .map_err(|e| of_dataset(&e))?;
        let pixels = pixels.ok_or_else(|| {
            let said = match this.inner.manifest().encoding {
                Encoding::Jpeg => {
                    "its rows are JPEGs, which have no pixels to be seen in place; take d[row]"
                        .to_owned()
                }
                _ => format!(
                    "rows {} to {} are of several shards; d.shards says which are of one",
                    rows.start,
                    rows.end - 1
                ),
            };
            this.about(usage(said))
        })?;
        let side = this.side();
        let shape: Vec<usize> = count.into_iter().chain([side, side, 3]).collect();
        let view = ArrayViewD::from_shape(IxDyn(&shape), pixels)
            .map_err(|error| usage(error.to_string()))?;
        // SAFETY: the mapping lives as long as the dataset, which the array keeps alive; it is never written, and the array is
        // made read-only before anyone sees it.
        let array = unsafe { PyArrayDyn::borrow_from_array(&view, slf.clone().into_any()) };
        array.call_method1("setflags", (false,))?;
        Ok(array)
    }

    /// The split of this name.
    ///
    /// Raises:
    ///     NotFoundError: there is none; the message lists those that there are.
    ///     CorruptError: it was drawn for another dataset, or edited since.
    fn split(slf: &Bound<'_, Self>, name: &str) -> PyResult<Split> {
        let split = slf.get().inner.split(name).map_err(|e| of_dataset(&e))?;
        Ok(Split {
            dataset: slf.clone().unbind(),
            inner: split,
        })
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let path = std::path::absolute(slf.get().inner.dir())?;
        Ok((slf.get_type(), PyTuple::new(slf.py(), [path])?))
    }

    fn __repr__(&self) -> String {
        format!(
            "<logodex.Dataset {}: {} rows of {} brands, {} px>",
            self.inner.dir().display(),
            self.inner.n_rows(),
            self.inner.brands().len(),
            self.side()
        )
    }
}
