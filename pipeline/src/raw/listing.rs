//! Lists the files of a raw tree, as its directories tell of them: no file is read.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use logodex_schemas::dataset::{Reject, RejectReason};
use rayon::prelude::*;
use walkdir::WalkDir;

use super::pair::{Found, Kind};
use super::reject::of_file;

/// Why a tree cannot be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The path is not there.
    #[error("{0}: no such folder; RAW is the folder that holds LogoDet-3K, or LogoDet-3K itself")]
    Missing(PathBuf),
    /// The path is there but no folder.
    #[error("{0}: not a folder; RAW is the folder that holds LogoDet-3K, or LogoDet-3K itself")]
    NotAFolder(PathBuf),
    /// No image lies where `<Category>/<brand>/<n>.jpg` would.
    #[error("{0}: no image found at <Category>/<brand>/<n>.jpg below it")]
    NoImages(PathBuf),
    /// The folder cannot be listed.
    #[error("{path}: cannot be listed: {source}")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What tells a tree from one that changed since, as far as its directories say.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    /// The folder that holds the categories, absolute.
    pub root: PathBuf,
    /// Hash over every image's and annotation's path, length, time of modification and inode. Not the time at which the inode
    /// changed: a hard link to a file, as a backup or an export makes them, sets it.
    pub hash: blake3::Hash,
    /// The latest of those times.
    pub newest: SystemTime,
}

/// Takes a tree's fingerprint: it is listed, and no file of it is read.
///
/// # Errors
/// [`ScanError`] when there is nothing to list.
pub fn fingerprint(raw: &Path) -> Result<Fingerprint, ScanError> {
    let root = locate(raw)?;
    let root = root.canonicalize().unwrap_or(root);
    let Listing {
        folders, rejects, ..
    } = list(&root)?;
    let folders: Vec<_> = folders.into_iter().collect();
    let hashes: Vec<(blake3::Hash, (i64, i64))> = folders
        .par_iter()
        .map(|((category, folder), files)| {
            let mut hasher = blake3::Hasher::new();
            let mut newest = (0, 0);
            let mut names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
            names.sort_unstable();
            for name in names {
                let path = root.join(category).join(folder).join(name);
                hasher.update(format!("{category}/{folder}/{name}\0").as_bytes());
                // What cannot be looked at is part of the list all the same.
                let Ok(found) = path.symlink_metadata() else {
                    continue;
                };
                let modified = (found.mtime(), found.mtime_nsec());
                newest = newest.max(modified);
                hasher.update(&modified.0.to_le_bytes());
                hasher.update(&modified.1.to_le_bytes());
                hasher.update(&found.len().to_le_bytes());
                hasher.update(&found.ino().to_le_bytes());
            }
            (hasher.finalize(), newest)
        })
        .collect();
    let mut hasher = blake3::Hasher::new();
    for reject in &rejects {
        hasher.update(format!("{}\0", reject.path).as_bytes());
    }
    let mut newest = (0, 0);
    for (hash, time) in hashes {
        hasher.update(hash.as_bytes());
        newest = newest.max(time);
    }
    let (secs, nanos) = newest;
    Ok(Fingerprint {
        root,
        hash: hasher.finalize(),
        newest: SystemTime::UNIX_EPOCH + Duration::new(secs.max(0) as u64, nanos as u32),
    })
}

/// The folder that holds the categories. The real zip nests `LogoDet-3K` in itself.
pub(crate) fn locate(raw: &Path) -> Result<PathBuf, ScanError> {
    match raw.metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(ScanError::NotAFolder(raw.to_path_buf())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(ScanError::Missing(raw.to_path_buf()));
        }
        Err(source) => {
            let path = raw.to_path_buf();
            return Err(ScanError::Unreadable { path, source });
        }
    }
    let mut root = raw.to_path_buf();
    for _ in 0..3 {
        let inner = root.join("LogoDet-3K");
        if !inner.is_dir() {
            break;
        }
        root = inner;
    }
    Ok(root)
}

/// The files of each brand folder, by category and folder, and what of the tree is refused.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) folders: BTreeMap<(String, String), Vec<Found>>,
    pub(super) rejects: Vec<Reject>,
    /// Names of images of other kinds, which are not read, by category and folder.
    pub(super) others: BTreeMap<(String, String), Vec<String>>,
    /// Folders that programs and file systems keep for themselves.
    pub(super) passed_over: Vec<String>,
}

