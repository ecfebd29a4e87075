//! Ctrl-C and the SIGTERM of a scheduler: noted once, so that the loop can finish its step and write a checkpoint. A second
//! one ends the process as usual.

use std::sync::atomic::{AtomicI32, Ordering};

use libc::{SIGINT, SIGTERM, c_int, sigaction};

/// A handler can reach nothing but what is static.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: c_int) {
    RECEIVED.store(signal, Ordering::SeqCst);
}

/// Training ended on a signal, with a checkpoint: not an error, but the caller has to stop too. Exit code 128 + signal.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} ended the run after step {step}; its checkpoint is written, continue with --resume",
    name(*.signal)
)]
pub struct Interrupted {
    /// SIGINT (2) or SIGTERM (15).
    pub signal: c_int,
    /// Optimiser steps done.
    pub step: u64,
}

/// While it lives, the first SIGINT and the first SIGTERM are noted instead of ending the process.
#[derive(Debug)]
pub struct Interrupts {
    before: Vec<(c_int, sigaction)>,
}

impl Interrupts {
    /// Begins to listen.
    pub fn listen() -> Self {
        RECEIVED.store(0, Ordering::SeqCst);
        let before = [SIGINT, SIGTERM].into_iter().map(|signal| {
            // SAFETY: an all-zero sigaction is a valid value of this plain C struct.
            let mut action: sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = note as extern "C" fn(c_int) as usize;
            // The disposition falls back to the default with the first signal: a second one kills.
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            (signal, exchange(signal, &action))
        });
        Self {
            before: before.collect(),
        }
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<c_int> {
        Some(RECEIVED.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for (signal, action) in &self.before {
            exchange(*signal, action);
        }
    }
}

/// Sets what a signal does; returns what it did before.
fn exchange(signal: c_int, action: &sigaction) -> sigaction {
    // SAFETY: an all-zero sigaction is valid; both pointers are to live values, and `note`, the only handler that is ever
    // set here, does nothing but store to an atomic.
    unsafe {
        let mut before: sigaction = std::mem::zeroed();
        sigaction(signal, action, &mut before);
        before
    }
}

/// The signal as people call it.
pub fn name(signal: c_int) -> &'static str {
    match signal {
        SIGINT => "Ctrl-C (SIGINT)",
        _ => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn does(signal: c_int) -> usize {
        // SAFETY: a null action only asks; the other pointer is to a live value.
        unsafe {
            let mut now: sigaction = std::mem::zeroed();
            sigaction(signal, std::ptr::null(), &mut now);
            now.sa_sigaction
        }
    }

    #[test]
    fn the_first_signal_is_noted_the_second_would_kill_and_all_is_as_before_afterwards() {
        let before = does(SIGTERM);
        {
            let interrupts = Interrupts::listen();
            assert_eq!(interrupts.received(), None);
            assert_ne!(does(SIGTERM), libc::SIG_DFL);
            // SAFETY: the handler is in place.
            unsafe { libc::raise(SIGTERM) };
            assert_eq!(interrupts.received(), Some(SIGTERM));
            assert_eq!(does(SIGTERM), libc::SIG_DFL, "the next one kills");
        }
        assert_eq!(does(SIGTERM), before);
        assert_eq!(Interrupts::listen().received(), None, "it is forgotten");
    }
}
