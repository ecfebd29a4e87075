//! Triples to look at (the paper's Figure 9): a query, one picture of its brand and one of another, with their similarities.

use logodex_schemas::evaluation::{Example, Threshold};

use crate::embeddings::fold_index::FoldIndex;
use crate::examples::picture::row_picture;
use crate::protocols::paper::Round;
use crate::protocols::score::score;
use logodex_embeddings::unit_vectors::UnitVectors;

/// Triples shown.
const TRIPLES: usize = 6;

/// The first 1-shot episodes of different brands: the support, the first positive and the first negative asked about.
/// Not chosen by how well the model does, and the same for every model.
pub(crate) fn triples(
    fold: &FoldIndex,
    vectors: &UnitVectors,
    rounds: &[Round],
    thresholds: &[Threshold],
    brand_name: &dyn Fn(usize) -> String,
) -> Vec<Example> {
    let Some(round) = rounds.iter().find(|round| round.shots == 1) else {
        return Vec::new();
    };
    // The transferred threshold precedes the oracle's.
    let tau = thresholds
        .iter()
        .find(|t| t.shots == 1)
        .map_or(0.0, |t| t.tau);
    let mut examples: Vec<Example> = Vec::new();
    let mut brands = Vec::new();
    for (episode, scores) in round.test.iter().zip(score(vectors, &round.test)) {
        if examples.len() == TRIPLES {
            break;
        }
        let first = |positive: bool| episode.queries.iter().position(|q| q.positive == positive);
        let (Some(positive), Some(negative)) = (first(true), first(false)) else {
            continue;
        };
        if brands.contains(&episode.brand) {
            continue;
        }
        brands.push(episode.brand);
        let picture = |position| row_picture(fold, brand_name, position);
        examples.push(Example {
            query: picture(episode.supports[0]),
            positive: picture(episode.queries[positive].position),
            negative: picture(episode.queries[negative].position),
            positive_similarity: scores.similarities[positive],
            negative_similarity: scores.similarities[negative],
            threshold_similarity: 1.0 - tau * tau / 2.0,
        });
    }
    examples
}