/// Whether a folder is no one's brand: what notebooks, file managers, archivers and storage leave behind.
fn is_housekeeping(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "$RECYCLE.BIN",
        "#recycle",
        "@eaDir",
        "System Volume Information",
        "__MACOSX",
        "__pycache__",
        "lost+found",
    ];
    name.starts_with('.') || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Images that could stand where a `.jpg` should.
fn is_other_image(name: &str) -> bool {
    const EXTENSIONS: [&str; 10] = [
        "avif", "bmp", "gif", "heic", "jfif", "jpe", "png", "tif", "tiff", "webp",
    ];
    let extension = name.rsplit_once('.').map_or("", |n| n.1);
    EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

/// Every image and annotation, those at `<Category>/<brand>/<file>` by folder, others refused.
pub(super) fn list(root: &Path) -> Result<Listing, ScanError> {
    let mut listing = Listing::default();
    let mut walk = WalkDir::new(root).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                let path = e.path().unwrap_or(root).to_path_buf();
                let depth = e.depth();
                let source = e.into();
                if depth == 0 {
                    return Err(ScanError::Unreadable { path, source });
                }
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                let detail = format!("cannot be listed: {source}");
                listing
                    .rejects
                    .push(of_file(&path, RejectReason::Unreadable, detail));
                continue;
            }
        };
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let file_type = entry.file_type();
        let kind = path
            .extension()
            .and_then(|e| e.to_str())
            .and_then(Kind::of_extension)
            .filter(|_| !file_type.is_dir());
        let Some(text) = path.to_str() else {
            if file_type.is_dir() {
                walk.skip_current_dir();
            }
            if file_type.is_dir() || kind.is_some() {
                let detail = "the name is not UTF-8; rename it".to_owned();
                let path = path.to_string_lossy();
                listing
                    .rejects
                    .push(of_file(&path, RejectReason::PathNotUtf8, detail));
            }
            continue;
        };
        if file_type.is_dir() && is_housekeeping(&entry.file_name().to_string_lossy()) {
            listing.passed_over.push(text.to_owned());
            walk.skip_current_dir();
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with('.') {
            tracing::debug!(path = text, "hidden file passed over");
            continue;
        }
        match (entry.depth(), kind) {
            (3, Some(kind)) => {
                let mut parts = text.splitn(3, '/').map(str::to_owned);
                let (Some(category), Some(folder), Some(name)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    continue;
                };
                let stem = name.rsplit_once('.').map_or("", |n| n.0).to_owned();
                let problem = if file_type.is_symlink() {
                    Some("a symbolic link; links are not followed")
                } else if !file_type.is_file() {
                    // Opening a pipe would wait forever.
                    Some("not a regular file")
                } else {
                    None
                };
                listing
                    .folders
                    .entry((category, folder))
                    .or_default()
                    .push(Found {
                        name,
                        stem,
                        kind,
                        problem,
                    });
            }
            (depth, None) if depth < 3 && file_type.is_symlink() && entry.path().is_dir() => {
                let detail = "a symbolic link to a folder; links are not followed".to_owned();
                listing
                    .rejects
                    .push(of_file(text, RejectReason::Unreadable, detail));
            }
            (depth, Some(_)) => {
                let level = if depth < 3 { "above" } else { "below" };
                let detail = format!(
                    "it lies {level} <Category>/<brand>/<file>; move it into the folder of its brand"
                );
                listing
                    .rejects
                    .push(of_file(text, RejectReason::Misplaced, detail));
            }
            (3, None) if file_type.is_file() && is_other_image(text) => {
                let mut parts = text.splitn(3, '/').map(str::to_owned);
                if let (Some(category), Some(folder), Some(name)) =
                    (parts.next(), parts.next(), parts.next())
                {
                    let names = listing.others.entry((category, folder)).or_default();
                    names.push(name);
                }
            }
            (_, None) if !file_type.is_dir() => {
                tracing::debug!(path = text, "file of another kind passed over");
            }
            _ => {}
        }
    }
    let is_image = |f: &Found| f.kind == Kind::Image;
    if !listing.folders.values().flatten().any(is_image) {
        return Err(ScanError::NoImages(root.to_path_buf()));
    }
    listing.passed_over.sort();
    Ok(listing)
}
