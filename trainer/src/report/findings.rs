//! What the numbers say, in words: against the baselines, against the floors, and what a threshold costs.
//!
//! Names stand between backticks; the page and the Markdown file each make of them what they need.

use logodex_schemas::evaluation::{ComparisonRow, ThresholdKind};
use serde::Serialize;

use crate::eval::table::METRICS;
use crate::eval::{PAPER, PAPER_ORACLE};
use crate::report::load::{Inputs, Model};
use crate::report::table::floor_above;
use crate::report::{is_baseline, plain, signed, signed_interval};

/// The honest baseline: the pooled features of the pretrained backbone.
const FEATURES: &str = "baseline_features";

/// A sentence or two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is something to be wary of.
    pub warning: bool,
    /// The words.
    pub text: String,
}

/// All findings, the most important first.
pub fn findings(inputs: &Inputs, comparisons: &[ComparisonRow]) -> Vec<Finding> {
    let mut found = Vec::new();
    let judged: Vec<&Model> = inputs
        .models
        .iter()
        .filter(|model| !is_baseline(&model.name))
        .collect();
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
    found
}

/// A name between backticks.
pub fn code(name: &str) -> String {
    format!("`{}`", name.replace('`', "'"))
}

fn note(text: String) -> Finding {
    Finding {
        warning: false,
        text,
    }
}

fn warning(text: String) -> Finding {
    Finding {
        warning: true,
        text,
    }
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

/// Where a model falls below the pretrained features. Differences whose interval includes 0 are named as such.
fn below_features(
    inputs: &Inputs,
    comparisons: &[ComparisonRow],
    model: &Model,
) -> Vec<Finding> {
    if !inputs.models.iter().any(|m| m.name == FEATURES) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for shots in inputs.shots() {
        let below: Vec<String> = METRICS
            .iter()
            .filter_map(|(metric, label)| {
                let row = comparisons.iter().find(|c| {
                    c.model == model.name
                        && c.reference == FEATURES
                        && c.protocol == PAPER
                        && c.shots == shots
                        && c.metric == *metric
                })?;
                let unsure = match row.ci_high < 0.0 {
                    true => "",
                    false => ", an interval that includes 0",
                };
                (row.difference < 0.0).then(|| {
                    format!(
                        "{label} ({} {}{unsure})",
                        signed(row.difference),
                        signed_interval(row)
                    )
                })
            })
            .collect();
        if !below.is_empty() {
            found.push(warning(format!(
                "{} falls below {} at {shots} shot{} in {}: there the pretrained features, left as they were, do better on unseen brands than the trained network.",
                code(&model.name),
                code(FEATURES),
                plural(shots),
                enumerate(&below)
            )));
        }
    }
    // The ratios are over all test embeddings: the same for every number of shots, and without a paired interval.
    let ratios: Vec<String> = ["trace_ratio", "distance_ratio"]
        .into_iter()
        .filter_map(|metric| {
            let shots = *inputs.shots().first()?;
            let own = inputs.value(&model.name, PAPER, shots, metric)?;
            let features = inputs.value(FEATURES, PAPER, shots, metric)?;
            (own.mean < features.mean).then(|| {
                format!(
                    "{} ({} against {})",
                    label(metric),
                    plain(own.mean),
                    plain(features.mean)
                )
            })
        })
        .collect();
    if !ratios.is_empty() {
        found.push(warning(format!(
            "{} falls below {} in {}: its brands lie less far apart, measured by their own spread.",
            code(&model.name),
            code(FEATURES),
            enumerate(&ratios)
        )));
    }
    if found.is_empty() {
        found.push(note(format!(
            "{} lies below {} in no metric.",
            code(&model.name),
            code(FEATURES)
        )));
    }
    found
}

/// Values that doing nothing clever would beat: a sentence per number of shots, metric and floor.
fn below_floors(inputs: &Inputs) -> Vec<Finding> {
    let mut found = Vec::new();
    for shots in inputs.shots() {
        for (metric, label) in METRICS {
            for floor in [crate::eval::floors::REJECT_ALL, crate::eval::floors::RANDOM] {
                let below: Vec<String> = inputs
                    .models
                    .iter()
                    .filter_map(|model| {
                        let row = inputs.value(&model.name, PAPER, shots, metric)?;
                        (floor_above(inputs, shots, metric, row.mean) == Some(floor))
                            .then(|| format!("{} ({})", code(&model.name), plain(row.mean)))
                    })
                    .collect();
                let Some(value) = inputs.value(floor, PAPER, shots, metric) else {
                    continue;
                };
                if below.is_empty() {
                    continue;
                }
                let meaning = match (floor, metric) {
                    (crate::eval::floors::REJECT_ALL, "accuracy") => {
                        "rejecting every query would be right more often, so accuracy says little here"
                    }
                    (crate::eval::floors::REJECT_ALL, _) => "rejecting every query would do better",
                    _ => "random embeddings do better",
                };
                found.push(warning(format!(
                    "At {shots} shot{}, {label} of {} is below the floor {} ({}): {meaning}.",
                    plural(shots),
                    enumerate(&below),
                    code(floor),
                    plain(value.mean)
                )));
            }
        }
    }
    found
}

/// Where a threshold from validation brands loses most F1 against one chosen on the test brands.
fn dearest_threshold(inputs: &Inputs) -> Option<Finding> {
    let mut dearest: Option<(f64, &Model, u32)> = None;
    for model in inputs.models.iter().filter(|m| !is_baseline(&m.name)) {
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
    let tau = |kind| model.tau(shots, kind).map_or("–".to_owned(), |t| format!("{t:.2}"));
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
        for few in first.evaluation.too_few.iter().filter(|f| !f.brands.is_empty()) {
            let n = few.brands.len();
            found.push(note(format!(
                "{n} test brand{} no {}-shot episode: too few images.",
                if n == 1 { " supports" } else { "s support" },
                few.shots
            )));
        }
    }
    for model in &inputs.models {
        let skipped = model
            .training
            .as_ref()
            .and_then(|t| t.epochs.last())
            .map_or(0, |e| e.skipped_images);
        if skipped > 0 {
            found.push(note(format!(
                "In the training of {}, {skipped} images an epoch could be no anchor: their brand has no other image.",
                code(&model.name)
            )));
        }
    }
    found
}

/// A metric as printed.
pub fn label(metric: &str) -> &str {
    METRICS
        .iter()
        .find(|(name, _)| *name == metric)
        .map_or(metric, |(_, label)| label)
}

fn plural(n: u32) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// `a, b and c`.
fn enumerate(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
