//! Embeddings whose answers are known: each protocol must give exactly those.

use crate::facts;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::evaluate::{Outcome, Subject, evaluate};
use logodex_evaluation::facts::Facts;
use logodex_evaluation::protocols::retrieval;
use logodex_evaluation::settings::{Protocol, Settings};
use logodex_schemas::evaluation::{EvaluationRow, OpenSetThreshold};
use logodex_schemas::random::stream;
use rand::Rng;

const DIM: usize = 96;

/// Brands `first..first + sizes.len()` of so many rows, each row what `vector(brand, place)` says.
fn set(first: i64, sizes: &[usize], vector: &dyn Fn(usize, usize) -> Vec<f32>) -> EmbeddingSet {
    let mut set = EmbeddingSet {
        dim: DIM,
        embeddings: vec![],
        brand: vec![],
        row: vec![],
    };
    for (b, &n) in sizes.iter().enumerate() {
        for place in 0..n {
            set.embeddings.extend(vector(first as usize + b, place));
            set.brand.push(first + b as i64);
            set.row.push((first + b as i64) * 100 + place as i64);
        }
    }
    set
}

/// The axis of that number.
fn axis(number: usize) -> Vec<f32> {
    let mut vector = vec![0.0; DIM];
    vector[number] = 1.0;
    vector
}

/// Uniform in a cube about the origin.
fn noise(brand: usize, place: usize) -> Vec<f32> {
    let mut rng = stream(2, "planted", &[brand as u64, place as u64]);
    (0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn run(test: &EmbeddingSet, val: Option<&EmbeddingSet>, protocols: &[Protocol]) -> Outcome {
    let settings = Settings {
        seed: 5,
        protocols: protocols.to_vec(),
        test_episodes: 200,
        val_episodes: 100,
        resamples: 200,
        ..Settings::default()
    };
    let facts = facts(|row| row);
    let model = Subject {
        name: "model",
        test,
        val,
    };
    evaluate(model, &[], &facts, &settings).unwrap()
}

fn lines<'a>(outcome: &'a Outcome, model: &str) -> Vec<&'a EvaluationRow> {
    let rows = outcome.evaluation.rows.iter();
    rows.filter(|row| row.model == model && row.slice == "all")
        .collect()
}

fn value(outcome: &Outcome, model: &str, protocol: &str, shots: u32, metric: &str) -> f64 {
    let found = lines(outcome, model)
        .into_iter()
        .find(|r| (r.protocol.as_str(), r.shots, r.metric.as_str()) == (protocol, shots, metric));
    found
        .unwrap_or_else(|| panic!("{protocol} {shots} {metric}"))
        .mean
}

#[test]
fn a_perfect_embedding_is_perfect_in_every_protocol_and_its_intervals_have_no_width() {
    let test = set(0, &[12; 24], &|brand, _| axis(brand));
    let val = set(30, &[12; 10], &|brand, _| axis(brand));
    let outcome = run(&test, Some(&val), &Protocol::ALL);
    let found = lines(&outcome, "model");
    assert!(found.len() > 60, "{}", found.len());
    for row in found {
        // No stranger is accepted and nobody missed: FAR, its distance from the target, and error rates.
        let expected = match row.metric.as_str() {
            "eer" | "fpr_at_95tpr" | "far_at_val_far_10" | "far_at_val_far_1"
            | "far_at_val_far_01" => 0.0,
            "far_error_at_val_far_10" => -0.1,
            "far_error_at_val_far_1" => -0.01,
            "far_error_at_val_far_01" => -0.001,
            _ => 1.0,
        };
        // A mean of ten equal numbers is off by a last bit.
        for found in [row.mean, row.ci_low, row.ci_high] {
            assert!((found - expected).abs() < 1e-15 * 4.0, "{row:?}");
        }
    }
}

