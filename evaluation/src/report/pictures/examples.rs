//! Query, positive and negative pictures (the paper's Figure 9), with what every model says of them.

use logodex_schemas::evaluation::Example;
use serde::Serialize;

use crate::plot::colours::variable;
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::pictures::picture::{Picture, picture};
use crate::report::pictures::retrievals::{similarity_threshold, threshold_words};
use crate::report::wording::plain;

/// A query, a positive and a negative, and what each model says of them.
#[derive(Debug, Serialize)]
pub struct Triple {
    /// Query, positive, negative.
    pub pictures: Vec<ShownPicture>,
    /// One per model that has these examples.
    pub verdicts: Vec<Verdict>,
}

/// A picture with its caption.
#[derive(Debug, Serialize)]
pub struct ShownPicture {
    /// `query`, `positive` or `negative`.
    pub role: &'static str,
    /// The picture itself.
    #[serde(flatten)]
    pub picture: Picture,
}

/// What a model says.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The model.
    pub model: String,
    /// Its colour, for a style.
    pub colour: String,
    /// Its threshold as a cosine similarity.
    pub threshold: String,
    /// Of query and positive.
    pub positive: Judged,
    /// Of query and negative.
    pub negative: Judged,
}

/// What a model says of a pair.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// Cosine similarity.
    pub similarity: String,
    /// `accepted`, `rejected` or `no threshold`.
    pub word: &'static str,
    /// Whether that is right, where there is a threshold.
    pub right: Option<bool>,
}

/// The examples of all models, the same three pictures shown once.
pub fn triples(inputs: &Inputs) -> Vec<Triple> {
    let mut keys: Vec<[u64; 3]> = Vec::new();
    let mut triples: Vec<Triple> = Vec::new();
    for (place, model) in inputs.models.iter().enumerate() {
        for example in &model.evaluation.examples {
            let key = [
                example.query.row,
                example.positive.row,
                example.negative.row,
            ];
            let at = keys.iter().position(|k| *k == key).unwrap_or_else(|| {
                keys.push(key);
                triples.push(Triple {
                    pictures: show_pictures(example, inputs),
                    verdicts: Vec::new(),
                });
                keys.len() - 1
            });
            triples[at].verdicts.push(verdict(model, place, example));
        }
    }
    triples
}

fn show_pictures(example: &Example, inputs: &Inputs) -> Vec<ShownPicture> {
    let shown = [
        ("query", &example.query),
        ("positive", &example.positive),
        ("negative", &example.negative),
    ];
    shown
        .into_iter()
        .map(|(role, shown)| ShownPicture {
            role,
            picture: picture(inputs, shown),
        })
        .collect()
}

fn verdict(model: &Model, place: usize, example: &Example) -> Verdict {
    let threshold = similarity_threshold(model);
    let known = threshold.is_some();
    let judged = |similarity: f64, positive: bool| {
        let accepted = similarity >= example.threshold_similarity;
        Judged {
            similarity: plain(similarity),
            word: match (known, accepted) {
                (false, _) => "no threshold",
                (true, true) => "accepted",
                (true, false) => "rejected",
            },
            right: known.then_some(accepted == positive),
        }
    };
    Verdict {
        model: model.name.clone(),
        colour: variable(place),
        threshold: match threshold {
            None => "–".to_owned(),
            Some((_, oracle)) => threshold_words(example.threshold_similarity, oracle),
        },
        positive: judged(example.positive_similarity, true),
        negative: judged(example.negative_similarity, false),
    }
}
