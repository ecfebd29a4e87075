//! What `export` is asked to do, and what of it is refused before anything is read or written.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::build::output::inspect::real;
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
    /// A hard link; a copy where the file system refuses one
    Hard,
    /// A copy
    Copy,
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
    for (inner, what) in [
        (Some(dataset), "the dataset"),
        (raw.as_ref(), "the raw tree"),
    ] {
        if let Some(inner) = inner.and_then(|inner| inner.canonicalize().ok())
            && real(out).is_some_and(|out| out.starts_with(inner))
        {
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
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refuse("is not empty"),
            None => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => match out.file_name() {
            Some(_) => Ok(()),
            None => refuse("names no directory"),
        },
        Err(error) => refuse(&format!("cannot be listed ({error})")),
    }
}
