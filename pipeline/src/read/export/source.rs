//! A dataset as the forms of an export see it: its rows, the fold of each brand, and the raw images.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use logodex_dataset::Dataset;
use logodex_schemas::dataset::CatalogRow;
use logodex_schemas::split::Fold;
use rustix::fs::ioctl_ficlone;

use super::options::{ExportOptions, Form, Link};
use crate::raw::budget::share;
use crate::raw::listing;
use crate::read::catalog::read_catalog;
use crate::read::check;
use crate::split;
use logodex_program::failure::{corrupt, usage};

/// A dataset as the forms see it.
pub(super) struct Source {
    pub(super) dataset: Dataset,
    /// A line per row.
    pub(super) catalog: Vec<CatalogRow>,
    /// The fold of each brand by index; none where no split was named.
    pub(super) folds: BTreeMap<u32, Fold>,
    /// The folder of the raw tree's categories.
    raw: Option<PathBuf>,
    link: Link,
    /// A link was refused, and the person was told.
    pub(super) copying: AtomicBool,
}

impl Source {
    pub(super) fn open(options: &ExportOptions) -> anyhow::Result<Self> {
        let dataset = Dataset::open(&options.dataset)?;
        let root = &options.dataset;
        let catalog = read_catalog(root, dataset.manifest())?;
        if catalog.len() as u64 != dataset.n_rows() {
            return Err(corrupt(format!(
                "{}: {} rows, and the manifest counts {}",
                root.join("catalog.parquet").display(),
                catalog.len(),
                dataset.n_rows()
            )));
        }
        let folds = match &options.split {
            Some(name) => split::folds(&dataset, name)?,
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
    pub(super) fn check_annotations(&self) -> anyhow::Result<()> {
        let root = self.dataset.dir();
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
    pub(super) fn images(&self) -> Vec<&CatalogRow> {
        let mut images = BTreeMap::new();
        for row in &self.catalog {
            images.entry(row.image).or_insert(row);
        }
        images.into_values().collect()
    }

    /// `train`, `val` or `test`; `all` without a split.
    pub(super) fn fold_name(&self, brand: u32) -> &'static str {
        self.folds.get(&brand).map_or("all", |fold| fold.name())
    }

    pub(super) fn annotation(&self, row: &CatalogRow) -> anyhow::Result<Vec<u8>> {
        let path = self.dataset.dir().join(&row.annotation);
        std::fs::read(&path).map_err(|error| corrupt(format!("{}: {error}", path.display())))
    }

    /// Puts a row's raw image at `target`, once its bytes are proved to be those that the dataset was built from.
    pub(super) fn place_image(&self, row: &CatalogRow, target: &Path) -> anyhow::Result<()> {
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
        let file = File::open(&path).with_context(differs)?;
        let length = file.metadata().with_context(differs)?.len();
        let _share = share(length);
        let cannot = || format!("cannot write {}", target.display());
        let mut cloned = None;
        if self.link == Link::Copy {
            let copy = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(target);
            let copy = copy.with_context(cannot)?;
            cloned = ioctl_ficlone(&copy, &file).ok().map(|()| copy);
        }
        let is_clone = cloned.is_some();
        let mut bytes = Vec::with_capacity(length as usize);
        let mut proved = cloned.unwrap_or(file);
        proved.read_to_end(&mut bytes).with_context(differs)?;
        anyhow::ensure!(
            blake3::hash(&bytes).to_hex().as_str() == row.blake3,
            differs()
        );
        if is_clone || self.link == Link::Hard && self.hard_link(&path, target)? {
            return Ok(());
        }
        std::fs::write(target, bytes).with_context(cannot)
    }

    /// Whether a hard link could be made; the first time that the file system refuses one, the person is told.
    fn hard_link(&self, path: &Path, target: &Path) -> anyhow::Result<bool> {
        if self.copying.load(Ordering::Relaxed) {
            return Ok(false);
        }
        // A link to a symbolic link would be one.
        let linked = path
            .canonicalize()
            .and_then(|path| std::fs::hard_link(path, target));
        match linked {
            Ok(()) => Ok(true),
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
                Ok(false)
            }
            Err(error) => Err(error).with_context(|| format!("cannot link {}", target.display())),
        }
    }

    /// A dataset's own small file, its bytes proved.
    pub(super) fn copy_listed(&self, name: &str, dir: &Path) -> anyhow::Result<()> {
        let bytes = self.dataset.tables().listed(name)?;
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn summary(&self, form: Form) -> String {
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
