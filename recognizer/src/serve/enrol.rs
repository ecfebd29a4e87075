//! Pictures that come over HTTP, enrolled and kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use logodex_schemas::gallery::PictureSource;

use super::brands::{forget, named};
use super::http::input::{Input, Segment, Sent};
use super::http::problem::{BodyRefused, ChangeRefused, Problem};
use super::service::{Embedded, Service, failed_change};
use super::thumbnails::id;
use super::wire::{EnrolForm, EnrolRequest, Enrolled, Refused, SelfCheck};
use crate::gallery::enrol::NewPicture;

/// The most pictures that one request enrols.
const MOST_PICTURES: usize = 64;

/// Enrol pictures of a brand, which begins with its first
///
/// All are enrolled or none. The gallery keeps the files.
#[utoipa::path(
    post,
    path = "/v1/brands/{brand}/pictures",
    tag = "gallery",
    params(("brand" = String, Path, description = "The brand's name")),
    request_body(content(
        (EnrolRequest = "application/json"),
        (EnrolForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "Enrolled, and how well the brand can be told from the others", body = Enrolled),
        BodyRefused,
        ChangeRefused,
    ),
)]
pub async fn enrol(
    State(service): State<Arc<Service>>,
    Segment(name): Segment,
    input: Input<EnrolRequest>,
) -> Result<(StatusCode, Json<Enrolled>), Problem> {
    let (pictures, duplicates) = match input {
        Input::Json(request) => {
            let pictures = request.pictures.into_iter().enumerate();
            let sent: Result<Vec<Sent>, Problem> = pictures
                .map(|(at, picture)| picture.sent(&format!("pictures[{at}]")))
                .collect();
            (sent?, request.allow_duplicates)
        }
        Input::Form(mut form) => {
            let sent = form.pictures("image", "box")?;
            let duplicates = form.value("allow_duplicates")?.unwrap_or(false);
            form.end()?;
            (sent, duplicates)
        }
    };
    named(&name)?;
    if !(1..=MOST_PICTURES).contains(&pictures.len()) {
        return Err(Problem::malformed(format!(
            "{} pictures; one request enrols 1 to {MOST_PICTURES}",
            pictures.len()
        )));
    }
    let called = pictures.into_iter().enumerate().map(|(at, sent)| {
        let called = sent.name.clone();
        (
            called.unwrap_or_else(|| format!("picture {}", at + 1)),
            sent,
        )
    });
    let embedded = service.embed(called.collect()).await?;
    let enrolled = service.change(move |service| added(service, &name, embedded, duplicates));
    Ok((StatusCode::CREATED, Json(enrolled.await?)))
}

fn added(
    service: &Service,
    name: &str,
    embedded: Vec<Embedded>,
    duplicates: bool,
) -> Result<Enrolled, Problem> {
    let _alone = service.alone();
    let store = service.gallery.known().store().clone();
    if let Some(file) = &service.model_file {
        store
            .keep_model(file, &service.model.fingerprint)
            .map_err(|error| failed_change(&error))?;
    }
    let (mut pictures, mut kept) = (Vec::new(), Vec::new());
    for Embedded {
        sent,
        square,
        embedding,
    } in embedded
    {
        let path = store
            .keep_picture(&sent.bytes)
            .map_err(|error| failed_change(&error))?;
        let path = path.to_string_lossy().into_owned();
        kept.push(path.clone());
        let source = PictureSource::File { path };
        pictures.push(NewPicture::new(name, source, sent.area, &square, embedding));
    }
    let done = service.gallery.change(|gallery| {
        let done = gallery.enrol(pictures, duplicates)?;
        Ok((done.gallery, (done.added, done.duplicates, done.standings)))
    });
    // What was not enrolled is not kept either.
    forget(service, &store, &kept);
    let (gallery, (added, refused, mut standings)) = done.map_err(|error| failed_change(&error))?;
    let refused: Vec<Refused> = refused
        .into_iter()
        .map(|duplicate| Refused {
            at: duplicate.place as u64,
            brand: duplicate.of.brand.clone(),
            picture: id(&duplicate.of),
            same_file: duplicate.same_file,
        })
        .collect();
    let Some(standing) = standings.pop().filter(|_| added > 0) else {
        let said = refused.first().map_or_else(String::new, |first| {
            let looks = match first.same_file {
                true => "it",
                false => "a picture that looks the same",
            };
            format!("{looks} is enrolled already, of {:?}; ", first.brand)
        });
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{said}nothing was changed; allow_duplicates takes it all the same"),
        ));
    };
    let threshold = service.threshold(&gallery)?;
    let of_brand = gallery.brand(name).map(|brand| brand.pictures.clone());
    // Those added last stand last.
    let own = &gallery.pictures()[of_brand.unwrap_or_default()];
    Ok(Enrolled {
        brand: name.to_owned(),
        pictures: standing.pictures as u64,
        enrolled: own[own.len().saturating_sub(added)..].iter().map(id).collect(),
        refused,
        check: SelfCheck {
            warning: standing.nearest.as_ref().filter(|_| standing.collides(Some(threshold.similarity))).map(|nearest| {
                format!(
                    "{name} can be taken for {}: their similarity is {:.3}, the threshold {:.3}. Is it the same brand, or a picture of the other?",
                    nearest.brand, nearest.similarity, threshold.similarity
                )
            }),
            nearest_similarity: standing.nearest.as_ref().map(|nearest| nearest.similarity),
            nearest: standing.nearest.map(|nearest| nearest.brand),
            margin: standing.margin,
        },
    })
}
