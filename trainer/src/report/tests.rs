//! The report over made-up but lifelike runs. `LOGODEX_REPORT_DEMO=DIR` keeps the page of [`the_whole_page`] there, to
//! be looked at in a browser.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use logodex_schemas::dataset::{Counts, Region};
use logodex_schemas::evaluation::{
    EpisodeRow, Evaluation, EvaluationRow, Example, ExamplePicture, SimilarityHistogram, Threshold,
    ThresholdKind, TooFew, evaluation_header,
};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::stats::{CategoryStats, DatasetStats, SampleRow, stats_header};
use rand::Rng;

use crate::config::UsageError;
use crate::eval::metrics::Metric;
use crate::eval::table::METRICS;
use crate::random::stream;
use crate::report::report_command;

/// Awkward on purpose.
const BRANDS: [&str; 6] = [
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
struct Made {
    name: &'static str,
    quality: f64,
    epochs: Option<u32>,
    transferred: bool,
}

fn made(name: &'static str, quality: f64, epochs: Option<u32>) -> Made {
    Made {
        name,
        quality,
        epochs,
        transferred: true,
    }
}

fn demo() -> Vec<Made> {
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
fn write_model(root: &Path, made: &Made) -> PathBuf {
    let dir = root.join(made.name);
    fs::create_dir_all(dir.join("figures")).unwrap();
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
                    let own = stream(7, made.name, &[episode.into(), shots.into()]).random_range(-0.1..0.1);
                    let mut rng = stream(7, "episode", &[episode.into(), shots.into()]);
                    let mut near = |mean: f64| (mean + own + rng.random_range(-0.2..0.2)).clamp(0.0, 1.0);
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
            shots,
            positives: bell(0.2 + 0.8 * level.min(0.8), 60.0),
            negatives: bell(0.15, 900.0),
        });
    }
    let examples: Vec<Example> = (0..3u64)
        .map(|i| {
            let shown = |role: &str, at: u64| {
                let path = format!("figures/example-{}-{role}.png", i + 1);
                fs::write(dir.join(&path), png(i * 3 + at)).unwrap();
                ExamplePicture {
                    row: 100 * i + at,
                    brand: BRANDS[((i * 2 + at / 2) % 6) as usize].to_owned(),
                    picture: path,
                }
            };
            Example {
                query: shown("query", 0),
                positive: shown("positive", 1),
                negative: shown("negative", 2),
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
        too_few: vec![TooFew {
            shots: 5,
            brands: vec![BRANDS[0].to_owned()],
        }],
        rows: rows.clone(),
        thresholds,
        histograms,
        examples,
    };
    fs::write(dir.join("evaluation.json"), serde_json::to_vec(&evaluation).unwrap()).unwrap();
    write_csv(&dir.join("evaluation.csv"), &rows);
    write_csv(&dir.join("episodes.csv"), &episodes);
    if let Some(epochs) = made.epochs {
        write_training(&dir, made, epochs);
    }
    dir
}

fn write_training(dir: &Path, made: &Made, epochs: u32) {
    let unfreeze = match epochs > 10 && made.name != "norm_softmax" {
        true => "freeze = 4\nunfreeze = { epoch = 8, freeze = 3 }\n",
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
            let step = MetricsLine::Step {
                epoch,
                step: u64::from(epoch) * 10,
                loss: 0.5,
            };
            let line = MetricsLine::Epoch {
                epoch,
                step: u64::from(epoch + 1) * 10,
                train_loss: 0.2 + 0.5 * (-t / 6.0).exp(),
                val_loss: (made.name != "norm_softmax").then(|| 0.3 + 0.4 * (-t / 5.0).exp() + 0.01 * (t * 1.7).sin()),
                f1: Some(0.82 - 0.3 * (-t / 4.0).exp() + 0.008 * (t * 2.3).sin()),
                threshold: Some(0.6 + 0.2 * (-t / 8.0).exp()),
                lr: 1e-3,
                freeze: 0,
                skipped_images: 4,
                images_per_sec: 250.0,
            };
            format!("{}\n{}\n", serde_json::to_string(&step).unwrap(), serde_json::to_string(&line).unwrap())
        })
        .collect();
    fs::write(dir.join("metrics.jsonl"), lines).unwrap();
}

