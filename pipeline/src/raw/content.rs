//! Reads one file of a raw tree: hashes it, looks inside, and reads it a second time only to find it unchanged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use logodex_schemas::dataset::RejectReason;

use super::annotation::{self, Annotation};
use super::budget::{Share, share};
use super::format::reject_reason;
use super::pair::Kind;
use anyhow::Context;
use logodex_pixels::decode::{DecodeError, Seen};

/// Longer image files are refused unread: the largest of LogoDet-3K has 0.3 MB.
const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// What an annotation costs while it is parsed, times its length: a record for each object that its bytes can spell.
const PARSED: u64 = 40;

/// Looks at an image file's bytes, or says why they cannot be used. Called from many threads.
pub type Look<'a> = &'a (dyn Fn(&[u8]) -> Result<Seen, DecodeError> + Sync);

/// What [`read`] finds.
pub(super) struct Content {
    pub(super) hash: blake3::Hash,
    pub(super) bytes: u64,
    pub(super) inside: Inside,
}

/// Why a file cannot be used.
pub(super) type Refusal = (RejectReason, String);

pub(super) enum Inside {
    Image(Result<Seen, Refusal>),
    Annotation(Result<Annotation, Refusal>),
}

/// What a file of this length costs while it is looked into, bytes.
fn cost(kind: Kind, length: u64) -> u64 {
    match kind {
        Kind::Image => length,
        Kind::Annotation => PARSED * length,
    }
}

/// Reads one file, hashes it and looks inside, without holding more of it than such a file can have.
pub(super) fn read(path: &Path, kind: Kind, look: Look<'_>) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let limit = match kind {
        Kind::Image => MAX_IMAGE_BYTES,
        Kind::Annotation => annotation::MAX_BYTES as u64,
    };
    let length = file.metadata()?.len().min(limit);
    let _share = share(cost(kind, length));
    // One byte more than the limit tells that it is exceeded.
    let mut head = Vec::with_capacity(length as usize + 1);
    file.by_ref().take(limit + 1).read_to_end(&mut head)?;
    hasher.update(&head);
    hasher.update_reader(file)?;
    let bytes = hasher.count();
    let inside = match kind {
        Kind::Image if bytes > limit => Inside::Image(Err((
            RejectReason::ImageTooLarge,
            format!("{bytes} bytes; at most {limit} are read"),
        ))),
        Kind::Image => Inside::Image(look(&head).map_err(|e| (reject_reason(e.reason), e.detail))),
        Kind::Annotation => Inside::Annotation(annotation::parse(&head)),
    };
    Ok(Content {
        hash: hasher.finalize(),
        bytes,
        inside,
    })
}

/// BLAKE3 over the lines `<blake3 of the file>  <path>\n` of every file, sorted by path.
pub(super) fn tree_hash(contents: &BTreeMap<String, io::Result<Content>>) -> blake3::Hash {
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

/// A file's bytes, and their share of the budget for as long as they are held.
pub struct FileBytes {
    bytes: Vec<u8>,
    _share: Share,
}

impl std::ops::Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a file of the raw tree and makes sure that it is the one that was scanned.
///
/// # Errors
/// It cannot be read, or its bytes are others.
pub fn read_unchanged(
    root: &Path,
    relative: &str,
    blake3: blake3::Hash,
) -> anyhow::Result<FileBytes> {
    let path = root.join(relative);
    let changed = || {
        format!(
            "{} changed while the dataset was built; build again when nothing writes the tree",
            path.display()
        )
    };
    let extension = path.extension().and_then(|e| e.to_str());
    let kind = extension
        .and_then(Kind::of_extension)
        .unwrap_or(Kind::Image);
    let read = || {
        let file = File::open(&path)?;
        let length = file.metadata()?.len().min(MAX_IMAGE_BYTES);
        let _share = share(cost(kind, length));
        let mut bytes = Vec::with_capacity(length as usize);
        // A file that grows is no longer the one that was scanned.
        file.take(length).read_to_end(&mut bytes)?;
        io::Result::Ok(FileBytes { bytes, _share })
    };
    let found = read().with_context(|| {
        format!(
            "{} can no longer be read, as the scan did; build again when it can",
            path.display()
        )
    })?;
    anyhow::ensure!(blake3::hash(&found) == blake3, changed());
    Ok(found)
}
