//! Shows how far a stage is: a bar on a terminal, a JSON line now and then otherwise.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, a stage speaks at most this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// The progress of one stage. Shared between threads.
pub struct Progress {
    stage: &'static str,
    bar: Option<ProgressBar>,
    done: AtomicU64,
    began: Instant,
    /// When the last line was written, in milliseconds after `began`.
    spoke_ms: AtomicU64,
}

impl Progress {
    /// Begins a stage, for example `decode`.
    pub fn new(stage: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix:>9} {bar:40} {human_pos}/{human_len} {per_sec:>10} {eta}";
            let style = ProgressStyle::with_template(style);
            let bar = ProgressBar::new(0).with_prefix(stage);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self {
            stage,
            bar,
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
        let due = now.saturating_sub(spoke) >= INTERVAL.as_millis() as u64;
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

impl Drop for Progress {
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
