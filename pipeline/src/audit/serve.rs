//! `audit --serve`: the page from this machine to this machine, where it may write the answers and show pictures in full.
//!
//! It listens on the loopback interface alone, and answers only who knows a secret that stands in the path and is printed
//! once. What can be asked for is listed in [`Page::respond`]: a picture by its number in the audit, so that no path is ever
//! taken from a request.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use logodex_program::output::print;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tiny_http::{Header, Method, Request, Response, ResponseBox, Server};

pub mod address;
pub mod answers;

use answers::{Answers, Written};

/// Requests answered at once.
const THREADS: usize = 4;
/// Answers are text that a person decided on; more than this is something else.
const MOST_BYTES: u64 = 8 << 20;

/// What is served.
pub struct Page {
    /// The page.
    pub html: String,
    /// What a browser may do with it.
    pub policy: String,
    /// The picture files of the audit, by their numbers.
    pub pictures: Vec<PathBuf>,
    /// The answers.
    pub answers: Answers,
}

/// Serves the page until Ctrl-C or SIGTERM.
///
/// # Errors
/// The machine refuses randomness, threads or handlers of signals.
pub fn serve(listener: TcpListener, page: Page) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let server = Server::from_listener(listener, None);
    let server = Arc::new(server.map_err(|error| anyhow!("cannot serve on {address}: {error}"))?);
    let secret = Secret::new()?;
    let (mut ended, ends) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, ends.try_clone()?)?;
    }
    print(format_args!(
        "Serving http://{address}/{}/ to this machine; answers go to {}. Ctrl-C ends it.\n",
        secret.text,
        page.answers.path().display()
    ));
    let page = Arc::new(Served {
        page,
        secret: secret.hash,
    });
    for _ in 0..THREADS {
        let (server, page) = (Arc::clone(&server), Arc::clone(&page));
        std::thread::Builder::new().spawn(move || {
            while let Ok(mut request) = server.recv() {
                let response = page.answer(&mut request);
                // A browser that went away is no error.
                let _ = request.respond(response);
            }
        })?;
    }
    ended.read_exact(&mut [0])?;
    // The threads end with the process; only what is being written is written to its end.
    let _last = page.page.answers.turn();
    Ok(())
}

/// What a request must know.
struct Secret {
    text: String,
    hash: blake3::Hash,
}

impl Secret {
    fn new() -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).context("no random numbers from the system")?;
        // Hashed only to be written in letters and digits.
        let text = blake3::hash(&bytes).to_hex().to_string();
        let hash = blake3::hash(text.as_bytes());
        Ok(Self { text, hash })
    }
}

struct Served {
    page: Page,
    secret: blake3::Hash,
}

impl Served {
    fn answer(&self, request: &mut Request) -> ResponseBox {
        let header = |name: &'static str| {
            let mut headers = request.headers().iter();
            let found = headers.find(|h| h.field.equiv(name));
            found.map(|h| h.value.as_str().to_owned())
        };
        let (host, origin) = (header("Host").unwrap_or_default(), header("Origin"));
        let path = request.url().split('?').next().unwrap_or_default();
        let (secret, what) = path
            .strip_prefix('/')
            .and_then(|path| path.split_once('/'))
            .unwrap_or_default();
        // Hashes of BLAKE3 are compared in constant time.
        let known = blake3::hash(secret.as_bytes()) == self.secret;
        let what = what.to_owned();
        let mut response = if !known {
            told(
                404,
                "There is nothing here. The address with its secret is what audit printed.",
            )
        } else if !is_here(&host) || origin.is_some_and(|o| o != format!("http://{host}")) {
            told(403, "The page is for this machine alone.")
        } else {
            self.page.respond(request, &what).unwrap_or_else(|error| {
                tracing::warn!("{error:#}");
                told(500, &format!("{error:#}"))
            })
        };
        for (name, value) in [
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            response.add_header(field(name, value));
        }
        response
    }
}

