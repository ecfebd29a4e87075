//! How good embeddings are on brands never trained on: the paper's few-shot test, with intervals and floors.
//!
//! [`evaluate`] takes embeddings from any tool and knows no network. The protocol:
//!
//! - Embeddings are L2-normalised. Episodes ([`episode`]) are drawn from the seed and the rows alone.
//! - Protocol `paper`: the threshold τ is chosen on validation brands. `paper_oracle`: on the test brands, by a stream
//!   of episodes of its own, as the paper's authors did: a leak, reported because their numbers have it.
//! - Every value is a mean over episodes (the two ratios: over all test embeddings) with a 95 % percentile
//!   bootstrap over brands ([`bootstrap`]).

pub mod bootstrap;
pub mod command;
pub mod embeddings;
pub mod episode;
mod example;
pub mod floors;
pub mod metrics;
pub mod ranking;
pub mod roster;
pub mod scatter;
pub mod score;
pub mod similarity;
pub mod table;
pub mod threshold;
pub mod write;

use anyhow::{Context, Result, ensure};
use logodex_schemas::evaluation::{
    EpisodeRow, Evaluation, EvaluationRow, SimilarityHistogram, Threshold, ThresholdKind, TooFew,
    evaluation_header,
};

pub use bootstrap::paired_difference;
pub use embeddings::EmbeddingSet;
pub use table::table;
pub use write::{Picture, write_outcome};

use bootstrap::{ByBrand, Interval, RESAMPLES, Resamples};
use episode::{Episode, EpisodePlan};
use metrics::Metric;
use roster::{Roster, UnitVectors};
use scatter::Scatter;

/// The protocol whose threshold comes from validation brands.
pub const PAPER: &str = "paper";
/// The protocol whose threshold comes from the test brands.
pub const PAPER_ORACLE: &str = "paper_oracle";
/// How the few-shot test is run. The defaults are the paper's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Seed of episodes, resamples and the random floor.
    pub seed: u64,
    /// Episodes per number of shots.
    pub test_episodes: u32,
    /// Episodes over which a threshold is chosen.
    pub val_episodes: u32,
    /// Queries per episode.
    pub queries: u32,
    /// Positive queries are uniform on 1 to this number.
    pub max_positives: u32,
    /// The numbers of supports K.
    pub shots: Vec<u32>,
    /// Bootstrap resamples.
    pub resamples: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 42,
            test_episodes: 1000,
            val_episodes: 500,
            queries: 50,
            max_positives: 5,
            shots: vec![1, 5],
            resamples: RESAMPLES,
        }
    }
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// `evaluation.json`; `manifest_blake3`, `split` and `split_blake3` are left empty for the caller.
    pub evaluation: Evaluation,
    /// `episodes.csv`: every episode of the model under each protocol that has a threshold.
    pub episodes: Vec<EpisodeRow>,
    /// What was left out and why, for a person.
    pub notices: Vec<String>,
}

/// One number of shots: the episodes that every model answers.
struct Round {
    shots: u32,
    test: Vec<Episode>,
    oracle: Vec<Episode>,
    /// None without validation embeddings, or when no validation brand has enough pictures.
    val: Option<Vec<Episode>>,
    by_brand: ByBrand,
    resamples: Resamples,
}

/// What a model (or the random floor) scored.
struct Judged {
    rows: Vec<EvaluationRow>,
    episodes: Vec<EpisodeRow>,
    thresholds: Vec<Threshold>,
    histograms: Vec<SimilarityHistogram>,
}

