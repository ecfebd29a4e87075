//! Who is enrolled: listed, renamed, removed, and shown.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use logodex_schemas::gallery::{GalleryPicture, PictureSource};

use super::http::input::{Json as JsonInput, Segment};
use super::http::problem::{BodyRefused, ChangeRefused, NameRefused, Problem, ProblemBody};
use super::service::{Service, failed_change};
use super::thumbnails::id;
use super::wire::{
    Brand, BrandList, BrandPictures, GallerySummary, ListQuery, MOST_BRANDS, ModelSummary,
    Remaining, RenameRequest,
};
use crate::gallery::contents::{Contents, Edit};
use crate::gallery::snapshot::Gallery;
use crate::gallery::snapshot::check_name;
use crate::gallery::store::Store;

/// Brands on a page where nothing else is asked for.
const BRANDS: u32 = 100;
/// The longest name, in characters.
const LONGEST: usize = 200;

/// The gallery as a whole
#[utoipa::path(
    get,
    path = "/v1/gallery",
    tag = "gallery",
    responses((status = 200, description = "Its size, its model and its threshold", body = GallerySummary)),
)]
pub async fn gallery(State(service): State<Arc<Service>>) -> Result<Json<GallerySummary>, Problem> {
    let summary = service.with_gallery(|service, gallery| {
        let threshold = service.threshold(gallery)?;
        Ok(GallerySummary {
            brands: gallery.brands().len() as u64,
            pictures: gallery.pictures().len() as u64,
            generation: gallery.generation(),
            threshold: threshold.similarity,
            false_accept_rate: threshold.rate,
            model: ModelSummary {
                fingerprint: service.model.fingerprint.clone(),
                run: service.model.run.clone(),
                dim: service.model.embedding_dim,
                side: service.model.preprocessing.side,
            },
        })
    });
    summary.await.map(Json)
}

/// The brands, page by page, in the order of their names
#[utoipa::path(
    get,
    path = "/v1/brands",
    tag = "gallery",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of the list", body = BrandList),
        (status = 400, description = "Not a query as described", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(service): State<Arc<Service>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<BrandList>, Problem> {
    let Query(query) = query.map_err(|refused| Problem::malformed(refused.body_text()))?;
    let limit = query.limit.unwrap_or(BRANDS);
    if !(1..=MOST_BRANDS).contains(&limit) {
        return Err(Problem::malformed(format!(
            "limit is {limit}; it is 1 to {MOST_BRANDS}"
        )));
    }
    let list = service.with_gallery(move |_, gallery| {
        let folded = query.search.to_lowercase();
        let found: Vec<_> = gallery
            .brands()
            .iter()
            .filter(|brand| folded.is_empty() || brand.name.to_lowercase().contains(&folded))
            .collect();
        let from = query.after.map_or(0, |after| {
            found.partition_point(|brand| brand.name <= after)
        });
        let page = &found[from..found.len().min(from + limit as usize)];
        let more = from + page.len() < found.len();
        Ok(BrandList {
            brands: page
                .iter()
                .map(|brand| Brand {
                    brand: brand.name.clone(),
                    pictures: brand.pictures.len() as u64,
                    picture: id(&gallery.pictures()[brand.pictures.start]),
                })
                .collect(),
            total: found.len() as u64,
            next: page.last().filter(|_| more).map(|brand| brand.name.clone()),
        })
    });
    list.await.map(Json)
}

/// The pictures of a brand
#[utoipa::path(
    get,
    path = "/v1/brands/{brand}",
    tag = "gallery",
    params(("brand" = String, Path, description = "The brand's name")),
    responses(
        (status = 200, description = "The brand with its pictures", body = BrandPictures),
        NameRefused,
    ),
)]
pub async fn show(
    State(service): State<Arc<Service>>,
    Segment(name): Segment,
) -> Result<Json<BrandPictures>, Problem> {
    let shown = service.with_gallery(move |_, gallery| {
        let brand = gallery.brand(&name).ok_or_else(|| unknown(&name))?;
        Ok(BrandPictures {
            pictures: gallery.pictures()[brand.pictures.clone()]
                .iter()
                .map(id)
                .collect(),
            brand: name,
        })
    });
    shown.await.map(Json)
}

/// Rename a brand
#[utoipa::path(
    patch,
    path = "/v1/brands/{brand}",
    tag = "gallery",
    params(("brand" = String, Path, description = "The brand's name")),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "Under its new name", body = Remaining),
        BodyRefused,
        NameRefused,
        ChangeRefused,
    ),
)]
pub async fn rename(
    State(service): State<Arc<Service>>,
    Segment(from): Segment,
    JsonInput(request): JsonInput<RenameRequest>,
) -> Result<Json<Remaining>, Problem> {
    named(&request.name)?;
    let renamed = service.change(move |service| {
        let _alone = service.alone();
        let current = service.gallery.current();
        current.brand(&from).ok_or_else(|| unknown(&from))?;
        if from != request.name && current.brand(&request.name).is_some() {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                format!(
                    "{:?} is enrolled, too: two brands are not made one here (`logodex rename --merge` does)",
                    request.name
                ),
            ));
        }
        let change = |gallery: &Gallery| Ok((gallery.rename(&from, &request.name, false)?, ()));
        let (gallery, ()) = service
            .gallery
            .change(change)
            .map_err(|error| failed_change(&error))?;
        Ok(remaining(&gallery, request.name))
    });
    renamed.await.map(Json)
}

