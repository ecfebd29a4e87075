//! The server: its routes, their document, and its beginning.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use logodex_inference::Model;
use logodex_program::{output, usage};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{IntoResponses, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::batch::Batcher;
use super::http::auth::{self, Guard, Token};
use super::http::input::{Bodies, whole_body};
use super::http::problem::{AnyRefused, Problem, ProblemBody};
use super::http::{listen, metrics, page};
use super::service::{Rule, Service};
use super::watched::Watched;
use super::wire::Status;
use super::{brands, enrol, identify, thumbnails};
use crate::gallery::snapshot::Gallery;

/// What is served, and within which limits.
#[derive(Debug)]
pub struct Options {
    /// The model's file where it was typed: a gallery that is begun keeps it.
    pub model: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// A file with the token; none to take that of the environment, if there is one.
    pub token_file: Option<PathBuf>,
    /// When a brand is named.
    pub rule: Rule,
    /// The most bytes of a body.
    pub max_body: usize,
    /// Requests that may be worked on or wait at a time.
    pub queue: usize,
    /// The most pictures of several requests that are embedded together.
    pub batch: usize,
    /// How long a request may take to come, and to be answered.
    pub timeout: Duration,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Logodex", description = "Names logos, or says that they are unknown."),
    tags(
        (name = "recognition", description = "Pictures are named and compared"),
        (name = "gallery", description = "Who is enrolled"),
        (name = "operation", description = "For those who run the server"),
    ),
    components(schemas(ProblemBody)),
)]
struct Api;

/// Serves a gallery with its model until SIGTERM or SIGINT, and says on standard output where.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] for options that do not do, or a gallery without a threshold; the network.
pub fn serve(gallery: Gallery, model: Model, options: &Options) -> Result<()> {
    let token = Token::find(options.token_file.as_deref())?;
    auth::may_listen(options.listen, token.as_ref())?;
    let counts = metrics::install()?;
    let service = Arc::new(service(gallery, model, options)?);
    let guard = Guard {
        loopback: options.listen.ip().is_loopback(),
        token,
    };
    let router = router(&service, guard, options, counts.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the server's threads")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| usage(format!("--listen {}: {error}", options.listen)))?;
        let address = listener.local_addr()?;
        let gallery = service.gallery.known();
        output::print(format_args!(
            "listening on http://{address}/ with {} brands in {}\n",
            gallery.brands().len(),
            gallery.store()
        ));
        tokio::spawn(metrics::upkeep(counts));
        listen::run(listener, router, options.timeout).await
    })
}

fn service(gallery: Gallery, model: Model, options: &Options) -> Result<Service> {
    let metadata = model.metadata().clone();
    // Asked before anybody does: is there a threshold, does the model work?
    let threshold = options.rule.threshold(&gallery, &metadata)?;
    if let Some(caution) = &threshold.caution {
        tracing::warn!("{caution}");
    }
    let square = model.square_bytes();
    model.embed(&vec![0; square])?;
    let embed = Box::new(move |squares: &[u8], _| model.embed(squares));
    Ok(Service {
        batcher: Batcher::start(embed, square, options.batch, options.queue)?,
        model: metadata,
        gallery: Watched::new(gallery),
        rule: options.rule,
        model_file: options.model.clone(),
        thumbnails: thumbnails::Thumbnails::default(),
        queue: Arc::new(Semaphore::new(options.queue)),
        patience: options.timeout,
        changing: Mutex::new(()),
    })
}

/// Every route, with the OpenAPI document of those that programs use.
fn router(
    service: &Arc<Service>,
    guard: Guard,
    options: &Options,
    counts: PrometheusHandle,
) -> Router {
    let routed = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(identify::identify))
        .routes(routes!(identify::verify))
        .routes(routes!(brands::gallery))
        .routes(routes!(brands::list))
        .routes(routes!(brands::show, brands::rename, brands::remove))
        .routes(routes!(enrol::enrol))
        .routes(routes!(brands::picture, brands::remove_picture))
        .routes(routes!(healthz))
        .routes(routes!(readyz));
    let (routes, mut document) = routed.split_for_parts();
    complete(&mut document, guard.token.is_some());
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    let openapi = async move || ([(CONTENT_TYPE, "application/json")], document.to_string());
    let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let bodies = Arc::new(Bodies::new(options.max_body, options.timeout));
    routes
        .route("/", get(page::html))
        .route("/page/{file}", get(page::file))
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(async move || (text, counts.render())))
        .fallback(async || {
            Problem::not_found(
                "there is nothing at this address; /openapi.json lists what there is",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address does not take this method; /openapi.json lists what there is",
            )
        })
        // Bodies were measured before they come here.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(bodies, whole_body))
        .layer(from_fn_with_state(Arc::new(guard), auth::guard))
        .layer(from_fn(metrics::count))
        .layer(map_response(with_headers))
        .with_state(Arc::clone(service))
}

async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in page::HEADERS {
        headers
            .entry(name)
            .or_insert(axum::http::HeaderValue::from_static(value));
    }
    response
}

/// Puts into the document what holds for every operation.
fn complete(document: &mut Document, token: bool) {
    if token {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    }
    let shared = AnyRefused::responses();
    for (path, item) in &mut document.paths.paths {
        let methods = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in methods.into_iter().flatten() {
            if path.ends_with('z') {
                // Probes bring no token.
                operation.security = token.then(Vec::new);
            }
            for (status, response) in &shared {
                let responses = &mut operation.responses.responses;
                if !responses.contains_key(status) {
                    responses.insert(status.clone(), RefOr::clone(response));
                }
            }
        }
    }
}

/// Whether the server is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    responses((status = 200, description = "It answers", body = Status)),
)]
async fn healthz() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Whether requests can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses((status = 200, description = "They can", body = Status)),
)]
async fn readyz(State(service): State<Arc<Service>>) -> Result<Json<Status>, Problem> {
    let unready = |detail: String| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    if !service.batcher.is_alive() {
        return unready("the thread that embeds has ended".to_owned());
    }
    service.with_gallery(|_, _| Ok(())).await?;
    match service.gallery.failure() {
        // Its path is nothing for those who have no token; the log has it.
        Some(_) => unready("the gallery was changed and cannot be read; the one before is served, and the log says more".to_owned()),
        None if service.queue.available_permits() == 0 => unready("as many requests wait as may".to_owned()),
        None => Ok(Json(Status { status: "ok" })),
    }
}
