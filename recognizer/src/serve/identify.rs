//! Whose logo it is, and whether two are one brand's.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use logodex_schemas::gallery;
use metrics::counter;

use super::http::input::{Input, Sent, from_base64};
use super::http::problem::{BodyRefused, Problem};
use super::service::Service;
use super::thumbnails;
use super::wire::{
    Identification, IdentifyForm, IdentifyRequest, MOST_TOP, NearBrand, NearPicture, Picture,
    Verdict, Verification, VerifyForm, VerifyRequest,
};
use crate::gallery::snapshot::{Gallery, judge};
use crate::threshold::Threshold;

/// Brands and pictures listed where nothing else is asked for.
const TOP: u32 = 5;

impl Picture {
    pub(super) fn sent(self, name: &str) -> Result<Sent, Problem> {
        Ok(Sent {
            bytes: from_base64(&format!("{name}.image"), &self.image)?,
            area: self.area,
            name: None,
        })
    }
}

/// Name a logo, or say that it is unknown
///
/// A JSON body and a form are answered alike. Requests that come together are computed together.
#[utoipa::path(
    post,
    path = "/v1/identify",
    tag = "recognition",
    request_body(content(
        (IdentifyRequest = "application/json"),
        (IdentifyForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "What the picture shows", body = Identification),
        BodyRefused,
    ),
)]
pub async fn identify(
    State(service): State<Arc<Service>>,
    input: Input<IdentifyRequest>,
) -> Result<Json<Identification>, Problem> {
    let (sent, top) = match input {
        Input::Json(request) => {
            let sent = Sent {
                bytes: from_base64("image", &request.image)?,
                area: request.area,
                name: None,
            };
            (sent, request.top)
        }
        Input::Form(mut form) => {
            let sent = form.picture("image", "box")?;
            let top = form.value("top")?;
            form.end()?;
            (sent, top)
        }
    };
    let top = top.unwrap_or(TOP);
    if !(1..=MOST_TOP).contains(&top) {
        return Err(Problem::malformed(format!(
            "top is {top}; it is 1 to {MOST_TOP}"
        )));
    }
    let embedded = service.embed_one("image", sent).await?;
    let answer = service
        .with_gallery(move |service, gallery| {
            let threshold = service.threshold(gallery)?;
            Ok(identification(
                gallery,
                &threshold,
                &embedded.embedding,
                top as usize,
            ))
        })
        .await?;
    let verdict = match answer.verdict {
        Verdict::Known => "known",
        Verdict::Unknown => "unknown",
    };
    counter!("logodex_verdicts_total", "verdict" => verdict).increment(1);
    Ok(Json(answer))
}

/// What an embedding `[D]` is, with `top` brands and pictures.
fn identification(
    gallery: &Gallery,
    threshold: &Threshold,
    embedding: &[f32],
    top: usize,
) -> Identification {
    let candidates = gallery.search(&[embedding], top).remove(0);
    let judged = judge("", candidates, threshold);
    let pictures = gallery.pictures();
    let first = |brand: &str| {
        let place = gallery.brand(brand).map(|brand| brand.pictures.start);
        place.map(|place| thumbnails::id(&pictures[place]))
    };
    let nearest = gallery.search_pictures(&[embedding], top).remove(0);
    Identification {
        verdict: match judged.verdict {
            gallery::Verdict::Known => Verdict::Known,
            gallery::Verdict::Unknown => Verdict::Unknown,
        },
        brand: judged.brand,
        similarity: judged.similarity,
        threshold: judged.threshold,
        false_accept_rate: judged.false_accept_rate,
        top: judged
            .top
            .into_iter()
            .map(|candidate| NearBrand {
                picture: first(&candidate.brand).unwrap_or_default(),
                brand: candidate.brand,
                similarity: candidate.similarity,
            })
            .collect(),
        nearest: nearest
            .into_iter()
            .map(|neighbour| {
                let picture = &pictures[neighbour.place as usize];
                NearPicture {
                    picture: thumbnails::id(picture),
                    brand: picture.brand.clone(),
                    similarity: neighbour.similarity,
                }
            })
            .collect(),
    }
}

/// Whether two pictures show one brand
///
/// Neither need be enrolled: the two are compared by the gallery's threshold.
#[utoipa::path(
    post,
    path = "/v1/verify",
    tag = "recognition",
    request_body(content(
        (VerifyRequest = "application/json"),
        (VerifyForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "How similar the two are", body = Verification),
        BodyRefused,
    ),
)]
pub async fn verify(
    State(service): State<Arc<Service>>,
    input: Input<VerifyRequest>,
) -> Result<Json<Verification>, Problem> {
    let (a, b) = match input {
        Input::Json(VerifyRequest { a, b }) => (a.sent("a")?, b.sent("b")?),
        Input::Form(mut form) => {
            let both = (form.picture("a", "box_a")?, form.picture("b", "box_b")?);
            form.end()?;
            both
        }
    };
    let pictures = vec![("a".to_owned(), a), ("b".to_owned(), b)];
    let embedded = service.embed(pictures).await?;
    let similarity = embedded[0]
        .embedding
        .iter()
        .zip(&embedded[1].embedding)
        .map(|(x, y)| x * y)
        .sum();
    let threshold = service
        .with_gallery(|service, gallery| service.threshold(gallery))
        .await?;
    Ok(Json(Verification {
        same: threshold.accepts(similarity),
        similarity,
        threshold: threshold.similarity,
    }))
}
