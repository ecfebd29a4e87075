//! What queries found, best, worst and random ones (the paper's Figure 9), model by model.

use logodex_schemas::evaluation::{Choice, ShownRetrieval, ThresholdKind};
use serde::Serialize;

use crate::report::html::variable;
use crate::report::load::{Inputs, Model};
use crate::report::plain;

/// The rows of one model.
#[derive(Debug, Serialize)]
pub struct OfModel {
    /// The model.
    pub model: String,
    /// Its colour, for a style.
    pub colour: String,
    /// The cosine similarity from which on it accepts a pair, as words; none without a threshold.
    pub threshold: Option<String>,
    /// Best, worst and random queries, in that order.
    pub choices: Vec<OfChoice>,
}

/// The rows that were chosen alike.
#[derive(Debug, Serialize)]
pub struct OfChoice {
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
    pub map: String,
    /// Pictures of its brand that it could find.
    pub positives: u32,
    /// What it found, nearest first.
    pub found: Vec<Found>,
}

/// A picture of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// A data URI.
    pub source: String,
    /// The brand.
    pub brand: String,
    /// The row of the dataset.
    pub row: u64,
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
pub fn of_models(inputs: &Inputs) -> Vec<OfModel> {
    let models = inputs.models.iter().enumerate();
    models
        .filter(|(_, model)| !model.evaluation.retrievals.is_empty())
        .map(|(place, model)| of_model(inputs, model, place))
        .collect()
}

fn of_model(inputs: &Inputs, model: &Model, place: usize) -> OfModel {
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
    OfModel {
        model: model.name.clone(),
        colour: variable(place),
        threshold: threshold.map(|(at, oracle)| threshold_words(at, oracle)),
        choices: choices
            .into_iter()
            .map(|(name, choice)| OfChoice {
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
        map: plain(shown.map),
        positives: shown.positives,
        found: found.collect(),
    }
}

/// A row's picture for the page.
pub fn picture(inputs: &Inputs, shown: &logodex_schemas::evaluation::RowPicture) -> Picture {
    Picture {
        source: inputs.picture(shown.row),
        brand: shown.brand.clone(),
        row: shown.row,
    }
}
