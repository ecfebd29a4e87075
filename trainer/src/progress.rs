//! How a run tells its progress: a bar on a terminal, JSON lines on standard error otherwise.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// In a log file, a line at most this often within an epoch.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Speed and time left are told of this long.
const WINDOW: Duration = Duration::from_secs(30);

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
    /// Moments of the last half minute and the images done by then.
    window: VecDeque<(Instant, u64)>,
    logged: Instant,
}

impl Progress {
    /// Begins at `done` of `total` images; `what` names the activity.
    pub fn start(what: &'static str, total: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix} {wide_bar} {human_pos}/{human_len} images  {msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total)
                .with_prefix(what)
                .with_position(done)
                .with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            what,
            total,
            done,
            window: VecDeque::from([(now, done)]),
            logged: now,
        }
    }

    /// `images` more are through; `loss` of their batch, where there is one.
    pub fn advance(&mut self, images: u64, loss: Option<f64>) {
        let now = Instant::now();
        self.done += images;
        self.window.push_back((now, self.done));
        while self.window.len() > 2 && now - self.window[1].0 > WINDOW {
            self.window.pop_front();
        }
        let rate = self.rate();
        let secs_left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-3);
        if let Some(bar) = &self.bar {
            let left = indicatif::HumanDuration(Duration::from_secs_f64(secs_left.round()));
            let loss = loss.map_or_else(String::new, |loss| format!("  loss {loss:.4}"));
            bar.set_position(self.done);
            bar.set_message(format!("{rate:.0} images/s  {left} left{loss}"));
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = now;
            tracing::info!(
                images = self.done,
                total_images = self.total,
                images_per_sec = rate.round(),
                secs_left = secs_left.round(),
                loss,
                "{}",
                self.what
            );
        }
    }

    /// Images per second over the last half minute; 0 before there are any.
    pub fn rate(&self) -> f64 {
        match (self.window.front(), self.window.back()) {
            (Some(first), Some(last)) if last.1 > first.1 => {
                (last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64().max(1e-9)
            }
            _ => 0.0,
        }
    }

    /// Goes on after something else was done: the time since the last image counts in no rate.
    pub fn goes_on(&mut self) {
        self.window.clear();
        self.window.push_back((Instant::now(), self.done));
    }

    /// A line for people that stays above the bar; in a log file, a JSON line.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tracing::info!("{line}"),
        }
    }

    /// As [`Self::say`], for what needs attention.
    pub fn warn(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tracing::warn!("{line}")),
            None => tracing::warn!("{line}"),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_images_since_the_work_went_on() {
        let mut progress = Progress::start("test", 1_000, 500);
        assert_eq!(progress.rate(), 0.0, "what was done before is no speed");
        std::thread::sleep(Duration::from_millis(20));
        progress.advance(10, None);
        assert!((1.0..=500.0).contains(&progress.rate()));
        progress.goes_on();
        assert_eq!(progress.rate(), 0.0);
        assert_eq!(progress.done, 510);
    }
}
