//! What a request brings: its whole body under limits, and the pictures in it, as JSON or as a form.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::problem::Problem;

/// What all bodies together may hold, as a multiple of the largest one.
const BODIES: usize = 16;
/// The unit in which their memory is handed out.
const KIB: u64 = 1 << 10;

/// Limits on bodies.
#[derive(Debug)]
pub struct Bodies {
    /// The most bytes of one.
    most: usize,
    /// How long one may take to come.
    patience: Duration,
    /// KiB that are left for all.
    room: Arc<Semaphore>,
}

impl Bodies {
    /// At most `most` bytes each.
    pub fn new(most: usize, patience: Duration) -> Self {
        Self {
            most,
            patience,
            room: Arc::new(Semaphore::new(BODIES * most.div_ceil(KIB as usize))),
        }
    }

    fn too_large(&self) -> Problem {
        Problem::too_large(format!(
            "the body has more than {} bytes, the most that this server takes (--max-body)",
            self.most
        ))
    }
}

/// Reads a body to its end before anything is done for it: a client that sends slowly holds up nobody else.
pub async fn whole_body(
    State(bodies): State<Arc<Bodies>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.body().is_end_stream() {
        return Ok(next.run(request).await);
    }
    // None of a body in chunks.
    let length = request.body().size_hint().exact();
    let most = bodies.most as u64;
    if request.headers().contains_key(EXPECT) && length.is_some_and(|length| length > most) {
        // It waits for a word before it sends.
        return Err(bodies.too_large());
    }
    let claim = length.unwrap_or(most).min(most).div_ceil(KIB);
    let room = Arc::clone(&bodies.room)
        .try_acquire_many_owned(claim as u32)
        .map_err(|_| Problem::busy("too many large requests come in at once; ask again"))?;
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(bodies.patience, read(body, bodies.most))
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body did not come within {} s (--timeout)",
                    bodies.patience.as_secs_f64()
                ),
            )
        })??
        .ok_or_else(|| bodies.too_large())?;
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    drop(room);
    Ok(response)
}

/// The bytes of a body; none for one of more than `most`. That is read to its end all the same: a client that still sends
/// would not see the answer.
async fn read(mut body: Body, most: usize) -> Result<Option<Bytes>, Problem> {
    let mut bytes = Vec::new();
    let mut fits = true;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Problem::malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        fits = fits && bytes.len() + data.len() <= most;
        if fits {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
    }
    Ok(fits.then(|| bytes.into()))
}

/// A box in pixels of a picture as it is stored: left, top, right and bottom, of which right and bottom are outside.
pub type Area = [u32; 4];

/// A picture as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The bytes of its file.
    pub bytes: Bytes,
    /// The box that is meant; none is the whole picture.
    pub area: Option<Area>,
    /// Its file's name, if it was told.
    pub name: Option<String>,
}

/// A body of either kind.
#[derive(Debug)]
pub enum Input<T> {
    /// `application/json`.
    Json(T),
    /// `multipart/form-data`.
    Form(Form),
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim().to_owned();
        if kind.eq_ignore_ascii_case("application/json") {
            return Json::from_request(request, state)
                .await
                .map(|Json(value)| Self::Json(value));
        }
        if kind.eq_ignore_ascii_case("multipart/form-data") {
            let form = Multipart::from_request(request, state)
                .await
                .map_err(|error| Problem::malformed(error.body_text()))?;
            return Form::read(form).await.map(Self::Form);
        }
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Type is {kind:?}; send application/json or multipart/form-data"),
        ))
    }
}

/// A JSON body, refused with what is wrong where.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(refused) => {
                let status = match refused.status() {
                    StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    _ => StatusCode::BAD_REQUEST,
                };
                Err(Problem::new(status, refused.body_text()))
            }
        }
    }
}

/// The variable part of a path.
#[derive(Debug)]
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(refused) => Err(Problem::malformed(refused.body_text())),
        }
    }
}

/// The fields of a form, in their order.
#[derive(Debug, Default)]
pub struct Form(Vec<Field>);

#[derive(Debug)]
struct Field {
    name: String,
    file: Option<String>,
    bytes: Bytes,
}

impl Form {
    async fn read(mut form: Multipart) -> Result<Self, Problem> {
        let broken = |error: axum::extract::multipart::MultipartError| {
            Problem::malformed(format!("the form: {}", error.body_text()))
        };
        let mut fields = Vec::new();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            fields.push(Field {
                name: field.name().unwrap_or("").to_owned(),
                file: field.file_name().map(str::to_owned),
                bytes: field.bytes().await.map_err(broken)?,
            });
        }
        Ok(Self(fields))
    }

    /// Takes the pictures of the fields of one name, each with the box that the field `area` after it gives.
    pub fn pictures(&mut self, name: &str, area: &str) -> Result<Vec<Sent>, Problem> {
        let mut pictures: Vec<Sent> = Vec::new();
        for field in std::mem::take(&mut self.0) {
            if field.name == name {
                pictures.push(Sent {
                    bytes: field.bytes,
                    area: None,
                    name: field.file,
                });
            } else if field.name == area {
                let given = parse_area(area, &field.text()?)?;
                match pictures.last_mut() {
                    Some(picture) => picture.area = Some(given),
                    None => {
                        return Err(Problem::malformed(format!(
                            "the form has {area} before {name}: a box follows its picture"
                        )));
                    }
                }
            } else {
                self.0.push(field);
            }
        }
        if pictures.is_empty() {
            return Err(Problem::malformed(format!(
                "the form has no field {name:?} with a picture"
            )));
        }
        Ok(pictures)
    }

    /// Takes the one picture of this name.
    pub fn picture(&mut self, name: &str, area: &str) -> Result<Sent, Problem> {
        let mut pictures = self.pictures(name, area)?;
        if pictures.len() > 1 {
            return Err(Problem::malformed(format!(
                "the form has {} fields {name:?}; one is meant",
                pictures.len()
            )));
        }
        Ok(pictures.remove(0))
    }

    /// Takes a value that may be there.
    pub fn value<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let Some(at) = self.0.iter().position(|field| field.name == name) else {
            return Ok(None);
        };
        let text = self.0.remove(at).text()?;
        let value = text.trim().parse();
        value.map(Some).map_err(|_| {
            Problem::malformed(format!(
                "the form's field {name}: {text:?} is no value for it"
            ))
        })
    }

    /// Nothing else is in it.
    pub fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some(field) => Err(Problem::malformed(format!(
                "the form's field {:?} is unknown here, or there twice",
                field.name
            ))),
        }
    }
}

impl Field {
    fn text(&self) -> Result<String, Problem> {
        String::from_utf8(self.bytes.to_vec())
            .map_err(|_| Problem::malformed(format!("the form's field {} is not UTF-8", self.name)))
    }
}

/// `left,top,right,bottom`.
fn parse_area(name: &str, text: &str) -> Result<Area, Problem> {
    let numbers: Vec<u32> = text
        .split(',')
        .map(|number| number.trim().parse())
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    numbers.try_into().map_err(|_| {
        Problem::malformed(format!(
            "{name} is {text:?}; it is left,top,right,bottom in whole pixels"
        ))
    })
}

/// The bytes of a picture in JSON.
pub fn from_base64(name: &str, text: &str) -> Result<Bytes, Problem> {
    STANDARD
        .decode(text)
        .map(Into::into)
        .map_err(|error| Problem::malformed(format!("{name} is not Base64 with padding: {error}")))
}