/// Remove a brand with all its pictures
#[utoipa::path(
    delete,
    path = "/v1/brands/{brand}",
    tag = "gallery",
    params(("brand" = String, Path, description = "The brand's name")),
    responses(
        (status = 200, description = "It is gone", body = Remaining),
        NameRefused,
        ChangeRefused,
    ),
)]
pub async fn remove(
    State(service): State<Arc<Service>>,
    Segment(name): Segment,
) -> Result<Json<Remaining>, Problem> {
    let removed = service.change(move |service| {
        let current = service.gallery.current();
        let brand = current.brand(&name).ok_or_else(|| unknown(&name))?;
        let own = &current.pictures()[brand.pictures.clone()];
        without(service, own, |gallery| gallery.remove(&name, None))?;
        Ok(remaining(&service.gallery.known(), name))
    });
    removed.await.map(Json)
}

/// An enrolled picture, small
#[utoipa::path(
    get,
    path = "/v1/pictures/{picture}",
    tag = "gallery",
    params(("picture" = String, Path, description = "As an answer names it")),
    responses(
        (status = 200, description = "What was shown to the model, its longer side 176 pixels or the dataset's", content_type = "image/jpeg", body = Vec<u8>),
        NameRefused,
    ),
)]
pub async fn picture(
    State(service): State<Arc<Service>>,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    let jpeg = service.with_gallery(move |service, gallery| {
        let picture = find(gallery, &name)?;
        service
            .thumbnails
            .jpeg(picture, gallery.store())
            .map_err(|error| Problem::not_found(format!("the picture cannot be shown: {error:#}")))
    });
    let headers = [
        (CONTENT_TYPE, "image/jpeg"),
        // The name tells the file and the part of it.
        (CACHE_CONTROL, "private, max-age=86400, immutable"),
    ];
    Ok((headers, jpeg.await?).into_response())
}

/// Remove one picture of a brand, and the brand with its last
#[utoipa::path(
    delete,
    path = "/v1/pictures/{picture}",
    tag = "gallery",
    params(("picture" = String, Path, description = "As an answer names it")),
    responses(
        (status = 200, description = "It is gone", body = Remaining),
        NameRefused,
        ChangeRefused,
    ),
)]
pub async fn remove_picture(
    State(service): State<Arc<Service>>,
    Segment(name): Segment,
) -> Result<Json<Remaining>, Problem> {
    let removed = service.change(move |service| {
        let current = service.gallery.current();
        let picture = find(&current, &name)?;
        without(service, std::slice::from_ref(picture), |gallery| {
            gallery.edit(|now| Ok(without_part(now, picture)))
        })?;
        Ok(remaining(&service.gallery.known(), picture.brand.clone()))
    });
    removed.await.map(Json)
}

/// Takes pictures out of the gallery, and their files where the gallery kept them.
fn without(
    service: &Service,
    pictures: &[GalleryPicture],
    change: impl FnOnce(&Gallery) -> anyhow::Result<Gallery>,
) -> Result<(), Problem> {
    let _alone = service.alone();
    service
        .gallery
        .change(|gallery| Ok((change(gallery)?, ())))
        .map_err(|error| failed_change(&error))?;
    let kept: Vec<String> = pictures
        .iter()
        .filter_map(|picture| match &picture.source {
            PictureSource::File { path } => Some(path.clone()),
            PictureSource::Row { .. } => None,
        })
        .collect();
    let store = service.gallery.known().store().clone();
    forget(service, &store, &kept);
    Ok(())
}

/// What takes a part of a file out of a gallery that may hold other parts of it.
fn without_part(now: &Contents, picture: &GalleryPicture) -> Vec<Edit> {
    let (brand, file) = (&picture.brand, &picture.blake3);
    let same_file = now
        .pictures
        .iter()
        .enumerate()
        .filter(|(_, other)| other.brand == *brand && other.blake3 == *file);
    let stay = same_file.filter(|(_, other)| other.crop != picture.crop);
    let add = stay.map(|(place, other)| Edit::Add {
        picture: other.clone(),
        embedding: now.embeddings.row(place),
    });
    let all_of_the_file = Edit::Remove {
        brand: brand.clone(),
        blake3: Some(file.clone()),
    };
    std::iter::once(all_of_the_file).chain(add).collect()
}

fn find<'a>(gallery: &'a Gallery, name: &str) -> Result<&'a GalleryPicture, Problem> {
    let found = gallery.pictures().iter().find(|picture| {
        // Most are of another file; their names need not be made.
        let may_be = name
            .get(..8)
            .is_some_and(|begin| picture.blake3.starts_with(begin));
        may_be && id(picture) == name
    });
    found.ok_or_else(|| Problem::not_found(format!("no picture {name:?} is enrolled")))
}

fn remaining(gallery: &Gallery, brand: String) -> Remaining {
    Remaining {
        pictures: gallery
            .brand(&brand)
            .map_or(0, |brand| brand.pictures.len() as u64),
        brand,
    }
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("no brand {name:?} is enrolled"))
}

/// Whether a brand may have this name.
pub fn named(name: &str) -> Result<(), Problem> {
    if name.chars().count() > LONGEST {
        return Err(Problem::unprocessable(format!(
            "a brand's name has at most {LONGEST} characters"
        )));
    }
    check_name(name).map_err(|error| Problem::unprocessable(error.to_string()))
}

/// Deletes those of the kept files that nothing in the gallery names any more.
pub fn forget(service: &Service, store: &Store, kept: &[String]) {
    let gallery = service.gallery.current();
    for path in kept {
        let named = |picture: &GalleryPicture| matches!(&picture.source, PictureSource::File { path: other } if other == path);
        // An absolute one is somebody else's.
        if Path::new(path).is_relative() && !gallery.pictures().iter().any(named) {
            // One that stays takes room and does no harm.
            let _ = std::fs::remove_file(store.picture(path));
        }
    }
}
