//! How good embeddings are on brands never trained on, so that nobody is fooled: several protocols, intervals, floors.
//!
//! [`evaluate`] takes embeddings from any tool and knows no network.
//!
//! - Embeddings are L2-normalised. What is asked ([`paper`], [`n_way`], [`retrieval`], [`open_set`]) is drawn from the
//!   seed and the rows alone, the same for every model, and listed in files.
//! - Thresholds are chosen on validation brands under the same protocol. The oracle's, from the test brands, as the
//!   paper's authors chose theirs, stands beside them under its own name: a leak.
//! - Every value has a 95 % interval by bootstrap over brands ([`bootstrap`]), and its value in every resample is kept,
//!   so that any two models can be compared pairwise ([`difference`]).
//! - The floors ([`floors`]) answer the same questions.

pub mod bootstrap;
mod confusion;
pub mod difference;
pub mod embeddings;
pub mod episode;
pub mod floors;
pub mod map;
pub mod matching;
pub mod metrics;
pub mod n_way;
pub mod npy;
pub mod open_set;
pub mod paper;
pub mod plan;
pub mod ranking;
pub mod retrieval;
pub mod roc;
pub mod roster;
pub mod scatter;
pub mod score;
mod shown;
pub mod similarity;
pub mod slices;
pub mod table;
pub mod tally;
pub mod threshold;
pub mod tsne;
pub mod write;

use anyhow::{Context, Result, ensure};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    ConfusionRow, CurveRow, EpisodeRow, Evaluation, JudgedRegion, RetrievalRow, evaluation_header,
};

pub use difference::paired_difference;
pub use embeddings::EmbeddingSet;
pub use paper::{PAPER, PAPER_ORACLE};
pub use table::table;
pub use write::{Picture, write_outcome};

use bootstrap::RESAMPLES;
use map::Mapped;
use plan::{Judged, Plan, Rosters};
use roster::{Roster, UnitVectors};
use slices::Logo;
use tally::Bootstrap;

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Protocol {
    /// The paper's few-shot test by Euclidean distance.
    Paper,
    /// The same by cosine similarity.
    PaperCosine,
    /// The nearest of N prototypes.
    NWayKShot,
    /// Every picture asks for the others of its brand.
    Retrieval,
    /// Half of the brands enrolled, the rest strangers.
    OpenSet,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Paper,
        Self::PaperCosine,
        Self::NWayKShot,
        Self::Retrieval,
        Self::OpenSet,
    ];
}

/// How the tests are run. The defaults are the paper's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// What to ask.
    pub protocols: Vec<Protocol>,
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// Test episodes per number of shots, under `paper`.
    pub test_episodes: u32,
    /// Episodes over which a threshold is chosen, under `paper`.
    pub val_episodes: u32,
    /// Queries per episode, under `paper`.
    pub queries: u32,
    /// Positive queries are uniform on 1 to this number, under `paper`.
    pub max_positives: u32,
    /// The numbers of supports K, under `paper` and `open_set`.
    pub shots: Vec<u32>,
    /// Bootstrap resamples.
    pub resamples: u32,
    /// The brands of the map.
    pub mapped: Mapped,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 42,
            protocols: Protocol::ALL.to_vec(),
            region: Region::Image,
            test_episodes: 1000,
            val_episodes: 500,
            queries: 50,
            max_positives: 5,
            shots: vec![1, 5],
            resamples: RESAMPLES,
            mapped: Mapped::Drawn,
        }
    }
}

/// What the dataset knows of rows and brands.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Number of the source image of a row: rows of one picture never meet as support and query.
    pub image_of_row: &'a dyn Fn(i64) -> i64,
    /// Name of a brand.
    pub brand_name: &'a dyn Fn(i64) -> String,
    /// Category of a brand; empty where there is none.
    pub category: &'a dyn Fn(i64) -> String,
    /// The logo of a row, where the dataset lists them.
    pub logo: Option<&'a dyn Fn(i64) -> Logo>,
}

