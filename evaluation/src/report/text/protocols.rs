//! What is shown of each protocol: its metrics, how they are called in print, and which values are good.

use crate::protocols::n_way::N_WAY_K_SHOT;
use crate::protocols::open_set::OPEN_SET;
use crate::protocols::paper::{PAPER, PAPER_COSINE, PAPER_COSINE_ORACLE, PAPER_ORACLE};
use crate::protocols::retrieval::{QUERY_GALLERY, RETRIEVAL};
use crate::terminal::METRICS;

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// High ones.
    Higher,
    /// Low ones.
    Lower,
    /// Those near a target: none is marked.
    Target,
}

/// A metric of a protocol: its name in `evaluation.csv`, in print, and which values are good.
pub type Shown = (&'static str, &'static str, Better);

/// The rank metrics of retrieval.
const RANKS: [Shown; 6] = [
    ("recall_at_1", "Recall@1", Better::Higher),
    ("recall_at_5", "Recall@5", Better::Higher),
    ("recall_at_10", "Recall@10", Better::Higher),
    ("r_precision", "R-precision", Better::Higher),
    ("map_at_r", "MAP@R", Better::Higher),
    ("map", "mAP", Better::Higher),
];

const LEAK: &str = "A leak, for comparison with the paper, whose thresholds were chosen so.";

/// The protocols in the order of the page; a new one is a new entry.
pub fn protocols() -> Vec<(&'static str, &'static str, &'static str, Vec<Shown>)> {
    let paper: Vec<Shown> = METRICS.map(|(m, label)| (m, label, Better::Higher)).into();
    let cosine: Vec<Shown> = paper[..6].to_vec();
    let named = |list: &[(&'static str, &'static str)]| -> Vec<Shown> {
        list.iter()
            .map(|&(m, label)| (m, label, Better::Higher))
            .collect()
    };
    vec![
        (
            PAPER,
            "The paper's Table 5",
            "Episodes of 50 queries, by Euclidean distance to the prototype, thresholds chosen on validation brands.",
            paper,
        ),
        (
            PAPER_ORACLE,
            "The same, thresholds from the test brands",
            LEAK,
            cosine[..4].to_vec(),
        ),
        (
            PAPER_COSINE,
            "By cosine similarity",
            "The same episodes, thresholds on 1 − cosine, chosen on validation brands among all distances.",
            cosine.clone(),
        ),
        (
            PAPER_COSINE_ORACLE,
            "By cosine similarity, thresholds from the test brands",
            LEAK,
            cosine[..4].to_vec(),
        ),
        (
            N_WAY_K_SHOT,
            "N-way K-shot",
            "The nearest of N prototypes; chance is 1/N.",
            named(&[
                ("accuracy_5_way", "5-way accuracy"),
                ("accuracy_20_way", "20-way accuracy"),
                ("accuracy_all_way", "all-way accuracy"),
            ]),
        ),
        (
            RETRIEVAL,
            "Retrieval, all against all",
            "Every picture asks for the others of its brand in other photographs.",
            RANKS.to_vec(),
        ),
        (
            QUERY_GALLERY,
            "Retrieval, queries against a gallery",
            "Half of each brand's photographs ask, the other half is searched.",
            RANKS.to_vec(),
        ),
        (
            OPEN_SET,
            "Open set",
            "Half of the test brands are enrolled, the others are strangers. At a false-accept rate (FAR): the threshold is read off the test brands; “from validation”: it is carried over from validation brands, with the rate it then has and how far that lies from its target. For that as many brands are enrolled in both, so that random embeddings lie at the target: an error beyond its interval says that the model puts strangers of the test brands nearer than those of validation brands.",
            vec![
                ("auroc", "AUROC", Better::Higher),
                ("eer", "EER", Better::Lower),
                ("fpr_at_95tpr", "FPR@95TPR", Better::Lower),
                ("tar_at_far_10", "TAR at FAR 10 %", Better::Higher),
                ("tar_at_far_1", "TAR at FAR 1 %", Better::Higher),
                ("tar_at_far_01", "TAR at FAR 0.1 %", Better::Higher),
                ("dir_at_far_10", "DIR at FAR 10 %", Better::Higher),
                ("dir_at_far_1", "DIR at FAR 1 %", Better::Higher),
                ("dir_at_far_01", "DIR at FAR 0.1 %", Better::Higher),
                ("oscr", "OSCR", Better::Higher),
                (
                    "dir_at_val_far_10",
                    "DIR, from validation, 10 %",
                    Better::Higher,
                ),
                (
                    "dir_at_val_far_1",
                    "DIR, from validation, 1 %",
                    Better::Higher,
                ),
                (
                    "dir_at_val_far_01",
                    "DIR, from validation, 0.1 %",
                    Better::Higher,
                ),
                (
                    "far_at_val_far_10",
                    "FAR, from validation, 10 %",
                    Better::Target,
                ),
                (
                    "far_at_val_far_1",
                    "FAR, from validation, 1 %",
                    Better::Target,
                ),
                (
                    "far_at_val_far_01",
                    "FAR, from validation, 0.1 %",
                    Better::Target,
                ),
                ("far_error_at_val_far_10", "FAR less 10 %", Better::Target),
                ("far_error_at_val_far_1", "FAR less 1 %", Better::Target),
                ("far_error_at_val_far_01", "FAR less 0.1 %", Better::Target),
            ],
        ),
    ]
}

/// How a metric is printed, of whatever protocol.
pub fn label(metric: &str) -> &str {
    protocols()
        .into_iter()
        .flat_map(|(_, _, _, metrics)| metrics)
        .find(|(name, _, _)| *name == metric)
        .map_or(metric, |(_, label, _)| label)
}