#[test]
fn brands_that_share_a_point_two_by_two_are_right_half_of_the_time() {
    // A query cannot tell its brand from the brand's twin. Of 2 × 12 rows in one point it is one, 11 are its own.
    let test = set(0, &[12; 24], &|brand, _| axis(brand / 2));
    let outcome = run(&test, None, &[Protocol::Retrieval, Protocol::NWayKShot]);
    // The tie order is random: of the first 11 of 23 equals on average 11/23 are positives.
    let r_precision = value(&outcome, "model", "retrieval", 0, "r_precision");
    assert!((r_precision - 11.0 / 23.0).abs() < 0.03, "{r_precision}");
    // Both prototypes of a pair are equally near, and the first drawn wins: one brand of each pair is wholly right.
    for shots in [1, 5, 10] {
        let all = value(&outcome, "model", "n_way_k_shot", shots, "accuracy_all_way");
        assert_eq!(all, 0.5);
    }
}

/// Twelve brands that share a point two by two, in one category, and twelve that stand alone in another.
#[test]
fn a_slice_narrows_who_is_asked_about_and_not_what_is_compared() {
    let point = |brand: usize, _| axis(if brand < 12 { brand / 2 } else { brand });
    let (test, val) = (
        set(0, &[12; 24], &point),
        set(30, &[12; 10], &|brand, _| axis(brand)),
    );
    let facts = Facts {
        category: Box::new(|brand| if brand < 12 { "twins" } else { "alone" }.to_owned()),
        ..facts(|row| row)
    };
    let settings = Settings {
        protocols: vec![Protocol::PaperCosine, Protocol::NWayKShot],
        resamples: 200,
        ..Settings::default()
    };
    let model = Subject {
        name: "model",
        test: &test,
        val: Some(&val),
    };
    let rows = evaluate(model, &[], &facts, &settings).unwrap();
    let rows = rows.evaluation.rows;
    for (protocol, metric) in [
        ("n_way_k_shot", "accuracy_all_way"),
        ("n_way_k_shot", "accuracy_5_way"),
        ("paper_cosine", "f1"),
        ("paper_cosine", "map"),
    ] {
        let of = |slice: &str| {
            let is_it = |r: &&EvaluationRow| {
                (r.model.as_str(), r.slice.as_str(), r.shots) == ("model", slice, 1)
                    && (r.protocol.as_str(), r.metric.as_str()) == (protocol, metric)
            };
            let row = rows.iter().find(is_it);
            let row = row.unwrap_or_else(|| panic!("{protocol} {metric} of {slice}"));
            (row.mean, row.brands)
        };
        assert_eq!(of("category: alone"), (1.0, 12), "{protocol} {metric}");
        let (twins, brands) = of("category: twins");
        assert_eq!(brands, 12);
        assert!(twins < 1.0 && twins < of("all").0, "{protocol} {metric}");
        if metric == "accuracy_all_way" {
            assert!(
                (twins - 0.5).abs() < 1e-9,
                "the twin is among the brands: {twins}"
            );
        }
    }
}

#[test]
fn random_embeddings_score_what_chance_scores() {
    let test = set(0, &[12; 40], &noise);
    let val = set(40, &[12; 20], &noise);
    let outcome = run(&test, Some(&val), &Protocol::ALL);
    for model in ["model", "random"] {
        let near = |protocol: &str, shots: u32, metric: &str, expected: f64, slack: f64| {
            let found = value(&outcome, model, protocol, shots, metric);
            assert!(
                (found - expected).abs() < slack,
                "{model} {protocol} {metric}: {found}, chance is {expected}"
            );
        };
        near("n_way_k_shot", 1, "accuracy_5_way", 0.2, 0.04);
        near("n_way_k_shot", 5, "accuracy_20_way", 0.05, 0.03);
        near("n_way_k_shot", 1, "accuracy_all_way", 1.0 / 40.0, 0.02);
        near("retrieval", 0, "recall_at_1", 11.0 / 479.0, 0.02);
        near("retrieval", 0, "r_precision", 11.0 / 479.0, 0.008);
        near("open_set", 1, "auroc", 0.5, 0.02);
        near("open_set", 5, "eer", 0.5, 0.02);
        near("open_set", 1, "tar_at_far_10", 0.1, 0.03);
        near("open_set", 1, "fpr_at_95tpr", 0.95, 0.03);
        near("open_set", 1, "dir_at_far_10", 0.1 / 20.0, 0.01);
        near("open_set", 1, "oscr", 0.5 / 20.0, 0.02);
        near("open_set", 1, "far_at_val_far_10", 0.1, 0.03);
    }
    assert_eq!(
        value(&outcome, "reject_all", "open_set", 1, "dir_at_far_1"),
        0.0
    );
}

