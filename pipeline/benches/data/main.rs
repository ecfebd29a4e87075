//! `make bench-data`: the dataset engine beside its peers, in one run. Every side is measured once per round, one after
//! the other, so that what else the machine does falls on all of them alike; the peers are those of `peers.py`.
//!
//! Times are processor seconds of the side's process (user and system), unless wall is said: they do not count the time
//! that a shared machine gives to others. All files lie in the page cache; what is written goes to `--scratch`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use logodex_dataset::Dataset;
use logodex_pipeline::build::shard_file::{self, ShardRows};
use logodex_pipeline::plan::sharding::{ShardInputs, row_bytes, shard_specs};
use logodex_schemas::dataset::{BuildConfig, Encoding};
use serde_json::json;

use measure::{Side, load, table, timed};
use ours::{
    bare_loop, crates_loop, decode_loop, hash_loop, look_loop, prepare, read_batches,
    render_and_write, shuffled, write_pixels,
};
use peers::{Peers, time_of};

mod layouts;
mod measure;
mod ours;
mod peers;

/// Measures the dataset engine and its peers on a raw tree.
#[derive(Parser)]
struct Options {
    /// The raw tree
    #[arg(long)]
    raw: PathBuf,
    /// A Python that has what `requirements.txt` lists
    #[arg(long)]
    python: PathBuf,
    /// A folder in memory; what it holds is removed
    #[arg(long, default_value = "/dev/shm/logodex-bench")]
    scratch: PathBuf,
    /// Rounds
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the numbers go
    #[arg(long)]
    json: PathBuf,
    /// `cargo bench` says it
    #[arg(long, hide = true)]
    bench: bool,
}

