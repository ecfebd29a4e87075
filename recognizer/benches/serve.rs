//! What serving costs: the server beside the model that it serves, in one run.
//!
//!     cargo bench -p logodex-recognizer --bench serve -- MODEL.onnx [REQUESTS]
//!
//! A JSON line each: the model alone on one square and on eight at once; decoding, cropping, embedding and searching in one
//! process; the server at one client; at eight clients with batching and without. Rounds take turns, so that what else the machine
//! does meets all of them; the medians of the rounds are told.

#[allow(dead_code)]
#[path = "../tests/serve/client.rs"]
mod client;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use client::Server;
use logodex_recognizer::picture::square;
use logodex_recognizer::{Gallery, Model};
use serde_json::json;

/// Brands enrolled, pictures asked about.
const BRANDS: u64 = 16;
const SIDE: usize = 400;
const ROUNDS: usize = 5;

/// A JPEG with as much detail as a photograph has.
fn picture(brand: u64, variant: u64) -> Vec<u8> {
    let wave = |k: u64| ((brand * 7919 + k * 104_729) % 89) as f32 / 89.0;
    let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
    for y in 0..SIDE {
        for x in 0..SIDE {
            for c in 0..3u64 {
                let (fx, fy) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
                let a = (fx * (8.0 + 30.0 * wave(c))
                    + fy * (5.0 + 40.0 * wave(c + 3))
                    + wave(c + 6) * 6.0)
                    .sin();
                let b = ((fx - wave(c + 9)) * (fy - wave(c + 12)) * 60.0).cos();
                let grain = ((x * 31 + y * 17 + variant as usize * 13) % 23) as f32;
                rgb.push((127.0 + 70.0 * a + 45.0 * b + grain - 11.0).clamp(0.0, 255.0) as u8);
            }
        }
    }
    logodex_pixels::encode(&rgb, SIDE as u32, 85).expect("a picture")
}

/// Milliseconds, sorted.
struct Times(Vec<f64>);

impl Times {
    fn at(&self, part: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * part).round() as usize]
    }
}

fn timed(n: usize, mut work: impl FnMut(usize)) -> Times {
    let mut times: Vec<f64> = (0..n)
        .map(|i| {
            let from = Instant::now();
            work(i);
            from.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Times(times)
}

/// Latencies of `n` requests by `clients`, and requests per second.
fn asked(server: &Server, pictures: &[Vec<u8>], clients: usize, n: usize) -> (Times, f64) {
    let next = AtomicUsize::new(0);
    let from = Instant::now();
    let times: Vec<f64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.connect();
                    let mut times = Vec::new();
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= n {
                            return times;
                        }
                        let fields = [("image", Some("a.jpg"), &pictures[i % pictures.len()][..])];
                        let from = Instant::now();
                        client.post_form("/v1/identify", &fields).ok(200);
                        times.push(from.elapsed().as_secs_f64() * 1e3);
                    }
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|c| c.join().expect("a client"))
            .collect()
    });
    let rate = n as f64 / from.elapsed().as_secs_f64();
    let mut times = times;
    times.sort_by(f64::total_cmp);
    (Times(times), rate)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let usage = "cargo bench -p logodex-recognizer --bench serve -- MODEL.onnx [REQUESTS]";
    let model = arguments.next().expect(usage);
    let n: usize = arguments.next().map_or(200, |n| n.parse().expect(usage));
    let dir = tempfile::tempdir().expect("a folder");
    let start = |name: &str, batch: &str| {
        let more = ["--model", &model, "--threshold", "0.5", "--batch", batch];
        Server::start(&dir.path().join(name), &more)
    };
    let (together, alone) = (start("together", "32"), start("alone", "1"));
    let pictures: Vec<Vec<u8>> = (0..BRANDS).map(|brand| picture(brand, 1)).collect();
    for server in [&together, &alone] {
        let mut client = server.connect();
        for brand in 0..BRANDS {
            let path = format!("/v1/brands/b{brand}/pictures");
            let bytes = picture(brand, 0);
            let fields = [
                ("image", Some("a.jpg"), &bytes[..]),
                ("allow_duplicates", None, b"true"),
            ];
            client.post_form(&path, &fields).ok(201);
        }
    }
    let loaded = Model::open(Path::new(&model), 0).expect("the model");
    let gallery = Gallery::open(dir.path().join("together").to_str().expect("UTF-8"));
    let gallery = gallery.expect("the gallery");
    let how = loaded.metadata().preprocessing.clone();
    let one = square(&pictures[0], None, &how).expect("a square").pixels;
    let eight = one.repeat(8);

    let mut rows: Vec<Vec<f64>> = Vec::new();
    for round in 0..=ROUNDS {
        let model_1 = timed(n, |_| drop(loaded.embed(&one)));
        let model_8 = timed(n / 8 + 1, |_| drop(loaded.embed(&eight)));
        let line = timed(n, |i| {
            let square = square(&pictures[i % pictures.len()], None, &how).expect("a square");
            let embedding = loaded.embed(&square.pixels).expect("an embedding");
            gallery.search(&[&embedding], 5);
            gallery.search_pictures(&[&embedding], 5);
        });
        let (single, single_rate) = asked(&together, &pictures, 1, n);
        let (many, many_rate) = asked(&together, &pictures, 8, n);
        let (one_by_one, one_by_one_rate) = asked(&alone, &pictures, 8, n);
        // The first round warms up.
        if round > 0 {
            rows.push(vec![
                model_1.at(0.5),
                model_8.at(0.5) / 8.0,
                line.at(0.5),
                line.at(0.99),
                single.at(0.5),
                single.at(0.99),
                single_rate,
                many.at(0.5),
                many.at(0.99),
                many_rate,
                one_by_one.at(0.5),
                one_by_one.at(0.99),
                one_by_one_rate,
            ]);
        }
    }
    let column = |at: usize| median(rows.iter().map(|row| row[at]).collect());
    let ratio = |a: usize, b: usize| median(rows.iter().map(|row| row[a] / row[b]).collect());
    for line in [
        json!({"what": "model alone, one square", "p50_ms": column(0)}),
        json!({"what": "model alone, of eight squares", "ms_per_square": column(1)}),
        json!({"what": "decode, crop, embed, search in one process", "p50_ms": column(2), "p99_ms": column(3)}),
        json!({"what": "server, 1 client", "p50_ms": column(4), "p99_ms": column(5), "requests_per_s": column(6), "overhead": ratio(4, 2) - 1.0, "over_model_alone": ratio(4, 0)}),
        json!({"what": "server, 8 clients", "p50_ms": column(7), "p99_ms": column(8), "requests_per_s": column(9)}),
        json!({"what": "server, 8 clients, --batch 1", "p50_ms": column(10), "p99_ms": column(11), "requests_per_s": column(12)}),
        json!({"what": "gain by batching at 8 clients", "over_batch_1": ratio(9, 12), "over_one_client": ratio(9, 6), "over_model_alone": median(rows.iter().map(|row| row[9] * row[0] / 1e3).collect())}),
    ] {
        println!("{line}");
    }
}
