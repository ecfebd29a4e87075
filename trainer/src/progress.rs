//! How a run tells its progress: a bar on a terminal, JSON lines on standard error otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// In a log file, a line at most this often within an epoch.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Sends the program's log to standard error: plain text on a terminal, one JSON object per line otherwise. `RUST_LOG`
/// sets the level; default `info`.
pub fn subscribe() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber in one process (as in tests) is no error.
    let _ = match std::io::stderr().is_terminal() {
        true => builder.without_time().with_target(false).try_init(),
        false => builder.json().flatten_event(true).try_init(),
    };
}

/// The progress of a number of images through the network.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: u64,
    done_before: u64,
    started: Instant,
    logged: Instant,
}

impl Progress {
    /// Begins at `done` of `total` images; `what` names the activity.
    pub fn start(what: &'static str, total: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix} {wide_bar} {human_pos}/{human_len} images  {per_sec:.0} images/s  {eta} left  {msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total)
                .with_prefix(what)
                .with_position(done)
                .with_style(style)
        });
        if let Some(bar) = &bar {
            bar.reset_eta();
        }
        let now = Instant::now();
        Self {
            bar,
            what,
            total,
            done,
            done_before: done,
            started: now,
            logged: now,
        }
    }

    /// `images` more are through; `loss` of their batch, where there is one.
    pub fn advance(&mut self, images: u64, loss: Option<f64>) {
        self.done += images;
        if let Some(bar) = &self.bar {
            bar.inc(images);
            if let Some(loss) = loss {
                bar.set_message(format!("loss {loss:.4}"));
            }
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let rate = (self.done - self.done_before) as f64 / self.started.elapsed().as_secs_f64();
            tracing::info!(
                images = self.done,
                total_images = self.total,
                images_per_sec = rate.round(),
                secs_left = ((self.total.saturating_sub(self.done)) as f64 / rate).round(),
                loss,
                "{}",
                self.what
            );
        }
    }

    /// A line for people that stays above the bar; in a log file, a JSON line.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tracing::info!("{line}"),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
