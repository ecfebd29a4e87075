//! What is enrolled, as a snapshot: it is searched, and every change gives the next one.

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use logodex_embeddings::nearest::{Neighbour, Vectors, nearest};
use logodex_embeddings::similarity::Panels;
use logodex_program::{Failure, usage};
use logodex_schemas::gallery::{
    Candidate, GalleryCalibration, GalleryModel, GalleryPicture, Identified, Numbers,
    PictureSource, SceneCalibration, Verdict,
};
use logodex_schemas::onnx::ModelMetadata;

use super::contents::{Brand, Contents, Edit, brands};
use super::store::Store;
use crate::threshold::{self, Threshold};

/// What was enrolled at one moment. Cheap to share, safe to search from many threads; it does not see later changes.
#[derive(Debug)]
pub struct Gallery {
    store: Store,
    contents: Contents,
    brands: Vec<Brand>,
    /// The prototypes as the kernel takes them: made when they are first searched.
    packed: OnceLock<Panels>,
}

/// A gallery knows a model as this.
pub fn known_as(model: &ModelMetadata) -> GalleryModel {
    GalleryModel {
        fingerprint: model.fingerprint.clone(),
        run: model.run.clone(),
        embedding_dim: model.embedding_dim,
    }
}

impl Gallery {
    /// The gallery at a place: a directory, or the URL of a database.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is none, [`Failure::Corrupt`] where it is damaged.
    pub fn open(place: &str) -> Result<Self> {
        Self::of(Store::at(place)?)
    }

    fn of(store: Store) -> Result<Self> {
        match store.load()? {
            Some(contents) => Ok(Self::new(store, contents)),
            None => Err(usage(format!(
                "{store}: there is no gallery; `logodex enrol --gallery {store} --model MODEL.onnx --brand NAME FILE…` begins one"
            ))),
        }
    }

    /// As [`Self::open`], or an empty gallery of this model, which is there for others once something is enrolled.
    ///
    /// # Errors
    /// As [`Self::open`], and as [`Self::check_model`].
    pub fn open_or_begin(place: &str, model: &ModelMetadata, numbers: Numbers) -> Result<Self> {
        let store = Store::at(place)?;
        let contents = match store.load()? {
            Some(contents) => contents,
            None => Contents::empty(known_as(model), numbers),
        };
        let gallery = Self::new(store, contents);
        gallery.check_model(model)?;
        Ok(gallery)
    }

    fn new(store: Store, contents: Contents) -> Self {
        Self {
            brands: brands(&contents.pictures),
            store,
            contents,
            packed: OnceLock::new(),
        }
    }

