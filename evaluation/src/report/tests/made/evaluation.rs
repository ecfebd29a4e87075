//! Writes the evaluation of a made-up model.

use std::fs;
use std::path::{Path, PathBuf};

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    EpisodeRow, Evaluation, EvaluationRow, Example, JudgedRegion, RowPicture, SimilarityHistogram,
    Threshold, ThresholdKind, TooFew, evaluation_header,
};
use rand::Rng;

use super::curves::curves;
use super::model::{BRANDS, Made};
use super::pictures::{self, jpeg};
use super::training::write_training;
use crate::metrics::per_episode::Metric;
use logodex_schemas::random::stream;

const FLOORS: [(&str, f64); 6] = [
    ("accuracy", 0.31),
    ("precision", 0.06),
    ("recall", 0.9),
    ("f1", 0.113),
    ("r_at_95p", 0.021),
    ("map", 0.127),
];

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
        trained_on: made.trained_on.clone(),
        collapsed: made.collapsed.clone(),
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
        retrievals: pictures::retrievals(&dir, made),
        confusions: pictures::confusions(&dir),
        map: Some(pictures::tsne(&dir, made)),
    };
    fs::write(
        dir.join("evaluation.json"),
        serde_json::to_vec(&evaluation).unwrap(),
    )
    .unwrap();
    write_csv(&dir.join("evaluation.csv"), &rows);
    write_csv(&dir.join("episodes.csv"), &episodes);
    write_csv(&dir.join("confusion.csv"), &pictures::confusion());
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
