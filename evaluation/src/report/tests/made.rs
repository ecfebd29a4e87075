//! Made-up but lifelike runs.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use logodex_schemas::dataset::{Counts, Region};
use logodex_schemas::evaluation::{
    CurveRow, EpisodeRow, Evaluation, EvaluationRow, Example, JudgedRegion, RowPicture,
    SimilarityHistogram, Threshold, ThresholdKind, TooFew, evaluation_header,
};
use logodex_schemas::run::{LearningRates, MetricsLine};
use logodex_schemas::stats::{CategoryStats, DatasetStats, SampleRow, stats_header};
use rand::Rng;

use super::shown;
use crate::metrics::per_episode::Metric;
use logodex_schemas::random::stream;

/// Awkward on purpose.
pub const BRANDS: [&str; 6] = [
    "Abercrombie & Fitch",
    "L'OCCITANE en Provence",
    "Bravo!,  Cucina Italiana",
    "<script>alert(\"x\")</script>",
    "999",
    "Honey Nut Cheerios",
];
const FLOORS: [(&str, f64); 6] = [
    ("accuracy", 0.31),
    ("precision", 0.06),
    ("recall", 0.9),
    ("f1", 0.113),
    ("r_at_95p", 0.021),
    ("map", 0.127),
];

/// A made-up model: how good it is, and how it came about.
pub struct Made {
    pub name: &'static str,
    pub quality: f64,
    pub epochs: Option<u32>,
    pub transferred: bool,
}

pub fn made(name: &'static str, quality: f64, epochs: Option<u32>) -> Made {
    Made {
        name,
        quality,
        epochs,
        transferred: true,
    }
}

pub fn demo() -> Vec<Made> {
    vec![
        made("norm_softmax", 0.62, Some(12)),
        made("contrastive", 0.55, Some(20)),
        made("triplet", 0.47, Some(20)),
        made("baseline_untrained", 0.30, Some(0)),
        made("baseline_features", 0.57, Some(0)),
        made("baseline_projection", 0.5, Some(0)),
    ]
}

