//! `logodex-train curve`: measures how well runs rank unseen brands against the images that they have learnt from.
//!
//! Epochs of different samplers are not the same work (a triplet is three pictures, a pair two), so methods are
//! compared by pictures through the network. Every checkpoint that a run kept (`checkpoint.every_epochs = 1`) is a
//! point. (The curves of one run over its epochs are `logodex_evaluation::learning_curves`.)

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::{Dataset, Split};
use logodex_evaluation::evaluate::{Subject, evaluate};
use logodex_evaluation::facts::Facts;
use logodex_evaluation::history;
use logodex_evaluation::plot::{Axis, Dash, MUTED, Mark, Panel, colour};
use logodex_evaluation::protocols::paper::PAPER;
use logodex_evaluation::settings::{Protocol, Settings, TsneBrands};
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::ALL;
use logodex_schemas::split::Fold;
use serde::Serialize;

use crate::data::batch::images_per_epoch;
use crate::run::{self, Which};
use crate::train::embed::{embed_fold, open_network};

/// What is typed after `logodex-train curve`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  logodex-train curve --dataset data/demo/dataset --split demo --out runs/learning_per_image \\\n    runs/learning_per_image/paper_contrastive runs/learning_per_image/proxy_anchor"
)]
pub struct LearningPerImageArgs {
    /// Dataset directory.
    #[arg(long)]
    pub dataset: PathBuf,
    /// Name of the split the runs were trained on.
    #[arg(long)]
    pub split: String,
    /// Directory for learning_per_image.csv and figures/learning_per_image.svg.
    #[arg(long)]
    pub out: PathBuf,
    /// Supports per episode.
    #[arg(long, default_value_t = 1)]
    pub shots: u32,
    /// Seed of episodes and bootstrap.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Directories of runs; what the first one ends with is what the others are measured by, on the rows that it was
    /// trained on: whole images or, where it had none, objects.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

/// A checkpoint on the curve: a line of `learning_per_image.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The run's folder name.
    pub run: String,
    /// Epochs done.
    pub epochs: u32,
    /// Training images that went through the network until then.
    pub images: u64,
    /// Supports per episode.
    pub shots: u32,
    /// mAP on the test brands, protocol `paper`.
    pub map: f64,
    /// Lower end of its 95 % interval (percentile bootstrap over brands).
    pub ci_low: f64,
    /// Upper end.
    pub ci_high: f64,
    /// Test brands that it was trained on, by the weights that it began with: with any, this is no curve of unseen brands.
    pub seen_brands: usize,
}

/// Judges every kept checkpoint of the runs, writes the curve and prints how many images each run took to where the
/// first one ended.
///
/// # Errors
/// [`Failure::Usage`] for what is no run, has no checkpoint or was trained on another split; a damaged dataset; the disk.
pub fn learning_per_image_command(args: &LearningPerImageArgs) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let split = dataset.split(&args.split)?;
    // All are judged on the rows that the first run shows: whole images where it has any.
    let (first, _) = run::open(&args.runs[0], Which::Last)?;
    let region = match first.data.region.images() && dataset.manifest().config.region.images() {
        true => Region::Image,
        false => Region::Object,
    };
    let mut curves: Vec<Vec<Point>> = Vec::new();
    for dir in &args.runs {
        let curve = kept_checkpoints(dir, &dataset, &split, region, args)?;
        if curves.iter().any(|other| other[0].run == curve[0].run) {
            return Err(Failure::Usage(format!(
                "{}: a second run in a folder named {:?}",
                dir.display(),
                curve[0].run
            ))
            .into());
        }
        curves.push(curve);
    }
    let figures = args.out.join("figures");
    std::fs::create_dir_all(&figures).with_context(|| figures.display().to_string())?;
    write_whole(
        &figures.join("learning_per_image.svg"),
        picture(&curves)?.as_bytes(),
    )?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    for point in curves.iter().flatten() {
        writer.serialize(point)?;
    }
    write_whole(
        &args.out.join("learning_per_image.csv"),
        &writer.into_inner()?,
    )?;
    print(summary(&curves));
    Ok(())
}

