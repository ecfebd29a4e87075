//! What the server does with pictures: from their bytes to embeddings, and from those to answers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use axum::http::StatusCode;
use logodex_inference::picture::{PictureError, Square, square};
use logodex_program::Failure;
use logodex_schemas::onnx::ModelMetadata;
use tokio::sync::Semaphore;

use super::batch::Batcher;
use super::http::input::Sent;
use super::http::problem::Problem;
use super::thumbnails::Thumbnails;
use super::watched::Watched;
use crate::gallery::snapshot::Gallery;
use crate::threshold::Threshold;

/// From which similarity on a brand is named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// At this rate of strangers that are named all the same.
    Rate(f64),
    /// From this similarity on.
    Given(f64),
}

impl Rule {
    /// The threshold for a gallery as it is.
    ///
    /// # Errors
    /// As [`Gallery::threshold`].
    pub fn threshold(self, gallery: &Gallery, model: &ModelMetadata) -> Result<Threshold> {
        match self {
            Self::Rate(target) => gallery.threshold(model, target),
            Self::Given(similarity) => Ok(Threshold::given(similarity)),
        }
    }
}

/// All that answers need.
#[derive(Debug)]
pub struct Service {
    /// The model as it describes itself.
    pub model: ModelMetadata,
    /// Its file, where the gallery may not keep it yet.
    pub model_file: Option<PathBuf>,
    /// The model at work.
    pub batcher: Batcher,
    /// The gallery.
    pub gallery: Watched,
    /// When a brand is named.
    pub rule: Rule,
    /// Pictures of the gallery.
    pub thumbnails: Thumbnails,
    /// Requests that may be worked on or wait at a time.
    pub queue: Arc<Semaphore>,
    /// How long one may take.
    pub patience: Duration,
    /// Held by who changes gallery and kept files together.
    pub changing: Mutex<()>,
}

/// A picture in the forms that it is needed in.
#[derive(Debug)]
pub struct Embedded {
    /// As it came.
    pub sent: Sent,
    /// As the model takes it.
    pub square: Square,
    /// Its embedding, of length one.
    pub embedding: Vec<f32>,
}

impl Service {
    /// Decodes and embeds pictures, which `names` call by their fields' names.
    ///
    /// # Errors
    /// 413 and 422 for pictures that do not do, 429 where too many wait, 503 after too long.
    pub async fn embed(&self, pictures: Vec<(String, Sent)>) -> Result<Vec<Embedded>, Problem> {
        let _place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            Problem::busy("more requests wait than are answered in time (--queue); ask again")
        })?;
        let work = async {
            let how = self.model.preprocessing.clone();
            let squares = blocking(move || {
                pictures
                    .into_iter()
                    .map(|(name, sent)| match square(&sent.bytes, sent.area, &how) {
                        Ok(square) => Ok((sent, square)),
                        Err(error) => Err(refused(&name, &error)),
                    })
                    .collect::<Result<Vec<_>, Problem>>()
            })
            .await??;
            let pixels: Vec<&[u8]> = squares.iter().map(|(_, square)| &*square.pixels).collect();
            let embeddings = self.batcher.embed(pixels.concat()).await?;
            let embedded = squares.into_iter().zip(embeddings);
            Ok(embedded
                .map(|((sent, square), embedding)| Embedded {
                    sent,
                    square,
                    embedding,
                })
                .collect())
        };
        tokio::time::timeout(self.patience, work)
            .await
            .map_err(|_| self.too_long("nothing was changed"))?
    }

    /// As [`Self::embed`], of one picture.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub async fn embed_one(&self, name: &str, sent: Sent) -> Result<Embedded, Problem> {
        let mut embedded = self.embed(vec![(name.to_owned(), sent)]).await?;
        embedded
            .pop()
            .ok_or_else(|| Problem::internal("a picture was lost"))
    }

    /// Does something with the newest gallery, where it may wait for a disk.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn with_gallery<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Service, &Gallery) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let service = Arc::clone(self);
        blocking(move || work(&service, &service.gallery.current())).await?
    }

    /// Changes the gallery, however long another program holds it: the client is told that it takes long, and the change is
    /// made all the same.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Service) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let service = Arc::clone(self);
        let made = blocking(move || work(&service));
        tokio::time::timeout(self.patience, made)
            .await
            .map_err(|_| {
                self.too_long("another program holds the gallery; the change may still be made, and the list will tell")
            })??
    }

    /// Waits until nobody else here changes the gallery.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn too_long(&self, more: &str) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "this took more than {} s (--timeout); {more}",
                self.patience.as_secs_f64()
            ),
        )
    }

    /// The threshold for a gallery as it is.
    ///
    /// # Errors
    /// 500 where neither gallery nor model is calibrated any more.
    pub fn threshold(&self, gallery: &Gallery) -> Result<Threshold, Problem> {
        self.rule
            .threshold(gallery, &self.model)
            .map_err(|error| Problem::internal(format!("{error:#}")))
    }
}

/// Runs what waits for disks or takes long elsewhere than where connections are served.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        tracing::error!(%error, "a request's work panicked");
        Problem::internal("this request met a mistake of the program's; its log says more")
    })
}

fn refused(name: &str, error: &PictureError) -> Problem {
    match error {
        PictureError::Decode(error) => Problem::picture(name, error),
        PictureError::Box { .. } => Problem::unprocessable(format!("{name}: {error}")),
        PictureError::Resize(_) | PictureError::Encode(_) => {
            Problem::internal(format!("{name}: {error}"))
        }
    }
}

/// What a failed change of the gallery is for a client.
pub fn failed_change(error: &anyhow::Error) -> Problem {
    let text = format!("{error:#}");
    let usage = error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(Failure::Usage(_))));
    if usage {
        return Problem::new(StatusCode::CONFLICT, text);
    }
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let full = io.is_some_and(|io| {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(io.kind(), StorageFull | QuotaExceeded)
    });
    match full {
        true => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            format!("nothing was changed: {text}"),
        ),
        false => Problem::internal(format!("nothing was changed: {text}")),
    }
}