    /// The newest snapshot, if somebody has changed the gallery since this one was taken.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn newer(&self) -> Result<Option<Self>> {
        match self.store.generation()? {
            Some(generation) if generation == self.contents.generation => Ok(None),
            None if self.contents.generation == 0 => Ok(None),
            _ => Self::of(self.store.clone()).map(Some),
        }
    }

    /// Where it is.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Counts the changes: two snapshots of one gallery with the same number are equal.
    pub fn generation(&self) -> u64 {
        self.contents.generation
    }

    /// The model whose embeddings it holds.
    pub fn model(&self) -> &GalleryModel {
        &self.contents.model
    }

    /// How embeddings are stored.
    pub fn numbers(&self) -> Numbers {
        self.contents.numbers
    }

    /// The brands in the byte order of their names.
    pub fn brands(&self) -> &[Brand] {
        &self.brands
    }

    /// The brand of this name.
    pub fn brand(&self, name: &str) -> Option<&Brand> {
        let at = self.brands.binary_search_by(|b| b.name.as_str().cmp(name));
        at.ok().map(|at| &self.brands[at])
    }

    /// Every picture, by brand, as it was enrolled.
    pub fn pictures(&self) -> &[GalleryPicture] {
        &self.contents.pictures
    }

    /// The embedding of a picture, by its place in [`Self::pictures`], `[D]`.
    pub fn embedding(&self, place: usize) -> Vec<f32> {
        self.contents.embeddings.row(place)
    }

    /// The vector that a brand is compared by, by its place in [`Self::brands`], `[D]`: the mean of its embeddings, brought to
    /// length one.
    pub fn prototype(&self, place: usize) -> Vec<f32> {
        self.contents.prototypes.row(place)
    }

    /// What was found out of strangers, if anything.
    pub fn calibration(&self) -> Option<&GalleryCalibration> {
        self.contents.calibration.as_ref()
    }

    /// What was found out of scenes without enrolled brands, if anything.
    pub fn scene_calibration(&self) -> Option<&SceneCalibration> {
        self.contents.scene_calibration.as_ref()
    }

    /// Pictures per brand: the middle of all brands' numbers.
    pub fn shots(&self) -> u64 {
        let mut counts: Vec<u64> = self
            .brands
            .iter()
            .map(|b| b.pictures.len() as u64)
            .collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(1)
    }

    /// Whether this model's embeddings may be compared with the gallery's.
    ///
    /// # Errors
    /// [`Failure::Usage`], with the command that embeds the gallery again.
    pub fn check_model(&self, model: &ModelMetadata) -> Result<()> {
        check_fits(&self.store, self.model(), model)
    }

    /// The `k` brands most similar to each query `[D]` of length one, most similar first; equal ones by name.
    pub fn search(&self, queries: &[&[f32]], k: usize) -> Vec<Vec<Candidate>> {
        let vectors = match self.contents.prototypes.vectors() {
            Vectors::F32 { dim, values } => Vectors::Packed(self.packed.get_or_init(|| {
                let mut panels = Panels::empty(dim);
                panels.refill(values.chunks_exact(dim));
                panels
            })),
            as_it_lies => as_it_lies,
        };
        let named = |found: Vec<Neighbour>| {
            let named = found.into_iter().map(|neighbour| Candidate {
                brand: self.brands[neighbour.place as usize].name.clone(),
                similarity: neighbour.similarity,
            });
            named.collect()
        };
        nearest(vectors, queries, k)
            .into_iter()
            .map(named)
            .collect()
    }

    /// The `k` pictures most similar to each query `[D]` of length one: places in [`Self::pictures`].
    pub fn search_pictures(&self, queries: &[&[f32]], k: usize) -> Vec<Vec<Neighbour>> {
        nearest(self.contents.embeddings.vectors(), queries, k)
    }

    /// From which similarity on a brand is named, so that at this gallery's size no more than `target` of all strangers are: by
    /// the gallery's own calibration, or by the model's.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a rate that is none, or where neither is calibrated.
    pub fn threshold(&self, model: &ModelMetadata, target: f64) -> Result<Threshold> {
        let enrolled = (self.brands.len() as u64, self.shots());
        threshold::of(&self.store, self.calibration(), model, enrolled, target)
    }

    /// Gives a brand another name. One that has the new name already gets its pictures only if `merge`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for names that do not do; the disk.
    pub fn rename(&self, from: &str, to: &str, merge: bool) -> Result<Self> {
        check_name(to)?;
        self.edit(|current| {
            let has = |name: &str| current.pictures.iter().any(|p| p.brand == name);
            if !has(from) {
                return Err(no_such_brand(&self.store, current, from));
            }
            if from == to {
                return Ok(Vec::new());
            }
            if has(to) && !merge {
                return Err(usage(format!(
                    "{}: {to:?} is enrolled, too; --merge gives it the pictures of {from:?}",
                    self.store
                )));
            }
            Ok(vec![Edit::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            }])
        })
    }

    /// Removes a brand, or of its pictures those of which the file has a BLAKE3 that begins with `blake3`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is none, or several files begin so; the disk.
    pub fn remove(&self, brand: &str, blake3: Option<&str>) -> Result<Self> {
        self.edit(|current| {
            let mut own: Vec<&str> = current
                .pictures
                .iter()
                .filter(|picture| picture.brand == brand)
                .map(|picture| picture.blake3.as_str())
                .collect();
            if own.is_empty() {
                return Err(no_such_brand(&self.store, current, brand));
            }
            let blake3 = match blake3 {
                None => None,
                Some(begin) => {
                    own.retain(|hash| hash.starts_with(begin));
                    own.sort_unstable();
                    own.dedup();
                    match own.as_slice() {
                        [one] => Some((*one).to_owned()),
                        [] => bail!(Failure::Usage(format!(
                            "{}: {brand:?} has no picture whose hash begins with {begin:?}; `logodex list --brand` shows them",
                            self.store
                        ))),
                        several => bail!(Failure::Usage(format!(
                            "{}: {} pictures of {brand:?} have hashes that begin with {begin:?}; give more digits",
                            self.store,
                            several.len()
                        ))),
                    }
                }
            };
            Ok(vec![Edit::Remove {
                brand: brand.to_owned(),
                blake3,
            }])
        })
    }

    /// Makes changes as one. `decide` sees what is published at the time, which may be newer than this snapshot.
    ///
    /// # Errors
    /// Those of `decide`, a gallery that was embedded again with another model meanwhile, and the disk's.
    pub fn edit(&self, decide: impl FnOnce(&Contents) -> Result<Vec<Edit>>) -> Result<Self> {
        // An empty gallery of this model, for where there is none yet.
        let begin = (self.contents.generation == 0).then(|| self.contents.clone());
        let contents = self.store.edit(begin, |current| {
            if current.model.fingerprint != self.contents.model.fingerprint {
                bail!(
                    "{}: another program has embedded it again with another model meanwhile; begin anew",
                    self.store
                );
            }
            decide(current)
        })?;
        Ok(Self::new(self.store.clone(), contents))
    }
}

