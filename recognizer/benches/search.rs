//! Exact search of a gallery, timed, beside its peers on the same vectors (`scripts/bench_gallery.py`):
//!
//!     cargo bench -p logodex-recognizer --bench search -- make N D OUT      vectors and queries, for all
//!     cargo bench -p logodex-recognizer --bench search -- time N D OUT THREADS ROUNDS
//!     cargo bench -p logodex-recognizer --bench search -- large N D OUT THREADS   16 bits, from a mapped file
//!     cargo bench -p logodex-recognizer --bench search -- postgres N D OUT URL   in a database that holds no gallery yet
//!
//! A JSON line per number of queries asked at once: the median and the 99th percentile of a search, ms. Of a database, a line per
//! amount of memory that its index is built in: what building took, the recall, and the median of a search with it and without.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use half::f16;
use logodex_embeddings::nearest::{Neighbour, Vectors, nearest};
use logodex_embeddings::npy;
use logodex_embeddings::similarity::Panels;
use logodex_program::output::print;
use logodex_recognizer::gallery::contents::{Contents, Edit};
use logodex_recognizer::gallery::postgres::Postgres;
use logodex_recognizer::gallery::postgres::index::IndexAsked;
use logodex_recognizer::gallery::store::Store;
use logodex_schemas::gallery::{GalleryModel, GalleryPicture, Numbers, PictureSource};
use logodex_schemas::random::stream;
use memmap2::Mmap;
use rand::Rng;
use rayon::prelude::*;

/// Nearest that are asked for.
const K: usize = 10;
/// Queries that there are; the searches take them in turn.
const QUERIES: usize = 1_024;
/// Queries asked at once.
const BATCHES: [usize; 4] = [1, 8, 64, 1_024];

/// Vectors of length one around a tenth as many centres: neither all alike nor all strangers.
fn vectors(name: &str, range: std::ops::Range<usize>, dim: usize) -> Vec<f32> {
    range
        .into_par_iter()
        .flat_map_iter(|i| {
            let mut centre = stream(1, "bench centre", &[(i / 10) as u64]);
            let mut own = stream(1, name, &[i as u64]);
            let vector: Vec<f32> = (0..dim)
                .map(|_| centre.random_range(-1.0f32..1.0) + own.random_range(-1.0f32..1.0))
                .collect();
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.into_iter().map(move |x| x / norm)
        })
        .collect()
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |place: usize| -> usize { args[place].parse().expect("a number") };
    let (n, dim, out) = (number(1), number(2), PathBuf::from(&args[3]));
    if args[0] == "postgres" {
        return postgres(n, dim, &out, &args[4]);
    }
    if let Some(threads) = args.get(4) {
        let pool = rayon::ThreadPoolBuilder::new();
        let pool = pool.num_threads(threads.parse().expect("a number"));
        pool.build_global().expect("threads");
    }
    match args[0].as_str() {
        "make" => make(n, dim, &out),
        "time" => time(n, dim, &out, number(5)),
        "large" => large(n, dim, &out),
        other => panic!("{other}: make, time, large or postgres"),
    }
}

fn make(n: usize, dim: usize, out: &Path) {
    let write = |name: &str, values: &[f32]| {
        std::fs::write(out.join(name), npy::of_floats(values, dim)).expect("written");
    };
    write("gallery.npy", &vectors("bench own", 0..n, dim));
    write("queries.npy", &vectors("bench query", 0..QUERIES, dim));
}

fn read(out: &Path, name: &str) -> Vec<f32> {
    npy::floats(&std::fs::read(out.join(name)).expect("made before"))
        .expect("floats")
        .0
}

fn time(n: usize, dim: usize, out: &Path, rounds: usize) {
    let (values, asked) = (read(out, "gallery.npy"), read(out, "queries.npy"));
    assert_eq!(values.len(), n * dim);
    let mut panels = Panels::empty(dim);
    panels.refill(values.chunks_exact(dim));
    let halves: Vec<f16> = values.par_iter().map(|x| f16::from_f32(*x)).collect();
    let found = tell("logodex", Vectors::Packed(&panels), &asked, dim, rounds);
    let ids: Vec<i64> = found.iter().flatten().map(|n| i64::from(n.place)).collect();
    std::fs::write(out.join("found.npy"), npy::of_integers(&ids)).expect("written");
    let f16 = Vectors::F16 {
        dim,
        values: &halves,
    };
    tell("logodex f16", f16, &asked, dim, rounds);
}

