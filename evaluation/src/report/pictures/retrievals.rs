//! What queries found, best, worst and random ones (the paper's Figure 9), model by model.

use logodex_schemas::evaluation::{Choice, ShownRetrieval, ThresholdKind};
use serde::Serialize;

use crate::plot::colours::variable;
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::pictures::picture::{Picture, picture};
use crate::report::wording::plain;

/// The rows of one model.
#[derive(Debug, Serialize)]
pub struct Retrievals {
    /// The model.
    pub model: String,
    /// Its colour, for a style.
    pub colour: String,
    /// The cosine similarity from which on it accepts a pair, as words; none without a threshold.
    pub threshold: Option<String>,
    /// Best, worst and random queries, in that order.
    pub choices: Vec<Chosen>,
}

/// The rows that were chosen alike.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// `best`, `worst` or `random`.
    pub choice: &'static str,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A query and what it found.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The query's picture.
    pub query: Picture,
    /// Its average precision.
    pub average_precision: String,
    /// Pictures of its brand that it could find.
    pub positives: u32,
    /// What it found, nearest first.
    pub found: Vec<Found>,
}

/// A picture that was found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// It.
    pub picture: Picture,
    /// Its cosine similarity.
    pub similarity: String,
    /// Whether its brand is the query's.
    pub same: bool,
    /// `accepted` or `rejected`, where there is a threshold.
    pub verdict: Option<&'static str>,
    /// Whether that is right.
    pub right: Option<bool>,
}

/// The rows of every model that was asked for retrieval.
pub fn retrievals(inputs: &Inputs) -> Vec<Retrievals> {
    let models = inputs.models.iter().enumerate();
    models
        .filter(|(_, model)| !model.evaluation.retrievals.is_empty())
        .map(|(place, model)| of_model(inputs, model, place))
        .collect()
}

fn of_model(inputs: &Inputs, model: &Model, place: usize) -> Retrievals {
    let threshold = similarity_threshold(model);
    let of = |choice: Choice| -> Vec<Row> {
        let shown = model.evaluation.retrievals.iter();
        shown
            .filter(|shown| shown.choice == choice)
            .map(|shown| row(inputs, shown, threshold.map(|(at, _)| at)))
            .collect()
    };
    let choices = [
        ("best", Choice::Best),
        ("worst", Choice::Worst),
        ("random", Choice::Random),
    ];
    Retrievals {
        model: model.name.clone(),
        colour: variable(place),
        threshold: threshold.map(|(at, oracle)| threshold_words(at, oracle)),
        choices: choices
            .into_iter()
            .map(|(name, choice)| Chosen {
                choice: name,
                rows: of(choice),
            })
            .filter(|choice| !choice.rows.is_empty())
            .collect(),
    }
}

/// The 1-shot threshold of `paper` as a cosine similarity, 1 − τ²/2, and whether it is the oracle's.
pub fn similarity_threshold(model: &Model) -> Option<(f64, bool)> {
    let tau = |kind| model.tau(1, kind);
    let transferred = tau(ThresholdKind::Transferred).map(|tau| (tau, false));
    let (tau, oracle) =
        transferred.or_else(|| tau(ThresholdKind::Oracle).map(|tau| (tau, true)))?;
    Some((1.0 - tau * tau / 2.0, oracle))
}

/// A threshold in words, which name the oracle's as what it is.
pub fn threshold_words(at: f64, oracle: bool) -> String {
    match oracle {
        true => format!("{} (oracle)", plain(at)),
        false => plain(at),
    }
}

fn row(inputs: &Inputs, shown: &ShownRetrieval, threshold: Option<f64>) -> Row {
    let brand = &shown.query.brand;
    let found = shown.found.iter().map(|neighbour| {
        let same = neighbour.picture.brand == *brand;
        let accepted = threshold.map(|at| neighbour.similarity >= at);
        Found {
            picture: picture(inputs, &neighbour.picture),
            similarity: plain(neighbour.similarity),
            same,
            verdict: accepted.map(|accepted| if accepted { "accepted" } else { "rejected" }),
            right: accepted.map(|accepted| accepted == same),
        }
    });
    Row {
        query: picture(inputs, &shown.query),
        average_precision: plain(shown.map),
        positives: shown.positives,
        found: found.collect(),
    }
}
