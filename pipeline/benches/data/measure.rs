//! What is measured, and the tables of it.

use std::time::Instant;

use serde::Serialize;

/// What one side took in one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Time {
    /// Processor seconds.
    pub cpu: f64,
    /// Seconds on the wall.
    pub wall: f64,
}

/// A side of a comparison.
#[derive(Debug, Serialize)]
pub struct Side {
    /// What is measured.
    pub name: String,
    /// Images or rows in a round.
    pub items: usize,
    /// What each round took.
    pub rounds: Vec<Time>,
    /// Why there are none.
    pub missing: Option<String>,
}

impl Side {
    /// A side without rounds.
    pub fn new(name: &str, items: usize) -> Self {
        Self {
            name: name.to_owned(),
            items,
            rounds: Vec::new(),
            missing: None,
        }
    }

    fn sorted(&self, of: impl Fn(&Time) -> f64) -> Vec<f64> {
        let mut times: Vec<f64> = self.rounds.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Items per processor second in the best round, the median one and the worst.
    pub fn rates(&self) -> [f64; 3] {
        let times = self.sorted(|time| time.cpu);
        [0, times.len() / 2, times.len() - 1].map(|i| self.items as f64 / times[i])
    }

    /// Items per second on the wall, best round.
    pub fn wall(&self) -> f64 {
        self.items as f64 / self.sorted(|time| time.wall)[0]
    }
}

fn processor_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec that outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "this system has no clock of processor time");
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Runs `work` and says what it took.
pub fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Time> {
    let (cpu, wall) = (processor_seconds(), Instant::now());
    work()?;
    Ok(Time {
        cpu: processor_seconds() - cpu,
        wall: wall.elapsed().as_secs_f64(),
    })
}

/// A table: rates per side, and how many times faster the first side is.
pub fn table(what: &str, sides: &[Side]) -> String {
    let mut text = format!(
        "| {what} | per processor second: median (min–max) | ours is × (best rounds) | × by the wall |\n|---|---:|---:|---:|\n"
    );
    let ours = &sides[0];
    for side in sides {
        if side.rounds.is_empty() {
            text += &format!("| {} | not installed | | |\n", side.name);
            continue;
        }
        let [best, median, worst] = side.rates();
        let ratio = ours.rates()[0] / best;
        let wall = ours.wall() / side.wall();
        text += &format!(
            "| {} | {median:.0} ({worst:.0}–{best:.0}) | {ratio:.2} | {wall:.2} |\n",
            side.name
        );
    }
    text
}

/// The load average of the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
