//! What the numbers say, in words: against the baselines, against the floors, and what a threshold costs.
//!
//! Names stand between backticks; the page and the Markdown file each make of them what they need.

use logodex_schemas::evaluation::{ComparisonRow, ThresholdKind};

use super::caution::{collapsed, seen_brands, unknown_history};
use super::finding::{Finding, note, warning};
use crate::floors::{COLOUR_HISTOGRAM, RANDOM, REJECT_ALL};
use crate::protocols::paper::{PAPER, PAPER_ORACLE};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::text::protocols::label;
use crate::report::text::tables::floor_above;
use crate::report::wording::{code, enumerate, plain, plural, signed, signed_interval};
use crate::terminal::METRICS;

/// The honest baseline: the pooled features of the pretrained backbone.
pub(super) const FEATURES: &str = "baseline_features";

/// All findings, the most important first.
pub fn findings(inputs: &Inputs, comparisons: &[ComparisonRow]) -> Vec<Finding> {
    let mut found = Vec::new();
    let judged: Vec<&Model> = inputs
        .models
        .iter()
        .filter(|model| !model.is_baseline())
        .collect();
    found.extend(seen_brands(inputs));
    found.extend(collapsed(inputs));
    for model in &judged {
        found.extend(ranking(inputs, comparisons, model));
    }
    for model in &judged {
        found.extend(below_features(inputs, comparisons, model));
    }
    if !judged.is_empty() && !inputs.models.iter().any(|m| m.name == FEATURES) {
        found.push(warning(format!(
            "{} is not among the runs, so this report cannot say whether training gained anything over the pretrained features.",
            code(FEATURES)
        )));
    }
    found.extend(below_floors(inputs));
    found.extend(dearest_threshold(inputs));
    found.extend(left_out(inputs));
    found.extend(unknown_history(inputs));
    found
}

/// mAP of a model and its paired difference to every baseline.
fn ranking(inputs: &Inputs, comparisons: &[ComparisonRow], model: &Model) -> Option<Finding> {
    let parts: Vec<String> = inputs
        .shots()
        .into_iter()
        .filter_map(|shots| {
            let row = inputs.value(&model.name, PAPER, shots, "map")?;
            let against: Vec<String> = comparisons
                .iter()
                .filter(|c| {
                    c.model == model.name
                        && c.protocol == PAPER
                        && c.shots == shots
                        && c.metric == "map"
                })
                .map(|c| {
                    format!(
                        "{} {} ({} {})",
                        standing(c),
                        code(&c.reference),
                        signed(c.difference),
                        signed_interval(c)
                    )
                })
                .collect();
            let against = match against.is_empty() {
                true => String::new(),
                false => format!(", {}", enumerate(&against)),
            };
            Some(format!(
                "{shots}-shot mAP {} [{}, {}]{against}",
                plain(row.mean),
                plain(row.ci_low),
                plain(row.ci_high)
            ))
        })
        .collect();
    (!parts.is_empty()).then(|| note(format!("{}: {}.", code(&model.name), parts.join("; "))))
}

/// What a paired difference shows.
fn standing(row: &ComparisonRow) -> &'static str {
    if row.ci_low > 0.0 {
        "above"
    } else if row.ci_high < 0.0 {
        "below"
    } else {
        "not told apart from"
    }
}

/// Where a model falls below the pretrained features. A difference whose interval includes 0 is named as such; the two
/// ratios, which are over all test embeddings, have no paired interval.
fn below_features(
    inputs: &Inputs,
    comparisons: &[ComparisonRow],
    model: &Model,
) -> Option<Finding> {
    if !inputs.models.iter().any(|m| m.name == FEATURES) {
        return None;
    }
    let shots = inputs.shots();
    let mut parts: Vec<String> = shots
        .iter()
        .filter_map(|&shots| {
            let below: Vec<String> = METRICS
                .iter()
                .filter_map(|(metric, _)| {
                    let row = comparisons.iter().find(|c| {
                        c.model == model.name
                            && c.reference == FEATURES
                            && c.protocol == PAPER
                            && c.shots == shots
                            && c.metric == *metric
                    })?;
                    let unsure = match row.ci_high < 0.0 {
                        true => "",
                        false => ", which includes 0",
                    };
                    (row.difference < 0.0).then(|| {
                        let interval = signed_interval(row);
                        format!(
                            "{} ({} {interval}{unsure})",
                            in_words(metric),
                            signed(row.difference)
                        )
                    })
                })
                .collect();
            (!below.is_empty())
                .then(|| format!("at {shots} shot{} in {}", plural(shots), enumerate(&below)))
        })
        .collect();
    let ratios: Vec<String> = ["trace_ratio", "distance_ratio"]
        .into_iter()
        .filter_map(|metric| {
            let shots = *shots.first()?;
            let own = inputs.value(&model.name, PAPER, shots, metric)?;
            let features = inputs.value(FEATURES, PAPER, shots, metric)?;
            let (name, own, features) = (label(metric), own.mean, features.mean);
            (own < features).then(|| format!("{name} ({} against {})", plain(own), plain(features)))
        })
        .collect();
    if !ratios.is_empty() {
        parts.push(format!("in {}", enumerate(&ratios)));
    }
    let (name, features) = (code(&model.name), code(FEATURES));
    Some(match parts.is_empty() {
        true => note(format!("{name} lies below {features} in no metric.")),
        false => warning(format!(
            "{name} falls below {features} {}. There the pretrained features, left as they were, do better on unseen brands than the trained network.",
            parts.join("; ")
        )),
    })
}

