//! The second part of `make bench-data`: what the audit looks at beside CleanVision's default checks, and its search for
//! look-alikes over as many hashes as LogoDet-3K has pictures, held to comparing all with all.
//!
//! Times are processor seconds of the side's process, one thread each; files lie in the page cache.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;

use clap::Parser;
use logodex_pipeline::plan::hamming::{NEARLY_SAME, SIMILAR, groups_within};
use logodex_pipeline::plan::partition::Partition;
use logodex_pipeline::raw::scan::scan;
use logodex_pixels::decode;
use serde_json::json;

use measure::{Side, load, table, timed};
use peers::Peers;

#[path = "../data/measure.rs"]
mod measure;
#[path = "../data/peers.rs"]
mod peers;

/// Measures the audit's looking and searching, and CleanVision's.
#[derive(Parser)]
struct Options {
    /// The raw tree
    #[arg(long)]
    raw: PathBuf,
    /// A Python that has what `requirements.txt` lists
    #[arg(long)]
    python: PathBuf,
    /// A folder in memory for the peer
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Pictures that are looked at
    #[arg(long, default_value_t = 400)]
    pictures: usize,
    /// Where the numbers go
    #[arg(long)]
    json: PathBuf,
    /// `cargo bench` says it
    #[arg(long, hide = true)]
    bench: bool,
}

/// The pictures of LogoDet-3K.
const HASHES: usize = 158_654;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1);
    threads.build_global()?;
    let load_before = load();
    let mut result = BTreeMap::new();
    let scan = scan(&options.raw)?;
    let every = (scan.samples.len() / options.pictures).max(1);
    let paths: Vec<PathBuf> = (scan.samples.iter().step_by(every))
        .take(options.pictures)
        .map(|sample| scan.root.join(&sample.image))
        .collect();

    let mut peers = Peers::start(&options.python, &options.scratch)?;
    let n = paths.len();
    let mut sides = [
        Side::new(
            "**ours: BLAKE3, perceptual hash, quality, groups to 8 bits**",
            n,
        ),
        Side::new("ours, as a build's scan: BLAKE3, perceptual hash", n),
        Side::new("CleanVision: all default checks, `n_jobs=1`", n),
    ];
    for _ in 0..options.rounds {
        sides[0].rounds.push(timed(|| closely(&paths))?);
        sides[1].rounds.push(timed(|| as_a_build(&paths))?);
        peers.round(
            &mut sides[2],
            &json!({"task": "cleanvision", "paths": paths}),
        )?;
    }
    peers.stop()?;
    let mut markdown = table("pictures looked at", &sides);
    result.insert("looking", json!(sides));

    let of_tree: Vec<u64> = scan.samples.iter().map(|s| s.seen.phash).collect();
    let hashes = as_many_as_the_census(of_tree);
    markdown += &format!(
        "\n| groups over {} hashes, one thread | processor seconds: mean (min–max) | groups | pictures in them | largest | \
         as comparing all with all |\n|---|---:|---:|---:|---:|---:|\n",
        hashes.len()
    );
    for radius in [NEARLY_SAME, SIMILAR] {
        let mut found = Vec::new();
        let mut times = Vec::new();
        for _ in 0..options.rounds {
            let time = timed(|| {
                found = groups_within(black_box(&hashes), radius);
                Ok(())
            })?;
            times.push(time.cpu);
        }
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let same = found == slowly(&hashes, radius);
        let members: usize = found.iter().map(Vec::len).sum();
        let largest = found.iter().map(Vec::len).max().unwrap_or(0);
        markdown += &format!(
            "| at most {radius} of 64 bits | {mean:.2} ({:.2}–{:.2}) | {} | {members} | {largest} | {} |\n",
            times[0],
            times[times.len() - 1],
            found.len(),
            if same {
                "the same groups"
            } else {
                "**others**"
            }
        );
        result.insert(
            if radius == SIMILAR {
                "groups_8"
            } else {
                "groups_4"
            },
            json!({"seconds": times, "groups": found.len(), "members": members, "same": same}),
        );
    }
    let loads = [load_before, load()];
    markdown += &format!("\nLoad average before and after: {}.\n", loads.join(", "));
    result.insert("load", json!(loads));
    std::fs::write(&options.json, serde_json::to_vec_pretty(&result)?)?;
    println!("{markdown}");
    Ok(())
}

/// What an audit finds out about each picture, and the groups.
fn closely(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut hashes = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path)?;
        black_box(blake3::hash(&bytes));
        let seen = decode::look_closely(&bytes).map_err(|e| anyhow::anyhow!(e.detail))?;
        hashes.push(seen.phash);
        black_box(seen.quality);
    }
    black_box(groups_within(&hashes, SIMILAR));
    Ok(())
}

/// What a build's scan finds out.
fn as_a_build(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        black_box(blake3::hash(&bytes));
        black_box(decode::look(&bytes).map_err(|e| anyhow::anyhow!(e.detail))?);
    }
    Ok(())
}

/// The hashes of a tree and, where it has too few, others like them: row by row of frequencies from one of two of them, so that
/// bits go together as they do in pictures, and for every tenth a copy of an earlier one with up to eight bits changed.
fn as_many_as_the_census(mut hashes: Vec<u64>) -> Vec<u64> {
    let known = hashes.len() as u64;
    let mut state = 42u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    while hashes.len() < HASHES {
        let mut hash = 0;
        if hashes.len().is_multiple_of(10) {
            hash = hashes[next(hashes.len() as u64) as usize];
            for _ in 0..next(9) {
                hash ^= 1 << next(64);
            }
        } else {
            let parents = [next(known), next(known)];
            for row in 0..8 {
                let parent = hashes[parents[next(2) as usize] as usize];
                hash |= parent & 0xff << (8 * row);
            }
        }
        hashes.push(hash);
    }
    hashes
}

/// The groups that comparing all with all finds.
fn slowly(hashes: &[u64], radius: u32) -> Vec<Vec<usize>> {
    let mut groups = Partition::of(hashes.len());
    for (a, x) in hashes.iter().enumerate() {
        for (b, y) in hashes.iter().enumerate().skip(a + 1) {
            if (x ^ y).count_ones() <= radius {
                groups.join(a, b);
            }
        }
    }
    groups.groups()
}