fn large(n: usize, dim: usize, out: &Path) {
    let path = out.join("large.f16");
    if std::fs::metadata(&path).map_or(0, |found| found.len()) != (n * dim * 2) as u64 {
        let mut file = BufWriter::new(File::create(&path).expect("a file"));
        for first in (0..n).step_by(100_000) {
            let values = vectors("bench own", first..n.min(first + 100_000), dim);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|x| f16::from_f32(*x).to_le_bytes())
                .collect();
            file.write_all(&bytes).expect("room on the disk");
        }
        file.flush().expect("written");
    }
    let file = File::open(&path).expect("just written");
    // SAFETY: nobody writes the file while it is measured.
    let map = unsafe { Mmap::map(&file) }.expect("mapped");
    let values = bytemuck::cast_slice(&map);
    let asked = read(out, "queries.npy");
    tell(
        "logodex f16 mmap",
        Vectors::F16 { dim, values },
        &asked,
        dim,
        1,
    );
}

fn postgres(n: usize, dim: usize, out: &Path, url: &str) {
    let values = read(out, "gallery.npy");
    assert_eq!(values.len(), n * dim);
    let model = GalleryModel {
        fingerprint: "made up".to_owned(),
        run: "made up".to_owned(),
        embedding_dim: dim as u32,
    };
    let add = |(place, embedding): (usize, &[f32])| Edit::Add {
        picture: GalleryPicture {
            brand: format!("brand {place:07}"),
            source: PictureSource::File {
                path: format!("/made-up/{place}.jpg"),
            },
            blake3: format!("{place:064x}"),
            bbox: None,
            crop: [0, 0, 64, 64],
            phash: format!("{place:016x}"),
        },
        embedding: embedding.to_vec(),
    };
    let begun = Instant::now();
    let store = Store::at(url).expect("a URL");
    let empty = Contents::empty(model, Numbers::F32);
    let edits = values.chunks_exact(dim).enumerate().map(add).collect();
    store.edit(Some(empty), |_| Ok(edits)).expect("enrolled");
    let enrolling = begun.elapsed();
    let database = Postgres::new(url).expect("a URL");
    // What the server is configured for, and what it takes.
    for memory in [1, 2_048] {
        let asked = IndexAsked {
            recall: 0.99,
            m: 16,
            ef_construction: 128,
            memory,
        };
        let built = database.build_index(asked).expect("an index");
        print(format_args!(
            "{{\"tool\": \"postgres\", \"n\": {n}, \"dim\": {dim}, \"k\": {K}, \"enrolling_s\": {:.1}, \"memory_mib\": {memory}, \"fits\": {}, \"build_s\": {:.1}, \"ef_search\": {}, \"recall\": {:.4}, \"p50_ms\": {:.3}, \"exact_p50_ms\": {:.3}}}\n",
            enrolling.as_secs_f64(),
            built.fits,
            built.building.as_secs_f64(),
            built.index.ef_search,
            built.index.recall,
            1e3 * built.approximate.as_secs_f64(),
            1e3 * built.exact.as_secs_f64(),
        ));
    }
}

/// Times the searches; returns what all queries found.
fn tell(
    tool: &str,
    vectors: Vectors<'_>,
    asked: &[f32],
    dim: usize,
    rounds: usize,
) -> Vec<Vec<Neighbour>> {
    let queries: Vec<&[f32]> = asked.chunks_exact(dim).collect();
    let found = nearest(vectors, &queries, K);
    for batch in BATCHES {
        let rounds = rounds.max(1) * if batch == 1 { 20 } else { 1 };
        let mut ms: Vec<f64> = (0..rounds)
            .map(|round| {
                let first = round * batch % (QUERIES - batch + 1);
                let begun = Instant::now();
                let found = nearest(vectors, &queries[first..first + batch], K);
                assert_eq!(found.len(), batch);
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        ms.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
        print(format_args!(
            "{{\"tool\": \"{tool}\", \"n\": {}, \"dim\": {dim}, \"threads\": {}, \"k\": {K}, \"batch\": {batch}, \"searches\": {rounds}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}}}\n",
            vectors.len(),
            rayon::current_num_threads(),
            at(0.5),
            at(0.99)
        ));
    }
    found
}
