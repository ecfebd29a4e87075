//! The gallery that is served: always the newest, whoever changed it.

use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::Result;
use metrics::{counter, gauge};

use crate::gallery::directory::MANIFEST;
use crate::gallery::snapshot::Gallery;
use crate::gallery::store::Store;

/// How often a gallery is asked that no file tells about.
const EVERY: Duration = Duration::from_secs(1);

/// A gallery, looked after.
#[derive(Debug)]
pub struct Watched {
    current: RwLock<Arc<Gallery>>,
    /// What [`Self::current`] saw last; held while the gallery is read anew, so that one request does it.
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: Option<Stamp>,
    at: Instant,
    /// Why the newest could not be read, if it could not.
    failure: Option<String>,
}

/// Tells one `gallery.json` from the next: each is a file of its own, renamed into place.
type Stamp = (u64, u64, i64, i64, u64);

fn stamp(store: &Store) -> Option<Stamp> {
    let file = store.directory()?.path().join(MANIFEST).metadata().ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.mtime(),
        file.mtime_nsec(),
        file.len(),
    ))
}

impl Watched {
    /// Looks after a gallery from this snapshot on.
    pub fn new(gallery: Gallery) -> Self {
        let watched = Self {
            seen: Mutex::new(Seen {
                stamp: None,
                at: Instant::now(),
                failure: None,
            }),
            current: RwLock::new(Arc::new(gallery)),
        };
        watched.tell();
        watched
    }

    /// The newest snapshot. Where that cannot be read, the last that could: [`Self::failure`] says why. Reads files.
    pub fn current(&self) -> Arc<Gallery> {
        let known = self.known();
        let mut seen = lock(&self.seen);
        let stamp = stamp(known.store());
        let unchanged = match stamp {
            Some(_) => stamp == seen.stamp,
            // Of a directory that is not there yet: asking costs no more.
            None => known.store().directory().is_none() && seen.at.elapsed() < EVERY,
        };
        if unchanged {
            return self.known();
        }
        seen.at = Instant::now();
        match known.newer() {
            Ok(newer) => {
                if let Some(newer) = newer {
                    self.publish(newer);
                }
                seen.failure = None;
                seen.stamp = stamp;
            }
            Err(error) => {
                counter!("logodex_gallery_reload_failures_total").increment(1);
                let text = format!("{error:#}");
                if seen.failure.as_ref() != Some(&text) {
                    tracing::error!(
                        error = text,
                        "the gallery was changed and cannot be read; the last one is served"
                    );
                }
                seen.failure = Some(text);
            }
        }
        self.known()
    }

    /// The snapshot as it was seen last.
    pub fn known(&self) -> Arc<Gallery> {
        Arc::clone(&self.current.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Why the newest gallery is not served, if it is not.
    pub fn failure(&self) -> Option<String> {
        lock(&self.seen).failure.clone()
    }

    /// Makes a change on the newest snapshot, which gives the next.
    ///
    /// # Errors
    /// Those of the change.
    pub fn change<T>(
        &self,
        work: impl FnOnce(&Gallery) -> Result<(Gallery, T)>,
    ) -> Result<(Arc<Gallery>, T)> {
        let (next, told) = work(&self.current())?;
        self.publish(next);
        Ok((self.known(), told))
    }

    /// Serves a snapshot from now on, unless a newer one is served already.
    fn publish(&self, next: Gallery) {
        {
            let mut current = self.current.write().unwrap_or_else(|e| e.into_inner());
            if next.generation() > current.generation() || next.model() != current.model() {
                *current = Arc::new(next);
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let known = self.known();
        gauge!("logodex_gallery_brands").set(known.brands().len() as f64);
        gauge!("logodex_gallery_generation").set(known.generation() as f64);
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(|e| e.into_inner())
}
