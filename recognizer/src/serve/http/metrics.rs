//! What the server counts, in the text format of Prometheus.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from a cached answer to one that was nearly given up.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
const PICTURES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Begins to count, for the whole process. The handle renders the counts.
///
/// # Errors
/// Another recorder is there already.
pub fn install() -> Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_pictures".to_owned()), &PICTURES)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("counting for /metrics")?;
    describe_counter!(
        "logodex_http_requests_total",
        "Requests answered, by route, method and status"
    );
    describe_histogram!(
        "logodex_http_request_seconds",
        Unit::Seconds,
        "From a request's head to its answer, by route"
    );
    describe_gauge!(
        "logodex_http_requests_in_flight",
        "Requests that are being answered"
    );
    describe_histogram!(
        "logodex_embed_seconds",
        Unit::Seconds,
        "A batch in the model"
    );
    describe_histogram!("logodex_batch_pictures", "Pictures embedded together");
    describe_counter!("logodex_verdicts_total", "Pictures identified, by verdict");
    describe_gauge!("logodex_gallery_brands", "Brands enrolled");
    describe_gauge!(
        "logodex_gallery_generation",
        "The gallery's generation that is served"
    );
    describe_counter!(
        "logodex_gallery_reload_failures_total",
        "Times that a changed gallery could not be read"
    );
    Ok(handle)
}

/// Samples of histograms are put into their buckets now and then, also where nobody scrapes.
pub async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

/// One less in flight, however a request ends.
struct InFlight;

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("logodex_http_requests_in_flight").decrement(1.0);
    }
}

/// Counts a request. Its label is the route's pattern, never its path: there are a few of those.
pub async fn count(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let from = Instant::now();
    gauge!("logodex_http_requests_in_flight").increment(1.0);
    let in_flight = InFlight;
    let response = next.run(request).await;
    drop(in_flight);
    let status = response.status();
    if status.is_server_error() {
        tracing::error!(%method, route, status = status.as_u16(), "a request failed");
    } else {
        tracing::debug!(%method, route, status = status.as_u16(), "answered");
    }
    histogram!("logodex_http_request_seconds", "route" => route.clone()).record(from.elapsed());
    let status = status.as_str().to_owned();
    counter!("logodex_http_requests_total", "route" => route, "method" => method, "status" => status).increment(1);
    response
}
