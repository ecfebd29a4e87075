//! The paper's few-shot test: a support brand, 50 queries, a threshold. Once by Euclidean distance, as its numbers were
//! made, and once by cosine similarity, as its text says.

use std::collections::BTreeMap;

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    CurveRow, EpisodeRow, SimilarityHistogram, Threshold, ThresholdKind,
};

use crate::embeddings::fold_index::FoldIndex;
use crate::intervals::bootstrap::ByBrand;
use crate::intervals::tally::{Asked, MIN_BRANDS, Tally};
use crate::metrics::per_episode::Metric;
use crate::metrics::scatter::Scatter;
use crate::protocols::episode::{self, Episode, EpisodeSettings};
use crate::protocols::score::{self, Scores};
use crate::protocols::slices::Slice;
use crate::protocols::threshold::{self, Candidates};
use crate::settings::Settings;
use logodex_embeddings::unit_vectors::UnitVectors;

/// The protocol whose threshold comes from validation brands.
pub const PAPER: &str = "paper";
/// The protocol whose threshold comes from the test brands.
pub const PAPER_ORACLE: &str = "paper_oracle";
/// [`PAPER`] by 1 − cosine similarity. Its ranks are those of [`PAPER`] but for rounding: an episode's distances and
/// similarities have one order.
pub const PAPER_COSINE: &str = "paper_cosine";
/// [`PAPER_ORACLE`] by 1 − cosine similarity.
pub const PAPER_COSINE_ORACLE: &str = "paper_cosine_oracle";

/// One number of shots: the episodes that every model answers.
#[derive(Debug)]
pub struct Round {
    /// K.
    pub shots: u32,
    /// The episodes that are reported.
    pub test: Vec<Episode>,
    /// Episodes of test brands over which the oracle's threshold is chosen.
    pub oracle: Vec<Episode>,
    /// Episodes of validation brands. None without validation embeddings, or when no brand has enough pictures.
    pub val: Option<Vec<Episode>>,
    /// The test episodes by support brand.
    pub by_brand: ByBrand,
}

/// What a model leaves besides its lines.
#[derive(Debug, Default)]
pub struct Answers {
    /// Lines of `episodes.csv`.
    pub episodes: Vec<EpisodeRow>,
    /// Chosen thresholds.
    pub thresholds: Vec<Threshold>,
    /// Similarities of queries to prototypes.
    pub histograms: Vec<SimilarityHistogram>,
    /// Precision over recall.
    pub curves: Vec<CurveRow>,
}

/// Draws the episodes of one K; none when no test brand has enough pictures.
pub fn draw_round(
    settings: &Settings,
    shots: u32,
    test: &FoldIndex,
    val: Option<&FoldIndex>,
) -> Option<Round> {
    let draw = |fold: &FoldIndex, name: &'static str, episodes: u32| {
        let how = EpisodeSettings {
            seed: settings.seed,
            name,
            shots,
            episodes,
            queries: settings.queries,
            max_positives: settings.max_positives,
        };
        Some(episode::draw(fold, &how)).filter(|episodes| !episodes.is_empty())
    };
    let episodes = draw(test, "test episodes", settings.test_episodes)?;
    let brands: Vec<u32> = episodes
        .iter()
        .map(|e| test.brands[e.brand].index)
        .collect();
    Some(Round {
        shots,
        oracle: draw(test, "oracle episodes", settings.val_episodes)?,
        val: val.and_then(|val| draw(val, "val episodes", settings.val_episodes)),
        by_brand: ByBrand::new(&brands),
        test: episodes,
    })
}

/// Runs every round for one set of vectors. `cosine` adds [`PAPER_COSINE`].
pub fn judge(
    tally: &mut Tally,
    (fold, vectors): (&FoldIndex, &UnitVectors),
    val_vectors: Option<&UnitVectors>,
    rounds: &[Round],
    slices: &[Slice],
    cosine: bool,
) -> Answers {
    let scatter = Scatter::new(fold, vectors);
    let all_brands = tally.bootstrap.of(scatter.brands());
    let trace = all_brands.estimate(|w| scatter.trace_ratio(w));
    let distance = all_brands.estimate(|w| scatter.distance_ratio(w));
    let mut answers = Answers::default();
    for round in rounds {
        let scores = Sets {
            test: score::score(vectors, &round.test),
            oracle: score::score(vectors, &round.oracle),
            val: val_vectors
                .zip(round.val.as_ref())
                .map(|(vectors, episodes)| score::score(vectors, episodes)),
        };
        let histogram = score::histogram(tally.region, round.shots, &scores.test);
        answers.histograms.push(histogram);
        answers
            .curves
            .extend(precision_recall(tally, round.shots, &scores.test));
        let names = [
            (PAPER, ThresholdKind::Transferred),
            (PAPER_ORACLE, ThresholdKind::Oracle),
        ];
        judge_round(tally, fold, round, &scores, names, slices, &mut answers);
        let asked = Asked::all(PAPER, round.shots);
        tally.push(asked, "trace_ratio", trace.clone());
        tally.push(asked, "distance_ratio", distance.clone());
        if cosine {
            let names = [
                (PAPER_COSINE, ThresholdKind::Transferred),
                (PAPER_COSINE_ORACLE, ThresholdKind::Oracle),
            ];
            let scores = scores.by_cosine();
            judge_round(tally, fold, round, &scores, names, slices, &mut answers);
        }
    }
    answers
}

/// The scores of a round's three sets of episodes.
struct Sets {
    test: Vec<Scores>,
    oracle: Vec<Scores>,
    val: Option<Vec<Scores>>,
}

