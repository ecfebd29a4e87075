//! `logodex-data export`: a dataset in the forms that other tools read. Whole or not at all: everything is written into
//! a hidden directory beside the target, which takes the target's name at the end.

use std::sync::atomic::Ordering;

use draft::Draft;
use options::inspect;
use source::Source;

pub use options::{ExportOptions, Form, Link};

mod coco;
mod draft;
mod folders;
mod options;
mod source;
mod webdataset;

/// Exports a dataset and returns what to print.
///
/// # Errors
/// Usage: no dataset, no such split, a form that lacks `raw` or `split`, an `out` that holds something or lies in the
/// dataset or the raw tree. Corrupt: a damaged dataset. A raw image that is not the one that the dataset was built from.
pub fn export(options: &ExportOptions) -> anyhow::Result<String> {
    inspect(options)?;
    let source = Source::open(options)?;
    if options.to != Form::Webdataset {
        source.check_annotations()?;
    }
    let (summary, out) = (source.summary(options.to), options.out.display());
    if options.dry_run {
        return Ok(format!("would export {summary} to {out}"));
    }
    let draft = Draft::claim(&options.out)?;
    match options.to {
        Form::Folders => folders::write(&source, options.split.as_deref(), &draft.dir)?,
        Form::Webdataset => webdataset::write(&source, options.seed, &draft.dir)?,
        Form::Coco => coco::write(&source, &draft.dir)?,
    }
    draft.publish()?;
    let copied = match source.copying.load(Ordering::Relaxed) {
        true => "; copied, because the file system refuses hard links to the raw tree",
        false => "",
    };
    Ok(format!("{out}: {summary}{copied}"))
}