/// Fourteen validation brands and 36 test brands, as a small study has: seven enrolled in both.
#[test]
fn a_transferred_false_accept_rate_of_embeddings_that_know_nothing_is_its_target() {
    let (mut covered, mut sums) = ([0; 2], [0.0; 2]);
    let studies = 20;
    for seed in 0..studies {
        let of = |first: i64, brands: usize| {
            let vector = |brand: usize, place: usize| -> Vec<f32> {
                let mut rng = stream(seed, "study", &[brand as u64, place as u64]);
                (0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect()
            };
            set(first, &vec![12; brands], &vector)
        };
        let outcome = run(&of(0, 36), Some(&of(40, 14)), &[Protocol::OpenSet]);
        for (i, far) in ["far_10", "far_1"].into_iter().enumerate() {
            let metric = format!("far_error_at_val_{far}");
            let row = lines(&outcome, "model");
            let row = row.iter().find(|r| r.metric == metric && r.shots == 5);
            let row = row.unwrap();
            covered[i] += u32::from(row.ci_low <= 0.0 && 0.0 <= row.ci_high);
            sums[i] += row.mean / studies as f64;
        }
        let enrolled = |t: &OpenSetThreshold| t.enrolled;
        let thresholds = &outcome.evaluation.open_set_thresholds;
        assert!(thresholds.iter().map(enrolled).all(|n| n == 7));
    }
    // Of 20 studies 19 on average, and 17 or more in 98 of 100 such tests.
    assert!(covered.iter().all(|n| *n >= 17), "{covered:?} of {studies}");
    assert!(sums[0].abs() < 0.01 && sums[1].abs() < 0.003, "{sums:?}");
}

#[test]
fn lone_queries_are_named_and_counted_and_neither_zero_nor_forgotten() {
    let mut sizes = vec![12; 20];
    sizes[3] = 1;
    sizes[7] = 3;
    // The lone picture lies where brand 4 is, as a distractor before all of its pictures.
    let test = set(0, &sizes, &|brand, _| {
        axis(if brand == 3 { 4 } else { brand })
    });
    let outcome = run(&test, None, &Protocol::ALL);
    let too_few = |protocol: &str, shots: u32| {
        let found = outcome
            .evaluation
            .too_few
            .iter()
            .find(|few| few.protocol == protocol && few.shots == shots);
        found.unwrap().brands.clone()
    };
    assert_eq!(too_few("retrieval", 0), ["brand 3"]);
    assert_eq!(too_few("n_way_k_shot", 1), ["brand 3"]);
    assert_eq!(too_few("n_way_k_shot", 5), ["brand 3", "brand 7"]);
    assert_eq!(too_few("open_set", 5), ["brand 3", "brand 7"]);
    // 19 brands have a mean; only brand 4 is disturbed, by one stranger among 12 equals: R-precision 1 or 10/11.
    let row = lines(&outcome, "model")
        .into_iter()
        .find(|r| r.protocol == "retrieval" && r.metric == "r_precision")
        .unwrap();
    assert_eq!(row.brands, 19);
    let queries = 18.0 * 12.0 + 3.0;
    let disturbed = 1.0 - 12.0 / 11.0 / queries;
    assert!(
        (disturbed - 1e-12..=1.0).contains(&row.mean) && row.mean < 1.0,
        "{row:?}"
    );
    let lone: Vec<_> = outcome
        .retrieval
        .iter()
        .filter(|r| r.positives == 0)
        .collect();
    assert_eq!((lone.len(), lone[0].brand, lone[0].first_rank), (1, 3, 0));
}

#[test]
fn equal_embeddings_gain_nothing_from_the_order_of_rows() {
    let test = set(0, &[12; 40], &|_, _| axis(0));
    let outcome = run(
        &test,
        None,
        &[Protocol::Retrieval, Protocol::NWayKShot, Protocol::OpenSet],
    );
    // Rows of a brand lie side by side in the dataset. By that order MAP would be near 0.09.
    let map = value(&outcome, "model", "retrieval", 0, "map");
    assert!(map < 0.05, "{map}");
    assert!((value(&outcome, "model", "n_way_k_shot", 1, "accuracy_5_way") - 0.2).abs() < 1e-12);
    assert_eq!(value(&outcome, "model", "open_set", 1, "auroc"), 0.5);
    assert_eq!(
        value(&outcome, "model", "open_set", 1, "tar_at_far_10"),
        0.0
    );
}

#[test]
fn no_source_image_is_on_both_sides() {
    // Rows 3k, 3k + 1 and 3k + 2 show one picture and are alike; another picture of the brand is another axis.
    let test = set(0, &[12; 8], &|brand, place| axis(brand * 4 + place / 3));
    let facts = facts(|row| row / 100 * 100 + row % 100 / 3);
    let settings = Settings {
        protocols: vec![Protocol::Retrieval],
        resamples: 50,
        ..Settings::default()
    };
    let model = Subject {
        name: "model",
        test: &test,
        val: None,
    };
    let outcome = evaluate(model, &[], &facts, &settings).unwrap();
    // Found only by a leak: similarity to every other picture is 0.
    let recall = value(&outcome, "model", "retrieval", 0, "recall_at_1");
    assert!(recall < 0.3, "{recall}");
    let list = outcome
        .lists
        .iter()
        .find(|(name, _)| name.ends_with("retrieval_query_gallery.csv"))
        .unwrap();
    let text = String::from_utf8(list.1.clone()).unwrap();
    let role = |row: i64| {
        text.lines()
            .find_map(|l| l.strip_prefix(&format!("{row},")))
            .unwrap()
            .to_owned()
    };
    for brand in 0..8 {
        for image in 0..4 {
            let first = brand * 100 + image * 3;
            assert!(role(first) == role(first + 1) && role(first) == role(first + 2));
        }
    }
    assert_eq!(text.lines().filter(|l| l.ends_with(",query")).count(), 48);
}

#[test]
fn queries_count_alike_however_many_a_brand_or_a_block_has() {
    // Brand 0 has 40 rows that all find each other, 10 brands have 4 rows of which none finds another.
    let mut sizes = vec![4; 11];
    sizes[0] = 40;
    let test = set(0, &sizes, &|brand, place| match brand {
        0 => axis(0),
        // Opposite to each other, so that every stranger is nearer.
        _ => (0..DIM)
            .map(|i| {
                if i == brand {
                    if place % 2 == 0 { 1.0 } else { -1.0 }
                } else if i == brand + 20 {
                    if place / 2 == 0 { 1.0 } else { -1.0 }
                } else {
                    0.0
                }
            })
            .collect(),
    });
    let outcome = run(&test, None, &[Protocol::Retrieval]);
    let recall = value(&outcome, "model", "retrieval", 0, "recall_at_1");
    // 40 of 80 queries, as one mean; the mean of brands' means would be 1/11.
    let missed = outcome
        .retrieval
        .iter()
        .filter(|r| r.brand != 0 && r.first_rank > 1)
        .count();
    assert!(missed >= 30);
    assert!(
        (recall - (80 - missed) as f64 / 80.0).abs() < 1e-12,
        "{recall} {missed}"
    );
}

/// What a training asks after each epoch is what an evaluation says.
#[test]
fn map_at_r_alone_is_that_of_the_evaluation() {
    let test = set(0, &[9, 5, 12, 4, 3, 7], &noise);
    let outcome = run(&test, None, &[Protocol::Retrieval]);
    let said = value(&outcome, "model", "retrieval", 0, "map_at_r");
    let alone = retrieval::map_at_r(&test, &|row| row, 5).unwrap();
    assert!((said - alone).abs() < 1e-12 && said < 0.9, "{said} {alone}");

    // A picture that the network maps to nothing finds nothing, and spoils no number.
    let mut with_zeros = test.clone();
    with_zeros.embeddings[..DIM].fill(0.0);
    let found = retrieval::map_at_r(&with_zeros, &|row| row, 5).unwrap();
    assert!(found.is_finite() && (found - alone).abs() < 0.2);
    // Brands of one picture each, and one brand alone.
    assert_eq!(retrieval::map_at_r(&test, &|row| row / 100, 5), None);
    assert_eq!(
        retrieval::map_at_r(&set(0, &[5], &noise), &|row| row, 5),
        None
    );
}
