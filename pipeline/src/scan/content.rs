//! What a file of a raw tree holds, read once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use logodex_schemas::dataset::RejectReason;

use super::Look;
use super::pairing::Kind;
use crate::annotation::{self, Annotation};
use crate::picture::reject_reason;
use logodex_pixels::decode::Seen;

/// Longer image files are refused unread: the largest of LogoDet-3K has 0.3 MB.
const MAX_IMAGE_BYTES: u64 = 64 << 20;

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

/// Reads one file, hashes it and looks inside, without holding more of it than such a file can have.
pub(super) fn read(path: &Path, kind: Kind, look: Look<'_>) -> io::Result<Content> {
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
        Kind::Image => Inside::Image(look(&head).map_err(|e| (reject_reason(e.reason), e.detail))),
        Kind::Annotation => Inside::Annotation(annotation::parse(&head)),
    };
    Ok(Content {
        hash: hasher.finalize(),
        bytes,
        inside,
    })
}

/// [`Scan::raw_blake3`](super::Scan::raw_blake3).
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
