//! Pairs of brands that are taken for one another, as pictures to look at: a query, and what it found nearest.

use serde::Serialize;

use crate::plot::colours::variable;
use crate::report::load::inputs::Inputs;
use crate::report::pictures::picture::{Picture, picture};
use crate::report::wording::plain;

/// Pairs of brands of one model, most queries first.
#[derive(Debug, Serialize)]
pub struct ConfusedPairs {
    /// The model.
    pub model: String,
    /// Its colour, for a style.
    pub colour: String,
    /// Queries whose nearest picture shows another brand, and all queries.
    pub wrong: u64,
    /// All queries.
    pub queries: u64,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

/// A brand and what it was taken for.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// A query.
    pub query: Picture,
    /// What it found nearest.
    pub found: Picture,
    /// Their cosine similarity.
    pub similarity: String,
    /// Queries of the brand that found the other nearest.
    pub queries: u32,
    /// All queries of the brand.
    pub of: u32,
}

/// The pairs of every model that was asked for retrieval.
pub fn confused_pairs(inputs: &Inputs) -> Vec<ConfusedPairs> {
    let models = inputs.models.iter().enumerate();
    models
        .filter(|(_, model)| !model.confusion.is_empty())
        .map(|(place, model)| {
            let sum = |wrong_only: bool| -> u64 {
                let kept = model
                    .confusion
                    .iter()
                    .filter(|row| !wrong_only || row.brand != row.nearest);
                kept.map(|row| u64::from(row.queries)).sum()
            };
            let pairs = model.evaluation.confusions.iter().map(|c| Pair {
                query: picture(inputs, &c.query),
                found: picture(inputs, &c.found.picture),
                similarity: plain(c.found.similarity),
                queries: c.queries,
                of: c.of,
            });
            ConfusedPairs {
                model: model.name.clone(),
                colour: variable(place),
                wrong: sum(true),
                queries: sum(false),
                pairs: pairs.collect(),
            }
        })
        .collect()
}
