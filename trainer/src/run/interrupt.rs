//! Notes the first Ctrl-C or SIGTERM of a scheduler, so that the loop can finish its step and write a checkpoint. A
//! second one ends the process as usual.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Training ended on a signal, with a checkpoint: not an error, but the caller has to stop too. Exit code 128 + signal.
#[derive(Debug, thiserror::Error)]
#[error("{} ended {ended}", name(*.signal))]
pub struct Interrupted {
    /// SIGINT (2) or SIGTERM (15).
    pub signal: i32,
    /// What was ended, where it stands and how it goes on.
    pub ended: String,
}

/// While it lives, the first SIGINT and the first SIGTERM are noted instead of ending the process.
#[derive(Debug)]
pub struct Interrupts {
    flags: &'static Flags,
}

/// What the handlers see. They are set once and stay, so that afterwards it is a flag that lets a signal end the
/// process.
#[derive(Debug, Default)]
struct Flags {
    /// The signal that came last, 0 for none.
    received: Arc<AtomicUsize>,
    /// Of each signal, whether the next one ends the process.
    ends: [Arc<AtomicBool>; 2],
}

impl Flags {
    fn install() -> std::io::Result<Self> {
        let flags = Self::default();
        for (signal, ends) in [SIGINT, SIGTERM].into_iter().zip(&flags.ends) {
            // In this order: the first signal finds its flag not set yet, and sets it for the second.
            flag::register_conditional_default(signal, Arc::clone(ends))?;
            flag::register(signal, Arc::clone(ends))?;
            flag::register_usize(signal, Arc::clone(&flags.received), signal as usize)?;
        }
        Ok(flags)
    }

    fn set_ends(&self, value: bool) {
        self.ends
            .iter()
            .for_each(|ends| ends.store(value, Ordering::SeqCst));
    }
}

impl Interrupts {
    /// Begins to listen.
    ///
    /// # Panics
    /// If the system refuses handlers for these two signals, which it does for SIGKILL and its like only.
    pub fn listen() -> Self {
        static FLAGS: OnceLock<Flags> = OnceLock::new();
        let flags = FLAGS.get_or_init(|| Flags::install().expect("both may be handled"));
        flags.received.store(0, Ordering::SeqCst);
        flags.set_ends(false);
        Self { flags }
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<i32> {
        let signal = self.flags.received.load(Ordering::SeqCst) as i32;
        Some(signal).filter(|signal| *signal != 0)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.flags.set_ends(true);
    }
}

/// The signal as people call it.
pub fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "Ctrl-C (SIGINT)",
        _ => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn the_first_signal_is_noted_the_second_kills_and_all_is_as_before_afterwards() {
        const CHILD: &str = "LOGODEX_TEST_SIGNALS";
        const NAME: &str = "run::interrupt::tests::the_first_signal_is_noted_the_second_kills_and_all_is_as_before_afterwards";
        let child = std::env::var(CHILD).unwrap_or_default();
        for signal in [SIGTERM, SIGINT] {
            let interrupts = Interrupts::listen();
            assert_eq!(interrupts.received(), None, "an earlier one is forgotten");
            raise(signal).expect("raised");
            assert_eq!(interrupts.received(), Some(signal));
            if child == "while listening" {
                println!("noted");
                raise(signal).expect("raised");
            }
        }
        if child == "afterwards" {
            println!("noted");
            raise(SIGTERM).expect("raised");
        }
        if !child.is_empty() {
            return;
        }
        // What kills, kills a process of its own.
        for child in ["while listening", "afterwards"] {
            let output = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", NAME, "--nocapture"])
                .env(CHILD, child)
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said.matches("noted\n").count(), 1, "{child}: {said}");
            assert_eq!(output.status.signal(), Some(SIGTERM), "{child}: {said}");
        }
    }
}
