//! Ten thousand damaged files, half of them annotations and half of them images: whatever is in a file, reading it ends
//! in a value or in a typed refusal, without a panic and in bounded memory.
//!
//! Mutations come from a fixed stream, so that a failure can be repeated by its number. `LOGODEX_HOSTILE_N=20` reads
//! twenty times as many.

mod images;
mod memory;
mod mutate;
mod xml;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Inputs of each sort, by default.
const EACH: usize = 5_500;

/// What was seen of all inputs of a sort.
#[derive(Debug, Default)]
struct Seen {
    /// Inputs that were read to the end.
    accepted: usize,
    /// Inputs that were refused.
    refused: usize,
    /// Most bytes held at once for one input, and its number.
    most: (usize, usize),
    /// Longest time for one input, and its number.
    slowest: (Duration, usize),
}

/// What reading one input came to.
struct Verdict {
    accepted: bool,
    /// Bytes that it may hold at once.
    allowed: usize,
}

/// Reads as many inputs as are asked for, spread over two threads; input `number` is made and read by `read`.
fn read_all(read: impl Fn(usize) -> Verdict + Sync) -> Seen {
    let times = std::env::var("LOGODEX_HOSTILE_N").map_or(1, |n| n.parse().expect("a number"));
    let total: usize = EACH * times;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = Seen::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return seen;
            }
            let start = Instant::now();
            let (verdict, peak) = memory::peak_of(|| {
                catch_unwind(std::panic::AssertUnwindSafe(|| read(number)))
                    .unwrap_or_else(|_| panic!("input {number} panics"))
            });
            assert!(
                peak <= verdict.allowed,
                "input {number} holds {peak} bytes; {} are allowed",
                verdict.allowed
            );
            seen.accepted += usize::from(verdict.accepted);
            seen.refused += usize::from(!verdict.accepted);
            seen.most = seen.most.max((peak, number));
            seen.slowest = seen.slowest.max((start.elapsed(), number));
        }
    };
    let seen = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("no input panics"))
    });
    let [a, b] = seen;
    let seen = Seen {
        accepted: a.accepted + b.accepted,
        refused: a.refused + b.refused,
        most: a.most.max(b.most),
        slowest: a.slowest.max(b.slowest),
    };
    assert_eq!(seen.accepted + seen.refused, total);
    println!("{seen:?}");
    seen
}