const SIDE: u32 = 224;
const BATCH: usize = 64;
/// Images of the first table: two shards of 64 MiB.
const SHARDS: usize = 2;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let Options {
        raw,
        scratch,
        rounds,
        ..
    } = &options;
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()?;
    if scratch.exists() {
        std::fs::remove_dir_all(scratch)?;
    }
    std::fs::create_dir_all(scratch)?;
    let load_before = load();
    let config = BuildConfig {
        encoding: Encoding::Raw,
        ..BuildConfig::default()
    };
    let mut peers = Peers::start(&options.python, scratch)?;
    let mut result = BTreeMap::new();
    let mut markdown = String::new();

    // The page cache is warm after this.
    let (scan, catalog) = prepare(raw, &config)?;
    let inputs = ShardInputs::new(&scan, &catalog, &config);
    let specs = shard_specs(inputs);
    let last = specs[specs.len().min(SHARDS) - 1].samples.end;
    let paths: Vec<PathBuf> = catalog.samples[..last]
        .iter()
        .map(|sample| scan.root.join(&scan.samples[sample.raw].image))
        .collect();

    let n = paths.len();
    let bytes = (paths.iter())
        .map(|path| Ok(path.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    markdown += &format!("{n} JPEGs of {:.1} kB.\n\n", bytes as f64 / n as f64 / 1e3);
    let mut sides = vec![
        Side::new("**ours: `render` and `shard_file::write`**", n),
        Side::new("our bare loop: read, decode, resize", n),
        Side::new(
            "a bare loop of public crates: zune-jpeg, fast_image_resize",
            n,
        ),
        Side::new("Pillow: `open`, `convert`, `resize(BILINEAR)`", n),
        Side::new("OpenCV: `imread`, `cvtColor`, `resize(INTER_AREA)`", n),
        Side::new(
            "OpenCV with `INTER_LINEAR` (not antialiased: other pixels)",
            n,
        ),
        Side::new(
            "torchvision: `decode_jpeg`, `resize(antialias=True)`, uint8",
            n,
        ),
    ];
    let names = ["pillow", "opencv_area", "opencv_linear", "torchvision"];
    let mut buffer = Vec::new();
    let mut looks = Side::new("look and BLAKE3, as the scan does them", n);
    for _ in 0..*rounds {
        sides[0].rounds.push(timed(|| {
            render_and_write(inputs, SHARDS, scratch, &mut buffer).map(drop)
        })?);
        sides[1].rounds.push(timed(|| bare_loop(&paths))?);
        sides[2].rounds.push(timed(|| crates_loop(&paths))?);
        looks.rounds.push(timed(|| look_loop(&paths))?);
        for (side, name) in sides[3..].iter_mut().zip(names) {
            peers.round(
                side,
                &json!({"task": "render", "name": name, "paths": paths}),
            )?;
        }
    }
    sides.push(looks);
    markdown += &table("images → 224 × 224 px, written", &sides);
    let bare = sides[1].rates()[0];
    let render_rate = sides[0].rates()[0];
    result.insert("render", json!(sides));
    let (table_of_layouts, numbers) = layouts::layouts(&mut peers, &paths, *rounds)?;
    markdown += &format!("\n{table_of_layouts}\n");
    result.insert("layouts", numbers);

    let mut sides = vec![
        Side::new("**ours: read, decode**", n),
        Side::new("ours: read, BLAKE3", n),
        Side::new("ours: CRC-32 of a row", n),
        Side::new("ours: `shard_file::write`, BLAKE3 of the shard in it", n),
        Side::new("Pillow: `open`, `convert`", n),
        Side::new("OpenCV: `imread`", n),
        Side::new("torchvision: `read_file`, `decode_jpeg`", n),
    ];
    let rows = ShardRows {
        stored: vec![77; n * row_bytes(SIDE)],
        crc32: vec![0; n],
        brand: vec![0; n],
        row: vec![0; n],
        image: vec![0; n],
        object: vec![0; n],
        ..ShardRows::default()
    };
    for _ in 0..*rounds {
        sides[0].rounds.push(timed(|| decode_loop(&paths))?);
        sides[1].rounds.push(timed(|| hash_loop(&paths))?);
        sides[2].rounds.push(timed(|| {
            for row in rows.stored.chunks_exact(row_bytes(SIDE)) {
                black_box(crc32fast::hash(row));
            }
            Ok(())
        })?);
        sides[3].rounds.push(timed(|| {
            shard_file::write(scratch, "stage.safetensors", &rows, SIDE).map(drop)
        })?);
        for (side, name) in sides[4..]
            .iter_mut()
            .zip(["pillow", "opencv", "torchvision"])
        {
            peers.round(
                side,
                &json!({"task": "decode", "name": name, "paths": paths}),
            )?;
        }
    }
    drop(rows);
    markdown += "\n";
    markdown += &table("decode alone, and our other stages", &sides);
    let micros = |i: usize| 1e6 / sides[i].rates()[0];
    let all = 1e6 / render_rate;
    let resize = 1e6 / bare - micros(0);
    markdown += &format!(
        "\nWhere our {all:.0} µs per image go (best rounds): read and decode {:.0}, resize {resize:.0}, BLAKE3 of the source \
         (with a read) {:.0}, CRC-32 {:.0}, `shard_file::write` {:.0}.\n\n",
        micros(0),
        micros(1),
        micros(2),
        micros(3)
    );
    result.insert("stages", json!(sides));

    let mut line = [Side::new(
        "the whole line on one thread: scan, consolidation, render, write",
        catalog.samples.len(),
    )];
    for _ in 0..3 {
        line[0].rounds.push(timed(|| {
            let (scan, catalog) = prepare(raw, &config)?;
            render_and_write(
                ShardInputs::new(&scan, &catalog, &config),
                usize::MAX,
                scratch,
                &mut buffer,
            )
            .map(drop)
        })?);
    }
    let against = render_rate / line[0].rates()[0];
    markdown += &table("the whole tree", &line);
    markdown += &format!("\n`render` and `shard_file::write` alone are {against:.2} × the line.\n");
    result.insert("line", json!(line));

    let out = scratch.join("dataset");
    let command = json!([
        env!("CARGO_BIN_EXE_logodex-data"),
        "build",
        "--raw",
        raw,
        "--out",
        out,
        "--threads",
        "2"
    ]);
    let mut builds = Side::new("`logodex-data build --threads 2`", catalog.samples.len());
    let (mut busy, mut share) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let answer = peers.ask(&json!({"task": "build", "command": command, "out": out}))?;
        let time = time_of(&answer)?;
        let idle = answer["idle"].as_f64().context("no idle time")?;
        busy.push(format!("{:.0} %", 100.0 * time.cpu / time.wall / 2.0));
        share.push(format!("{:.0} %", 100.0 * time.cpu / (time.cpu + idle)));
        builds.rounds.push(time);
    }
    markdown += &format!(
        "\n`logodex-data build --threads 2` of {} images to memory: {:.0} images/s by the wall (best of {}), {:.0} per \
         processor second. It used {} of two cores in the three rounds, and {} of what the machine's other work left \
         (its time over its time and the machine's idle time).\n\n",
        builds.items,
        builds.wall(),
        builds.rounds.len(),
        builds.rates()[0],
        busy.join(", "),
        share.join(", ")
    );
    result.insert("build", json!(builds));

    let dataset = Dataset::open(&out)?;
    let mut rows = BufWriter::new(std::fs::File::create(scratch.join("rows.u8"))?);
    for row in 0..dataset.n_rows() {
        rows.write_all(dataset.stored(row)?)?;
    }
    rows.flush()?;
    let batches = shuffled(dataset.n_rows());
    let n = batches.len() * BATCH;
    // At a multiple of 64 bytes, where torch's allocator, and so training, has a batch. malloc's large blocks begin 16 bytes
    // into a page, and `memcpy` of a row to there is a quarter slower here. numpy's batch is moved, too.
    let size = BATCH * row_bytes(SIDE);
    let mut space = vec![0; size + 64];
    let aligned = space.as_ptr().align_offset(64);
    let batch = &mut space[aligned..][..size];
    let mut sides = vec![
        Side::new("**ours, rows seen before**", n),
        Side::new("ours, first touch: mapped anew, CRC-32 of every row", n),
        Side::new("numpy memmap, `rows[indices]`", n),
        Side::new("numpy memmap, `take(..., out=batch)`", n),
        Side::new("MosaicML streaming, `ndarray` columns, `stack`", n),
        Side::new("Lance, `take` of fixed-size binary", n),
    ];
    for _ in 0..*rounds {
        sides[0]
            .rounds
            .push(timed(|| read_batches(&dataset, &batches, batch))?);
        let anew = Dataset::open(&out)?;
        sides[1]
            .rounds
            .push(timed(|| read_batches(&anew, &batches, batch))?);
        for (side, name) in
            (sides[2..].iter_mut()).zip(["memmap", "memmap_take", "streaming", "lance"])
        {
            peers.round(
                side,
                &json!({"task": "read", "name": name, "batches": batches}),
            )?;
        }
    }
    markdown += &table("random rows of 224 px into batches of 64", &sides);
    result.insert("read", json!(sides));

    let some: Vec<PathBuf> = (paths.iter().step_by((paths.len() / 200).max(1)))
        .take(200)
        .cloned()
        .collect();
    let images = write_pixels(&some, scratch)?;
    let pixels = peers.ask(&json!({"task": "pixels", "images": images}))?;
    markdown += &format!(
        "\n| ours against Pillow, {} images | PSNR, dB: median (min) | median difference | largest | equal values, % |\n\
         |---|---:|---:|---:|---:|\n",
        some.len()
    );
    for (key, name) in [
        ("resize", "the same decoded pixels, resized"),
        ("decode", "decoded alone"),
        ("decode_resize", "decoded and resized"),
    ] {
        let compared = &pixels[key];
        let number = |key: &str| compared[key].as_f64().unwrap_or(f64::NAN);
        markdown += &format!(
            "| {name} | {:.1} ({:.1}) | {} | {} | {:.1} |\n",
            number("psnr_median"),
            number("psnr_min"),
            compared["median_difference"],
            compared["max_difference"],
            number("equal_percent")
        );
    }
    result.insert("pixels", pixels);
    peers.stop()?;
    std::fs::remove_dir_all(scratch)?;

    let loads = [load_before, load()];
    markdown += &format!("\nLoad average before and after: {}.\n", loads.join(", "));
    result.insert("load", json!(loads));
    std::fs::write(&options.json, serde_json::to_vec_pretty(&result)?)?;
    println!("{markdown}");
    Ok(())
}
