//! The evaluator's arithmetic against numpy and scikit-learn: `golden.json` and `embeddings.safetensors` are written by
//! `make_golden.py` beside this file, which shares nothing with the code judged here.

mod tsne;

use std::collections::HashMap;
use std::path::PathBuf;

use logodex_evaluation::embeddings::fold_index::FoldIndex;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::embeddings::unit_vectors::UnitVectors;
use logodex_evaluation::metrics::ranking::{Search, rank};
use logodex_evaluation::metrics::roc::{Draw, Probe};
use logodex_evaluation::metrics::scatter::Scatter;
use logodex_evaluation::metrics::{ranking, roc};
use logodex_evaluation::protocols::episode::{Episode, Query};
use logodex_evaluation::protocols::score;
use logodex_evaluation::protocols::threshold::{self, Candidates};
use logodex_schemas::dataset::Region;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    rounds: Vec<GoldenRound>,
    trace_ratio: f64,
    distance_ratio: f64,
    retrieval: Vec<GoldenQuery>,
    open_set: GoldenOpenSet,
}

#[derive(Deserialize)]
struct GoldenQuery {
    row: i64,
    map: f64,
    map_at_r: f64,
    r_precision: f64,
    recall_at_1: f64,
    recall_at_5: f64,
}

#[derive(Deserialize)]
struct GoldenOpenSet {
    score: Vec<f64>,
    brand: Vec<u32>,
    known: Vec<bool>,
    named: Vec<bool>,
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenCase {
    weights: Vec<u32>,
    #[serde(flatten)]
    values: HashMap<String, f64>,
}

#[derive(Deserialize)]
struct GoldenRound {
    shots: u32,
    tuning: Vec<Asked>,
    tau: f64,
    f1_curve: Vec<f64>,
    episodes: Vec<GoldenEpisode>,
    positives: Vec<u64>,
    negatives: Vec<u64>,
}

#[derive(Deserialize)]
struct Asked {
    supports: Vec<i64>,
    queries: Vec<i64>,
}

#[derive(Deserialize)]
struct GoldenEpisode {
    brand: u32,
    #[serde(flatten)]
    asked: Asked,
    distances: Vec<f64>,
    accuracy: f64,
    precision: f64,
    recall: f64,
    f1: f64,
    r_at_95p: f64,
    map: f64,
}

struct Fixture {
    golden: Golden,
    fold: FoldIndex,
    vectors: UnitVectors,
    position: HashMap<i64, usize>,
}

impl Fixture {
    fn read() -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let golden = std::fs::read(here.join("golden.json")).unwrap();
        let set = EmbeddingSet::read(&here.join("embeddings.safetensors")).unwrap();
        let fold = FoldIndex::new(&set, &|row| row).unwrap();
        Self {
            golden: serde_json::from_slice(&golden).unwrap(),
            vectors: fold.unit_vectors(&set),
            position: fold
                .rows
                .iter()
                .enumerate()
                .map(|(p, &row)| (row, p))
                .collect(),
            fold,
        }
    }

    fn episode(&self, asked: &Asked) -> Episode {
        let supports: Vec<usize> = asked
            .supports
            .iter()
            .map(|row| self.position[row])
            .collect();
        let brand = self
            .fold
            .brands
            .iter()
            .position(|b| b.positions().contains(&supports[0]))
            .unwrap();
        let range = self.fold.brands[brand].positions();
        let queries = asked.queries.iter().map(|row| self.position[row]);
        Episode {
            brand,
            supports,
            queries: queries
                .map(|position| Query {
                    position,
                    positive: range.contains(&position),
                })
                .collect(),
        }
    }
}

fn assert_close(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{what}: {found}, expected {expected}"
    );
}

#[test]
fn thresholds_and_their_curves_agree_with_scikit_learn() {
    let fixture = Fixture::read();
    for round in &fixture.golden.rounds {
        let episodes: Vec<Episode> = round
            .tuning
            .iter()
            .map(|asked| fixture.episode(asked))
            .collect();
        let chosen =
            threshold::choose(&score::score(&fixture.vectors, &episodes), Candidates::Grid);
        assert_eq!(chosen.tau, round.tau);
        assert_eq!(chosen.f1.len(), round.f1_curve.len());
        for (found, expected) in chosen.f1.iter().zip(&round.f1_curve) {
            assert_close("pooled F1", *found, *expected);
        }
    }
}