/// Writes the directory of a made-up model.
pub fn write_model(root: &Path, made: &Made) -> PathBuf {
    let dir = root.join(made.name);
    fs::create_dir_all(dir.join("pictures")).unwrap();
    let mut episodes = Vec::new();
    let mut rows = Vec::new();
    let mut thresholds = Vec::new();
    let mut histograms = Vec::new();
    for shots in [1u32, 5] {
        let level = made.quality + 0.03 * f64::from(shots);
        for (protocol, kind) in [
            ("paper", ThresholdKind::Transferred),
            ("paper_oracle", ThresholdKind::Oracle),
        ] {
            let oracle = kind == ThresholdKind::Oracle;
            if !oracle && !made.transferred {
                continue;
            }
            let of_kind: Vec<EpisodeRow> = (0..120)
                .map(|episode| {
                    // What is hard is hard for all, and the rest is the model's own.
                    let own = stream(7, made.name, &[episode.into(), shots.into()])
                        .random_range(-0.1..0.1);
                    let mut rng = stream(7, "episode", &[episode.into(), shots.into()]);
                    let mut near =
                        |mean: f64| (mean + own + rng.random_range(-0.2..0.2)).clamp(0.0, 1.0);
                    EpisodeRow {
                        protocol: protocol.to_owned(),
                        shots,
                        episode,
                        brand: episode % 30,
                        accuracy: near(0.72 + 0.2 * level),
                        precision: near(level * 0.7),
                        recall: near(level * 0.8),
                        f1: near(level * 0.7 + if oracle { 0.02 } else { 0.0 }),
                        r_at_95p: near(level * 0.6),
                        map: near(level),
                        region: Region::Object,
                    }
                })
                .collect();
            let mut push = |metric: &str, mean: f64| {
                rows.push(row(made.name, protocol, shots, metric, mean));
            };
            for metric in Metric::THRESHOLDED.iter().chain(&Metric::RANKED) {
                if oracle && Metric::RANKED.contains(metric) {
                    continue;
                }
                let sum: f64 = of_kind.iter().map(|e| metric.of(e)).sum();
                push(metric.name(), sum / of_kind.len() as f64);
            }
            if !oracle {
                push("trace_ratio", 3.0 * made.quality);
                push("distance_ratio", 1.0 + made.quality);
            }
            episodes.extend(of_kind);
            let peak = 1.1 - 0.4 * made.quality + if oracle { -0.04 } else { 0.0 };
            let f1 = |t: f64| level * 0.8 * (-((t - peak) / 0.3).powi(2)).exp() + 0.11 * t / 2.0;
            thresholds.push(Threshold {
                region: Region::Object,
                protocol: "paper".to_owned(),
                shots,
                kind,
                tau: (peak * 100.0).round() / 100.0,
                f1: (0..=200).map(|i| f1(f64::from(i) / 100.0)).collect(),
            });
        }
        let bell = |centre: f64, count: f64| -> Vec<u64> {
            (0..40)
                .map(|i| {
                    let x = -0.975 + 0.05 * f64::from(i);
                    (count * (-((x - centre) / 0.16f64).powi(2)).exp()) as u64
                })
                .collect()
        };
        histograms.push(SimilarityHistogram {
            region: Region::Object,
            shots,
            positives: bell(0.2 + 0.8 * level.min(0.8), 60.0),
            negatives: bell(0.15, 900.0),
        });
    }
    let examples: Vec<Example> = (0..3u64)
        .map(|i| {
            let shown = |at: u64| {
                let row = 100 * i + at;
                let path = format!("pictures/row-{row}.jpg");
                fs::write(dir.join(&path), jpeg(i * 3 + at)).unwrap();
                RowPicture {
                    row,
                    brand: BRANDS[((i * 2 + at / 2) % 6) as usize].to_owned(),
                    picture: path,
                }
            };
            Example {
                query: shown(0),
                positive: shown(1),
                negative: shown(2),
                positive_similarity: made.quality + 0.1 * i as f64,
                negative_similarity: 0.7 - 0.15 * i as f64,
                threshold_similarity: 0.56,
            }
        })
        .collect();
    for shots in [1, 5] {
        for protocol in ["paper", "paper_oracle"] {
            for (metric, mean) in FLOORS {
                if protocol == "paper" || !["map", "r_at_95p"].contains(&metric) {
                    rows.push(row("random", protocol, shots, metric, mean));
                }
            }
            rows.push(row("reject_all", protocol, shots, "accuracy", 0.94));
            for metric in ["precision", "recall", "f1"] {
                rows.push(row("reject_all", protocol, shots, metric, 0.0));
            }
        }
        rows.push(row("random", "paper", shots, "trace_ratio", 0.09));
        rows.push(row("random", "paper", shots, "distance_ratio", 1.0));
    }
    others(made, &mut rows);
    let evaluation = Evaluation {
        header: evaluation_header(),
        model: made.name.to_owned(),
        manifest_blake3: "3f9c".repeat(16),
        split: "demo".to_owned(),
        split_blake3: "b71e".repeat(16),
        seed: 42,
        episodes: 120,
        embedding_dim: 256,
        test_brands: 30,
        test_rows: 360,
        regions: [Region::Object, Region::Image]
            .map(|region| JudgedRegion {
                region,
                test_brands: 30,
                test_rows: 360,
                val_brands: 10,
                val_rows: 120,
            })
            .into(),
        too_few: vec![TooFew {
            region: Region::Object,
            protocol: "paper".to_owned(),
            shots: 5,
            brands: vec![BRANDS[0].to_owned()],
        }],
        rows: rows.clone(),
        thresholds,
        open_set_thresholds: vec![],
        histograms,
        examples,
        retrievals: shown::retrievals(&dir, made),
        confusions: shown::confusions(&dir),
        map: Some(shown::map(&dir, made)),
    };
    fs::write(
        dir.join("evaluation.json"),
        serde_json::to_vec(&evaluation).unwrap(),
    )
    .unwrap();
    write_csv(&dir.join("evaluation.csv"), &rows);
    write_csv(&dir.join("episodes.csv"), &episodes);
    write_csv(&dir.join("confusion.csv"), &shown::confusion());
    write_csv(&dir.join("curves.csv"), &curves(made));
    if let Some(epochs) = made.epochs {
        write_training(&dir, made, epochs);
    }
    dir
}

