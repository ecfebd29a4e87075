//! A gallery with its model, and which threshold is asked for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use logodex_inference::Model;
use logodex_program::usage;

use crate::gallery::snapshot::Gallery;
use crate::threshold::Threshold;

/// Which gallery, and which model.
#[derive(Debug, Clone, clap::Args)]
pub struct GalleryArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    pub gallery: String,
    /// The model, as `logodex-train export` writes it [default: the gallery's own, which it keeps].
    #[arg(long, value_name = "MODEL.onnx")]
    pub model: Option<PathBuf>,
    /// Threads, 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

/// From which similarity on a brand is named.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ThresholdArgs {
    /// The share of strangers (pictures of brands that are not enrolled) that may be named all the same, at the gallery's size.
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    pub far: f64,
    /// A similarity, instead of a rate: a brand is named from it on.
    #[arg(
        long,
        conflicts_with = "far",
        value_name = "SIMILARITY",
        allow_negative_numbers = true
    )]
    pub threshold: Option<f64>,
}

impl GalleryArgs {
    /// Opens both.
    ///
    /// # Errors
    /// As [`Gallery::open`], [`Model::open`] and [`Gallery::check_model`].
    pub fn open(&self) -> Result<(Gallery, Model)> {
        threads(self.threads);
        let gallery = Gallery::open(&self.gallery)?;
        let model = self.open_model(&gallery)?;
        gallery.check_model(model.metadata())?;
        Ok((gallery, model))
    }

    /// The model typed, or the gallery's own.
    ///
    /// # Errors
    /// As [`Model::open`]; no model is typed and the gallery keeps none.
    pub fn open_model(&self, gallery: &Gallery) -> Result<Model> {
        let threads = logodex_program::threads::bounded(self.threads);
        match &self.model {
            Some(path) => Model::open(path, threads),
            None => {
                let own = gallery.store().model(&gallery.model().fingerprint);
                let own = own.ok_or_else(|| {
                    usage(format!(
                        "{}: it keeps no model of its own; give --model MODEL.onnx",
                        gallery.store()
                    ))
                })?;
                Model::open(&own, threads)
            }
        }
    }
}

impl ThresholdArgs {
    /// The threshold for a gallery.
    ///
    /// # Errors
    /// As [`Gallery::threshold`].
    pub fn of(&self, gallery: &Gallery, model: &Model) -> Result<Threshold> {
        self.given_or(|far| gallery.threshold(model.metadata(), far))
    }

    /// The threshold typed, or what `calibrated` makes of the rate.
    ///
    /// # Errors
    /// As [`Self::given`]; those of `calibrated`.
    pub fn given_or(&self, calibrated: impl FnOnce(f64) -> Result<Threshold>) -> Result<Threshold> {
        match self.given()? {
            Some(similarity) => Ok(Threshold::given(similarity)),
            None => calibrated(self.far),
        }
    }

    /// The similarity typed, if one is.
    ///
    /// # Errors
    /// One that is no number.
    pub fn given(&self) -> Result<Option<f64>> {
        match self.threshold {
            Some(other) if !other.is_finite() => {
                Err(usage(format!("--threshold {other}: it must be a number")))
            }
            typed => Ok(typed),
        }
    }
}

/// Opens a model, on so many threads.
///
/// # Errors
/// As [`Model::open`].
pub fn open_model(path: &Path, asked: usize) -> Result<Model> {
    threads(asked);
    Model::open(path, logodex_program::threads::bounded(asked))
}

/// Sets how many threads decode and search.
fn threads(asked: usize) {
    let pool = rayon::ThreadPoolBuilder::new();
    let pool = pool.num_threads(logodex_program::threads::bounded(asked));
    // A pool that is there already (as in tests) is no error.
    let _ = pool.build_global();
}