#[test]
fn every_episode_agrees_with_numpy_and_scikit_learn() {
    let fixture = Fixture::read();
    for round in &fixture.golden.rounds {
        let episodes: Vec<Episode> = round
            .episodes
            .iter()
            .map(|e| fixture.episode(&e.asked))
            .collect();
        let scores = score::score(&fixture.vectors, &episodes);
        let rows = score::judge(
            Region::Image,
            "paper",
            round.shots,
            round.tau,
            &fixture.fold,
            &episodes,
            &scores,
        );
        assert_eq!(rows.len(), 25);
        for ((row, scores), expected) in rows.iter().zip(&scores).zip(&round.episodes) {
            assert_eq!(row.brand, expected.brand);
            for (found, expected) in scores.distances.iter().zip(&expected.distances) {
                assert_close("distance", *found, *expected);
            }
            assert_close("accuracy", row.accuracy, expected.accuracy);
            assert_close("precision", row.precision, expected.precision);
            assert_close("recall", row.recall, expected.recall);
            assert_close("f1", row.f1, expected.f1);
            assert_close("r_at_95p", row.r_at_95p, expected.r_at_95p);
            assert_close("map", row.map, expected.map);
        }
        let histogram = score::histogram(Region::Image, round.shots, &scores);
        assert_eq!(histogram.positives, round.positives);
        assert_eq!(histogram.negatives, round.negatives);
    }
}

#[test]
fn both_ratios_agree_with_numpy() {
    let fixture = Fixture::read();
    let scatter = Scatter::new(&fixture.fold, &fixture.vectors);
    let ones = vec![1; fixture.fold.brands.len()];
    assert_close(
        "trace_ratio",
        scatter.trace_ratio(&ones).unwrap(),
        fixture.golden.trace_ratio,
    );
    assert_close(
        "distance_ratio",
        scatter.distance_ratio(&ones).unwrap(),
        fixture.golden.distance_ratio,
    );
}

#[test]
fn every_query_of_a_retrieval_agrees_with_scikit_learn_and_brute_force() {
    let fixture = Fixture::read();
    let all: Vec<usize> = (0..fixture.fold.len()).collect();
    let found = rank(&Search {
        vectors: &fixture.vectors,
        brands: &fixture.fold.brand_of_position(),
        images: &fixture.fold.images,
        queries: &all,
        gallery: &all,
    });
    assert_eq!(fixture.golden.retrieval.len(), all.len());
    for query in &fixture.golden.retrieval {
        let ranks = &found[fixture.position[&query.row]].ranks;
        assert_close("map", ranking::average_precision(ranks), query.map);
        assert_close(
            "map_at_r",
            ranking::average_precision_at_r(ranks),
            query.map_at_r,
        );
        assert_close(
            "r_precision",
            ranking::r_precision(ranks),
            query.r_precision,
        );
        assert_close(
            "recall_at_1",
            ranking::recall_at(1, ranks),
            query.recall_at_1,
        );
        assert_close(
            "recall_at_5",
            ranking::recall_at(5, ranks),
            query.recall_at_5,
        );
    }
}

#[test]
fn detection_and_identification_agree_with_scikit_learn_under_any_weights() {
    let golden = Fixture::read().golden.open_set;
    let probes = (0..golden.score.len()).map(|i| Probe {
        score: golden.score[i],
        brand: golden.brand[i],
        known: golden.known[i],
        named: golden.named[i],
    });
    let draw = Draw::new(probes.collect());
    assert_eq!(golden.cases.len(), 3);
    for case in &golden.cases {
        let found = draw.curve(&case.weights).unwrap();
        assert_eq!(case.values.len(), found.len());
        for (metric, found) in roc::METRICS.iter().zip(found) {
            assert_close(metric, found, case.values[*metric]);
        }
    }
}
