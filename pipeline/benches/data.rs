//! `make bench-data`: the dataset engine beside its peers, in one run. Every side is measured once per round, one after
//! the other, so that what else the machine does falls on all of them alike; the peers are those of `peers.py`.
//!
//! Times are processor seconds of the side's process (user and system), unless wall is said: they do not count the time
//! that a shared machine gives to others. All files lie in the page cache; what is written goes to `--scratch`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use logodex_pipeline::catalog::Catalog;
use logodex_pipeline::dataset::Dataset;
use logodex_pipeline::render::{RenderedImage, plan_shards, render, row_bytes};
use logodex_pipeline::resize::{Crop, resize_into};
use logodex_pipeline::scan::Scan;
use logodex_pipeline::shard::{self, ShardRows};
use logodex_pipeline::{build, consolidate, decode};
use logodex_schemas::dataset::{BuildConfig, Encoding, Fit};
use logodex_schemas::plan::Overrides;
use serde::Serialize;
use serde_json::{Value, json};

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

/// What one side took in one round.
#[derive(Debug, Clone, Copy, Serialize)]
struct Time {
    /// Processor seconds.
    cpu: f64,
    /// Seconds on the wall.
    wall: f64,
}

/// A side of a comparison.
#[derive(Debug, Serialize)]
struct Side {
    name: String,
    /// Images or rows in a round.
    items: usize,
    rounds: Vec<Time>,
    /// Why there are none.
    missing: Option<String>,
}

impl Side {
    fn new(name: &str, items: usize) -> Self {
        Self {
            name: name.to_owned(),
            items,
            rounds: Vec::new(),
            missing: None,
        }
    }

    fn sorted(&self, of: impl Fn(&Time) -> f64) -> Vec<f64> {
        let mut times: Vec<f64> = self.rounds.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Items per processor second in the best round, the median one and the worst.
    fn rates(&self) -> [f64; 3] {
        let times = self.sorted(|time| time.cpu);
        [0, times.len() / 2, times.len() - 1].map(|i| self.items as f64 / times[i])
    }

    /// Items per second on the wall, best round.
    fn wall(&self) -> f64 {
        self.items as f64 / self.sorted(|time| time.wall)[0]
    }
}

fn processor_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec that outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "this system has no clock of processor time");
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Time> {
    let (cpu, wall) = (processor_seconds(), Instant::now());
    work()?;
    Ok(Time {
        cpu: processor_seconds() - cpu,
        wall: wall.elapsed().as_secs_f64(),
    })
}

/// The process of `peers.py`.
struct Peers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peers {
    fn start(python: &Path, scratch: &Path) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
        let mut child = Command::new(python)
            .args([script.as_path(), scratch])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        Ok(Self {
            to: child.stdin.take().context("no stdin")?,
            from: BufReader::new(child.stdout.take().context("no stdout")?),
            child,
        })
    }

    fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.to, "{request}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} failed", request["task"]))
    }

    /// Adds a round to a peer's side, unless it is not installed.
    fn round(&mut self, side: &mut Side, request: &Value) -> anyhow::Result<()> {
        let answer = self.ask(request)?;
        match answer["missing"].as_str() {
            Some(why) => side.missing = Some(why.to_owned()),
            None => side.rounds.push(time_of(&answer)?),
        }
        Ok(())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}

fn time_of(answer: &Value) -> anyhow::Result<Time> {
    let seconds = |key: &str| answer[key].as_f64().context("an answer without a time");
    Ok(Time {
        cpu: seconds("cpu")?,
        wall: seconds("wall")?,
    })
}

/// Scan and consolidation, as a build does them.
fn prepare(raw: &Path, config: &BuildConfig) -> anyhow::Result<(Scan, Catalog)> {
    let scan = build::scan_raw(raw)?;
    let plan = build::propose(&scan, config, &Overrides::default())?;
    let catalog = consolidate::apply(&scan, &plan)?;
    Ok((scan, catalog))
}

/// Renders shards and writes them. The tables of numbers are left at 0: they are 32 bytes a row.
fn render_and_write(
    scan: &Scan,
    catalog: &Catalog,
    config: &BuildConfig,
    shards: usize,
    folder: &Path,
) -> anyhow::Result<usize> {
    let mut buffer = Vec::new();
    let mut images = 0;
    let plans = plan_shards(scan, catalog, config, Encoding::Raw);
    for (i, plan) in plans.iter().take(shards).enumerate() {
        let rendered = render(scan, catalog, config, Encoding::Raw, plan, buffer, &|| {})?;
        let rows = rendered.outcome.images.iter();
        let crc32: Vec<u32> = rows
            .flat_map(|image: &RenderedImage| image.rows.iter().map(|row| row.crc32))
            .collect();
        let column = vec![0; crc32.len()];
        images += crc32.len();
        let mut rows = ShardRows {
            stored: rendered.stored,
            offsets: Vec::new(),
            crc32,
            brand: column.clone(),
            row: column.clone(),
            image: column.clone(),
            object: column,
        };
        shard::write(folder, &format!("{i}.safetensors"), &rows, config.side)?;
        buffer = std::mem::take(&mut rows.stored);
    }
    Ok(images)
}

/// The least that can be done: read, decode, resize. No hash, no check, nothing kept.
fn bare_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut out = vec![0; row_bytes(SIDE)];
    for path in paths {
        let bytes = std::fs::read(path)?;
        decode::with_seen_picture(&bytes, |picture| {
            resize_into(picture, Crop::whole(picture), Fit::Squash, SIDE, &mut out)
        })
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.detail))??;
        black_box(&out);
    }
    Ok(())
}

