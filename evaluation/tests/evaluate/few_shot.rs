//! The few-shot test as a whole: what it must say of embeddings whose quality is known, and what must not move it.

use crate::facts;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::evaluate::{Outcome, Subject, evaluate};
use logodex_evaluation::intervals::difference::paired_difference;
use logodex_evaluation::protocols::paper::{PAPER, PAPER_ORACLE};
use logodex_evaluation::settings::{Protocol, Settings};
use logodex_schemas::evaluation::EvaluationRow;
use logodex_schemas::random::stream;
use rand::Rng;
use rand::seq::SliceRandom;

const DIM: usize = 16;

/// `brands` brands from index `first` on, `per_brand` rows each; `spread` 0 puts a brand into one point.
pub fn set(first: i64, brands: i64, per_brand: i64, spread: f32) -> EmbeddingSet {
    let mut set = EmbeddingSet {
        dim: DIM,
        embeddings: vec![],
        brand: vec![],
        row: vec![],
    };
    for brand in first..first + brands {
        let mut rng = stream(11, "centre", &[brand.cast_unsigned()]);
        let centre: Vec<f32> = (0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
        for k in 0..per_brand {
            set.embeddings.extend(
                centre
                    .iter()
                    .map(|c| c + spread * rng.random_range(-1.0f32..1.0)),
            );
            set.brand.push(brand);
            set.row.push(brand * per_brand + k);
        }
    }
    set
}

pub fn settings() -> Settings {
    Settings {
        seed: 7,
        test_episodes: 300,
        val_episodes: 150,
        resamples: 300,
        protocols: vec![Protocol::Paper],
        ..Settings::default()
    }
}

pub fn run(
    test: &EmbeddingSet,
    val: Option<&EmbeddingSet>,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let facts = facts(|row| row);
    let model = Subject {
        name: "model",
        test,
        val,
    };
    evaluate(model, &[], &facts, settings)
}

fn row<'a>(
    outcome: &'a Outcome,
    model: &str,
    protocol: &str,
    shots: u32,
    metric: &str,
) -> Option<&'a EvaluationRow> {
    outcome.evaluation.rows.iter().find(|r| {
        r.model == model && r.protocol == protocol && r.shots == shots && r.metric == metric
    })
}

fn mean(outcome: &Outcome, model: &str, metric: &str) -> f64 {
    row(outcome, model, PAPER, 1, metric).unwrap().mean
}

#[test]
fn perfect_embeddings_are_perfect_and_have_no_ratio() {
    let outcome = run(
        &set(0, 30, 10, 0.0),
        Some(&set(30, 20, 10, 0.0)),
        &settings(),
    )
    .unwrap();
    for shots in [1, 5] {
        for metric in ["accuracy", "precision", "recall", "f1", "r_at_95p", "map"] {
            let row = row(&outcome, "model", PAPER, shots, metric).unwrap();
            assert_eq!(
                (row.mean, row.ci_low, row.ci_high),
                (1.0, 1.0, 1.0),
                "{metric}"
            );
        }
    }
    assert!(row(&outcome, "model", PAPER, 1, "distance_ratio").is_none());
    let undefined = outcome
        .notices
        .iter()
        .filter(|n| n.contains("_ratio is left out"));
    assert_eq!(undefined.count(), 2, "{:?}", outcome.notices);
}

#[test]
fn the_floors_are_those_of_the_protocol() {
    let all = Settings {
        seed: 7,
        resamples: 300,
        protocols: vec![Protocol::Paper],
        ..Settings::default()
    };
    let outcome = run(&set(0, 60, 20, 0.5), Some(&set(60, 30, 20, 0.5)), &all).unwrap();
    let (map, recall) = (
        mean(&outcome, "random", "map"),
        mean(&outcome, "random", "r_at_95p"),
    );
    assert!((map - 0.127).abs() < 0.015, "{map}");
    assert!((recall - 0.021).abs() < 0.012, "{recall}");
    // U{1..5} positives of 50: 0.94 on average; exactly one minus the share of positives asked.
    let accuracy = mean(&outcome, "reject_all", "accuracy");
    assert!((accuracy - 0.94).abs() < 0.003, "{accuracy}");
    let one_shot = &outcome.evaluation.histograms[0];
    let share = one_shot.positives.iter().sum::<u64>() as f64 / (50.0 * 1000.0);
    assert!((accuracy - (1.0 - share)).abs() < 1e-12);
    for metric in ["precision", "recall", "f1"] {
        assert_eq!(mean(&outcome, "reject_all", metric), 0.0);
    }
    assert!(row(&outcome, "reject_all", PAPER, 1, "map").is_none());
    let trace = mean(&outcome, "random", "trace_ratio");
    // Under chance the trace ratio is near (B − 1) / (N − B), the distance ratio near one.
    assert!((trace - 59.0 / 1140.0).abs() < 0.01, "{trace}");
    assert!((mean(&outcome, "random", "distance_ratio") - 1.0).abs() < 0.01);
}