/// The embeddings of one model.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Test rows.
    pub test: &'a EmbeddingSet,
    /// Validation rows, on which thresholds are chosen.
    pub val: Option<&'a EmbeddingSet>,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// `evaluation.json`; `manifest_blake3`, `split` and `split_blake3` are left empty for the caller.
    pub evaluation: Evaluation,
    /// `episodes.csv`: every episode of the model under each protocol that has a threshold.
    pub episodes: Vec<EpisodeRow>,
    /// `retrieval.csv`.
    pub retrieval: Vec<RetrievalRow>,
    /// `confusion.csv`.
    pub confusion: Vec<ConfusionRow>,
    /// `curves.csv`: the model's, then those of the floors that have embeddings of their own.
    pub curves: Vec<CurveRow>,
    /// `bootstrap.safetensors`: the value in every resample of each of the model's lines of `evaluation.csv`.
    pub replicates: Vec<Vec<f32>>,
    /// What was asked, as files.
    pub lists: Vec<(String, Vec<u8>)>,
    /// What was left out and why, for a person.
    pub notices: Vec<String>,
}

/// Judges a model on one region, and beside it the floors: random embeddings, rejecting everything, and `other_floors`
/// (embeddings of the same rows that any model should beat).
///
/// Without validation embeddings the metrics that need a threshold are given under `paper_oracle` alone, and a notice
/// says so. The order of rows within the sets and the number of threads change nothing.
///
/// # Errors
/// Settings out of range, fewer than two test brands, a brand in both sets, a brand of the map without rows, floors over
/// other rows, or no protocol for which any test brand has enough pictures.
pub fn evaluate(
    model: Subject,
    other_floors: &[Subject],
    facts: &Facts,
    settings: &Settings,
) -> Result<Outcome> {
    check(settings)?;
    let mut notices = Vec::new();
    let rosters = rosters(&model, facts, &mut notices)?;
    let plan = Plan::draw(settings, &rosters, facts, &mut notices)?;
    let (seed, mapped) = (settings.seed, &settings.mapped);
    let mapped = map::rows(seed, &rosters.test, mapped, facts.brand_name)?;
    if mapped.is_none() && settings.mapped != Mapped::Nobody {
        notices.push(map::TOO_FEW.to_owned());
    }
    let bootstrap = Bootstrap::new(settings.seed, settings.resamples);

    let (vectors, val_vectors) = rosters.vectors(&model);
    let judged = plan.judge(
        model.name,
        &bootstrap,
        &rosters,
        (&vectors, val_vectors.as_ref()),
    );
    if settings.protocols.contains(&Protocol::Paper) {
        for metric in ["trace_ratio", "distance_ratio"] {
            if !judged.rows.iter().any(|row| row.metric == metric) {
                notices.push(format!(
                    "{metric} is left out: embeddings do not differ within brands, so that it is not defined"
                ));
            }
        }
    }
    let mut rows = judged.rows.clone();
    let mut curves = judged.curves.clone();
    rows.extend(plan.random_floor(&bootstrap, &rosters));
    rows.extend(plan.reject_all(&bootstrap, &rosters));
    for floor in other_floors {
        let same = floor.test.brand.len() == model.test.brand.len()
            && Roster::new(floor.test, facts.image_of_row)?.rows == rosters.test.rows;
        ensure!(same, "floor {}: it is over other rows", floor.name);
        let own = self::rosters(floor, facts, &mut Vec::new())?;
        let (vectors, val_vectors) = own.vectors(floor);
        let judged = plan.judge(
            floor.name,
            &bootstrap,
            &own,
            (&vectors, val_vectors.as_ref()),
        );
        rows.extend(judged.rows);
        curves.extend(judged.curves);
    }

    let name = |brand: usize| (facts.brand_name)(i64::from(rosters.test.brands[brand].index));
    let examples = shown::examples(
        &rosters.test,
        &vectors,
        &plan.paper,
        &judged.answers.thresholds,
        &name,
    );
    let Judged {
        answers,
        open_set_thresholds,
        found,
        replicates,
        ..
    } = judged;
    let (region, test) = (settings.region, &rosters.test);
    let (mut retrieval, mut retrievals) = (vec![], vec![]);
    let (mut confusion, mut confusions) = (vec![], vec![]);
    if let Some(plan) = plan.retrieval() {
        retrieval = retrieval::lines(region, test, plan, &found);
        retrievals = shown::retrievals(settings.seed, test, plan, &found, &name);
        let cells = confusion::count(test, plan, &found);
        confusion = confusion::lines(region, test, &cells, &name);
        confusions = confusion::pairs(test, &cells, &name);
    }
    let map = mapped.map(|positions| map::map(test, &vectors, &positions, &name));
    let evaluation = Evaluation {
        header: evaluation_header(),
        model: model.name.to_owned(),
        manifest_blake3: String::new(),
        split: String::new(),
        split_blake3: String::new(),
        seed: settings.seed,
        episodes: settings.test_episodes,
        embedding_dim: u32::try_from(model.test.dim)?,
        test_brands: rosters.test.brands.len() as u64,
        test_rows: rosters.test.len() as u64,
        regions: vec![JudgedRegion {
            region: settings.region,
            test_brands: rosters.test.brands.len() as u64,
            test_rows: rosters.test.len() as u64,
            val_brands: rosters.val.as_ref().map_or(0, |val| val.brands.len()) as u64,
            val_rows: rosters.val.as_ref().map_or(0, Roster::len) as u64,
        }],
        too_few: plan.too_few(&rosters, &name),
        rows,
        thresholds: answers.thresholds,
        open_set_thresholds,
        histograms: answers.histograms,
        examples,
        retrievals,
        confusions,
        map,
    };
    Ok(Outcome {
        evaluation,
        episodes: answers.episodes,
        retrieval,
        confusion,
        curves,
        replicates,
        lists: plan.lists(&rosters),
        notices,
    })
}