impl Sets {
    fn by_cosine(&self) -> Self {
        let turned = |scores: &Vec<Scores>| scores.iter().map(Scores::by_cosine).collect();
        Self {
            test: turned(&self.test),
            oracle: turned(&self.oracle),
            val: self.val.as_ref().map(turned),
        }
    }
}

/// Judges a round under a protocol with its transferred threshold and with the oracle's.
fn judge_round(
    tally: &mut Tally,
    fold: &FoldIndex,
    round: &Round,
    scores: &Sets,
    names: [(&str, ThresholdKind); 2],
    slices: &[Slice],
    answers: &mut Answers,
) {
    let (region, shots) = (tally.region, round.shots);
    let candidates = match names[0].0 {
        PAPER => Candidates::Grid,
        _ => Candidates::Distances,
    };
    for (protocol, kind) in names {
        let chosen_on = match kind {
            ThresholdKind::Transferred => scores.val.as_deref(),
            ThresholdKind::Oracle => Some(&*scores.oracle),
        };
        let chosen = chosen_on.map(|episodes| threshold::choose(episodes, candidates));
        // Ranks need no threshold: any serves where there is none.
        let tau = chosen.as_ref().map_or(0.0, |chosen| chosen.tau);
        let episodes = score::judge(
            region,
            protocol,
            shots,
            tau,
            fold,
            &round.test,
            &scores.test,
        );
        let mut metrics: Vec<Metric> = Vec::new();
        if chosen.is_some() {
            metrics.extend(Metric::THRESHOLDED);
        }
        if kind == ThresholdKind::Transferred {
            metrics.extend(Metric::RANKED);
        }
        for metric in &metrics {
            let values: Vec<f64> = episodes.iter().map(|e| metric.of(e)).collect();
            tally.mean(
                Asked::all(protocol, shots),
                metric.name(),
                &round.by_brand,
                &values,
            );
        }
        if kind == ThresholdKind::Transferred {
            for slice in slices {
                judge_slice(tally, (protocol, shots), round, &episodes, slice, &metrics);
            }
        }
        if let Some(chosen) = chosen {
            answers.episodes.extend(episodes);
            answers.thresholds.push(Threshold {
                region,
                protocol: names[0].0.to_owned(),
                shots,
                kind,
                tau: chosen.tau,
                f1: chosen.f1,
            });
        }
    }
}

/// The episodes whose support brand is in a slice.
fn judge_slice(
    tally: &mut Tally,
    (protocol, shots): (&str, u32),
    round: &Round,
    episodes: &[EpisodeRow],
    slice: &Slice,
    metrics: &[Metric],
) {
    // Rows decide the other slices, and an episode is of many rows.
    let Some(in_slice) = &slice.brands else {
        return;
    };
    let kept: Vec<&EpisodeRow> = round
        .test
        .iter()
        .zip(episodes)
        .filter_map(|(episode, row)| in_slice[episode.brand].then_some(row))
        .collect();
    let brands: Vec<u32> = kept.iter().map(|row| row.brand).collect();
    let by_brand = ByBrand::new(&brands);
    if by_brand.brands() < MIN_BRANDS {
        return;
    }
    let asked = Asked {
        slice: &slice.name,
        ..Asked::all(protocol, shots)
    };
    for metric in metrics {
        let values: Vec<f64> = kept.iter().map(|row| metric.of(row)).collect();
        tally.mean(asked, metric.name(), &by_brand, &values);
    }
}

/// Precision over recall of all queries together, at recall 0.01, 0.02, … 1: the precision of the highest threshold
/// that reaches the recall. Equal distances are accepted together.
fn precision_recall(tally: &Tally, shots: u32, episodes: &[Scores]) -> Vec<CurveRow> {
    let mut pooled: Vec<(f64, bool)> = episodes.iter().flat_map(Scores::labelled).collect();
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = pooled.iter().filter(|(_, positive)| *positive).count();
    let mut rows = Vec::new();
    let (mut hits, mut accepted, mut next) = (0usize, 0usize, 1usize);
    for ties in pooled.chunk_by(|a, b| a.0 == b.0) {
        accepted += ties.len();
        hits += ties.iter().filter(|(_, positive)| *positive).count();
        while next <= 100 && hits * 100 >= next * positives && positives > 0 {
            rows.push(CurveRow {
                model: tally.model.to_owned(),
                region: tally.region,
                protocol: PAPER.to_owned(),
                shots,
                curve: "precision_recall".to_owned(),
                x: next as f64 / 100.0,
                y: hits as f64 / accepted as f64,
            });
            next += 1;
        }
    }
    rows
}

/// `episodes/<region>/paper_<K>.csv`: a line per episode, the queries in the order in which they are asked. A query is a
/// positive where its brand is the support brand.
pub fn list(
    region: Region,
    test: &FoldIndex,
    val: Option<&FoldIndex>,
    round: &Round,
) -> (String, Vec<u8>) {
    let mut text = String::from("used_for,episode,brand,supports,queries\n");
    let sets: BTreeMap<&str, (&FoldIndex, &Vec<Episode>)> = [
        ("test", Some((test, &round.test))),
        ("oracle_threshold", Some((test, &round.oracle))),
        ("val_threshold", val.zip(round.val.as_ref())),
    ]
    .into_iter()
    .filter_map(|(name, set)| Some((name, set?)))
    .collect();
    for (used_for, (fold, episodes)) in sets {
        for (number, episode) in episodes.iter().enumerate() {
            text += &format!(
                "{used_for},{number},{},{},{}\n",
                fold.brands[episode.brand].index,
                episode::rows_text(fold, episode.supports.iter().copied()),
                episode::rows_text(fold, episode.queries.iter().map(|q| q.position)),
            );
        }
    }
    let name = crate::settings::region_name(region);
    (
        format!("episodes/{name}/{PAPER}_{}.csv", round.shots),
        text.into_bytes(),
    )
}
