//! Where a gallery is kept: the one seam between what a gallery is and what holds it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::contents::{Contents, Edit};
use super::directory::Directory;
use super::postgres::Postgres;
use super::postgres::address::Address;

/// What holds a gallery.
#[derive(Debug, Clone)]
pub enum Store {
    /// A directory of this machine.
    Directory(Directory),
    /// A database that several machines share.
    Postgres(Postgres),
}

impl Store {
    /// What a place, as it is typed, means: a URL `postgres://…` is a database, all else a directory.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn at(place: &str) -> Result<Self> {
        Ok(match Address::is_meant(place) {
            true => Self::Postgres(Postgres::new(place)?),
            false => Self::Directory(Directory::new(Path::new(place))),
        })
    }

    /// The directory, where it is one: a change of it is seen in its files.
    pub fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Postgres(_) => None,
        }
    }

    /// What is published; none where there is no gallery.
    ///
    /// # Errors
    /// What is damaged, or cannot be read.
    pub fn load(&self) -> Result<Option<Contents>> {
        match self {
            Self::Directory(directory) => directory.load(),
            Self::Postgres(database) => database.load(),
        }
    }

    /// The generation that is published; none where there is no gallery.
    ///
    /// # Errors
    /// What is damaged, or cannot be read.
    pub fn generation(&self) -> Result<Option<u64>> {
        match self {
            Self::Directory(directory) => directory.generation(),
            Self::Postgres(database) => database.generation(),
        }
    }

    /// The model that it keeps of this fingerprint, if it does.
    pub fn model(&self, fingerprint: &str) -> Option<PathBuf> {
        match self {
            Self::Directory(directory) => directory.model(fingerprint),
            Self::Postgres(database) => database.model(fingerprint),
        }
    }

    /// Keeps a model's file beside those that it keeps already.
    ///
    /// # Errors
    /// What holds the gallery.
    pub fn add_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.add_model(path, fingerprint),
            Self::Postgres(database) => database.add_model(path, fingerprint),
        }
    }

    /// Keeps a model's file, so that the gallery can be asked without naming one, and lets those of other fingerprints go.
    ///
    /// # Errors
    /// What holds the gallery.
    pub fn keep_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.keep_model(path, fingerprint),
            Self::Postgres(database) => database.keep_model(path, fingerprint),
        }
    }

    /// Keeps a picture's file, which is then enrolled from there. Returns its path.
    ///
    /// # Errors
    /// What holds the gallery.
    pub fn keep_picture(&self, bytes: &[u8]) -> Result<PathBuf> {
        match self {
            Self::Directory(directory) => directory.keep_picture(bytes),
            Self::Postgres(database) => database.keep_picture(bytes),
        }
    }

    /// Where a picture lies that was enrolled from this path.
    pub fn picture(&self, path: &str) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.path().join(path),
            Self::Postgres(database) => database.picture(path),
        }
    }

    /// Makes changes that `decide` on what is published at the time, or on `begin` where there is no gallery yet. Nobody else
    /// changes it meanwhile, all are made or none, and they are durable on return. Gives what is published then.
    ///
    /// # Errors
    /// Those of `decide` and of what holds the gallery.
    pub fn edit(
        &self,
        begin: Option<Contents>,
        decide: impl FnOnce(&Contents) -> Result<Vec<Edit>>,
    ) -> Result<Contents> {
        match self {
            Self::Directory(directory) => directory.edit(begin, decide),
            Self::Postgres(database) => database.edit(begin, decide),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.path().display().fmt(f),
            Self::Postgres(database) => database.address().fmt(f),
        }
    }
}
