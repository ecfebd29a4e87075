//! Judges embeddings on brands never trained on, so that nobody is fooled: several protocols, intervals, floors.
//!
//! [`evaluate`] takes embeddings from any tool and knows no network.
//!
//! - Embeddings are L2-normalised. What is asked ([`questions`](crate::protocols::questions)) is drawn from the seed and
//!   the rows alone, the same for every model, and listed in files.
//! - Thresholds are chosen on validation brands under the same protocol. The oracle's, from the test brands, as the
//!   paper's authors chose theirs, stands beside them under its own name: a leak.
//! - Every value has a 95 % interval by bootstrap over brands ([`bootstrap`](crate::intervals::bootstrap)), and its value
//!   in every resample is kept, so that any two models can be compared pairwise
//!   ([`difference`](crate::intervals::difference)).
//! - The [`floors`] answer the same questions.

use anyhow::{Context, Result, ensure};
use logodex_schemas::evaluation::{
    ConfusionRow, CurveRow, EpisodeRow, Evaluation, JudgedRegion, RetrievalRow, evaluation_header,
};
use logodex_schemas::run::history::TrainedOn;

use crate::embeddings::collapse::collapse;
use crate::embeddings::fold_index::{FoldIndex, Folds};
use crate::examples::{confusion, retrievals, triples};
use crate::facts::Facts;
use crate::floors;
use crate::intervals::tally::Bootstrap;
use crate::protocols::questions::{Judged, Questions};
use crate::protocols::retrieval;
use crate::settings::{Protocol, Settings, TsneBrands, region_name};
use crate::tsne::view;
use logodex_embeddings::set::EmbeddingSet;

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
    /// `evaluation.json`; `manifest_blake3`, `split`, `split_blake3` and `trained_on` are left empty for the caller.
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
/// ```
/// use logodex_evaluation::embeddings::set::EmbeddingSet;
/// use logodex_evaluation::evaluate::{Subject, evaluate};
/// use logodex_evaluation::facts::Facts;
/// use logodex_evaluation::settings::{Protocol, Settings};
///
/// let test = EmbeddingSet {
///     dim: 2,
///     embeddings: vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.1, 0.9],
///     brand: vec![0, 0, 1, 1],
///     row: vec![0, 1, 2, 3],
/// };
/// let facts = Facts {
///     image_of_row: Box::new(|row| row),
///     brand_name: Box::new(|brand| format!("brand {brand}")),
///     category: Box::new(|_| String::new()),
///     logo: None,
/// };
/// let settings = Settings { protocols: vec![Protocol::Retrieval], ..Settings::default() };
/// let model = Subject { name: "mine", test: &test, val: None };
/// let outcome = evaluate(model, &[], &facts, &settings)?;
/// let row = outcome.evaluation.rows.iter().find(|row| row.metric == "recall_at_1").unwrap();
/// assert_eq!((row.model.as_str(), row.mean), ("mine", 1.0));
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # Errors
/// Settings out of range, fewer than two test brands, a brand in both sets, a brand of the t-SNE view without rows, floors over
/// other rows, or no protocol for which any test brand has enough pictures.
pub fn evaluate(
    model: Subject,
    other_floors: &[Subject],
    facts: &Facts,
    settings: &Settings,
) -> Result<Outcome> {
    settings.check()?;
    let mut notices = Vec::new();
    let folds = folds(&model, facts, &mut notices)?;
    let questions = Questions::draw(settings, &folds, facts, &mut notices)?;
    let (seed, tsne) = (settings.seed, &settings.tsne);
    let tsne_rows = view::rows(seed, &folds.test, tsne, &facts.brand_name)?;
    if tsne_rows.is_none() && settings.tsne != TsneBrands::None {
        notices.push(view::TOO_FEW.to_owned());
    }
    let bootstrap = Bootstrap::new(settings.seed, settings.resamples);

    let (vectors, val_vectors) = folds.vectors(model.test, model.val);
    let mut collapsed = Vec::new();
    if let Some(seen) = collapse(&folds.test, &vectors) {
        collapsed.push(settings.region);
        notices.push(format!(
            "the test embeddings of {} rows have collapsed: {seen}; every number of every protocol is an accident",
            region_name(settings.region)
        ));
    }
    let judged = questions.judge(
        model.name,
        &bootstrap,
        &folds,
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
    rows.extend(floors::random(&questions, &bootstrap, &folds));
    rows.extend(floors::reject_all(&questions, &bootstrap, &folds));
    for floor in other_floors {
        let same = floor.test.brand.len() == model.test.brand.len()
            && FoldIndex::new(floor.test, &facts.image_of_row)?.rows == folds.test.rows;
        ensure!(same, "floor {}: it is over other rows", floor.name);
        let own = self::folds(floor, facts, &mut Vec::new())?;
        let (vectors, val_vectors) = own.vectors(floor.test, floor.val);
        let judged = questions.judge(
            floor.name,
            &bootstrap,
            &own,
            (&vectors, val_vectors.as_ref()),
        );
        rows.extend(judged.rows);
        curves.extend(judged.curves);
    }

    let name = |brand: usize| (facts.brand_name)(i64::from(folds.test.brands[brand].index));
    let examples = triples::triples(
        &folds.test,
        &vectors,
        &questions.paper,
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
    let (region, test) = (settings.region, &folds.test);
    let (mut found_rows, mut shown) = (vec![], vec![]);
    let (mut confusion, mut confusions) = (vec![], vec![]);
    if let Some(set) = questions.retrieval() {
        found_rows = retrieval::lines(region, test, set, &found);
        shown = retrievals::retrievals(settings.seed, test, set, &found, &name);
        let cells = confusion::count(test, set, &found);
        confusion = confusion::lines(region, test, &cells, &name);
        confusions = confusion::pairs(test, &cells, &name);
    }
    let map = tsne_rows.map(|positions| view::map(test, &vectors, &positions, &name));
    let evaluation = Evaluation {
        header: evaluation_header(),
        model: model.name.to_owned(),
        manifest_blake3: String::new(),
        split: String::new(),
        split_blake3: String::new(),
        seed: settings.seed,
        episodes: settings.test_episodes,
        embedding_dim: u32::try_from(model.test.dim)?,
        test_brands: folds.test.brands.len() as u64,
        test_rows: folds.test.len() as u64,
        trained_on: TrainedOn::default(),
        collapsed,
        regions: vec![JudgedRegion {
            region: settings.region,
            test_brands: folds.test.brands.len() as u64,
            test_rows: folds.test.len() as u64,
            val_brands: folds.val.as_ref().map_or(0, |val| val.brands.len()) as u64,
            val_rows: folds.val.as_ref().map_or(0, FoldIndex::len) as u64,
        }],
        too_few: questions.too_few(&folds, &name),
        rows,
        thresholds: answers.thresholds,
        open_set_thresholds,
        histograms: answers.histograms,
        examples,
        retrievals: shown,
        confusions,
        map,
    };
    Ok(Outcome {
        evaluation,
        episodes: answers.episodes,
        retrieval: found_rows,
        confusion,
        curves,
        replicates,
        lists: questions.lists(&folds),
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
        into.collapsed.extend(from.collapsed);
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

/// Checks the embeddings and puts their rows in order.
fn folds(model: &Subject, facts: &Facts, notices: &mut Vec<String>) -> Result<Folds> {
    let (test, image_of_row) = (model.test, &facts.image_of_row);
    test.check().context("test embeddings")?;
    let test_fold = FoldIndex::new(test, image_of_row).context("test embeddings")?;
    let mut val_fold = None;
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
        match FoldIndex::new(val, image_of_row) {
            Ok(fold) => val_fold = Some(fold),
            Err(reason) => notices.push(format!("validation embeddings are not used: {reason}")),
        }
    }
    Ok(Folds {
        test: test_fold,
        val: val_fold,
    })
}
