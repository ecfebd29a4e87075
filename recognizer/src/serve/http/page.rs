//! The page: its files, and what a browser may do on it.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

const HTML: &str = include_str!("page/serve.html");

const FILES: [(&str, &str, &str); 6] = [
    ("serve.css", "text/css", include_str!("page/serve.css")),
    ("serve.js", "text/javascript", include_str!("page/serve.js")),
    ("api.js", "text/javascript", include_str!("page/api.js")),
    (
        "answer.js",
        "text/javascript",
        include_str!("page/answer.js"),
    ),
    (
        "gallery.js",
        "text/javascript",
        include_str!("page/gallery.js"),
    ),
    ("stage.js", "text/javascript", include_str!("page/stage.js")),
];

/// Nothing from elsewhere, nothing inline, and no other page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers that every answer has.
pub const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// `GET /`.
pub async fn html() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], HTML).into_response()
}

/// `GET /page/{file}`.
pub async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, kind, text) =
        found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the page has no such file"))?;
    Ok(([(CONTENT_TYPE, format!("{kind}; charset=utf-8"))], *text).into_response())
}