/// The protocols beside the paper's, and the model's slices, on both regions, and what floors there are.
fn others(made: &Made, rows: &mut Vec<EvaluationRow>) {
    let own = rows.iter().take_while(|row| row.model == made.name).count();
    let mut mine = Vec::new();
    let mut floors = Vec::new();
    for region in [Region::Object, Region::Image] {
        let mut push = |protocol: &str, shots: u32, metric: &str, value: f64, floor: f64| {
            let of = |model: &str, mean| EvaluationRow {
                region,
                ..row(model, protocol, shots, metric, mean)
            };
            mine.push(of(made.name, value));
            floors.push(of("random", floor));
        };
        let good = made.quality;
        push("n_way_k_shot", 1, "accuracy_5_way", 0.4 + 0.5 * good, 0.2);
        push("retrieval", 0, "recall_at_1", good + 0.1, 0.05);
        push("retrieval", 0, "map_at_r", good - 0.1, 0.02);
        push("open_set", 1, "auroc", 0.5 + 0.5 * good, 0.5);
        // Lower is better: the best model has the least, and one above 0.5 lies below the floor.
        push("open_set", 1, "eer", 0.9 - good, 0.5);
        push(
            "open_set",
            1,
            "far_error_at_val_far_1",
            0.01 - 0.02 * good,
            0.0,
        );
        if region == Region::Image {
            push("paper", 1, "map", good, 0.1);
        }
    }
    for (slice, brands) in [("category: Food & Drink", 11), ("few_images", 9)] {
        for metric in ["recall_at_1", "map_at_r"] {
            mine.push(EvaluationRow {
                slice: slice.to_owned(),
                brands,
                ..row(made.name, "retrieval", 0, metric, 0.9 * made.quality)
            });
        }
    }
    rows.splice(own..own, mine);
    rows.extend(floors);
}

fn curves(made: &Made) -> Vec<CurveRow> {
    let models = [(made.name, made.quality), ("colour_histogram", 0.2)];
    let kinds = [
        ("open_set", "roc"),
        ("open_set", "dir"),
        ("paper", "precision_recall"),
    ];
    let mut rows = Vec::new();
    for (model, quality) in models {
        for (protocol, curve) in kinds {
            for i in 0..=100 {
                let x = f64::from(i) / 100.0;
                let y = match curve {
                    "roc" => x.powf(1.0 - quality),
                    "dir" => quality * x.powf(1.0 - quality),
                    _ => 1.0 - x.powf(1.0 + 2.0 * quality),
                };
                rows.push(CurveRow {
                    model: model.to_owned(),
                    region: Region::Object,
                    protocol: protocol.to_owned(),
                    shots: 1,
                    curve: curve.to_owned(),
                    x,
                    y,
                });
            }
        }
    }
    rows
}

