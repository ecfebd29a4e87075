//! The raw tree: the only door to it, read-only. Every image and annotation is read once here, for its hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use logodex_schemas::dataset::{Reject, RejectReason};
use rayon::prelude::*;
use walkdir::WalkDir;

use crate::annotation::{self, Annotation};

/// A pair of image and annotation with the same stem.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSample {
    /// Category folder.
    pub category: String,
    /// Brand folder.
    pub folder: String,
    /// File stem of the image.
    pub stem: String,
    /// Image, relative to the folder of the categories, `/` between folders.
    pub image: String,
    /// Annotation, likewise.
    pub annotation: String,
    /// Hash of the image's bytes.
    pub image_blake3: blake3::Hash,
    /// Hash of the annotation's bytes.
    pub annotation_blake3: blake3::Hash,
    /// The image's length, bytes.
    pub image_bytes: u64,
    /// The annotation's objects.
    pub parsed: Annotation,
}

/// A raw tree as found.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The folder that holds the categories.
    pub root: PathBuf,
    /// Every brand folder as (category, folder), sorted.
    pub folders: Vec<(String, String)>,
    /// Sorted by category, folder, natural order of stems.
    pub samples: Vec<RawSample>,
    /// What was refused, sorted.
    pub rejects: Vec<Reject>,
    /// Hash of the sorted list of every file's hash and path.
    pub raw_blake3: blake3::Hash,
}

/// Why a tree could not be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No such folder.
    #[error("{0}: no such folder; give the folder that holds LogoDet-3K, or LogoDet-3K itself")]
    Missing(PathBuf),
    /// Nothing in it that looks like LogoDet-3K.
    #[error(
        "{0}: no image found in <category>/<brand>/ below it; give the folder that holds LogoDet-3K, or LogoDet-3K itself"
    )]
    Empty(PathBuf),
    /// A folder that cannot be listed.
    #[error("{path}: cannot be listed: {reason}")]
    Unlistable {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        reason: String,
    },
}

/// The order of stems: numbers by value, before everything else by bytes.
pub fn natural_key(stem: &str) -> (u64, String) {
    (stem.parse().unwrap_or(u64::MAX), stem.to_owned())
}

/// Scans a raw tree. `progress` hears (files read, files in all).
///
/// # Errors
/// The folder is missing, cannot be listed, or holds no image. Whatever is wrong with single files is in
/// [`Scan::rejects`].
pub fn scan(raw: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Scan, ScanError> {
    let root = find_root(raw)?;
    let mut rejects = Vec::new();
    let (folders, pairs) = list(&root, &mut rejects)?;
    if !pairs.iter().any(|pair| pair.image.is_some()) {
        return Err(ScanError::Empty(raw.to_owned()));
    }
    let total = pairs.len() as u64;
    let done = AtomicU64::new(0);
    let read: Vec<Read> = pairs
        .into_par_iter()
        .map(|pair| {
            let read = read(&root, pair);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            read
        })
        .collect();

    let mut hashes = Vec::new();
    let mut samples = Vec::new();
    for one in read {
        hashes.extend(one.hashes);
        rejects.extend(one.rejects);
        samples.extend(one.sample);
    }
    hashes.sort_by(|a: &(String, blake3::Hash), b| a.0.cmp(&b.0));
    rejects.sort();
    let mut hasher = blake3::Hasher::new();
    for (path, hash) in &hashes {
        hasher.update(format!("{hash}  {path}\n").as_bytes());
    }
    samples.sort_by_cached_key(|sample| {
        (
            sample.category.clone(),
            sample.folder.clone(),
            natural_key(&sample.stem),
        )
    });
    Ok(Scan {
        root,
        folders,
        samples,
        rejects,
        raw_blake3: hasher.finalize(),
    })
}

/// The folder of the categories: `raw`, or `LogoDet-3K` in it, however often nested.
fn find_root(raw: &Path) -> Result<PathBuf, ScanError> {
    if !raw.is_dir() {
        return Err(ScanError::Missing(raw.to_owned()));
    }
    let mut root = raw.to_owned();
    for _ in 0..4 {
        let nested = root.join("LogoDet-3K");
        if !nested.is_dir() {
            break;
        }
        root = nested;
    }
    Ok(root)
}

/// The files of one stem.
struct Pair {
    category: String,
    folder: String,
    stem: String,
    image: Option<String>,
    annotation: Option<String>,
}

type Listing = (Vec<(String, String)>, Vec<Pair>);

/// Lists every brand folder and pairs its files by stem.
fn list(root: &Path, rejects: &mut Vec<Reject>) -> Result<Listing, ScanError> {
    let mut folders = Vec::new();
    let mut files = BTreeMap::<(String, String), Vec<String>>::new();
    let walk = WalkDir::new(root)
        .min_depth(2)
        .max_depth(3)
        .follow_links(false)
        .sort_by_file_name();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let reason = error.to_string();
                if error.depth() == 0 {
                    return Err(ScanError::Unlistable { path, reason });
                }
                rejects.push(reject(
                    &relative_lossy(root, &path),
                    RejectReason::Unreadable,
                    reason,
                ));
                continue;
            }
        };
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(parts) = relative
            .iter()
            .map(|part| part.to_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
        else {
            rejects.push(reject(
                &relative.to_string_lossy(),
                RejectReason::PathNotUtf8,
                "rename it to a name in UTF-8".to_owned(),
            ));
            continue;
        };
        match &parts[..] {
            [category, folder] if entry.file_type().is_dir() => {
                folders.push((category.clone(), folder.clone()));
                files.entry((category.clone(), folder.clone())).or_default();
            }
            [category, folder, file] if entry.file_type().is_file() => files
                .entry((category.clone(), folder.clone()))
                .or_default()
                .push(file.clone()),
            _ => tracing::debug!(path = %relative.display(), "ignored: neither folder nor file"),
        }
    }
    folders.sort();
    let mut pairs = Vec::new();
    for ((category, folder), names) in files {
        pair_by_stem(&category, &folder, names, &mut pairs, rejects);
    }
    Ok((folders, pairs))
}

