//! Scans a raw tree: finds, pairs, hashes and parses what lies there, and says of each file that it refuses why.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use logodex_schemas::dataset::{Reject, RejectReason};
use rayon::prelude::*;

use super::annotation::Annotation;
use super::content::{Content, Inside, Look, Refusal, read, tree_hash};
use super::listing::{Listing, ScanError, list, locate};
use super::pair::{Found, Kind, pair};
use super::reject;
use logodex_pixels::decode::{self, Seen};
use logodex_program::failure::usage;
use logodex_program::progress::StageProgress;

/// An image with its annotation.
#[derive(Debug, Clone)]
pub struct RawSample {
    /// Category, as spelled on disk.
    pub category: String,
    /// Brand folder.
    pub folder: String,
    /// File name of the image without its extension.
    pub stem: String,
    /// The image, relative to [`Scan::root`], `/` between folders.
    pub image: String,
    /// The annotation, relative to [`Scan::root`].
    pub annotation: String,
    /// BLAKE3 of the image's bytes.
    pub image_blake3: blake3::Hash,
    /// BLAKE3 of the annotation's bytes.
    pub annotation_blake3: blake3::Hash,
    /// Length of the image file, bytes.
    pub image_bytes: u64,
    /// What the image is, seen without keeping its pixels.
    pub seen: Seen,
    /// What the annotation says; a box outside the image is no box.
    pub parsed: Annotation,
}

/// A raw tree as it was found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The folder that holds the categories.
    pub root: PathBuf,
    /// Category and name of every brand folder that holds an image or an annotation, sorted.
    pub folders: Vec<(String, String)>,
    /// Every pair that could be read, sorted by category, folder and natural stem order.
    pub samples: Vec<RawSample>,
    /// What was refused, sorted.
    pub rejects: Vec<Reject>,
    /// Folders that make no brand because programs and file systems keep them for themselves, sorted.
    pub passed_over: Vec<String>,
    /// BLAKE3 over the lines `<blake3 of the file>  <path>\n` of every image and annotation, sorted by path.
    pub raw_blake3: blake3::Hash,
}

impl Scan {
    /// What was passed over, for a summary: nothing, or a line.
    pub fn passed_over_line(&self) -> Option<String> {
        let shown: Vec<&str> = self
            .passed_over
            .iter()
            .map(String::as_str)
            .take(5)
            .collect();
        let more = self.passed_over.len() - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        (!shown.is_empty()).then(|| {
            format!(
                "{} housekeeping folders passed over: {}{more}",
                self.passed_over.len(),
                shown.join(", ")
            )
        })
    }
}

/// Scans a raw tree with the decoder that builds read it with, and shows how far it is.
///
/// # Errors
/// Usage: there is nothing to scan.
pub fn scan(raw: &Path) -> anyhow::Result<Scan> {
    scan_showing_progress(raw, &decode::look)
}

/// As [`scan`], and measures the quality of each picture.
///
/// # Errors
/// As [`scan`].
pub fn scan_closely(raw: &Path) -> anyhow::Result<Scan> {
    scan_showing_progress(raw, &decode::look_closely)
}

fn scan_showing_progress(raw: &Path, look: Look<'_>) -> anyhow::Result<Scan> {
    let progress = StageProgress::new("scan");
    scan_with(raw, look, &|done, total| progress.set(done, total)).map_err(|error| match error {
        ScanError::Unreadable { .. } => error.into(),
        ScanError::Missing(_) | ScanError::NotAFolder(_) | ScanError::NoImages(_) => {
            usage(error.to_string())
        }
    })
}

/// Scans a raw tree: the folder that holds `LogoDet-3K`, `LogoDet-3K` itself, or one nested in another.
///
/// `progress(done, total)` counts files and is called from many threads. Symbolic links below `raw` are refused, not
/// followed; hidden files, housekeeping folders and files of other kinds are passed over.
///
/// # Errors
/// [`ScanError`] when there is nothing to scan. A file that cannot be used is no error but a [`Reject`].
pub fn scan_with(
    raw: &Path,
    look: Look<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Scan, ScanError> {
    let root = locate(raw)?;
    let Listing {
        folders,
        mut rejects,
        others,
        passed_over,
    } = list(&root)?;
    let files: Vec<(String, Kind)> = folders
        .iter()
        .flat_map(|((category, folder), files)| {
            let path = move |f: &Found| format!("{category}/{folder}/{}", f.name);
            let readable = files.iter().filter(|f| f.problem.is_none());
            readable.map(move |f| (path(f), f.kind))
        })
        .collect();
    let done = AtomicU64::new(0);
    let contents: BTreeMap<String, io::Result<Content>> = files
        .par_iter()
        .map(|(path, kind)| {
            let content = read(&root.join(path), *kind, look);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len() as u64);
            (path.clone(), content)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    let raw_blake3 = tree_hash(&contents);
    for (path, content) in &contents {
        if let Err(error) = content {
            rejects.push(reject::of_file(
                path,
                RejectReason::Unreadable,
                error.to_string(),
            ));
        }
    }
    let mut contents = contents;
    let mut samples = Vec::new();
    for (key, files) in &folders {
        let (category, folder) = key;
        let (pairs, unpaired) = pair(files, others.get(key).map_or(&[], Vec::as_slice));
        for (name, reason, detail) in unpaired {
            rejects.push(reject::of_file(
                &format!("{category}/{folder}/{name}"),
                reason,
                detail,
            ));
        }
        for found in pairs {
            let image = format!("{category}/{folder}/{}", found.image);
            let annotation = format!("{category}/{folder}/{}", found.annotation);
            // A file that could not be read is on the list already.
            let (Some(Ok(picture)), Some(Ok(text))) =
                (contents.remove(&image), contents.remove(&annotation))
            else {
                continue;
            };
            let (Inside::Image(seen), Inside::Annotation(parsed)) = (picture.inside, text.inside)
            else {
                continue;
            };
            let refuse = |path: &str, (reason, detail): Refusal, rejects: &mut Vec<Reject>| {
                rejects.push(reject::of_file(path, reason, detail));
            };
            match (seen, parsed) {
                (seen, Err(refusal)) => {
                    refuse(&annotation, refusal, &mut rejects);
                    if let Err(refusal) = seen {
                        refuse(&image, refusal, &mut rejects);
                    }
                }
                (Err(refusal), Ok(_)) => refuse(&image, refusal, &mut rejects),
                (Ok(seen), Ok(mut parsed)) => {
                    parsed.refuse_outside(seen.width, seen.height);
                    reject_boxes(&annotation, &parsed, &mut rejects);
                    samples.push(RawSample {
                        category: category.clone(),
                        folder: folder.clone(),
                        stem: found.stem,
                        image,
                        annotation,
                        image_blake3: picture.hash,
                        annotation_blake3: text.hash,
                        image_bytes: picture.bytes,
                        seen,
                        parsed,
                    });
                }
            }
        }
    }
    rejects.sort();
    Ok(Scan {
        root,
        folders: folders.into_keys().collect(),
        samples,
        rejects,
        passed_over,
        raw_blake3,
    })
}

fn reject_boxes(path: &str, parsed: &Annotation, rejects: &mut Vec<Reject>) {
    for (position, object) in parsed.objects.iter().enumerate() {
        if let Err(defect) = &object.bbox {
            rejects.push(Reject {
                path: path.to_owned(),
                object: Some(position as u32),
                reason: defect.reason,
                detail: defect.detail.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod raw_tree;
