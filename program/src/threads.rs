//! How many threads are of use.

/// As many threads as were asked for, 0 for one per core, but no more than help: those above only wait for a core, and
/// thousands of them wait for minutes.
pub fn bounded(asked: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let most = (4 * cores).max(64);
    if asked > most {
        tracing::warn!("--threads {asked}: {most} are used, this machine runs {cores} at once");
    }
    asked.min(most)
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn what_helps_is_taken_and_no_more() {
        assert_eq!([0, 1, 64].map(bounded), [0, 1, 64]);
        assert!((64..100_000).contains(&bounded(100_000)));
    }
}