/// Pairs the files of one folder. Of two images whose stems differ only in case, the first in byte order is kept.
fn pair_by_stem(
    category: &str,
    folder: &str,
    mut names: Vec<String>,
    pairs: &mut Vec<Pair>,
    rejects: &mut Vec<Reject>,
) {
    names.sort();
    let path = |name: &str| format!("{category}/{folder}/{name}");
    let mut images = BTreeMap::<String, (String, String)>::new();
    let mut annotations = BTreeMap::<String, Vec<(String, String)>>::new();
    for name in names {
        let Some((stem, extension)) = name.rsplit_once('.') else {
            tracing::debug!(path = path(&name), "ignored: no extension");
            continue;
        };
        let entry = (stem.to_owned(), name.clone());
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => match images.get(&stem.to_lowercase()) {
                None => {
                    images.insert(stem.to_lowercase(), entry);
                }
                Some((_, first)) => rejects.push(reject(
                    &path(&name),
                    RejectReason::DuplicateStem,
                    format!("{first} beside it has the same stem"),
                )),
            },
            "xml" => annotations
                .entry(stem.to_lowercase())
                .or_default()
                .push(entry),
            _ => tracing::debug!(path = path(&name), "ignored: neither image nor annotation"),
        }
    }
    for (key, (stem, image)) in images {
        let mut candidates = annotations.remove(&key).unwrap_or_default();
        // The exact stem first, so that `A.jpg` never takes `a.xml` while `A.xml` exists.
        let at = candidates.iter().position(|(s, _)| *s == stem).unwrap_or(0);
        let annotation = (!candidates.is_empty()).then(|| candidates.swap_remove(at).1);
        pairs.push(Pair {
            category: category.to_owned(),
            folder: folder.to_owned(),
            stem,
            image: Some(path(&image)),
            annotation: annotation.map(|name| path(&name)),
        });
        if !candidates.is_empty() {
            annotations.insert(key, candidates);
        }
    }
    for (stem, name) in annotations.into_values().flatten() {
        pairs.push(Pair {
            category: category.to_owned(),
            folder: folder.to_owned(),
            stem,
            image: None,
            annotation: Some(path(&name)),
        });
    }
}

/// What reading one pair gave.
#[derive(Default)]
struct Read {
    hashes: Vec<(String, blake3::Hash)>,
    rejects: Vec<Reject>,
    sample: Option<RawSample>,
}

fn read(root: &Path, pair: Pair) -> Read {
    let mut out = Read::default();
    let load = |path: &Option<String>, out: &mut Read| -> Option<(String, Vec<u8>, blake3::Hash)> {
        let path = path.clone()?;
        match std::fs::read(root.join(&path)) {
            Ok(bytes) => {
                let hash = blake3::hash(&bytes);
                out.hashes.push((path.clone(), hash));
                Some((path, bytes, hash))
            }
            Err(error) => {
                out.rejects
                    .push(reject(&path, RejectReason::Unreadable, error.to_string()));
                None
            }
        }
    };
    let image = load(&pair.image, &mut out);
    let annotation = load(&pair.annotation, &mut out);
    match (&pair.image, &pair.annotation) {
        (Some(image), None) => out.rejects.push(reject(
            image,
            RejectReason::AnnotationMissing,
            "there is no .xml of the same stem beside it".to_owned(),
        )),
        (None, Some(xml)) => out.rejects.push(reject(
            xml,
            RejectReason::ImageMissing,
            "there is no .jpg of the same stem beside it".to_owned(),
        )),
        _ => {}
    }
    let (Some((image, image_bytes, image_blake3)), Some((annotation, xml, annotation_blake3))) =
        (image, annotation)
    else {
        return out;
    };
    if image_bytes.is_empty() {
        out.rejects.push(reject(
            &image,
            RejectReason::ImageEmpty,
            "the file has no bytes".to_owned(),
        ));
        return out;
    }
    match annotation::parse(&xml) {
        Err((reason, detail)) => out.rejects.push(reject(&annotation, reason, detail)),
        Ok(parsed) => {
            for (position, object) in parsed.objects.iter().enumerate() {
                if let Err(defect) = object.bbox {
                    out.rejects.push(Reject {
                        path: annotation.clone(),
                        object: Some(position as u32),
                        reason: defect.reason(),
                        detail: defect.detail().to_owned(),
                    });
                }
            }
            out.sample = Some(RawSample {
                category: pair.category,
                folder: pair.folder,
                stem: pair.stem,
                image,
                annotation,
                image_blake3,
                annotation_blake3,
                image_bytes: image_bytes.len() as u64,
                parsed,
            });
        }
    }
    out
}

fn reject(path: &str, reason: RejectReason, detail: String) -> Reject {
    Reject {
        path: path.to_owned(),
        object: None,
        reason,
        detail,
    }
}

fn relative_lossy(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
