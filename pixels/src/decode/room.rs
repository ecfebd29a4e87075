//! Room for large pictures: all that are in memory at once share a number of bytes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What all pictures share that take more than their thread's own 16 MiB: 200 MiB.
pub const SHARED_BYTES: u64 = 200 << 20;

/// A picture of at most this many bytes is its thread's own affair.
const OWN_BYTES: u64 = 16 << 20;

/// Bytes in use.
static USED: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();
/// Held by whoever waits, so that large ones come in turn and none starves.
static TURN: Mutex<()> = Mutex::new(());

/// Room that a picture has until this is dropped.
pub(super) struct Room(u64);

impl Room {
    /// Waits until there are so many bytes, or all that there are. None where the thread's own suffice.
    pub(super) fn wait_for(bytes: u64) -> Option<Self> {
        if bytes <= OWN_BYTES {
            return None;
        }
        let bytes = bytes.min(SHARED_BYTES);
        let _turn = lock(&TURN);
        let is_full = |used: &mut u64| *used + bytes > SHARED_BYTES;
        let used = FREED.wait_while(lock(&USED), is_full);
        *used.unwrap_or_else(PoisonError::into_inner) += bytes;
        Some(Self(bytes))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *lock(&USED) -= self.0;
        FREED.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn large_pictures_share_the_room_and_small_ones_need_none() {
        const LARGE: u64 = SHARED_BYTES / 3;
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let two = std::sync::Barrier::new(2);
        let hold = |bytes: u64, meet: bool| {
            let _room = Room::wait_for(bytes).unwrap();
            let held = bytes.min(SHARED_BYTES);
            most.fetch_max(
                now.fetch_add(held, Ordering::SeqCst) + held,
                Ordering::SeqCst,
            );
            if meet {
                two.wait();
            }
            assert!(Room::wait_for(OWN_BYTES).is_none());
            now.fetch_sub(held, Ordering::SeqCst);
        };
        // These are in memory together, or wait for each other for ever.
        std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(|| hold(LARGE, true)))));
        std::thread::scope(|scope| {
            for bytes in [LARGE, u64::MAX, LARGE, LARGE, LARGE, u64::MAX, LARGE] {
                let hold = &hold;
                scope.spawn(move || hold(bytes, false));
            }
        });
        let most = most.into_inner();
        assert!((2 * LARGE..=SHARED_BYTES).contains(&most), "{most}");
    }
}
