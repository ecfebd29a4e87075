//! Writes beside the rendering, by as many threads as it takes for the rendering never to wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// Threads that render what one thread writes: rendering an image takes 431 µs, hashing and writing its row 101 µs
/// (`BENCHMARKS.md`).
const RENDERERS_EACH: usize = 4;

/// How many writers so many rendering threads keep busy.
pub fn writers_for(threads: usize) -> usize {
    threads.div_ceil(RENDERERS_EACH)
}

/// Runs `produce`, and beside it `writers` threads that `write` what it hands over, in any order. Nothing is queued: at
/// most one item for each writer is in memory, and the one that is produced. `produce` is told by `false` that a writer
/// failed; then it should end.
///
/// # Errors
/// The first of the writers' errors, else that of `produce`.
pub fn beside<T: Send>(
    writers: usize,
    write: impl Fn(T) -> anyhow::Result<()> + Sync,
    produce: impl FnOnce(&dyn Fn(T) -> bool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let failed = AtomicBool::new(false);
    let (hand_over, items) = mpsc::sync_channel::<T>(0);
    let items = Arc::new(Mutex::new(items));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers.max(1))
            .map(|_| {
                // Owned by the writers alone: when the last ends, whatever its end, `hand_over` is told.
                let items = Arc::clone(&items);
                let (failed, write) = (&failed, &write);
                scope.spawn(move || {
                    while !failed.load(Ordering::Relaxed) {
                        let next = items.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(item) = next else { break };
                        if let Err(error) = write(item) {
                            failed.store(true, Ordering::Relaxed);
                            return Err(error);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        drop(items);
        let produced =
            produce(&|item| !failed.load(Ordering::Relaxed) && hand_over.send(item).is_ok());
        drop(hand_over);
        let mut written = Ok(());
        for thread in threads {
            let ended = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written = written.and(ended);
        }
        written.and(produced)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use super::*;

    /// A build as a machine of so many cores would see it, in sleeps: a shard takes `rendering` of one core's time, and
    /// `writing` of a writer's. Returns how long all took, and the most that were written at once.
    fn simulated(
        cores: u32,
        writers: usize,
        rendering: Duration,
        writing: Duration,
    ) -> (Duration, usize) {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let began = Instant::now();
        let write = |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(writing);
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        beside(writers, write, |hand_over| {
            for shard in 0..SHARDS {
                std::thread::sleep(rendering / cores);
                assert!(hand_over(shard));
            }
            Ok(())
        })
        .unwrap();
        (began.elapsed(), most.into_inner())
    }

    const SHARDS: u32 = 24;

    #[test]
    fn cores_not_the_writer_limit() {
        // The proportion of a build with a writer that is slower by a third, on sixteen cores.
        let (cores, rendering) = (16, Duration::from_millis(320));
        let writing = rendering / 4;
        let rendered = SHARDS * rendering / cores;
        let (one, _) = simulated(cores, 1, rendering, writing);
        assert!(
            one >= SHARDS * writing,
            "one writer is what limits: {one:?}"
        );
        let (took, at_once) = simulated(cores, writers_for(cores as usize), rendering, writing);
        assert_eq!(at_once, 4, "several shards are written at once");
        assert!(
            took < rendered * 2 && took < one / 2,
            "{took:?} where rendering takes {rendered:?} and one writer {one:?}"
        );
        assert_eq!([1, 2, 4, 5, 8, 64].map(writers_for), [1, 1, 1, 2, 2, 16]);
    }

    #[test]
    fn a_writer_that_fails_ends_the_work_with_its_error() {
        for writers in [1, 3] {
            let handed_over = AtomicUsize::new(0);
            let write = |n: usize| match n {
                5 => anyhow::bail!("the disk is full"),
                _ => Ok(()),
            };
            let result = beside(writers, write, |hand_over| {
                for n in 0..1_000_000 {
                    if !hand_over(n) {
                        return Ok(());
                    }
                    handed_over.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::bail!("nobody was told")
            });
            assert_eq!(result.unwrap_err().to_string(), "the disk is full");
            assert!(handed_over.into_inner() >= 5);
        }
        let result = beside(2, |_: ()| Ok(()), |_| anyhow::bail!("the tree changed"));
        assert_eq!(result.unwrap_err().to_string(), "the tree changed");
    }
}
