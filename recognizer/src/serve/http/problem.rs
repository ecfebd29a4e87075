//! A refusal, as a client reads it: `application/problem+json` (RFC 9457) with one sentence that says what to do.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use logodex_pixels::{DecodeError, Refused};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds after which the same request may be answered.
    retry_after: Option<u32>,
}

/// A refusal (RFC 9457)
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The status in words
    title: String,
    /// The HTTP status
    status: u16,
    /// What is wrong and what to do about it
    detail: String,
}

/// What may be wrong with any body.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum BodyRefused {
    /// Not a body as described
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemBody),
    /// It did not come in time
    #[response(status = 408, content_type = "application/problem+json")]
    Slow(ProblemBody),
    /// More bytes or pixels than are taken
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// Of another content type than those described
    #[response(status = 415, content_type = "application/problem+json")]
    Kind(ProblemBody),
    /// A picture that is not whole or none, a box outside it, or a name that does not do
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(ProblemBody),
}

/// What changes of a gallery may meet.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum ChangeRefused {
    /// Something else has that name, or is enrolled already
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
    /// The disk is full; nothing was changed
    #[response(status = 507, content_type = "application/problem+json")]
    Full(ProblemBody),
}

/// Where a name is looked up.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum NameRefused {
    /// The address is not UTF-8
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemBody),
    /// It is not enrolled, or its file is gone
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
}

/// What every request may meet.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum AnyRefused {
    /// No token, or another one
    #[response(status = 401, content_type = "application/problem+json")]
    Token(ProblemBody),
    /// Asked by a page of another server
    #[response(status = 403, content_type = "application/problem+json")]
    Foreign(ProblemBody),
    /// More is asked than is answered in time; Retry-After says when to ask again
    #[response(status = 429, content_type = "application/problem+json")]
    Busy(ProblemBody),
    /// A fault of the server or of its machine
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
    /// It took too long, or the server is not ready
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

impl Problem {
    /// A refusal of this status, with a sentence for a person.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// 400: the request is not what the OpenAPI document says.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 422: well formed, and cannot be done.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: more is asked than is worked off.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// 500: a fault of ours or of the machine's.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// A picture that is refused; `what` names it.
    pub fn picture(what: &str, error: &DecodeError) -> Self {
        let detail = format!("{what}: {error}");
        match error.reason {
            Refused::TooLarge => Self::too_large(detail),
            Refused::Empty | Refused::Truncated | Refused::Broken => Self::unprocessable(detail),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            title: self
                .status
                .canonical_reason()
                .unwrap_or("Refused")
                .to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