impl Page {
    /// `GET` of the page itself (an empty name), of `overrides.toml` and of `picture/N`; `PUT` of `overrides.toml`.
    fn respond(&self, request: &mut Request, what: &str) -> anyhow::Result<ResponseBox> {
        let get = matches!(request.method(), Method::Get | Method::Head);
        let put = *request.method() == Method::Put;
        Ok(match what {
            "" if get => {
                let policy = format!("{}; frame-ancestors 'none'", self.policy);
                Response::from_string(&self.html)
                    .with_chunked_threshold(usize::MAX)
                    .with_header(field("Content-Type", "text/html; charset=utf-8"))
                    .with_header(field("Content-Security-Policy", &policy))
                    .boxed()
            }
            "overrides.toml" if get => match self.answers.read()? {
                Some((bytes, tag)) => Response::from_data(bytes)
                    .with_header(field("Content-Type", "text/plain; charset=utf-8"))
                    .with_header(field("ETag", &tag))
                    .boxed(),
                None => Response::empty(204).boxed(),
            },
            "overrides.toml" if put => self.write(request)?,
            _ if what.starts_with("picture/") && get => self.picture(&what["picture/".len()..])?,
            "" | "overrides.toml" => told(405, "That is not done here."),
            _ => told(404, "There is nothing of that name."),
        })
    }

    fn write(&self, request: &mut Request) -> anyhow::Result<ResponseBox> {
        let header = |name: &'static str| {
            let mut headers = request.headers().iter();
            headers
                .find(|h| h.field.equiv(name))
                .map(|h| h.value.as_str().to_owned())
        };
        let seen = match (header("If-Match"), header("If-None-Match").as_deref()) {
            (Some(tag), _) => Some(tag),
            (None, Some("*")) => None,
            _ => {
                return Ok(told(
                    428,
                    "Say which overrides.toml was seen: If-Match, or If-None-Match: *.",
                ));
            }
        };
        let mut bytes = Vec::new();
        let mut body = request.as_reader().take(MOST_BYTES + 1);
        body.read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Ok(told(
                413,
                "More than 8 MiB of answers: nothing was written.",
            ));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Ok(told(422, "Not UTF-8: nothing was written."));
        };
        let path = self.answers.path().display();
        Ok(match self.answers.write(seen.as_deref(), &text)? {
            Written::Whole(tag, kept) => {
                let kept = kept.map_or(String::new(), |kept| {
                    format!(" What it held is kept in {}.", kept.display())
                });
                told(200, &format!("Written to {path}.{kept}")).with_header(field("ETag", &tag))
            }
            Written::Changed => told(412, &format!("{path} has changed since the page read it.")),
            Written::Wrong(why) => told(422, &format!("Nothing was written: {why}")),
        })
    }

    fn picture(&self, number: &str) -> anyhow::Result<ResponseBox> {
        let Some(path) = number
            .parse()
            .ok()
            .and_then(|n: usize| self.pictures.get(n))
        else {
            return Ok(told(404, "The audit has no such picture."));
        };
        let gone = |why: &str| told(404, &format!("{}: {why}", path.display()));
        // A link would lead out of the tree; those that the scan saw it refused.
        if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            return Ok(gone("the file is there no more"));
        }
        let mut file = File::open(path)?;
        let mut first = Vec::new();
        file.by_ref().take(12).read_to_end(&mut first)?;
        file.rewind()?;
        let kind = match first.as_slice() {
            [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => "image/webp",
            _ => return Ok(gone("the file is no picture any more")),
        };
        Ok(Response::from_file(file)
            .with_chunked_threshold(usize::MAX)
            .with_header(field("Content-Type", kind))
            .with_header(field("Content-Security-Policy", "default-src 'none'"))
            .boxed())
    }
}

/// Whether a request was sent to this machine by one of its own names, at whatever port: a tunnel may have another.
fn is_here(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|a| a.ip());
    let address = address.or_else(|_| host.trim_matches(['[', ']']).parse());
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

fn told(status: u16, text: &str) -> ResponseBox {
    Response::from_string(text)
        .with_status_code(status)
        .with_header(field("Content-Type", "text/plain; charset=utf-8"))
        .with_header(field("Content-Security-Policy", "default-src 'none'"))
        .boxed()
}

fn field(name: &str, value: &str) -> Header {
    // Ours are ASCII all, as a header must be.
    Header::from_bytes(name, value).expect("ASCII")
}