/// Judges the embeddings `test` of a model under the name `model`.
///
/// `val` gives the transferred threshold; without it the four metrics that need one are left out of protocol `paper`
/// and a notice says so. `image_of_row` numbers the source image of a row: rows of one picture never meet as
/// support and query. The order of rows within the sets and the number of threads change nothing.
///
/// # Errors
/// Settings out of range, fewer than two test brands, a brand in both sets, or no test brand with K + 1 pictures for
/// any K.
pub fn evaluate(
    model: &str,
    test: &EmbeddingSet,
    val: Option<&EmbeddingSet>,
    image_of_row: &dyn Fn(i64) -> i64,
    brand_name: &dyn Fn(i64) -> String,
    settings: &Settings,
) -> Result<Outcome> {
    check(settings)?;
    let mut notices = Vec::new();
    test.check().context("test embeddings")?;
    let roster = Roster::new(test, image_of_row).context("test embeddings")?;
    let name = |brand: usize| brand_name(i64::from(roster.brands[brand].index));
    let val_roster = match val {
        Some(val) => {
            val.check().context("validation embeddings")?;
            ensure!(
                val.dim == test.dim,
                "validation embeddings have {} values, test embeddings {}",
                val.dim,
                test.dim
            );
            if let Some(brand) = val.brand.iter().find(|b| test.brand.contains(b)) {
                anyhow::bail!(
                    "brand {:?} is in both the validation and the test embeddings: a threshold chosen on it would leak",
                    brand_name(*brand)
                );
            }
            match Roster::new(val, image_of_row) {
                Ok(roster) => Some(roster),
                Err(reason) => {
                    notices.push(format!("validation embeddings are not used: {reason}"));
                    None
                }
            }
        }
        None => None,
    };

    let mut rounds = Vec::new();
    let mut too_few = Vec::new();
    for &shots in &settings.shots {
        let eligible = episode::eligible(&roster, shots);
        let others = (0..roster.brands.len()).filter(|b| !eligible.contains(b));
        too_few.push(TooFew {
            shots,
            brands: others.map(name).collect(),
        });
        match draw_round(settings, shots, &roster, val_roster.as_ref()) {
            Some(round) => {
                if round.val.is_none() {
                    notices.push(format!(
                        "{shots}-shot: {}; accuracy, precision, recall and f1 are given under `{PAPER_ORACLE}` only, with a threshold chosen on the test brands",
                        match val_roster {
                            None => "there are no validation embeddings to choose a threshold on".to_owned(),
                            Some(_) => format!("no validation brand has the {} pictures it takes", shots + 1),
                        }
                    ));
                }
                rounds.push(round);
            }
            None => notices.push(format!(
                "{shots}-shot: left out, as no test brand has the {} pictures it takes",
                shots + 1
            )),
        }
    }
    ensure!(
        !rounds.is_empty(),
        "no test brand has enough pictures for an episode: K supports take K + 1 pictures, and K is {:?}",
        settings.shots
    );

    let vectors = roster.unit_vectors(test);
    let val_vectors = val
        .zip(val_roster.as_ref())
        .map(|(val, roster)| roster.unit_vectors(val));
    let judged = judge(
        model,
        settings,
        &roster,
        &vectors,
        val_vectors.as_ref(),
        &rounds,
    );
    for metric in ["trace_ratio", "distance_ratio"] {
        if !judged.rows.iter().any(|row| row.metric == metric) {
            notices.push(format!(
                "{metric} is left out: embeddings do not differ within brands, so that it is not defined"
            ));
        }
    }
    let random = floors::random_vectors(settings.seed, &roster);
    let random_val = val_roster
        .as_ref()
        .map(|val| floors::random_vectors(settings.seed, val));
    let floor = judge(
        floors::RANDOM,
        settings,
        &roster,
        &random,
        random_val.as_ref(),
        &rounds,
    );
    let mut rows = judged.rows;
    rows.extend(floor.rows);
    for round in &rounds {
        rows.extend(floors::reject_all(round));
    }

    let examples = example::examples(&roster, &vectors, &rounds, &judged.thresholds, &name);
    let evaluation = Evaluation {
        header: evaluation_header(),
        model: model.to_owned(),
        manifest_blake3: String::new(),
        split: String::new(),
        split_blake3: String::new(),
        seed: settings.seed,
        episodes: settings.test_episodes,
        embedding_dim: u32::try_from(test.dim)?,
        test_brands: roster.brands.len() as u64,
        test_rows: roster.len() as u64,
        too_few,
        rows,
        thresholds: judged.thresholds,
        histograms: judged.histograms,
        examples,
    };
    Ok(Outcome {
        evaluation,
        episodes: judged.episodes,
        notices,
    })
}

fn check(settings: &Settings) -> Result<()> {
    let positive = [
        ("test episodes", settings.test_episodes),
        ("validation episodes", settings.val_episodes),
        ("positives", settings.max_positives),
        ("resamples", settings.resamples),
    ];
    for (what, number) in positive {
        ensure!(number > 0, "the number of {what} must be at least 1");
    }
    ensure!(
        settings.queries > settings.max_positives,
        "{} queries leave no room for a negative beside {} positives",
        settings.queries,
        settings.max_positives
    );
    ensure!(
        !settings.shots.is_empty() && settings.shots.iter().all(|&shots| shots > 0),
        "the numbers of shots must be at least 1, not {:?}",
        settings.shots
    );
    Ok(())
}

