//! What must be known before any number is believed: brands that were seen in training, embeddings that collapsed, weights
//! of unknown history.

use std::collections::BTreeMap;

use super::finding::{Finding, note, warning};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::wording::{code, enumerate, plural};

/// Models that were trained on brands that they are judged on.
pub fn seen_brands(inputs: &Inputs) -> Vec<Finding> {
    let mut found = Vec::new();
    for model in &inputs.models {
        let trained_on = &model.evaluation.trained_on;
        let names =
            |brands: &[String]| enumerate(&brands.iter().map(|b| code(b)).collect::<Vec<_>>());
        let name = code(&model.name);
        let (test, val) = (&trained_on.test_brands, &trained_on.val_brands);
        if !test.is_empty() {
            found.push(warning(format!(
                "{name} was trained on {} of the {} test brands, so its numbers say nothing of brands never seen: {}.",
                test.len(),
                model.evaluation.test_brands,
                names(test)
            )));
        }
        if !val.is_empty() {
            found.push(warning(format!(
                "{name} was trained on {} validation brand{}, so its thresholds are not those of brands never seen: {}.",
                val.len(),
                plural(val.len() as u32),
                names(val)
            )));
        }
    }
    found
}

/// Models that hardly tell one row from another.
pub(super) fn collapsed(inputs: &Inputs) -> Vec<Finding> {
    let is_shown = |model: &&Model| {
        model
            .evaluation
            .collapsed
            .iter()
            .any(|r| model.is_shown(*r))
    };
    let say = |model: &Model| {
        warning(format!(
            "The embeddings of {} have collapsed: they hardly tell one test row from another, so that every number of every protocol is an accident.",
            code(&model.name)
        ))
    };
    inputs.models.iter().filter(is_shown).map(say).collect()
}

/// What went into models of which nobody knows what it was trained on.
pub(super) fn unknown_history(inputs: &Inputs) -> Vec<Finding> {
    let mut by_what: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for model in &inputs.models {
        for what in &model.evaluation.trained_on.unknown {
            by_what.entry(what).or_default().push(code(&model.name));
        }
    }
    let say = |(what, models): (&str, Vec<String>)| {
        note(format!(
            "Of unknown history: {what}, behind {}. Whether test brands were seen there cannot be told.",
            enumerate(&models)
        ))
    };
    by_what.into_iter().map(say).collect()
}