/// The points of a run, by epochs; at least one.
fn kept_checkpoints(
    dir: &Path,
    dataset: &Dataset,
    split: &Split,
    region: Region,
    args: &LearningPerImageArgs,
) -> Result<Vec<Point>> {
    let (config, _) = run::open(dir, Which::Last)?;
    let images_per_epoch = images_per_epoch(dataset, split, &config)?;
    let full = dir
        .canonicalize()
        .with_context(|| dir.display().to_string())?;
    let name = full
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut points = Vec::new();
    for epochs in kept(&dir.join("checkpoints"))? {
        let run = open_network(dir, Which::Epoch(epochs), dataset, split)?;
        let set = embed_fold(&run, dataset, split, Fold::Test, region)?;
        let trained_on = history::trained_on(&run.history, dataset, split)?;
        let settings = Settings {
            seed: args.seed,
            shots: vec![args.shots],
            protocols: vec![Protocol::Paper],
            region,
            tsne: TsneBrands::None,
            ..Settings::default()
        };
        // Ranks need no threshold, so no validation brands.
        let subject = Subject {
            name: &name,
            test: &set,
            val: None,
        };
        let facts = Facts::of(dataset, None);
        let outcome = evaluate(subject, &[], &facts, &settings).map_err(|e| {
            Failure::Usage(format!("split {:?} cannot be evaluated: {e:#}", args.split))
        })?;
        let rows = &outcome.evaluation.rows;
        let row = rows
            .iter()
            .find(|row| {
                row.model == name
                    && row.protocol == PAPER
                    && row.slice == ALL
                    && row.metric == "map"
            })
            .context("an evaluation has a mAP")?;
        tracing::info!("{name}: {epochs} epochs, mAP {:.4}", row.mean);
        points.push(Point {
            run: name.clone(),
            epochs,
            images: u64::from(epochs) * images_per_epoch,
            shots: args.shots,
            map: row.mean,
            ci_low: row.ci_low,
            ci_high: row.ci_high,
            seen_brands: trained_on.test_brands.len(),
        });
    }
    match points.is_empty() {
        true => Err(Failure::Usage(format!(
            "{}: keeps no checkpoint of a whole epoch",
            dir.display()
        ))
        .into()),
        false => Ok(points),
    }
}

/// Numbers of epochs of the checkpoints `epoch-NNN`, ascending.
fn kept(checkpoints: &Path) -> Result<Vec<u32>> {
    let entries =
        std::fs::read_dir(checkpoints).with_context(|| checkpoints.display().to_string())?;
    let mut epochs: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("epoch-")?
                .parse()
                .ok()
        })
        .collect();
    epochs.sort_unstable();
    Ok(epochs)
}

/// The images after which a run first ranks at least as well as `target`.
pub fn images_to_reach(curve: &[Point], target: f64) -> Option<u64> {
    curve
        .iter()
        .find(|point| point.map >= target)
        .map(|point| point.images)
}

/// How far each run got, and after how many images it was where the first one ended.
fn summary(curves: &[Vec<Point>]) -> String {
    let Some(end) = curves.first().and_then(|first| first.last()) else {
        return String::new();
    };
    let width = curves
        .iter()
        .map(|curve| curve[0].run.len())
        .max()
        .unwrap_or(0);
    let mut out = format!(
        "{:<width$}  {:>10}  {:>22}  images to {:.3} ({}'s last)\n",
        "run",
        "images",
        format!("last {}-shot mAP", end.shots),
        end.map,
        end.run
    );
    for curve in curves {
        let last = &curve[curve.len() - 1];
        let reached = match images_to_reach(curve, end.map) {
            Some(images) => format!(
                "{images} ({:.2} of its images)",
                images as f64 / end.images as f64
            ),
            None => "not reached".to_owned(),
        };
        let map = format!("{:.3} [{:.3}, {:.3}]", last.map, last.ci_low, last.ci_high);
        let _ = writeln!(
            out,
            "{:<width$}  {:>10}  {map:>22}  {reached}{}",
            last.run,
            last.images,
            match last.seen_brands {
                0 => String::new(),
                n => format!("; trained on {n} of the test brands"),
            }
        );
    }
    out
}