/// What a picture shows, by its most similar brands as [`Gallery::search`] gives them.
pub fn judge(file: &str, top: Vec<Candidate>, threshold: &Threshold) -> Identified {
    let best = top.first();
    let known = best.filter(|best| threshold.accepts(best.similarity));
    Identified {
        file: file.to_owned(),
        verdict: known.map_or(Verdict::Unknown, |_| Verdict::Known),
        brand: known.map(|best| best.brand.clone()),
        similarity: best.map(|best| best.similarity),
        threshold: threshold.similarity,
        false_accept_rate: threshold.rate,
        top,
    }
}

/// Whether the embeddings of two models may be compared: those of a gallery at a place, and the one given.
///
/// # Errors
/// [`Failure::Usage`], with the command that embeds the gallery again.
pub fn check_fits(store: &Store, own: &GalleryModel, model: &ModelMetadata) -> Result<()> {
    if own.fingerprint == model.fingerprint {
        return Ok(());
    }
    Err(usage(format!(
        "{store}: its embeddings are of another model (run {:?}, fingerprint {}…) than the one given (run {:?}, fingerprint {}…), and the two cannot be compared; give the gallery's own model, or embed its pictures again: logodex reembed --gallery {store} --model MODEL.onnx",
        own.run,
        short(&own.fingerprint),
        model.run,
        short(&model.fingerprint),
    )))
}

/// The first digits of a hash.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Where a picture was taken from, for a person.
pub fn source_text(source: &PictureSource) -> String {
    match source {
        PictureSource::File { path } => path.clone(),
        PictureSource::Row { dataset, row, .. } => format!("{dataset}, row {row}"),
    }
}

/// Whether a brand may have this name.
///
/// # Errors
/// [`Failure::Usage`].
pub fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return Err(usage(format!(
            "{name:?} is no name for a brand: it must have a character, none of control, and no space at either end"
        )));
    }
    Ok(())
}

fn no_such_brand(store: &impl Display, contents: &Contents, name: &str) -> anyhow::Error {
    let brands = brands(&contents.pictures);
    let folded = name.to_lowercase();
    let near: Vec<&str> = brands
        .iter()
        .filter(|b| b.name.to_lowercase().contains(&folded))
        .map(|b| b.name.as_str())
        .take(5)
        .collect();
    let near = match near.is_empty() {
        true => format!(
            "`logodex list --gallery {store}` lists its {} brands",
            brands.len()
        ),
        false => format!("it has {near:?}"),
    };
    usage(format!("{store}: no brand {name:?} is enrolled; {near}"))
}

/// A directory as it is typed.
impl From<&Path> for Store {
    fn from(path: &Path) -> Self {
        Self::Directory(super::directory::Directory::new(path))
    }
}
