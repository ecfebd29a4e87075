//! The report in three sentences: what is best and how surely, what does not beat its baseline, and what to doubt.

use logodex_schemas::evaluation::ComparisonRow;

use super::caution::seen_brands;
use super::findings::FEATURES;
use crate::protocols::paper::PAPER;
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::wording::{code, enumerate, plain, plural, signed, signed_interval};

/// Names stand between backticks. Nothing where no model was judged by the paper's protocol.
pub fn answer(inputs: &Inputs, comparisons: &[ComparisonRow]) -> Vec<String> {
    let Some(shots) = inputs.shots().into_iter().next() else {
        return Vec::new();
    };
    let value = |name: &str| inputs.value(name, PAPER, shots, "map");
    // What was trained on test brands is compared with nothing.
    let unseen = |m: &&Model| m.evaluation.trained_on.test_brands.is_empty();
    let names = inputs.models.iter().filter(unseen).map(|m| m.name.as_str());
    let best = names
        .filter_map(|name| Some((name, value(name)?)))
        .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
    let mut said: Vec<String> = seen_brands(inputs).into_iter().map(|f| f.text).collect();
    let Some((best, row)) = best else {
        return said;
    };
    let against = |model: &str, reference: &str| {
        comparisons.iter().find(|c| {
            (c.model.as_str(), c.reference.as_str()) == (model, reference)
                && (c.protocol.as_str(), c.shots, c.metric.as_str()) == (PAPER, shots, "map")
        })
    };
    // The hardest to beat.
    let baselines = inputs
        .models
        .iter()
        .filter(unseen)
        .filter(|m| m.is_baseline());
    let baseline = baselines
        .filter_map(|m| Some((m.name.as_str(), value(&m.name)?.mean)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|b| b.0);
    let lead = format!(
        "{} is best: {shots}-shot mAP {} [{}, {}] on brands that no model saw",
        code(best),
        plain(row.mean),
        plain(row.ci_low),
        plain(row.ci_high)
    );
    let surely = match baseline {
        None => "; without a baseline beside it nobody can say what training gained".to_owned(),
        Some(baseline) if baseline == best => {
            "; it is a baseline, and no trained model is above it".to_owned()
        }
        Some(baseline) => match against(best, baseline) {
            Some(c) => format!(
                ", {} above {}, the best baseline: {} {} on the same episodes",
                if c.ci_low > 0.0 {
                    "surely"
                } else {
                    "not surely"
                },
                code(baseline),
                signed(c.difference),
                signed_interval(c)
            ),
            None => format!("; {} is the best baseline", code(baseline)),
        },
    };
    said.push(format!("{lead}{surely}."));
    if let Some(baseline) = baseline {
        let trained: Vec<&str> = inputs
            .models
            .iter()
            .filter(unseen)
            .filter(|m| !m.is_baseline())
            .map(|m| m.name.as_str())
            .collect();
        let beaten = |model: &&str| against(model, baseline).is_some_and(|c| c.ci_low > 0.0);
        let short: Vec<String> = trained
            .iter()
            .filter(|m| !beaten(m))
            .map(|m| code(m))
            .collect();
        said.push(match (trained.len(), short.len()) {
            (0, _) => "No trained model stands beside the baselines.".to_owned(),
            (_, 0) => format!("Every trained model beats {}.", code(baseline)),
            (_, 1) => format!("{} does not beat {}.", short[0], code(baseline)),
            _ => format!("{} do not beat {}.", enumerate(&short), code(baseline)),
        });
    }
    let test = &inputs.models[0].evaluation;
    let mut doubt = format!(
        "To doubt: every interval is over the {} test brand{} of one split and one training run, not over splits or training \
         seeds{}",
        test.test_brands,
        plural(test.test_brands as u32),
        if inputs.models.iter().any(|m| m.name == FEATURES) {
            ""
        } else {
            "; the pretrained features, the honest baseline, are not among the runs"
        }
    );
    let accuracy = |name: &str| inputs.value(name, PAPER, shots, "accuracy").map(|r| r.mean);
    if let (Some(floor), Some(own)) = (accuracy(crate::floors::REJECT_ALL), accuracy(best))
        && floor > own
    {
        doubt += &format!(
            "; rejecting every query is right more often ({}) than the best model ({})",
            plain(floor),
            plain(own)
        );
    }
    said.push(doubt + ".");
    said
}