impl Outcome {
    /// Puts another region of the same model behind this one: lines, lists and curves. Pictures stay this one's.
    pub fn append(&mut self, other: Self) {
        let (into, from) = (&mut self.evaluation, other.evaluation);
        let is_model = |row: &logodex_schemas::evaluation::EvaluationRow| row.model == from.model;
        // The model's own lines stay together, in the order of the replicates.
        let (own, floors): (Vec<_>, Vec<_>) = from.rows.into_iter().partition(is_model);
        let at = into
            .rows
            .iter()
            .take_while(|row| row.model == from.model)
            .count();
        into.rows.splice(at..at, own);
        into.rows.extend(floors);
        into.regions.extend(from.regions);
        into.too_few.extend(from.too_few);
        into.thresholds.extend(from.thresholds);
        into.open_set_thresholds.extend(from.open_set_thresholds);
        into.histograms.extend(from.histograms);
        self.episodes.extend(other.episodes);
        self.retrieval.extend(other.retrieval);
        self.confusion.extend(other.confusion);
        self.curves.extend(other.curves);
        self.replicates.extend(other.replicates);
        self.lists.extend(other.lists);
        for notice in other.notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }
}

/// `image` or `object`.
pub fn region_name(region: Region) -> &'static str {
    match region {
        Region::Image => "image",
        Region::Object => "object",
        Region::Both => "both",
    }
}

/// Checks the embeddings and puts their rows in order.
fn rosters(model: &Subject, facts: &Facts, notices: &mut Vec<String>) -> Result<Rosters> {
    let (test, image_of_row) = (model.test, facts.image_of_row);
    test.check().context("test embeddings")?;
    let roster = Roster::new(test, image_of_row).context("test embeddings")?;
    let mut val_roster = None;
    if let Some(val) = model.val {
        val.check().context("validation embeddings")?;
        ensure!(
            val.dim == test.dim,
            "validation embeddings have {} values, test embeddings {}",
            val.dim,
            test.dim
        );
        let test_brands: std::collections::HashSet<i64> = test.brand.iter().copied().collect();
        if let Some(brand) = val.brand.iter().find(|b| test_brands.contains(b)) {
            anyhow::bail!(
                "brand {:?} is in both the validation and the test embeddings: a threshold chosen on it would leak",
                (facts.brand_name)(*brand)
            );
        }
        match Roster::new(val, image_of_row) {
            Ok(roster) => val_roster = Some(roster),
            Err(reason) => notices.push(format!("validation embeddings are not used: {reason}")),
        }
    }
    Ok(Rosters {
        test: roster,
        val: val_roster,
    })
}

impl Rosters {
    /// The L2-normalised vectors of the sets that these were made from.
    fn vectors(&self, model: &Subject) -> (UnitVectors, Option<UnitVectors>) {
        let val = model.val.zip(self.val.as_ref());
        (
            self.test.unit_vectors(model.test),
            val.map(|(val, roster)| roster.unit_vectors(val)),
        )
    }
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
    ensure!(!settings.protocols.is_empty(), "no protocol was asked for");
    Ok(())
}