fn write_stats(root: &Path) -> PathBuf {
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
        let svg = svg.unwrap_or_else(|| b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 1\"></svg>".to_vec());
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
fn png(number: u64) -> Vec<u8> {
    let n = number as u32;
    let picture = RgbImage::from_fn(64, 64, |x, y| {
        let ring = (x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2)) / (90 + 30 * n) % 2;
        let (a, b) = ((40 * n + 2 * x) as u8, (255 - 20 * n) as u8);
        if ring == 0 { Rgb([a, b, 90]) } else { Rgb([240, (3 * y) as u8, b]) }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The files of a report over these models, with the dataset's description where asked for.
struct Written {
    html: String,
    markdown: String,
    evaluation: String,
    comparisons: String,
}

fn write_report(models: &[Made], stats: bool) -> Written {
    let root = tempfile::tempdir().unwrap();
    let mut runs: Vec<PathBuf> = models.iter().map(|m| write_model(root.path(), m)).collect();
    if stats {
        runs.insert(0, write_stats(root.path()));
    }
    let kept = std::env::var_os("LOGODEX_REPORT_DEMO").filter(|_| stats).map(PathBuf::from);
    let out = kept.unwrap_or_else(|| root.path().join("report"));
    report_command(&out, &runs).unwrap();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    Written {
        html: read("report.html"),
        markdown: read("report.md"),
        evaluation: read("evaluation.csv"),
        comparisons: read("comparisons.csv"),
    }
}

/// The error's words, and that it is one of usage.
fn refusal(runs: &[PathBuf]) -> String {
    let out = tempfile::tempdir().unwrap();
    let error = report_command(&out.path().join("report"), runs).unwrap_err();
    assert!(error.chain().any(|e| e.is::<UsageError>()), "{error:#}");
    assert!(!out.path().join("report").exists(), "nothing is written");
    format!("{error:#}")
}

#[test]
fn the_whole_page() {
    let written = write_report(&demo(), true);
    let html = &written.html;

    // Offline: nothing is fetched, and the only addresses are names of namespaces.
    let without_namespaces = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!without_namespaces.contains(forbidden), "{forbidden}");
    }

    // Overview 2, differences 2, thresholds 2 × 6, learning 3 + 3 + 3, similarities 2 × 6.
    assert_eq!(html.matches("<svg role=\"img\"").count(), 2 + 2 + 12 + 9 + 12);
    assert_eq!(html.matches("unfreeze\n").count(), 6, "on each panel of two runs");
    assert_eq!(html.matches("data:image/png;base64,").count(), 9, "each picture once, not once a model");
    assert_eq!(html.matches("data:image/svg+xml;base64,").count(), 2);
    assert_eq!(html.matches("Loss: training (dashed)</figcaption>").count(), 1, "norm_softmax has no validation loss");
    for section in ["results", "findings", "thresholds", "learning", "similarities", "examples", "dataset", "reproduce"] {
        assert!(html.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    for (_, label) in METRICS {
        assert_eq!(html.matches(&format!("<tr><th>{label}</th>")).count(), 2, "{label}");
    }

    // Names are escaped wherever they stand.
    assert!(html.contains("Abercrombie &amp; Fitch") && !html.contains("Abercrombie & Fitch"));
    assert!(html.contains("L&#x27;OCCITANE en Provence"));
    assert!(html.contains("&lt;script&gt;alert(&quot;x&quot;)"));
    assert!(html.contains("Bravo!,  Cucina Italiana"));

    // What must be said, in both forms.
    let page = html.replace("<code>", "`").replace("</code>", "`").replace("&#x2f;", "/");
    let page = page.replace('\u{a0}', " ");
    for text in [&page, &written.markdown] {
        assert!(text.contains("`triplet` falls below `baseline_features` at 1 shot in "), "{text}");
        assert!(!text.contains("`norm_softmax` falls below"));
        assert!(text.contains("`norm_softmax` lies below `baseline_features` in no metric."));
        assert!(text.contains("The accuracy of every model (0."));
        assert!(text.contains("at 1 shot is below the floor `reject_all` (0.940); that of every model (0."));
        assert!(text.contains("1 test brand supports no 5-shot episode"));
        assert!(text.contains("3f9c3f9c3f9c") && text.contains("151,442"));
        assert!(text.contains("logodex-train evaluate --dataset DATASET --split demo --run RUNS/triplet"));
    }
    assert!(!written.markdown.contains("NaN") && !html.contains(">NaN"));
}

#[test]
fn rows_are_gathered_and_floors_stand_once() {
    let written = write_report(&demo(), false);
    let mut lines = written.evaluation.lines();
    assert_eq!(lines.next(), Some("model,protocol,shots,metric,mean,ci_low,ci_high"));
    let lines: Vec<&str> = lines.collect();
    // A model: (6 + 2 + 4) × 2; random (6 + 2 + 4) × 2 and reject_all 8 × 2.
    assert_eq!(lines.len(), 6 * 24 + 24 + 16);
    let mut keys: Vec<_> = lines.iter().map(|l| l.splitn(5, ',').take(4).collect::<Vec<_>>()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), lines.len(), "no key twice");
    assert!(lines[0].starts_with("norm_softmax,paper,1,accuracy,"), "in the order given");
    assert!(lines.last().unwrap().starts_with("random,paper,5,distance_ratio,1.0"));

    // Three models × three baselines × two shots × (6 + 4).
    assert_eq!(
        written.comparisons.lines().next(),
        Some("model,reference,protocol,shots,metric,difference,ci_low,ci_high")
    );
    assert_eq!(written.comparisons.lines().count(), 1 + 3 * 3 * 2 * 10);
    let line = written
        .comparisons
        .lines()
        .find(|l| l.starts_with("triplet,baseline_untrained,paper,1,map,"))
        .unwrap();
    let numbers: Vec<f64> = line.split(',').skip(5).map(|n| n.parse().unwrap()).collect();
    assert!(numbers[1] > 0.0 && numbers[0] > 0.1 && numbers[2] >= numbers[0], "{line}");
}

#[test]
fn a_model_alone_has_a_report() {
    let alone = Made {
        transferred: false,
        ..made("external", 0.5, None)
    };
    let written = write_report(&[alone], false);
    assert_eq!(written.comparisons.lines().count(), 1, "a header and nothing to compare");
    assert!(written.html.contains("baseline_features</code> is not among the runs"));
    for absent in ["id=\"learning\"", "id=\"dataset\"", "Against the baselines", "falls below"] {
        assert!(!written.html.contains(absent), "{absent}");
    }
    assert!(written.html.contains("(oracle)"), "the verdicts' threshold is named as what it is");
    assert!(written.html.contains("--name external"));
}

#[test]
fn a_run_of_no_epochs_has_no_learning_curves() {
    let written = write_report(&[made("baseline_features", 0.5, Some(0))], false);
    assert!(!written.html.contains("id=\"learning\""));
    assert!(!written.html.contains("is not among the runs"));
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_they_lie() {
    let (a, b) = (write_report(&demo()[..3], false), write_report(&demo()[..3], false));
    assert!(a.html == b.html && a.markdown == b.markdown);
    assert!(a.evaluation == b.evaluation && a.comparisons == b.comparisons);
}

#[test]
fn what_cannot_be_reported_is_refused_with_its_reason() {
    let root = tempfile::tempdir().unwrap();
    let good = write_model(root.path(), &made("good", 0.5, Some(2)));
    assert!(refusal(&[]).contains("nothing to report"));
    assert!(refusal(&[root.path().join("nowhere")]).contains("does not exist"));
    assert!(refusal(&[good.join("figures")]).contains("neither evaluation.json"));
    let twice = refusal(&[good.clone(), good.clone()]);
    assert!(twice.contains("named \"good\""), "{twice}");

    let unevaluated = root.path().join("unevaluated");
    fs::create_dir_all(&unevaluated).unwrap();
    fs::write(unevaluated.join("config.toml"), "").unwrap();
    assert!(refusal(&[unevaluated]).contains("logodex-train evaluate"));

    // Each file of an evaluation that is missing is named.
    for name in ["evaluation.csv", "episodes.csv", "metrics.jsonl", "figures/example-2-positive.png"] {
        let (path, aside) = (good.join(name), root.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        let message = refusal(std::slice::from_ref(&good));
        assert!(message.contains(name) && message.contains("missing"), "{message}");
        fs::rename(&aside, &path).unwrap();
    }

    // Another dataset, split, or version.
    let other = write_model(root.path(), &made("other", 0.5, None));
    let path = other.join("evaluation.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, word) in [
        ("3f9c", "0000", "another dataset"),
        ("b71e", "0000", "another split"),
        ("\"seed\":42", "\"seed\":43", "another seed"),
        ("\"version\":1", "\"version\":2", "version 2"),
        ("figures/example-1-query.png", "../good/evaluation.csv", "outside its directory"),
        ("\"model\":\"other\"", "\"model\":\"random\"", "name of a floor"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let message = refusal(&[good.clone(), other.clone()]);
        assert!(message.contains(word), "{message}");
    }
    fs::write(&path, &text).unwrap();

    // A floor that differs was measured on other rows.
    let path = other.join("evaluation.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("random,paper,1,map,0.127", "random,paper,1,map,0.2")).unwrap();
    assert!(refusal(&[good.clone(), other.clone()]).contains("its floor random"));
    fs::write(&path, &text).unwrap();

    let stats = write_stats(root.path());
    let path = stats.join("stats.json");
    let json = fs::read_to_string(&path).unwrap().replace("3f9c", "0000");
    fs::write(&path, json).unwrap();
    assert!(refusal(&[good, stats]).contains("another dataset"));
}
