//! `logodex.Split` and `logodex.Fold`: brands for training, and brands never seen in it.

use logodex_dataset::{Fold as FoldName, Region};
use logodex_sampling::{FoldRows, check_pk, pairs, pk, triplets};
use logodex_schemas::train::DataConfig;
use numpy::ndarray::Array2;
use numpy::{PyArray1, PyArray2, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arrays::{Integers, Key, integers, key};
use crate::errors::{RowError, of_any, usage};
use crate::opened::Dataset;

/// A brand-wise split: `train`, `val` and `test` share no brand.
#[pyclass(frozen, module = "logodex")]
pub struct Split {
    pub dataset: Py<Dataset>,
    pub inner: logodex_dataset::Split,
}

/// The rows of one fold's brands: a map-style dataset of (picture, label).
///
/// As `torch.utils.data.DataLoader` takes it, in this process, forked or spawned: `fold[i]` is the picture of its `i`-th row,
/// uint8 `[side, side, 3]`, and the number of its brand in `dataset.brands`; `fold[[3, 1, 2]]` are pictures uint8
/// `[3, side, side, 3]` and labels int64 `[3]`.
#[pyclass(frozen, module = "logodex")]
pub struct Fold {
    split: Py<Split>,
    name: FoldName,
    region: Region,
    brands: Vec<u32>,
    rows: Vec<u64>,
}

/// Pictures `[…, side, side, 3]` and the numbers of their brands.
type Shown<'py> = (Bound<'py, PyArrayDyn<u8>>, Bound<'py, PyArrayDyn<i64>>);

/// The folds, and what of a dataset is shown.
const FOLDS: [FoldName; 3] = [FoldName::Train, FoldName::Val, FoldName::Test];

#[pymethods]
impl Split {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// The dataset that it is of.
    #[getter]
    fn dataset(&self, py: Python<'_>) -> Py<Dataset> {
        self.dataset.clone_ref(py)
    }

    /// The rows to train with.
    #[getter]
    fn train(slf: &Bound<'_, Self>) -> PyResult<Fold> {
        Self::fold(slf, "train", None)
    }

    /// The rows to choose thresholds, epochs and models with.
    #[getter]
    fn val(slf: &Bound<'_, Self>) -> PyResult<Fold> {
        Self::fold(slf, "val", None)
    }

    /// The rows to judge with, of brands that nothing was trained on.
    #[getter]
    fn test(slf: &Bound<'_, Self>) -> PyResult<Fold> {
        Self::fold(slf, "test", None)
    }

    /// The rows of a fold: those that show whole pictures ("image"), objects ("object") or "both". Without `region`, pictures
    /// where the dataset has any, else objects.
    #[pyo3(signature = (name, region=None))]
    fn fold(slf: &Bound<'_, Self>, name: &str, region: Option<&str>) -> PyResult<Fold> {
        let this = slf.get();
        let dataset = &this.dataset.get().inner;
        let named = FOLDS.into_iter().find(|fold| fold.name() == name);
        let fold =
            named.ok_or_else(|| usage(format!("fold {name:?}: it is train, val or test")))?;
        let region = match region {
            Some(given) => logodex_evaluation::command::options::parse_region(given)
                .map_err(|said| usage(format!("region {given:?} {said}")))?,
            None if dataset.manifest().config.region.images() => Region::Image,
            None => Region::Object,
        };
        let brands = dataset.fold(&this.inner, fold);
        Ok(Fold {
            split: slf.clone().unbind(),
            name: fold,
            region,
            rows: dataset.rows(&brands, region),
            brands: brands.iter().map(|brand| brand.index).collect(),
        })
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get();
        let split = caller(slf.py(), ("split", this.name()))?;
        Ok((
            split,
            (this.dataset.clone_ref(slf.py()),).into_pyobject(slf.py())?,
        ))
    }

    fn __repr__(&self) -> String {
        let dataset = &self.dataset.get().inner;
        let brands = |fold| dataset.fold(&self.inner, fold).len();
        format!(
            "<logodex.Split {:?}: {} training, {} validation, {} test brands>",
            self.name(),
            brands(FoldName::Train),
            brands(FoldName::Val),
            brands(FoldName::Test)
        )
    }
}

#[pymethods]
impl Fold {
    /// "train", "val" or "test".
    #[getter]
    fn name(&self) -> &str {
        self.name.name()
    }

    /// What its rows show: "image", "object" or "both".
    #[getter]
    fn region(&self) -> &str {
        logodex_evaluation::settings::region_name(self.region)
    }

    /// The split that it is of.
    #[getter]
    fn split(&self, py: Python<'_>) -> Py<Split> {
        self.split.clone_ref(py)
    }

    /// The dataset that it is of.
    #[getter]
    fn dataset(&self, py: Python<'_>) -> Py<Dataset> {
        self.split.get().dataset.clone_ref(py)
    }

    /// Its rows of the dataset, int64 `[N]`.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_iter(py, self.rows.iter().map(|row| row.cast_signed()))
    }

    /// The brand of each of its rows, int64 `[N]`.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_iter(py, self.rows.iter().map(|row| self.label(*row)))
    }

    /// Its brands, int64 `[B]`.
    #[getter]
    fn brands<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_iter(py, self.brands.iter().map(|brand| i64::from(*brand)))
    }

    fn __len__(&self) -> usize {
        self.rows.len()
    }

    fn __getitem__<'py>(
        &self,
        places: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = places.py();
        match key(places, self.rows.len())? {
            Key::One(place) => {
                let row = self.row(place)?;
                let picture = self.of_dataset().gather(py, &[row], &[], None)?;
                Ok((
                    picture.into_any(),
                    self.label(row).into_pyobject(py)?.into_any(),
                ))
            }
            Key::Many(given) => {
                let (pictures, labels) = self.gather(py, &given, None)?;
                Ok((pictures.into_any(), labels.into_any()))
            }
        }
    }

    /// What `torch.utils.data.DataLoader` asks for: the samples of a batch, read together.
    fn __getitems__<'py>(
        &self,
        places: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let (pictures, labels) = self.gather(places.py(), &integers(places)?, None)?;
        let samples = pictures.try_iter()?.zip(labels.try_iter()?);
        samples
            .map(|(picture, label)| Ok((picture?, label?)))
            .collect()
    }

    /// The pictures and labels of the rows at `places` of the fold, as `Dataset.batch`.
    #[pyo3(signature = (places, out=None))]
    fn batch<'py>(
        &self,
        places: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (pictures, labels) = self.gather(places.py(), &integers(places)?, out)?;
        let pictures = out.cloned().unwrap_or(pictures.into_any());
        Ok((pictures, labels.into_any()))
    }

    /// An epoch of a sampler as places of this fold: of "triplets" int64 `[n, 3]`, of "pairs" `[n, 2]`, of "pk" a batch a line,
    /// `[n, batch]`. `logodex.samplers` calls it.
    fn draw<'py>(
        &self,
        py: Python<'py>,
        sampler: &str,
        seed: u64,
        epoch: u64,
        batch: u32,
        images_per_brand: u32,
    ) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let dataset = &self.of_dataset().inner;
        let brands = self
            .brands
            .iter()
            .map(|&index| &dataset.brands()[index as usize]);
        let fold = FoldRows::new(dataset, &brands.collect::<Vec<_>>(), self.region);
        let (rows, width): (Vec<u64>, usize) = match sampler {
            "triplets" => {
                let drawn = triplets(&fold, seed, epoch).into_iter();
                (
                    drawn
                        .flat_map(|t| [t.anchor, t.positive, t.negative])
                        .collect(),
                    3,
                )
            }
            "pairs" => {
                let drawn = pairs(&fold, seed, epoch).into_iter();
                (
                    drawn.flat_map(|pair| [pair.first, pair.second]).collect(),
                    2,
                )
            }
            _ => {
                let data = DataConfig {
                    batch,
                    images_per_brand,
                    ..DataConfig::default()
                };
                check_pk(&data, fold.brands.len()).map_err(|error| of_any(&error.into()))?;
                let (batch, per_brand) = (batch as usize, images_per_brand as usize);
                let drawn = pk(&fold, batch, per_brand, seed, epoch).into_iter();
                (drawn.map(|labelled| labelled.row).collect(), batch)
            }
        };
        // The fold's rows are sorted, and every row drawn is one of them.
        let place = |row: &u64| self.rows.partition_point(|other| other < row) as i64;
        let places = rows.iter().map(place).collect();
        let places = Array2::from_shape_vec((rows.len() / width, width), places)
            .map_err(|error| usage(error.to_string()))?;
        Ok(PyArray2::from_owned_array(py, places))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get();
        let fold = caller(slf.py(), ("fold", this.name(), this.region()))?;
        Ok((
            fold,
            (this.split.clone_ref(slf.py()),).into_pyobject(slf.py())?,
        ))
    }

    fn __repr__(&self) -> String {
        format!(
            "<logodex.Fold {:?} of split {:?}: {} rows of {} brands>",
            self.name(),
            self.split.get().name(),
            self.rows.len(),
            self.brands.len()
        )
    }
}

