//! Bounds what large files cost all threads together. A file that a thread may hold beside its picture asks for nothing;
//! a larger one waits for its share of 64 MiB.

use std::sync::{Condvar, Mutex, PoisonError};

/// What a thread holds of a file without asking, bytes.
const FREE: u64 = 4 << 20;
/// What all larger files take together, bytes: the longest image file is as long.
const SHARED: u64 = 64 << 20;

static LEFT: Mutex<u64> = Mutex::new(SHARED);
static GIVEN_BACK: Condvar = Condvar::new();

/// A part of the budget, given back when it is dropped. Whoever holds one must not ask for another.
#[derive(Debug)]
pub struct Share(u64);

/// Waits until so many bytes may be held. More than the whole budget is the whole budget: such a file is held alone.
pub fn share(bytes: u64) -> Share {
    let taken = match bytes {
        0..=FREE => 0,
        _ => bytes.min(SHARED),
    };
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    while *left < taken {
        left = GIVEN_BACK
            .wait(left)
            .unwrap_or_else(PoisonError::into_inner);
    }
    *left -= taken;
    Share(taken)
}

impl Drop for Share {
    fn drop(&mut self) {
        *LEFT.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        GIVEN_BACK.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn large_files_take_turns_and_small_ones_do_not() {
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let small = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for bytes in [SHARED / 3, 3 * SHARED] {
                        let _share = share(bytes);
                        let taken = bytes.min(SHARED);
                        let now = held.fetch_add(taken, Ordering::SeqCst) + taken;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        held.fetch_sub(taken, Ordering::SeqCst);
                    }
                    // All eight hold theirs at once.
                    let _share = share(FREE);
                    small.wait();
                });
            }
        });
        assert_eq!(most.into_inner(), SHARED);
    }
}