/// Values that doing nothing clever would beat: a sentence per metric and floor.
fn below_floors(inputs: &Inputs) -> Vec<Finding> {
    let mut found = Vec::new();
    for (metric, _) in METRICS {
        for floor in [REJECT_ALL, RANDOM, COLOUR_HISTOGRAM] {
            let parts: Vec<String> = inputs
                .shots()
                .into_iter()
                .filter_map(|shots| floored(inputs, shots, metric, floor))
                .collect();
            let meaning = match (floor, metric) {
                (REJECT_ALL, "accuracy") => {
                    "rejecting every query would be right more often, so accuracy tells little here"
                }
                (REJECT_ALL, _) => "rejecting every query would do better",
                (COLOUR_HISTOGRAM, _) => "telling brands by their colours alone does better",
                (_, "recall") => {
                    "random embeddings accept nearly everything at their threshold, and so miss little"
                }
                _ => "random embeddings do better",
            };
            if !parts.is_empty() {
                found.push(warning(format!(
                    "The {} of {}: {meaning}.",
                    in_words(metric),
                    parts.join("; that of ")
                )));
            }
        }
    }
    found
}

/// `a (0.812) and b (0.831) at 1 shot is below the floor …`; none where no model is below it.
fn floored(inputs: &Inputs, shots: u32, metric: &str, floor: &str) -> Option<String> {
    let value = inputs.value(floor, PAPER, shots, metric)?.mean;
    let judged: Vec<(&str, f64)> = inputs
        .models
        .iter()
        .filter_map(|m| {
            Some((
                m.name.as_str(),
                inputs.value(&m.name, PAPER, shots, metric)?.mean,
            ))
        })
        .collect();
    let below: Vec<&(&str, f64)> = judged
        .iter()
        .filter(|(_, mean)| floor_above(inputs, shots, metric, *mean) == Some(floor))
        .collect();
    let which = match below.len() {
        0 => return None,
        n if n == judged.len() && n > 2 => {
            let low = below.iter().map(|b| b.1).fold(f64::INFINITY, f64::min);
            let high = below.iter().map(|b| b.1).fold(f64::NEG_INFINITY, f64::max);
            format!("every model ({} to {})", plain(low), plain(high))
        }
        _ => {
            let named = below
                .iter()
                .map(|(name, mean)| format!("{} ({})", code(name), plain(*mean)));
            enumerate(&named.collect::<Vec<_>>())
        }
    };
    Some(format!(
        "{which} at {shots} shot{} is below the floor {} ({})",
        plural(shots),
        code(floor),
        plain(value)
    ))
}

/// Where a threshold from validation brands loses most F1 against one chosen on the test brands.
fn dearest_threshold(inputs: &Inputs) -> Option<Finding> {
    let mut dearest: Option<(f64, &Model, u32)> = None;
    for model in inputs.models.iter().filter(|m| !m.is_baseline()) {
        for shots in inputs.shots() {
            let f1 = |protocol| inputs.value(&model.name, protocol, shots, "f1");
            if let (Some(honest), Some(oracle)) = (f1(PAPER), f1(PAPER_ORACLE)) {
                let price = oracle.mean - honest.mean;
                if dearest.is_none_or(|(known, _, _)| price > known) {
                    dearest = Some((price, model, shots));
                }
            }
        }
    }
    let (price, model, shots) = dearest?;
    let tau = |kind| {
        model
            .tau(shots, kind)
            .map_or("–".to_owned(), |t| format!("{t:.2}"))
    };
    Some(note(match price > 0.0 {
        true => format!(
            "A threshold chosen on validation brands costs most for {} at {shots} shot{}: F1 {} lower than with the oracle's (τ = {} instead of {}).",
            code(&model.name),
            plural(shots),
            plain(price),
            tau(ThresholdKind::Transferred),
            tau(ThresholdKind::Oracle)
        ),
        false => "Thresholds chosen on validation brands cost no F1 against those chosen on the test brands themselves.".to_owned(),
    }))
}

/// What no number above covers.
fn left_out(inputs: &Inputs) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(first) = inputs.models.first() {
        for few in first
            .evaluation
            .too_few
            .iter()
            .filter(|f| f.protocol == PAPER && first.is_shown(f.region) && !f.brands.is_empty())
        {
            let n = few.brands.len();
            found.push(note(format!(
                "{n} test brand{} no {}-shot episode: too few images.",
                if n == 1 { " supports" } else { "s support" },
                few.shots
            )));
        }
    }
    let skipped: Vec<String> = inputs
        .models
        .iter()
        .filter_map(|model| {
            let last = model.training.as_ref()?.epochs.last()?;
            let n = last.skipped_images;
            (n > 0).then(|| format!("{} ({n})", code(&model.name)))
        })
        .collect();
    if !skipped.is_empty() {
        found.push(note(format!(
            "Training images an epoch that could be no anchor, as their brand has no other image: {}.",
            enumerate(&skipped)
        )));
    }
    found
}

/// A metric within a sentence.
fn in_words(metric: &str) -> &str {
    match metric {
        "accuracy" | "precision" | "recall" => metric,
        _ => label(metric),
    }
}