/// What calls a method with arguments of whatever it is given, and can be pickled.
fn caller<'py>(
    py: Python<'py>,
    method: impl pyo3::call::PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("operator")?.call_method1("methodcaller", method)
}

impl Fold {
    fn of_dataset(&self) -> &Dataset {
        self.split.get().dataset.get()
    }

    fn label(&self, row: u64) -> i64 {
        i64::from(self.of_dataset().inner.brand_of(row))
    }

    /// The row at a place, from the end where it is negative.
    fn row(&self, place: i64) -> PyResult<u64> {
        let n = self.rows.len().cast_signed() as i64;
        let from_start = if place < 0 { place + n } else { place };
        let row = usize::try_from(from_start)
            .ok()
            .and_then(|place| self.rows.get(place));
        row.copied().ok_or_else(|| {
            RowError::new_err(format!(
                "{}: place {place} of the fold {:?} of split {:?} is asked for, and it has {n} rows",
                self.of_dataset().inner.dir().display(),
                self.name(),
                self.split.get().name()
            ))
        })
    }

    fn gather<'py>(
        &self,
        py: Python<'py>,
        places: &Integers,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Shown<'py>> {
        let rows = places.values.iter().map(|place| self.row(*place));
        let rows: Vec<u64> = rows.collect::<PyResult<_>>()?;
        let pictures = self.of_dataset().gather(py, &rows, &places.shape, out)?;
        let labels = rows.iter().map(|row| self.label(*row));
        let labels = PyArray1::from_iter(py, labels).reshape(places.shape.clone())?;
        Ok((pictures, labels))
    }
}
