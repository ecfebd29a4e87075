//! What `export` is asked to do, and what of it is refused before anything is read or written.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::draft::LONGEST;
use crate::build::output::inspect::{lies_in_raw, real};
use logodex_program::failure::usage;

/// What a dataset is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The paper's tree: {train_val,test}/CATEGORY/BRAND/N.jpg and N.xml
    Folders,
    /// Tar files of the rows in an order of chance: PNG or JPEG as stored, brand index, catalog row
    Webdataset,
    /// The raw JPEGs with one JSON of boxes per fold
    Coco,
}

/// How a raw image gets into an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Link {
    /// A copy, which shares its blocks with the raw file where the file system can (a reflink)
    Copy,
    /// A hard link: the raw file itself under a second name, so never edit one in place; a copy where the file system refuses links
    Hard,
}

/// What `export` is asked to do.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The dataset.
    pub dataset: PathBuf,
    /// The form.
    pub to: Form,
    /// The directory to make: absent or empty.
    pub out: PathBuf,
    /// The split whose folds are told apart.
    pub split: Option<String>,
    /// The raw tree that the dataset was built from.
    pub raw: Option<PathBuf>,
    /// How raw images get there.
    pub link: Link,
    /// Seed of the order of a WebDataset's rows.
    pub seed: u64,
    /// Say what would be exported, and write nothing.
    pub dry_run: bool,
}

/// Refuses what was typed before anything is read or written.
pub(super) fn inspect(options: &ExportOptions) -> anyhow::Result<()> {
    let ExportOptions {
        dataset,
        to,
        out,
        split,
        raw,
        ..
    } = options;
    if *to == Form::Folders && split.is_none() {
        return Err(usage(
            "--to folders needs --split NAME: it says which brands are test",
        ));
    }
    if *to != Form::Webdataset && raw.is_none() {
        return Err(usage(
            "this form holds the original images: add --raw, the tree that the dataset was built from",
        ));
    }
    let in_dataset = dataset
        .canonicalize()
        .is_ok_and(|dataset| real(out).is_some_and(|out| out.starts_with(dataset)));
    let in_raw = raw.as_ref().is_some_and(|raw| lies_in_raw(out, raw));
    for (lies_in, what) in [(in_dataset, "the dataset"), (in_raw, "the raw tree")] {
        if lies_in {
            return Err(usage(format!(
                "{} lies in {what}, which is never written; choose another --out",
                out.display()
            )));
        }
    }
    let refuse = |why: &str| {
        Err(usage(format!(
            "{} {why}; choose an empty or new --out",
            out.display()
        )))
    };
    if out.file_name().is_some_and(|name| name.len() > LONGEST) {
        return refuse(&format!("has a name of more than {LONGEST} bytes"));
    }
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refuse("is not empty"),
            // Nothing can be renamed to it, and what is moved into it piece by piece may stay a half.
            None if is_mount_point(out) => refuse(
                "is a mount point, and an export appears whole or not at all; name a directory below it",
            ),
            None => Ok(()),
        },
        Err(_) if out.is_symlink() => refuse("is a symbolic link to no directory"),
        Err(error) if error.kind() == ErrorKind::NotFound => match out.file_name() {
            Some(_) => Ok(()),
            None => refuse("names no directory"),
        },
        Err(error) => refuse(&format!("cannot be listed ({error})")),
    }
}

/// Whether another file system, or another part of one, begins at a directory.
fn is_mount_point(dir: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, dir, AtFlags::empty(), StatxFlags::empty());
    let is_root =
        |found: rustix::fs::Statx| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    // Kernels before 5.8 do not tell.
    let device = |dir: &Path| dir.metadata().ok().map(|found| found.dev());
    found.is_ok_and(is_root) || device(dir) != device(&dir.join(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_told_from_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(dir.path()));
        assert!(!is_mount_point(&dir.path().join("absent")));
    }
}