#[test]
fn the_floors_do_not_depend_on_the_model() {
    let of = |spread| {
        let outcome = run(
            &set(0, 20, 8, spread),
            Some(&set(20, 12, 8, spread)),
            &settings(),
        )
        .unwrap();
        let floors = outcome
            .evaluation
            .rows
            .into_iter()
            .filter(|r| r.model != "model");
        floors.collect::<Vec<_>>()
    };
    assert_eq!(of(0.3), of(0.9));
    // random: 4 + 2 + 2 under paper and 4 under paper_oracle; reject_all: 4 and 4; for two numbers of shots.
    assert_eq!(of(0.3).len(), 2 * (8 + 4 + 8));
}

#[test]
fn constant_embeddings_gain_nothing_from_ties() {
    let mut test = set(0, 40, 12, 0.0);
    test.embeddings.fill(0.25);
    let outcome = run(&test, None, &settings()).unwrap();
    let map = mean(&outcome, "model", "map");
    assert!(
        (map - 0.127).abs() < 0.03,
        "equal distances rank positives at random: {map}"
    );
}

#[test]
fn the_order_of_rows_and_the_number_of_threads_change_nothing() {
    let (test, val) = (set(0, 20, 8, 0.6), set(20, 12, 8, 0.6));
    let mut order: Vec<usize> = (0..test.len()).collect();
    order.shuffle(&mut stream(1, "permutation", &[]));
    let permuted = EmbeddingSet {
        dim: test.dim,
        embeddings: order
            .iter()
            .flat_map(|&i| test.embedding(i).iter().copied())
            .collect(),
        brand: order.iter().map(|&i| test.brand[i]).collect(),
        row: order.iter().map(|&i| test.row[i]).collect(),
    };
    let on = |threads, test: &EmbeddingSet| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(test, Some(&val), &settings()).unwrap())
    };
    let expected = on(1, &test);
    assert_eq!(expected, on(2, &test));
    assert_eq!(expected, on(2, &permuted));
    let other = Settings {
        seed: 8,
        ..settings()
    };
    assert_ne!(
        expected.episodes,
        run(&test, Some(&val), &other).unwrap().episodes
    );
}

#[test]
fn a_better_model_is_better_beyond_its_interval() {
    let evaluate = |spread| {
        run(
            &set(0, 30, 10, spread),
            Some(&set(30, 20, 10, spread)),
            &settings(),
        )
        .unwrap()
    };
    let (good, poor) = (evaluate(0.6), evaluate(1.1));
    for shots in [1, 5] {
        let d = paired_difference(&good.episodes, &poor.episodes, PAPER, shots, "map", 7).unwrap();
        let by_rows = row(&good, "model", PAPER, shots, "map").unwrap().mean
            - row(&poor, "model", PAPER, shots, "map").unwrap().mean;
        assert!((d.mean - by_rows).abs() < 1e-12);
        assert!(d.low > 0.0, "{d:?}");
    }
    let one = row(&good, "model", PAPER, 1, "map").unwrap();
    let five = row(&good, "model", PAPER, 5, "map").unwrap();
    assert!(five.mean > one.mean, "more supports rank better");
    assert!(one.ci_low < one.mean && one.mean < one.ci_high);
    let trace = row(&good, "model", PAPER, 1, "trace_ratio").unwrap();
    let (below, above) = (trace.mean - trace.ci_low, trace.ci_high - trace.mean);
    assert!(
        above > below / 2.0 && below > above / 2.0,
        "the interval is about its value: {trace:?}"
    );
}

#[test]
fn the_transferred_threshold_comes_from_validation_brands_alone() {
    let test = set(0, 20, 8, 0.6);
    let of = |val: &EmbeddingSet| {
        run(&test, Some(val), &settings())
            .unwrap()
            .evaluation
            .thresholds
    };
    let (near, far) = (of(&set(20, 12, 8, 0.1)), of(&set(20, 12, 8, 1.2)));
    assert!(near[0].tau < far[0].tau, "{} {}", near[0].tau, far[0].tau);
    assert_eq!(near[1], far[1], "the oracle's does not see them");
    assert_eq!(near[0].f1.len(), 201);
}

