//! Who may ask: whoever has the token, and pages of this server alone.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use logodex_program::usage;
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// The environment variable that a token may come from.
pub const TOKEN_VARIABLE: &str = "LOGODEX_TOKEN";

/// Characters that a token has at least: 16 random ones cannot be guessed over a network.
const LEAST: usize = 16;

/// A token's hash: the token itself is not kept, so nothing can print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(blake3::Hash);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// From a file, or from [`TOKEN_VARIABLE`] if there is no file; none if there is neither.
    ///
    /// # Errors
    /// A file that cannot be read, or a token that is too short or holds what a header cannot. The token is in no message.
    pub fn find(file: Option<&Path>) -> Result<Option<Self>> {
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--token-file {}: cannot be read", path.display()))
                .map_err(|error| usage(format!("{error:#}")))?;
            return Self::new(text.trim(), &format!("--token-file {}", path.display())).map(Some);
        }
        match std::env::var(TOKEN_VARIABLE) {
            Ok(text) => Self::new(text.trim(), TOKEN_VARIABLE).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(usage(format!("{TOKEN_VARIABLE}: is not UTF-8")))
            }
        }
    }

    fn new(token: &str, from: &str) -> Result<Self> {
        if token.len() < LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(usage(format!(
                "{from}: a token is one line of {LEAST} or more printable ASCII characters without spaces; \
                 `openssl rand -hex 32` makes one"
            )));
        }
        Ok(Self(blake3::hash(token.as_bytes())))
    }

    /// Whether it is this one: of equal length as hashes, they are compared in constant time.
    fn is(&self, given: &[u8]) -> bool {
        let given = blake3::hash(given);
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Refuses to listen for the world without a token.
///
/// # Errors
/// An address that is not loopback, and no token.
pub fn may_listen(listen: SocketAddr, token: Option<&Token>) -> Result<()> {
    if listen.ip().is_loopback() || token.is_some() {
        return Ok(());
    }
    Err(usage(format!(
        "--listen {listen}: others can reach this address, so a token is needed: write one into a file that only you can \
         read and give it with --token-file FILE, or set {TOKEN_VARIABLE}; or listen on 127.0.0.1"
    )))
}

/// What the guard knows.
#[derive(Debug)]
pub struct Guard {
    /// The token, if one is asked for.
    pub token: Option<Token>,
    /// Whether only this machine can reach the server.
    pub loopback: bool,
}

/// Paths that say nothing of the gallery: the page asks for the token itself, and probes have none.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/readyz" | "/openapi.json") || path.starts_with("/page/")
}

/// Lets pass who may ask.
pub async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    guard.admit(request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

impl Guard {
    fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST).or(uri.authority().map(|authority| authority.as_str()));
        // Any page that a browser shows can send requests to this machine; what asks in its name says so.
        if let Some(origin) = text(ORIGIN) {
            let same = origin
                .split_once("://")
                .is_some_and(|(_, rest)| Some(rest) == host);
            if !same {
                return Err(forbidden("pages of other servers may not ask this one"));
            }
        }
        let Some(token) = &self.token else {
            // A foreign name that resolves to this machine (DNS rebinding) is what a foreign page would ask by.
            if self.loopback && !host.is_some_and(is_this_machine) {
                return Err(forbidden(
                    "without a token this server answers only to localhost, 127.0.0.1 and [::1]",
                ));
            }
            return Ok(());
        };
        if is_open(uri.path()) {
            return Ok(());
        }
        let given = headers
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes())
            .and_then(|value| {
                let (scheme, token) = value.split_at_checked("Bearer ".len())?;
                scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
            });
        match given {
            Some(given) if token.is(given.trim_ascii()) => Ok(()),
            Some(_) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "the token is not the server's",
            )),
            None => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "this server asks for a token: send the header Authorization: Bearer TOKEN",
            )),
        }
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_token_is_asked_for_and_compared_whole() {
        let token = Token::new("0123456789abcdef", "test").unwrap();
        let guard = Guard {
            token: Some(token),
            loopback: false,
        };
        let status = |path: &str, given: Option<&str>| {
            let mut pairs = vec![(HOST, "logos.example:8080")];
            pairs.extend(given.map(|given| (AUTHORIZATION, given)));
            let refused = guard.admit(&path.parse().unwrap(), &headers(&pairs));
            refused.err().map(|problem| problem.status().as_u16())
        };
        for path in ["/v1/brands", "/metrics", "/v1/pictures/3", "//", "/Page/x"] {
            assert_eq!(status(path, None), Some(401), "{path}");
            assert_eq!(status(path, Some("Bearer 0123456789abcde")), Some(401));
            assert_eq!(status(path, Some("Bearer 0123456789abcdeff")), Some(401));
            assert_eq!(status(path, Some("Basic 0123456789abcdef")), Some(401));
            assert_eq!(status(path, Some("Bearer 0123456789abcdef")), None);
            assert_eq!(status(path, Some("bearer  0123456789abcdef")), None);
        }
        for path in ["/", "/page/serve.js", "/healthz", "/readyz"] {
            assert_eq!(status(path, None), None, "{path}");
        }
    }

    #[test]
    fn foreign_pages_and_names_are_refused() {
        let guard = Guard {
            token: None,
            loopback: true,
        };
        let status = |pairs: &[_]| {
            let refused = guard.admit(&"/v1/identify".parse().unwrap(), &headers(pairs));
            refused.err().map(|problem| problem.status().as_u16())
        };
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "127.0.0.9",
        ] {
            assert_eq!(status(&[(HOST, host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "1.2.3.4",
        ] {
            assert_eq!(status(&[(HOST, host)]), Some(403), "{host}");
        }
        assert_eq!(status(&[]), Some(403));
        let here = (HOST, "127.0.0.1:8080");
        let from = |origin| status(&[here.clone(), (ORIGIN, origin)]);
        assert_eq!(from("http://127.0.0.1:8080"), None);
        assert_eq!(from("http://evil.example"), Some(403));
        assert_eq!(from("http://127.0.0.1:9090"), Some(403));
        assert_eq!(from("null"), Some(403));
    }

    #[test]
    fn a_token_is_never_in_a_message_and_never_too_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for secret in ["hunter2", "correct horse battery staple"] {
            std::fs::write(&path, secret).unwrap();
            let error = format!("{:#}", Token::find(Some(&path)).unwrap_err());
            assert!(
                error.contains("16 or more") && !error.contains(secret),
                "{error}"
            );
        }
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = Token::find(Some(&path)).unwrap().unwrap();
        assert!(token.is(b"0123456789abcdef"));
        assert!(!format!("{token:?}").contains("0123"));
        let missing = Token::find(Some(&dir.path().join("none"))).unwrap_err();
        assert!(format!("{missing:#}").contains("cannot be read"));

        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(may_listen(address("127.0.0.1:80"), None).is_ok());
        assert!(may_listen(address("0.0.0.0:80"), Some(&token)).is_ok());
        let error = may_listen(address("0.0.0.0:80"), None).unwrap_err();
        assert!(error.to_string().contains("--token-file"), "{error}");
    }
}
