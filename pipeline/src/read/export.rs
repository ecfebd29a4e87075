//! `logodex-data export`: a dataset in the forms that other tools read. Whole or not at all: everything is written into
//! a hidden directory beside the target, which takes the target's name at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use logodex_schemas::dataset::CatalogRow;
use logodex_schemas::split::{Fold, SplitRow};

use crate::build::output::{files, inspect};
use crate::dataset::{Dataset, parse_csv, read_catalog, read_listed};
use crate::raw::listing;
use crate::read::check;
use crate::split;
use logodex_program::failure::{corrupt, usage};

mod coco;
mod folders;
mod webdataset;

/// What a dataset is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The paper's tree: {train_val,test}/CATEGORY/BRAND/N.jpg and N.xml
    Folders,
    /// Tar files of the rows: PNG, brand index, catalog row
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
    /// Say what would be exported, and write nothing.
    pub dry_run: bool,
}

/// A dataset as the forms see it.
struct Source {
    dataset: Dataset,
    /// A line per row.
    catalog: Vec<CatalogRow>,
    /// The fold of each brand by index; none where no split was named.
    folds: BTreeMap<u32, Fold>,
    /// The folder of the raw tree's categories.
    raw: Option<PathBuf>,
    link: Link,
    /// A link was refused, and the person was told.
    copying: AtomicBool,
}

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
        Form::Webdataset => webdataset::write(&source, &draft.dir)?,
        Form::Coco => coco::write(&source, &draft.dir)?,
    }
    draft.publish()?;
    let copied = match source.copying.load(Ordering::Relaxed) {
        true => "; copied, because the file system refuses hard links to the raw tree",
        false => "",
    };
    Ok(format!("{out}: {summary}{copied}"))
}

/// Refuses what was typed before anything is read or written.
fn inspect(options: &ExportOptions) -> anyhow::Result<()> {
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
            && inspect::real(out).is_some_and(|out| out.starts_with(inner))
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

impl Source {
    fn open(options: &ExportOptions) -> anyhow::Result<Self> {
        let dataset = Dataset::open(&options.dataset)?;
        let root = &options.dataset;
        let catalog = read_catalog(root, dataset.manifest())?;
        if catalog.len() as u64 != dataset.len() {
            return Err(corrupt(format!(
                "{}: {} rows, and the manifest counts {}",
                root.join("catalog.parquet").display(),
                catalog.len(),
                dataset.len()
            )));
        }
        let folds = match &options.split {
            Some(name) => folds(&dataset, name)?,
            None => BTreeMap::new(),
        };
        let raw = match &options.raw {
            Some(raw) => Some(listing::locate(raw).map_err(|error| usage(error.to_string()))?),
            None => None,
        };
        Ok(Self {
            dataset,
            catalog,
            folds,
            raw,
            link: options.link,
            copying: AtomicBool::new(false),
        })
    }

    /// Bytes of all annotations against the manifest.
    fn check_annotations(&self) -> anyhow::Result<()> {
        let root = self.dataset.root();
        let mut problems = Vec::new();
        let files = check::list(root, root)?;
        check::check_annotations(root, self.dataset.manifest(), &files, &mut problems);
        match problems.is_empty() {
            true => Ok(()),
            false => Err(corrupt(format!(
                "{}: {}",
                root.display(),
                problems.join("; ")
            ))),
        }
    }

    /// The first row of every image that has rows, in the order of the images.
    fn images(&self) -> Vec<&CatalogRow> {
        let mut images = BTreeMap::new();
        for row in &self.catalog {
            images.entry(row.image).or_insert(row);
        }
        images.into_values().collect()
    }

    /// `train`, `val` or `test`; `all` without a split.
    fn fold_name(&self, brand: u32) -> &'static str {
        self.folds.get(&brand).map_or("all", |fold| fold.name())
    }

    fn annotation(&self, row: &CatalogRow) -> anyhow::Result<Vec<u8>> {
        let path = self.dataset.root().join(&row.annotation);
        std::fs::read(&path).map_err(|error| corrupt(format!("{}: {error}", path.display())))
    }

    /// Puts a row's raw image at `target`, once its bytes are proved to be those that the dataset was built from.
    fn place_image(&self, row: &CatalogRow, target: &Path) -> anyhow::Result<()> {
        let raw = self
            .raw
            .as_deref()
            .context("the form was not asked for the raw tree")?;
        let path = raw.join(&row.raw_image);
        let differs = || {
            format!(
                "{}: not the image that the dataset was built from; export from that tree, or build again",
                path.display()
            )
        };
        let bytes = std::fs::read(&path).with_context(differs)?;
        anyhow::ensure!(
            blake3::hash(&bytes).to_hex().as_str() == row.blake3,
            differs()
        );
        if self.link == Link::Hard && !self.copying.load(Ordering::Relaxed) {
            // A link to a symbolic link would be one.
            match path
                .canonicalize()
                .and_then(|path| std::fs::hard_link(path, target))
            {
                Ok(()) => return Ok(()),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::CrossesDevices
                            | ErrorKind::PermissionDenied
                            | ErrorKind::TooManyLinks
                            | ErrorKind::Unsupported
                    ) =>
                {
                    if !self.copying.swap(true, Ordering::Relaxed) {
                        tracing::warn!("no hard links to the raw tree ({error}): copying instead");
                    }
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot link {}", target.display()));
                }
            }
        }
        std::fs::write(target, bytes).with_context(|| format!("cannot write {}", target.display()))
    }

    /// A dataset's own small file, its bytes proved.
    fn copy_listed(&self, name: &str, dir: &Path) -> anyhow::Result<()> {
        let bytes = read_listed(self.dataset.root(), self.dataset.manifest(), name)?;
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn summary(&self, form: Form) -> String {
        let images = self.images();
        let brands: BTreeSet<u32> = images.iter().map(|row| row.brand_index).collect();
        let mut summary = match form {
            Form::Webdataset => format!("{} rows", self.catalog.len()),
            Form::Folders | Form::Coco => format!("{} images", images.len()),
        };
        summary += &format!(" of {} brands", brands.len());
        let mut folds = BTreeMap::<Fold, usize>::new();
        for brand in &brands {
            if let Some(fold) = self.folds.get(brand) {
                *folds.entry(*fold).or_default() += 1;
            }
        }
        let folds: Vec<String> = folds
            .iter()
            .map(|(fold, n)| format!("{n} {}", fold.name()))
            .collect();
        if !folds.is_empty() {
            summary += &format!(" ({})", folds.join(", "));
        }
        match self.dataset.manifest().counts.images - images.len() as u64 {
            0 => summary,
            n => format!("{summary}, without {n} images that have no row"),
        }
    }
}

