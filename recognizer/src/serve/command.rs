//! `logodex serve`: a gallery over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use logodex_program::usage;

use super::server::{Options, serve};
use super::service::Rule;
use crate::command::enrol::open_or_begin;
use crate::command::opened::{GalleryArgs, ThresholdArgs};

/// What is typed after `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    threshold: ThresholdArgs,
    /// Where to listen; port 0 is any free one. Beyond this machine a token is needed, and what encrypts before it.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// A file whose one line is the token that requests must bring (`Authorization: Bearer TOKEN`); without it, the
    /// environment's LOGODEX_TOKEN, if set.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The most MiB that the body of a request may have.
    #[arg(long, default_value_t = 16, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_body: u32,
    /// Requests that may be worked on or wait; one more is answered with 429.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    queue: u32,
    /// The most pictures of several requests that are embedded together.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Seconds that a request may take to come, and then to be answered.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    timeout: f64,
}

/// `logodex serve`.
///
/// # Errors
/// As [`open_or_begin`] and [`serve`].
pub fn serve_command(args: ServeArgs) -> Result<()> {
    if !(args.timeout > 0.0 && args.timeout <= 3600.0) {
        return Err(usage(format!(
            "--timeout {}: it must lie between 0 and 3600",
            args.timeout
        )));
    }
    let (gallery, model) = open_or_begin(&args.gallery, false)?;
    let options = Options {
        model: args.gallery.model,
        listen: args.listen,
        token_file: args.token_file,
        rule: match args.threshold.threshold {
            Some(similarity) => Rule::Given(similarity),
            None => Rule::Rate(args.threshold.far),
        },
        max_body: args.max_body as usize * (1 << 20),
        queue: args.queue as usize,
        batch: args.batch as usize,
        timeout: Duration::from_secs_f64(args.timeout),
    };
    serve(gallery, model, &options)
}