/// None when no test brand has enough pictures.
fn draw_round(
    settings: &Settings,
    shots: u32,
    test: &Roster,
    val: Option<&Roster>,
) -> Option<Round> {
    let draw = |roster: &Roster, name: &'static str, episodes: u32| {
        let plan = EpisodePlan {
            seed: settings.seed,
            name,
            shots,
            episodes,
            queries: settings.queries,
            max_positives: settings.max_positives,
        };
        Some(episode::draw(roster, &plan)).filter(|episodes| !episodes.is_empty())
    };
    let episodes = draw(test, "test episodes", settings.test_episodes)?;
    let brands: Vec<u32> = episodes
        .iter()
        .map(|e| test.brands[e.brand].index)
        .collect();
    let by_brand = ByBrand::new(&brands);
    Some(Round {
        shots,
        oracle: draw(test, "oracle episodes", settings.val_episodes)?,
        val: val.and_then(|val| draw(val, "val episodes", settings.val_episodes)),
        resamples: Resamples::draw(settings.seed, by_brand.brands(), settings.resamples),
        by_brand,
        test: episodes,
    })
}

/// Runs every round for one set of vectors.
fn judge(
    model: &str,
    settings: &Settings,
    roster: &Roster,
    vectors: &UnitVectors,
    val_vectors: Option<&UnitVectors>,
    rounds: &[Round],
) -> Judged {
    let scatter = Scatter::new(roster, vectors);
    let all_brands = Resamples::draw(settings.seed, scatter.brands(), settings.resamples);
    let ratios = [
        (
            "trace_ratio",
            all_brands.interval(|w| scatter.trace_ratio(w)),
        ),
        (
            "distance_ratio",
            all_brands.interval(|w| scatter.distance_ratio(w)),
        ),
    ];
    let mut judged = Judged {
        rows: vec![],
        episodes: vec![],
        thresholds: vec![],
        histograms: vec![],
    };
    for round in rounds {
        let shots = round.shots;
        let scores = score::score(vectors, &round.test);
        let transferred = val_vectors
            .zip(round.val.as_ref())
            .map(|(vectors, episodes)| threshold::choose(&score::score(vectors, episodes)));
        let oracle = threshold::choose(&score::score(vectors, &round.oracle));

        let by_protocol = [
            (PAPER, ThresholdKind::Transferred, transferred),
            (PAPER_ORACLE, ThresholdKind::Oracle, Some(oracle)),
        ];
        for (protocol, kind, chosen) in by_protocol {
            let push = |rows: &mut Vec<_>, metric: &str, value: Option<Interval>| {
                rows.extend(
                    value.map(|value| evaluation_row(model, protocol, shots, metric, value)),
                );
            };
            // Ranks need no threshold: any serves where there is none.
            let tau = chosen.as_ref().map_or(0.0, |chosen| chosen.tau);
            let episodes = score::judge(protocol, shots, tau, roster, &round.test, &scores);
            let mean = |metric: Metric| {
                let values: Vec<f64> = episodes.iter().map(|e| metric.of(e)).collect();
                round.by_brand.mean(&values, &round.resamples)
            };
            if chosen.is_some() {
                for metric in Metric::THRESHOLDED {
                    push(&mut judged.rows, metric.name(), mean(metric));
                }
            }
            if protocol == PAPER {
                for metric in Metric::RANKED {
                    push(&mut judged.rows, metric.name(), mean(metric));
                }
                for (metric, value) in ratios {
                    push(&mut judged.rows, metric, value);
                }
            }
            if let Some(chosen) = chosen {
                judged.episodes.extend(episodes);
                judged.thresholds.push(Threshold {
                    shots,
                    kind,
                    tau: chosen.tau,
                    f1: chosen.f1,
                });
            }
        }
        judged.histograms.push(score::histogram(shots, &scores));
    }
    judged
}

fn evaluation_row(
    model: &str,
    protocol: &str,
    shots: u32,
    metric: &str,
    value: Interval,
) -> EvaluationRow {
    EvaluationRow {
        model: model.to_owned(),
        protocol: protocol.to_owned(),
        shots,
        metric: metric.to_owned(),
        mean: value.mean,
        ci_low: value.low,
        ci_high: value.high,
    }
}
