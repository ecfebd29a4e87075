//! The recogniser below `logodex.Recognizer`, which says what its methods take and give.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use logodex_embeddings::similarity::product;
use logodex_program::usage;
use logodex_recognizer::command::enrol::{enrol, open_or_begin};
use logodex_recognizer::command::opened::{GalleryArgs, ThresholdArgs, open_model};
use logodex_recognizer::gallery::enrol::{Enrolled, NewPicture};
use logodex_recognizer::gallery::snapshot::{check_name, judge, source_text};
use logodex_recognizer::threshold::{Threshold, check_rate, of_model};
use logodex_recognizer::{Gallery, Model};
use logodex_schemas::gallery::PictureSource;
use numpy::PyArray2;
use numpy::ndarray::Array2;
use pyo3::prelude::*;
use serde_json::json;

use crate::errors::of_any;
use crate::pictures::{Picture, Source, embed, picture};
use crate::threads::interruptible;

/// An exported model, and a gallery where one is given.
#[pyclass(frozen, module = "logodex._logodex")]
pub struct Recognizer(Arc<Opened>);

struct Opened {
    model: Model,
    gallery: Option<(GalleryArgs, Mutex<Arc<Gallery>>)>,
}

/// A box as given: x0, y0, x1, y1.
type Box4 = Option<[u32; 4]>;

/// Whether two pictures show one brand, their similarity, the threshold, its rate, and what a person should know of it.
type Verified = (bool, f32, f64, Option<f64>, Option<String>);

#[pymethods]
impl Recognizer {
    #[new]
    fn new(
        py: Python<'_>,
        model: Option<PathBuf>,
        gallery: Option<PathBuf>,
        threads: usize,
    ) -> PyResult<Self> {
        let opened = py.detach(|| Opened::open(model, gallery, threads));
        let opened = opened.map_err(|error| of_any(&error))?;
        Ok(Self(Arc::new(opened)))
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.model.dim()
    }

    #[getter]
    fn side(&self) -> u32 {
        self.0.model.metadata().preprocessing.side
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        &self.0.model.metadata().fingerprint
    }

    fn brands(&self, py: Python<'_>) -> PyResult<Vec<(String, usize)>> {
        let gallery = py.detach(|| self.0.gallery()).map_err(|e| of_any(&e))?;
        let brands = gallery.brands().iter();
        Ok(brands
            .map(|brand| (brand.name.clone(), brand.pictures.len()))
            .collect())
    }

    fn embed<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<Bound<'py, PyAny>>,
        boxes: Vec<Box4>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let pictures = all(&pictures, &boxes)?;
        let opened = Arc::clone(&self.0);
        let dim = self.dim();
        let embeddings = interruptible(py, move || {
            let embedded = embed(&opened.model, &pictures)?;
            let n = embedded.len();
            let values = embedded.into_iter().flat_map(|(_, embedding)| embedding);
            Ok(Array2::from_shape_vec((n, dim), values.collect())?)
        })?;
        Ok(PyArray2::from_owned_array(py, embeddings))
    }

    /// A JSON line for each picture, as those of `logodex identify --json`, and what a person should know of the threshold.
    fn identify(
        &self,
        py: Python<'_>,
        pictures: Vec<Bound<'_, PyAny>>,
        boxes: Vec<Box4>,
        top: usize,
        far: f64,
        threshold: Option<f64>,
    ) -> PyResult<(Vec<String>, Option<String>)> {
        let pictures = all(&pictures, &boxes)?;
        let opened = Arc::clone(&self.0);
        interruptible(py, move || {
            let gallery = opened.gallery()?;
            let threshold = ThresholdArgs { far, threshold }.of(&gallery, &opened.model)?;
            let embedded = embed(&opened.model, &pictures)?;
            let queries: Vec<&[f32]> = embedded.iter().map(|(_, e)| e.as_slice()).collect();
            let found = gallery.search(&queries, top).into_iter();
            let judged = found.zip(&pictures).map(|(top, picture)| {
                Ok(serde_json::to_string(&judge(
                    &picture.name,
                    top,
                    &threshold,
                ))?)
            });
            Ok((judged.collect::<Result<_>>()?, threshold.caution))
        })
    }

    /// Whether two pictures show one brand.
    fn verify(
        &self,
        py: Python<'_>,
        pictures: [Bound<'_, PyAny>; 2],
        boxes: [Box4; 2],
        far: f64,
        threshold: Option<f64>,
    ) -> PyResult<Verified> {
        let pictures = all(&pictures, &boxes)?;
        let opened = Arc::clone(&self.0);
        interruptible(py, move || {
            let threshold = opened.threshold_of_pairs(far, threshold)?;
            let embedded = embed(&opened.model, &pictures)?;
            let similarity = product(&embedded[0].1, &embedded[1].1);
            let same = threshold.accepts(similarity);
            let Threshold {
                similarity: from,
                rate,
                caution,
                ..
            } = threshold;
            Ok((same, similarity, from, rate, caution))
        })
    }

    /// What enrolling came to, as JSON.
    fn enrol(
        &self,
        py: Python<'_>,
        brand: String,
        pictures: Vec<Bound<'_, PyAny>>,
        boxes: Vec<Box4>,
        duplicates: bool,
        keep: bool,
    ) -> PyResult<String> {
        let pictures = all(&pictures, &boxes)?;
        let opened = Arc::clone(&self.0);
        interruptible(py, move || opened.enrol(&brand, pictures, duplicates, keep))
    }
}