/// The curves as a picture of its own: lines with their intervals' ends, the first one's end as a rule, names in their
/// colours above.
fn picture(curves: &[Vec<Point>]) -> Result<String> {
    const SIZE: (u32, u32) = (640, 300);
    let points = || curves.iter().flatten();
    let most = points().map(|point| point.images).max().unwrap_or(1) as f64;
    let low = points()
        .map(|point| point.ci_low)
        .fold(f64::INFINITY, f64::min);
    let high = points()
        .map(|point| point.ci_high)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut marks = Vec::new();
    if let Some(end) = curves.first().and_then(|first| first.last()) {
        marks.push(Mark::Line(
            vec![(0.0, end.map), (most, end.map)],
            MUTED,
            Dash::Dashed,
        ));
        marks.push(Mark::Rule(
            end.images as f64 / 3.0,
            "a third".to_owned(),
            MUTED,
        ));
    }
    for (place, curve) in curves.iter().enumerate() {
        let own = colour(place);
        for point in curve {
            let x = point.images as f64;
            marks.push(Mark::Line(
                vec![(x, point.ci_low), (x, point.ci_high)],
                own,
                Dash::Dashed,
            ));
        }
        marks.push(Mark::Line(
            curve.iter().map(|p| (p.images as f64, p.map)).collect(),
            own,
            Dash::Solid,
        ));
        marks.extend(curve.iter().map(|p| Mark::Dot(p.images as f64, p.map, own)));
    }
    let shots = points().next().map_or(1, |point| point.shots);
    let panel = Panel {
        width: SIZE.0,
        height: SIZE.1,
        left: 40,
        x: Axis::round(0.0, most, 6, false),
        y: Axis::round(low, high, 5, true),
        x_title: "training images through the network".to_owned(),
        rules_at_y: true,
        marks,
        description: format!(
            "{shots}-shot mAP on the test brands over training images, a line per run"
        ),
    };
    let names = curves.iter().enumerate();
    let legend: Vec<_> = names
        .map(|(place, curve)| (colour(place), curve[0].run.clone()))
        .collect();
    let title = format!("{shots}-shot mAP on unseen brands, with 95 % intervals over brands");
    panel.standalone(&title, &legend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(run: &str, points: &[(u64, f64)]) -> Vec<Point> {
        let point = |(i, &(images, map)): (usize, &(u64, f64))| Point {
            run: run.to_owned(),
            epochs: i as u32 + 1,
            images,
            shots: 1,
            map,
            ci_low: map - 0.05,
            ci_high: map + 0.05,
            seen_brands: 0,
        };
        points.iter().enumerate().map(point).collect()
    }

    #[test]
    fn the_first_checkpoint_that_is_as_good_as_the_first_runs_last_counts() {
        let paper = curve("paper", &[(300, 0.3), (600, 0.55), (900, 0.5)]);
        let ours = curve("ours", &[(100, 0.4), (200, 0.5), (300, 0.45)]);
        let lost = curve("lost", &[(100, 0.2)]);
        assert_eq!(
            images_to_reach(&paper, 0.5),
            Some(600),
            "also of the run itself"
        );
        assert_eq!(images_to_reach(&ours, 0.5), Some(200));
        assert_eq!(images_to_reach(&lost, 0.5), None);
        let mut leaky = curve("leaky", &[(100, 0.6)]);
        leaky[0].seen_brands = 3;
        let text = summary(&[leaky]);
        assert!(text.contains("; trained on 3 of the test brands"), "{text}");
        let text = summary(&[paper, ours, lost]);
        assert!(text.contains("images to 0.500 (paper's last)"), "{text}");
        assert!(text.contains("200 (0.22 of its images)"), "{text}");
        assert!(
            text.lines()
                .last()
                .is_some_and(|line| line.ends_with("not reached")),
            "{text}"
        );
    }

    #[test]
    fn the_picture_is_whole_and_names_every_run_in_its_colour() {
        let svg = picture(&[
            curve("paper & co", &[(300, 0.3), (600, 0.55)]),
            curve("ours", &[(100, 0.4)]),
        ])
        .unwrap();
        assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(
            svg.contains("fill=\"#0072B2\">— paper &amp; co</text>"),
            "{svg}"
        );
        assert!(svg.contains("fill=\"#D55E00\">— ours</text>") && svg.contains("a third"));
    }
}
