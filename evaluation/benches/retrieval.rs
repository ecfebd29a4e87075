//! Full Recall@K, R-precision, MAP@R and mAP of N embeddings against all others, timed, with the peak of memory:
//!
//!     cargo bench -p logodex-evaluation --bench retrieval -- 60000 128 2 [OUT.safetensors]
//!
//! (embeddings, dimensions, threads). With OUT the embeddings are kept for `scripts/bench_retrieval.py`, the peer.

use std::path::Path;
use std::time::Instant;

use logodex_evaluation::embeddings::fold_index::FoldIndex;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::metrics::ranking::{
    Search, average_precision, average_precision_at_r, r_precision, rank, recall_at,
};
use logodex_schemas::random::stream;
use rand::Rng;

/// Rows of a brand: LogoDet-3K has about 55 images a brand.
const PER_BRAND: usize = 55;

/// Brands around centres, spread so that the task is neither trivial nor hopeless.
fn embeddings(n: usize, dim: usize) -> EmbeddingSet {
    let brand: Vec<i64> = (0..n).map(|i| (i / PER_BRAND) as i64).collect();
    let vector = |i: usize| -> Vec<f32> {
        let mut centre = stream(1, "bench centre", &[(i / PER_BRAND) as u64]);
        let mut own = stream(1, "bench own", &[i as u64]);
        let mut draw = |spread: f32| spread * own.random_range(-1.0f32..1.0);
        (0..dim)
            .map(|_| centre.random_range(-1.0f32..1.0) + draw(2.5))
            .collect()
    };
    EmbeddingSet {
        dim,
        embeddings: (0..n).flat_map(vector).collect(),
        brand,
        row: (0..n as i64).collect(),
    }
}

/// The process's peak of resident memory, MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::NAN);
    kib / 1024.0
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |place: usize, default: usize| {
        args.get(place)
            .map_or(default, |a| a.parse().expect("a number"))
    };
    let (n, dim, threads) = (number(0, 60_000), number(1, 128), number(2, 2));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("threads");
    let set = embeddings(n, dim);
    if let Some(path) = args.get(3) {
        set.write(Path::new(path), None).expect("written");
    }
    let before_mib = peak_mib();
    let begun = Instant::now();
    let fold = FoldIndex::new(&set, &|row| row).expect("brands");
    let vectors = fold.unit_vectors(&set);
    let all: Vec<usize> = (0..n).collect();
    let brands = fold.brand_of_position();
    let found = rank(&Search {
        vectors: &vectors,
        brands: &brands,
        images: &fold.images,
        queries: &all,
        gallery: &all,
    });
    let mean = |metric: &dyn Fn(&[u32]) -> f64| {
        found.iter().map(|f| metric(&f.ranks)).sum::<f64>() / n as f64
    };
    let values = [
        mean(&|r| recall_at(1, r)),
        mean(&|r| recall_at(5, r)),
        mean(&|r| recall_at(10, r)),
        mean(&r_precision),
        mean(&average_precision_at_r),
        mean(&average_precision),
    ];
    let secs = begun.elapsed().as_secs_f64();
    println!(
        "{{\"tool\": \"logodex\", \"n\": {n}, \"dim\": {dim}, \"threads\": {threads}, \"secs\": {secs:.2}, \"peak_mib\": {:.0}, \"before_mib\": {before_mib:.0}, \"recall_at_1\": {:.9}, \"recall_at_5\": {:.9}, \"recall_at_10\": {:.9}, \"r_precision\": {:.9}, \"map_at_r\": {:.9}, \"map\": {:.9}}}",
        peak_mib(),
        values[0],
        values[1],
        values[2],
        values[3],
        values[4],
        values[5]
    );
}