/// The pictures, each with its box.
fn all(given: &[Bound<'_, PyAny>], boxes: &[Box4]) -> PyResult<Vec<Picture>> {
    let all = given.iter().zip(boxes).enumerate();
    all.map(|(place, (given, bbox))| picture(given, place, *bbox))
        .collect()
}

impl Opened {
    fn open(model: Option<PathBuf>, gallery: Option<PathBuf>, threads: usize) -> Result<Self> {
        let Some(place) = gallery else {
            let path =
                model.ok_or_else(|| usage("a recognizer needs a model, a gallery, or both"))?;
            return Ok(Self {
                model: open_model(&path, threads)?,
                gallery: None,
            });
        };
        let place = place
            .to_str()
            .ok_or_else(|| usage(format!("{}: its path is not UTF-8", place.display())))?;
        let args = GalleryArgs {
            gallery: place.to_owned(),
            model,
            threads,
        };
        let (gallery, model) = open_or_begin(&args, false)?;
        Ok(Self {
            model,
            gallery: Some((args, Mutex::new(Arc::new(gallery)))),
        })
    }

    fn place(&self) -> Result<&(GalleryArgs, Mutex<Arc<Gallery>>)> {
        let place = self.gallery.as_ref();
        place.ok_or_else(|| usage("no gallery was given: Recognizer(model, gallery=\"gallery\")"))
    }

    /// The newest snapshot, whoever changed the gallery.
    fn gallery(&self) -> Result<Arc<Gallery>> {
        let mut held = lock(&self.place()?.1);
        if let Some(newer) = held.newer()? {
            newer.check_model(self.model.metadata())?;
            *held = Arc::new(newer);
        }
        Ok(Arc::clone(&held))
    }

    /// That of one brand enrolled with one picture: what a pair is.
    fn threshold_of_pairs(&self, far: f64, given: Option<f64>) -> Result<Threshold> {
        ThresholdArgs { far, threshold: given }.given_or(|far| {
            check_rate(far)?;
            let calibration = self.model.metadata().calibration.as_ref();
            let found = calibration.and_then(|c| of_model(c, 1, 1, far));
            found.ok_or_else(|| usage(
                "the model is not calibrated, so nothing says from which similarity on two pictures show one brand: give threshold=",
            ))
        })
    }

    fn enrol(
        &self,
        brand: &str,
        pictures: Vec<Picture>,
        duplicates: bool,
        keep: bool,
    ) -> Result<String> {
        check_name(brand)?;
        let (args, held) = self.place()?;
        let gallery = self.gallery()?;
        let embedded = embed(&self.model, &pictures)?;
        let new = pictures
            .iter()
            .zip(embedded)
            .map(|(picture, (square, embedding))| {
                let source = source(&gallery, picture, keep)?;
                Ok(NewPicture::new(
                    brand,
                    source,
                    picture.bbox,
                    &square,
                    embedding,
                ))
            });
        let new = new.collect::<Result<Vec<_>>>()?;
        let enrolled = enrol(args, (&gallery, &self.model), new, duplicates)?;
        let enrolled = enrolled.ok_or_else(|| usage("no picture was given"))?;
        let told = self.told(&enrolled).to_string();
        *lock(held) = Arc::new(enrolled.gallery);
        Ok(told)
    }

    fn told(&self, enrolled: &Enrolled) -> serde_json::Value {
        // Where nothing is calibrated, the margin alone can warn.
        let threshold = enrolled.gallery.threshold(self.model.metadata(), 0.01).ok();
        let threshold = threshold.map(|threshold| threshold.similarity);
        let duplicates = enrolled.duplicates.iter().map(|duplicate| {
            json!({
                "place": duplicate.place,
                "brand": duplicate.of.brand,
                "source": source_text(&duplicate.of.source),
                "same_file": duplicate.same_file,
            })
        });
        let standing = enrolled.standings.first().map(|standing| {
            json!({
                "pictures": standing.pictures,
                "nearest": standing.nearest.as_ref().map(|nearest| &nearest.brand),
                "nearest_similarity": standing.nearest.as_ref().map(|nearest| nearest.similarity),
                "margin": standing.margin,
                "collision": standing.collides(threshold),
            })
        });
        json!({
            "added": enrolled.added,
            "duplicates": duplicates.collect::<Vec<_>>(),
            "standing": standing,
        })
    }
}

/// Where the gallery says that a picture is from. It keeps a copy of those that are no file, and of others where asked to.
fn source(gallery: &Gallery, picture: &Picture, keep: bool) -> Result<PictureSource> {
    let path = match &picture.source {
        Source::File(path) if !keep => std::path::absolute(path)?,
        Source::File(path) => gallery.store().keep_picture(&std::fs::read(path)?)?,
        Source::Bytes(bytes) => gallery.store().keep_picture(bytes)?,
    };
    let path = path.to_str().ok_or_else(|| {
        usage(format!(
            "{}: its path is not UTF-8, and the gallery notes it: give the file another name",
            picture.name
        ))
    })?;
    Ok(PictureSource::File {
        path: path.to_owned(),
    })
}

fn lock(gallery: &Mutex<Arc<Gallery>>) -> MutexGuard<'_, Arc<Gallery>> {
    gallery.lock().unwrap_or_else(PoisonError::into_inner)
}
