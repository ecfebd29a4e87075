//! Who is asked what pictures show: the gallery, loaded, or the server that holds it.

use anyhow::Result;
use logodex_inference::Model;
use logodex_program::usage;
use logodex_schemas::gallery::Candidate;

use crate::command::opened::{GalleryArgs, ThresholdArgs, open_model};
use crate::gallery::postgres::search::{How, Searched};
use crate::gallery::snapshot::Gallery;
use crate::gallery::snapshot::check_fits;
use crate::gallery::store::Store;
use crate::threshold::{self, Threshold};

/// So many pictures are asked of the server, one after the other, before loading its gallery is quicker. The answers are the same.
const FEW: usize = 8;

/// What answers.
#[derive(Debug)]
pub enum Asked {
    /// A gallery in memory.
    Loaded(Gallery),
    /// A server.
    Server(Searched, How),
}

impl Asked {
    /// Opens a gallery to be asked about so many pictures, with its model. `whole` where more than brands is asked for.
    ///
    /// # Errors
    /// As [`GalleryArgs::open`]; `approximate` of a gallery that has no index.
    pub fn open(
        args: &GalleryArgs,
        pictures: usize,
        whole: bool,
        approximate: bool,
    ) -> Result<(Self, Model)> {
        let store = Store::at(&args.gallery)?;
        let Store::Postgres(database) = &store else {
            if approximate {
                return Err(usage(format!(
                    "{store}: --approximate is for a gallery at postgres://…; a directory is searched exactly, in milliseconds"
                )));
            }
            let (gallery, model) = args.open()?;
            return Ok((Self::Loaded(gallery), model));
        };
        if whole && approximate {
            return Err(usage(
                "--approximate loads no gallery, which --show, --tiles and --detector need: give one of the two",
            ));
        }
        if !approximate && (whole || pictures > FEW) {
            let (gallery, model) = args.open()?;
            return Ok((Self::Loaded(gallery), model));
        }
        let searched = database.searched()?.ok_or_else(|| database.missing())?;
        let how = match approximate {
            true => How::Approximate,
            false => How::Exact,
        };
        if let (How::Approximate, Some(index)) = (how, searched.index()) {
            tracing::warn!(
                "{store}: an approximate search: when the index was built it found {:.1} % of the {} nearest brands{}",
                100.0 * index.recall,
                index.k,
                match searched.generation().saturating_sub(index.generation) {
                    0 => String::new(),
                    changes => format!(", {changes} changes ago"),
                }
            );
        }
        let own = &searched.model().fingerprint;
        let path = args.model.clone().or_else(|| store.model(own));
        let path = path.ok_or_else(|| {
            usage(format!(
                "{store}: it keeps no model of its own; give --model MODEL.onnx"
            ))
        })?;
        let model = open_model(&path, args.threads)?;
        check_fits(&store, searched.model(), model.metadata())?;
        Ok((Self::Server(searched, how), model))
    }

    /// Number of brands enrolled.
    pub fn brands(&self) -> usize {
        match self {
            Self::Loaded(gallery) => gallery.brands().len(),
            Self::Server(searched, _) => searched.enrolled() as usize,
        }
    }

    /// From which similarity on a brand is named.
    ///
    /// # Errors
    /// As [`ThresholdArgs::of`].
    pub fn threshold(&self, args: &ThresholdArgs, model: &Model) -> Result<Threshold> {
        match self {
            Self::Loaded(gallery) => args.of(gallery, model),
            Self::Server(searched, _) => args.given_or(|far| {
                let enrolled = (searched.enrolled(), searched.shots());
                let own = searched.calibration();
                threshold::of(searched.address(), own, model.metadata(), enrolled, far)
            }),
        }
    }

    /// The `k` brands most similar to each query `[D]`, most similar first; equal ones by name.
    ///
    /// # Errors
    /// The server.
    pub fn search(&self, queries: &[&[f32]], k: usize) -> Result<Vec<Vec<Candidate>>> {
        match self {
            Self::Loaded(gallery) => Ok(gallery.search(queries, k)),
            Self::Server(searched, how) => searched.search(queries, k, *how),
        }
    }
}
