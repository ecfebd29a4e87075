//! Tells a person what a program does and how far it is: log lines on standard error, a bar on a terminal, and where there
//! is no terminal a JSON line now and then.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::output::Listener;

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Speed and time left are told of this long.
const WINDOW: Duration = Duration::from_secs(30);

/// Sends the program's log to standard error: plain text on a terminal, one JSON object per line otherwise. `RUST_LOG`
/// sets the level; its default is `on_terminal` on a terminal, and `info` otherwise.
pub fn subscribe(on_terminal: &str) {
    let terminal = std::io::stderr().is_terminal();
    let default = if terminal { on_terminal } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Listener::default);
    // A second subscriber in one process (as in tests) is no error.
    let _ = match terminal {
        true => builder.without_time().with_target(false).try_init(),
        false => builder.json().flatten_event(true).try_init(),
    };
}

/// A bar of this look, where standard error is a terminal.
fn bar(look: &str, what: &'static str) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template(look);
        ProgressBar::new(0)
            .with_prefix(what)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    })
}

/// How far a stage of many small steps is. Shared between threads; when it is dropped, the stage is over.
pub struct StageProgress {
    stage: &'static str,
    bar: Option<ProgressBar>,
    done: AtomicU64,
    began: Instant,
    /// When the last line was written, in milliseconds after `began`.
    spoke_ms: AtomicU64,
}

impl StageProgress {
    /// Begins a stage, for example `decode`.
    pub fn new(stage: &'static str) -> Self {
        Self {
            stage,
            bar: bar(
                "{prefix:>9} {bar:40} {human_pos}/{human_len} {per_sec:>10} {eta}",
                stage,
            ),
            done: AtomicU64::new(0),
            began: Instant::now(),
            spoke_ms: AtomicU64::new(0),
        }
    }

    /// Says that `done` of `total` are done.
    pub fn set(&self, done: u64, total: u64) {
        self.done.fetch_max(done, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(self.done.load(Ordering::Relaxed));
            }
            None => self.speak(done, total),
        }
    }

    /// Says that one more of `total` is done.
    pub fn step(&self, total: u64) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.set(done, total);
    }

    fn speak(&self, done: u64, total: u64) {
        let now = self.began.elapsed().as_millis() as u64;
        let spoke = self.spoke_ms.load(Ordering::Relaxed);
        let due = now.saturating_sub(spoke) >= LINE_EVERY.as_millis() as u64;
        if due
            && self
                .spoke_ms
                .compare_exchange(spoke, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::info!(stage = self.stage, done, total, "progress");
        }
    }
}

impl Drop for StageProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let done = self.done.load(Ordering::Relaxed);
        let secs = self.began.elapsed().as_secs_f64();
        tracing::info!(
            stage = self.stage,
            done,
            secs = format!("{secs:.2}"),
            "stage over"
        );
    }
}

/// How many images went through a network, how fast, and with what loss.
#[derive(Debug)]
pub struct ImageProgress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: u64,
    /// Moments of the last half minute and the images done by then.
    window: VecDeque<(Instant, u64)>,
    spoke: Instant,
}

impl ImageProgress {
    /// Begins at `done` of `total` images; `what` names the activity.
    pub fn start(what: &'static str, total: u64, done: u64) -> Self {
        let bar = bar(
            "{prefix} {wide_bar} {human_pos}/{human_len} images  {msg}",
            what,
        );
        if let Some(bar) = &bar {
            bar.set_length(total);
            bar.set_position(done);
        }
        let now = Instant::now();
        Self {
            bar,
            what,
            total,
            done,
            window: VecDeque::from([(now, done)]),
            spoke: now,
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
        } else if self.spoke.elapsed() >= LINE_EVERY {
            self.spoke = now;
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
        let mut progress = ImageProgress::start("test", 1_000, 500);
        assert_eq!(progress.rate(), 0.0, "what was done before is no speed");
        std::thread::sleep(Duration::from_millis(20));
        progress.advance(10, None);
        assert!((1.0..=500.0).contains(&progress.rate()));
        progress.goes_on();
        assert_eq!(progress.rate(), 0.0);
        assert_eq!(progress.done, 510);
    }
}