/// Reads and decodes.
fn decode_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        decode::with_seen_picture(&bytes, |picture| {
            black_box(&picture.rgb);
        })
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.detail))?;
    }
    Ok(())
}

/// Reads and hashes, as `render` does to be sure that a file is the one that was scanned.
fn hash_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        black_box(blake3::hash(&std::fs::read(path)?));
    }
    Ok(())
}

/// What the scan does to each image: its hash, and a look at all of its entropy-coded data.
fn look_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        black_box(blake3::hash(&bytes));
        black_box(decode::look(&bytes).map_err(|error| anyhow::anyhow!(error.detail))?);
    }
    Ok(())
}

/// Copies whole batches of rows.
fn read_batches(dataset: &Dataset, batches: &[Vec<u64>], batch: &mut [u8]) -> anyhow::Result<()> {
    for rows in batches {
        for (&row, place) in rows.iter().zip(batch.chunks_exact_mut(row_bytes(SIDE))) {
            place.copy_from_slice(dataset.stored(row)?);
        }
        black_box(&batch);
    }
    Ok(())
}

/// All rows in an order without order, in whole batches. (Fisher-Yates with Knuth's 64-bit generator.)
fn shuffled(n: u64) -> Vec<Vec<u64>> {
    let mut rows: Vec<u64> = (0..n).collect();
    let mut state = 42u64;
    for i in (1..rows.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        rows.swap(i, (state >> 33) as usize % (i + 1));
    }
    rows.chunks_exact(BATCH).map(<[u64]>::to_vec).collect()
}

/// Pixels for `peers.py` to compare: decoded and resized by us.
fn write_pixels(paths: &[PathBuf], scratch: &Path) -> anyhow::Result<Vec<Value>> {
    let file = |name: &str| anyhow::Ok(BufWriter::new(std::fs::File::create(scratch.join(name))?));
    let (mut ours, mut decoded) = (file("ours.u8")?, file("decoded.u8")?);
    let mut out = vec![0; row_bytes(SIDE)];
    let mut images = Vec::new();
    for path in paths {
        let picture =
            decode::decode(&std::fs::read(path)?).map_err(|error| anyhow::anyhow!(error.detail))?;
        resize_into(&picture, Crop::whole(&picture), Fit::Squash, SIDE, &mut out)?;
        ours.write_all(&out)?;
        decoded.write_all(&picture.rgb)?;
        images.push(json!([path, picture.width, picture.height]));
    }
    ours.flush()?;
    decoded.flush()?;
    Ok(images)
}

/// A table: rates per side, and how many times faster the first side is.
fn table(what: &str, sides: &[Side]) -> String {
    let mut text = format!(
        "| {what} | per processor second: median (min–max) | ours is × (best rounds) | × by the wall |\n|---|---:|---:|---:|\n"
    );
    let ours = &sides[0];
    for side in sides {
        if side.rounds.is_empty() {
            text += &format!("| {} | not installed | | |\n", side.name);
            continue;
        }
        let [best, median, worst] = side.rates();
        let ratio = ours.rates()[0] / best;
        let wall = ours.wall() / side.wall();
        text += &format!(
            "| {} | {median:.0} ({worst:.0}–{best:.0}) | {ratio:.2} | {wall:.2} |\n",
            side.name
        );
    }
    text
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

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
    let config = BuildConfig::default();
    let mut peers = Peers::start(&options.python, scratch)?;
    let mut result = BTreeMap::new();
    let mut markdown = String::new();

    // The page cache is warm after this.
    let (scan, catalog) = prepare(raw, &config)?;
    let plans = plan_shards(&scan, &catalog, &config, Encoding::Raw);
    let last = plans[plans.len().min(SHARDS) - 1].samples.end;
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
        Side::new("**ours: `render` and `shard::write`**", n),
        Side::new("the bare loop: read, decode, resize", n),
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
    let mut looks = Side::new("look and BLAKE3, as the scan does them", n);
    for _ in 0..*rounds {
        sides[0].rounds.push(timed(|| {
            render_and_write(&scan, &catalog, &config, SHARDS, scratch).map(drop)
        })?);
        sides[1].rounds.push(timed(|| bare_loop(&paths))?);
        looks.rounds.push(timed(|| look_loop(&paths))?);
        for (side, name) in sides[2..].iter_mut().zip(names) {
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

    let mut sides = vec![
        Side::new("**ours: read, decode**", n),
        Side::new("ours: read, BLAKE3", n),
        Side::new("ours: CRC-32 of a row", n),
        Side::new("ours: `shard::write`, BLAKE3 of the shard in it", n),
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
            shard::write(scratch, "stage.safetensors", &rows, SIDE).map(drop)
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
         (with a read) {:.0}, CRC-32 {:.0}, `shard::write` {:.0}.\n\n",
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
            render_and_write(&scan, &catalog, &config, usize::MAX, scratch).map(drop)
        })?);
    }
    let against = render_rate / line[0].rates()[0];
    markdown += &table("the whole tree", &line);
    markdown += &format!("\n`render` and `shard::write` alone are {against:.2} × the line.\n");
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
    for row in 0..dataset.len() {
        rows.write_all(dataset.stored(row)?)?;
    }
    rows.flush()?;
    let batches = shuffled(dataset.len());
    let n = batches.len() * BATCH;
    let mut batch = vec![0; BATCH * row_bytes(SIDE)];
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
            .push(timed(|| read_batches(&dataset, &batches, &mut batch))?);
        let anew = Dataset::open(&out)?;
        sides[1]
            .rounds
            .push(timed(|| read_batches(&anew, &batches, &mut batch))?);
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