#[test]
fn without_validation_brands_the_metrics_that_need_a_threshold_are_left_out_and_it_says_so() {
    let outcome = run(&set(0, 20, 8, 0.6), None, &settings()).unwrap();
    assert!(row(&outcome, "model", PAPER, 1, "accuracy").is_none());
    assert!(row(&outcome, "random", PAPER, 1, "f1").is_none());
    assert!(row(&outcome, "model", PAPER, 1, "map").is_some());
    assert!(row(&outcome, "model", PAPER_ORACLE, 1, "accuracy").is_some());
    assert!(outcome.episodes.iter().all(|e| e.protocol == PAPER_ORACLE));
    assert!(
        outcome
            .notices
            .iter()
            .any(|n| n.contains("no validation embeddings")),
        "{:?}",
        outcome.notices
    );
}

#[test]
fn brands_with_too_few_pictures_are_named_and_asked_about_only() {
    let mut test = set(0, 6, 8, 0.6);
    // Brand 2 keeps one picture, brand 4 three.
    let kept: Vec<bool> = (0..test.len())
        .map(|i| !(17..24).contains(&i) && !(35..40).contains(&i))
        .collect();
    test = test.filter(|i| kept[i]);
    let outcome = run(&test, None, &settings()).unwrap();
    let too_few = &outcome.evaluation.too_few;
    assert_eq!(too_few[0].brands, ["brand 2"]);
    assert_eq!(too_few[1].brands, ["brand 2", "brand 4"]);
    assert!(
        outcome
            .episodes
            .iter()
            .all(|e| e.brand != 2 && (e.shots == 1 || e.brand != 4))
    );
}

#[test]
fn a_number_of_shots_that_no_brand_allows_is_left_out_and_none_at_all_is_an_error() {
    let outcome = run(&set(0, 10, 4, 0.6), None, &settings()).unwrap();
    assert!(row(&outcome, "model", PAPER, 5, "map").is_none());
    assert!(
        outcome
            .notices
            .iter()
            .any(|n| n.starts_with("5-shot: left out")),
        "{:?}",
        outcome.notices
    );
    let error = run(&set(0, 10, 1, 0.6), None, &settings())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no test brand has enough pictures"),
        "{error}"
    );
}

#[test]
fn what_would_leak_or_mean_nothing_is_an_error() {
    let test = set(0, 10, 4, 0.6);
    let error = |val: Option<&EmbeddingSet>, settings: &Settings| {
        format!("{:#}", run(&test, val, settings).unwrap_err())
    };
    assert!(error(Some(&set(9, 4, 4, 0.6)), &settings()).contains("\"brand 9\" is in both"));
    let mut narrow = set(20, 4, 4, 0.6);
    narrow.dim = 8;
    narrow.embeddings.truncate(16 * 8);
    assert!(error(Some(&narrow), &settings()).contains("have 8 values"));
    let cases = [
        (
            Settings {
                shots: vec![0],
                ..settings()
            },
            "shots",
        ),
        (
            Settings {
                queries: 5,
                ..settings()
            },
            "queries",
        ),
        (
            Settings {
                test_episodes: 0,
                ..settings()
            },
            "test episodes",
        ),
    ];
    for (settings, word) in cases {
        assert!(
            error(None, &settings).contains(word),
            "{}",
            error(None, &settings)
        );
    }
}

#[test]
fn collapsed_embeddings_are_called_so_whatever_is_asked() {
    let point = |set: EmbeddingSet| EmbeddingSet {
        embeddings: set.embeddings.iter().map(|x| 1.0 + 1e-5 * x).collect(),
        ..set
    };
    let (test, val) = (point(set(0, 6, 8, 0.3)), set(6, 4, 8, 0.3));
    for protocol in Protocol::ALL {
        let settings = Settings {
            protocols: vec![protocol],
            ..settings()
        };
        let judge = |test: &EmbeddingSet| {
            let model = Subject {
                name: "mine",
                test,
                val: Some(&val),
            };
            evaluate(model, &[], &facts(|row| row), &settings).unwrap()
        };
        let flat = judge(&test);
        assert_eq!(flat.evaluation.collapsed, [settings.region], "{protocol:?}");
        let told = |outcome: &Outcome| outcome.notices.iter().any(|n| n.contains("have collapsed"));
        assert!(told(&flat), "{:?}", flat.notices);
        let good = judge(&set(0, 6, 8, 0.3));
        assert!(good.evaluation.collapsed.is_empty() && !told(&good));
    }
}