fn write_training(dir: &Path, made: &Made, epochs: u32) {
    let unfreeze = match epochs > 10 && made.name != "norm_softmax" {
        true => "freeze = 4\nunfreeze = [{ epoch = 8, freeze = 3 }]\n",
        false => "",
    };
    let loss = match made.name {
        "norm_softmax" => "kind = \"norm_softmax\"\ntemperature = 0.05",
        _ => "kind = \"contrastive_cosine\"\nmargin = 0.2",
    };
    let config = format!(
        "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\n{loss}\n[schedule]\nepochs = {epochs}\n{unfreeze}"
    );
    fs::write(dir.join("config.toml"), config).unwrap();
    let lines: String = (0..epochs)
        .map(|epoch| {
            let t = f64::from(epoch);
            let rates = LearningRates {
                backbone: 1e-4,
                head: 1e-3,
                loss: 1e-3,
            };
            let step = MetricsLine::Step {
                epoch,
                step: u64::from(epoch) * 10,
                loss: 0.5,
                lr: rates,
                grad_norm: 1.0,
                monitor: None,
                images_per_sec: 250.0,
            };
            let line = MetricsLine::Epoch {
                epoch,
                step: u64::from(epoch + 1) * 10,
                train_loss: 0.2 + 0.5 * (-t / 6.0).exp(),
                val_loss: (made.name != "norm_softmax")
                    .then(|| 0.3 + 0.4 * (-t / 5.0).exp() + 0.01 * (t * 1.7).sin()),
                f1: Some(0.82 - 0.3 * (-t / 4.0).exp() + 0.008 * (t * 2.3).sin()),
                threshold: Some(0.6 + 0.2 * (-t / 8.0).exp()),
                lr: rates,
                freeze: 0,
                skipped_images: 4,
                images_per_sec: 250.0,
            };
            format!(
                "{}\n{}\n",
                serde_json::to_string(&step).unwrap(),
                serde_json::to_string(&line).unwrap()
            )
        })
        .collect();
    fs::write(dir.join("metrics.jsonl"), lines).unwrap();
}

pub fn write_stats(root: &Path) -> PathBuf {
    let dir = root.join("dataset");
    fs::create_dir_all(&dir).unwrap();
    let category = |i: usize| CategoryStats {
        category: format!("Category {i}"),
        brands: 20,
        images: 240,
        min_images: 4,
        median_images: 11.5,
        max_images: 30,
        largest_brand: BRANDS[i].to_owned(),
    };
    let stats = DatasetStats {
        header: stats_header(),
        manifest_blake3: "3f9c".repeat(16),
        side: 64,
        region: Region::Object,
        counts: Counts {
            brands: 2864,
            categories: 9,
            images: 151_442,
            objects: 194_265,
            rows: 190_001,
            dropped_copies: 7212,
            rejects: 3,
        },
        categories: (0..6).map(category).collect(),
        samples: vec![SampleRow {
            row: 3,
            category: "Category 0".to_owned(),
            brand: BRANDS[0].to_owned(),
        }],
    };
    fs::write(dir.join("stats.json"), serde_json::to_vec(&stats).unwrap()).unwrap();
    let kept = std::env::var_os("LOGODEX_STATS_DEMO").map(PathBuf::from);
    for name in ["samples.svg", "long_tail.svg"] {
        let svg = kept.as_ref().and_then(|dir| fs::read(dir.join(name)).ok());
        let svg = svg.unwrap_or_else(|| {
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 1\"></svg>".to_vec()
        });
        fs::write(dir.join(name), svg).unwrap();
    }
    dir
}

fn row(model: &str, protocol: &str, shots: u32, metric: &str, mean: f64) -> EvaluationRow {
    EvaluationRow {
        model: model.to_owned(),
        protocol: protocol.to_owned(),
        shots,
        metric: metric.to_owned(),
        mean,
        ci_low: mean * 0.94,
        ci_high: mean * 1.05,
        region: Region::Object,
        slice: "all".to_owned(),
        brands: 30,
    }
}

fn write_csv<T: serde::Serialize>(path: &Path, rows: &[T]) {
    let mut writer = csv::Writer::from_path(path).unwrap();
    for row in rows {
        writer.serialize(row).unwrap();
    }
    writer.flush().unwrap();
}

/// A picture that differs by number.
pub fn jpeg(number: u64) -> Vec<u8> {
    let n = number as u32;
    let picture = RgbImage::from_fn(64, 64, |x, y| {
        let ring = (x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2)) / (90 + 30 * n) % 2;
        let (a, b) = ((40 * n + 2 * x) as u8, (255 - 20 * n) as u8);
        if ring == 0 {
            Rgb([a, b, 90])
        } else {
            Rgb([240, (3 * y) as u8, b])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}
