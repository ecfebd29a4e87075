//! The only door to the raw tree: finds, pairs, hashes and parses what lies there, and never writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use logodex_schemas::dataset::{Reject, RejectReason};
use rayon::prelude::*;
use walkdir::WalkDir;

use crate::annotation::{self, Annotation};
use crate::decode::{DecodeError, Seen};
use pairing::{Found, Kind};

mod pairing;

pub use pairing::natural_order;

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
    /// What the annotation says.
    pub parsed: Annotation,
}

/// Looks at an image file's bytes, or says why they cannot be used. Called from many threads.
pub type Look<'a> = &'a (dyn Fn(&[u8]) -> Result<Seen, DecodeError> + Sync);

/// Longer image files are refused unread: the largest of LogoDet-3K has 0.3 MB.
const MAX_IMAGE_BYTES: u64 = 64 << 20;

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
    /// BLAKE3 over the lines `<blake3 of the file>  <path>\n` of every image and annotation, sorted by path.
    pub raw_blake3: blake3::Hash,
}

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

/// Scans a raw tree: the folder that holds `LogoDet-3K`, `LogoDet-3K` itself, or one nested in another.
///
/// `progress(done, total)` counts files and is called from many threads. Symbolic links below `raw` are refused, not
/// followed; hidden files and files of other kinds are passed over.
///
/// # Errors
/// [`ScanError`] when there is nothing to scan. A file that cannot be used is no error but a [`Reject`].
pub fn scan(
    raw: &Path,
    look: Look<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Scan, ScanError> {
    let root = locate(raw)?;
    let Listing {
        folders,
        mut rejects,
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
            rejects.push(reject(path, RejectReason::Unreadable, error.to_string()));
        }
    }
    let mut contents = contents;
    let mut samples = Vec::new();
    for ((category, folder), files) in &folders {
        let (pairs, unpaired) = pairing::pair(files);
        for (name, reason, detail) in unpaired {
            rejects.push(reject(
                &format!("{category}/{folder}/{name}"),
                reason,
                detail,
            ));
        }
        for pair in pairs {
            let image = format!("{category}/{folder}/{}", pair.image);
            let annotation = format!("{category}/{folder}/{}", pair.annotation);
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
                rejects.push(reject(path, reason, detail));
            };
            match (seen, parsed) {
                (seen, Err(refusal)) => {
                    refuse(&annotation, refusal, &mut rejects);
                    if let Err(refusal) = seen {
                        refuse(&image, refusal, &mut rejects);
                    }
                }
                (Err(refusal), Ok(_)) => refuse(&image, refusal, &mut rejects),
                (Ok(seen), Ok(parsed)) => {
                    reject_boxes(&annotation, &parsed, &mut rejects);
                    samples.push(RawSample {
                        category: category.clone(),
                        folder: folder.clone(),
                        stem: pair.stem,
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
        raw_blake3,
    })
}

/// The files of a tree, as directories tell of them: no file is read.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The folder that holds the categories, absolute.
    pub root: PathBuf,
    /// Hash over every image's and annotation's path, length, times of change and inode.
    pub hash: blake3::Hash,
    /// The latest of those times.
    pub newest: SystemTime,
}

/// Lists a tree without reading it.
///
/// # Errors
/// As [`scan`].
pub fn listing(raw: &Path) -> Result<Listed, ScanError> {
    let root = locate(raw)?;
    let root = root.canonicalize().unwrap_or(root);
    let Listing { folders, rejects } = list(&root)?;
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
                let (modified, changed) = (
                    (found.mtime(), found.mtime_nsec()),
                    (found.ctime(), found.ctime_nsec()),
                );
                newest = newest.max(modified).max(changed);
                for number in [modified.0, modified.1, changed.0, changed.1] {
                    hasher.update(&number.to_le_bytes());
                }
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
    Ok(Listed {
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

#[derive(Default)]
struct Listing {
    folders: BTreeMap<(String, String), Vec<Found>>,
    rejects: Vec<Reject>,
}

/// Every image and annotation at `<Category>/<brand>/<file>`.
fn list(root: &Path) -> Result<Listing, ScanError> {
    let mut listing = Listing::default();
    let mut walk = WalkDir::new(root).min_depth(1).max_depth(3).into_iter();
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
                    .push(reject(&path, RejectReason::Unreadable, detail));
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
                    .push(reject(&path, RejectReason::PathNotUtf8, detail));
            }
            continue;
        };
        match (entry.depth(), kind) {
            (3, Some(kind)) => {
                let mut parts = text.splitn(3, '/').map(str::to_owned);
                let (Some(category), Some(folder), Some(name)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    continue;
                };
                if name.starts_with('.') {
                    tracing::debug!(path = text, "hidden file passed over");
                    continue;
                }
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
                    .push(reject(text, RejectReason::Unreadable, detail));
            }
            (_, Some(_)) => tracing::warn!(
                path = text,
                "an image or annotation that lies in no brand folder is passed over"
            ),
            (3, None) if file_type.is_dir() => {
                tracing::warn!(path = text, "a folder inside a brand folder is passed over")
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
    Ok(listing)
}

struct Content {
    hash: blake3::Hash,
    bytes: u64,
    inside: Inside,
}

/// Why a file cannot be used.
type Refusal = (RejectReason, String);

enum Inside {
    Image(Result<Seen, Refusal>),
    Annotation(Result<Annotation, Refusal>),
}

/// Reads one file, hashes it and looks inside, without holding more of it than such a file can have.
fn read(path: &Path, kind: Kind, look: Look<'_>) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let limit = match kind {
        Kind::Image => MAX_IMAGE_BYTES,
        Kind::Annotation => annotation::MAX_BYTES as u64,
    };
    // One byte more than the limit tells that it is exceeded.
    let mut head = Vec::with_capacity(file.metadata()?.len().min(limit) as usize + 1);
    file.by_ref().take(limit + 1).read_to_end(&mut head)?;
    hasher.update(&head);
    hasher.update_reader(file)?;
    let bytes = hasher.count();
    let inside = match kind {
        Kind::Image if bytes > limit => Inside::Image(Err((
            RejectReason::ImageTooLarge,
            format!("{bytes} bytes; at most {limit} are read"),
        ))),
        Kind::Image => Inside::Image(look(&head).map_err(|e| (e.reason, e.detail))),
        Kind::Annotation => Inside::Annotation(annotation::parse(&head)),
    };
    Ok(Content {
        hash: hasher.finalize(),
        bytes,
        inside,
    })
}

fn tree_hash(contents: &BTreeMap<String, io::Result<Content>>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (path, content) in contents {
        match content {
            Ok(content) => hasher.update(content.hash.to_hex().as_bytes()),
            Err(_) => hasher.update(b"unreadable"),
        };
        hasher.update(format!("  {path}\n").as_bytes());
    }
    hasher.finalize()
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

fn reject(path: &str, reason: RejectReason, detail: String) -> Reject {
    Reject {
        path: path.to_owned(),
        object: None,
        reason,
        detail,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod raw_tree;