/// The fold of every brand that a split lists.
fn folds(dataset: &Dataset, name: &str) -> anyhow::Result<BTreeMap<u32, Fold>> {
    let path = dataset.root().join(format!("splits/{name}.csv"));
    if !files::is_one_component(name) || !path.is_file() {
        return Err(usage(format!(
            "{}: there is no such split; draw it with logodex-data split",
            path.display()
        )));
    }
    let problems = split::problems(
        dataset.root(),
        name,
        dataset.brands(),
        dataset.manifest_blake3(),
    );
    if !problems.is_empty() {
        return Err(corrupt(problems.join("; ")));
    }
    let bytes =
        std::fs::read(&path).map_err(|error| corrupt(format!("{}: {error}", path.display())))?;
    let rows: Vec<SplitRow> = parse_csv(&path, &bytes)?;
    Ok(rows.into_iter().map(|row| (row.index, row.fold)).collect())
}

/// The hidden directory that becomes the export. Dropped without [`Draft::publish`], it is removed.
struct Draft {
    dir: PathBuf,
    target: PathBuf,
    published: bool,
    /// Locked for as long as it is open: of two exports to one target the second is refused.
    lock: File,
}

impl Draft {
    /// Makes it beside the target, or empties what a killed export left there.
    fn claim(target: &Path) -> anyhow::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".export");
        let dir = target.with_file_name(name);
        let cannot = || format!("cannot make {}", dir.display());
        std::fs::create_dir_all(&dir).with_context(cannot)?;
        let lock = File::open(&dir).with_context(cannot)?;
        inspect::lock(&lock, "export", target)?;
        for entry in std::fs::read_dir(&dir).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(Self {
            dir,
            target: target.to_owned(),
            published: false,
            lock,
        })
    }

    /// Syncs it and gives it the target's name.
    fn publish(mut self) -> anyhow::Result<()> {
        // An empty directory that has the name already gives way.
        rustix::fs::syncfs(&self.lock)
            .map_err(std::io::Error::from)
            .and_then(|()| std::fs::rename(&self.dir, &self.target))
            .with_context(|| format!("cannot publish {}", self.target.display()))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // What a failure here leaves, the next export to this target removes.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
