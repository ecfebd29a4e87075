//! The per-episode metrics, each as the protocol defines it, and their names.

use anyhow::{Result, bail};
use logodex_schemas::evaluation::EpisodeRow;

/// A metric with a value per episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// (TP + TN) / queries.
    Accuracy,
    /// TP / (TP + FP), 0 without a prediction.
    Precision,
    /// TP / (TP + FN).
    Recall,
    /// Harmonic mean of the two, 0 on 0/0.
    F1,
    /// Recall at the last rank whose precision is at least 0.95, else 0.
    RecallAtPrecision,
    /// Average precision; its mean over episodes is mAP.
    AveragePrecision,
}

impl Metric {
    /// Those that depend on the threshold.
    pub const THRESHOLDED: [Self; 4] = [Self::Accuracy, Self::Precision, Self::Recall, Self::F1];
    /// Those that depend on the order alone.
    pub const RANKED: [Self; 2] = [Self::RecallAtPrecision, Self::AveragePrecision];

    /// Its name in `evaluation.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::RecallAtPrecision => "r_at_95p",
            Self::AveragePrecision => "map",
        }
    }

    /// Its value in an episode.
    pub fn of(self, episode: &EpisodeRow) -> f64 {
        match self {
            Self::Accuracy => episode.accuracy,
            Self::Precision => episode.precision,
            Self::Recall => episode.recall,
            Self::F1 => episode.f1,
            Self::RecallAtPrecision => episode.r_at_95p,
            Self::AveragePrecision => episode.map,
        }
    }

    /// The metric of that name.
    ///
    /// # Errors
    /// Another name; the two ratios are no per-episode metrics and are named in the message.
    pub fn from_name(name: &str) -> Result<Self> {
        match Self::THRESHOLDED
            .iter()
            .chain(&Self::RANKED)
            .find(|m| m.name() == name)
        {
            Some(metric) => Ok(*metric),
            None => bail!(
                "{name:?} is no per-episode metric; there are accuracy, precision, recall, f1, r_at_95p and map (trace_ratio and distance_ratio have no value per episode)"
            ),
        }
    }
}

/// How the decisions "positive when d ≤ τ" turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decisions {
    /// Positives accepted.
    pub true_positives: u64,
    /// Negatives accepted.
    pub false_positives: u64,
    /// Positives rejected.
    pub false_negatives: u64,
    /// Negatives rejected.
    pub true_negatives: u64,
}

impl Decisions {
    /// Counts decisions: `distances[i]` belongs to a positive when `positive[i]`.
    pub fn at(tau: f64, distances: &[f64], positive: &[bool]) -> Self {
        let mut counts = Self::default();
        for (&distance, &positive) in distances.iter().zip(positive) {
            match (distance <= tau, positive) {
                (true, true) => counts.true_positives += 1,
                (true, false) => counts.false_positives += 1,
                (false, true) => counts.false_negatives += 1,
                (false, false) => counts.true_negatives += 1,
            }
        }
        counts
    }

    /// (TP + TN) / all.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }

    /// TP / (TP + FP), 0 without a prediction.
    pub fn precision(&self) -> f64 {
        ratio(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// TP / (TP + FN), 0 without a positive.
    pub fn recall(&self) -> f64 {
        ratio(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// 2 TP / (2 TP + FP + FN), which is the harmonic mean of precision and recall; 0 on 0/0.
    pub fn f1(&self) -> f64 {
        let twice = 2 * self.true_positives;
        ratio(twice, twice + self.false_positives + self.false_negatives)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

/// Whether each rank, nearest first, holds a positive. Equal distances stay in the order of the queries.
pub fn ranked(distances: &[f64], positive: &[bool]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order.into_iter().map(|i| positive[i]).collect()
}

/// Average precision: Σ precision@k · rel_k / number of positives; 0 without a positive.
pub fn average_precision(ranked: &[bool]) -> f64 {
    let mut hits = 0u64;
    let mut sum = 0.0;
    for (k, _) in ranked.iter().enumerate().filter(|(_, relevant)| **relevant) {
        hits += 1;
        sum += hits as f64 / (k + 1) as f64;
    }
    match hits {
        0 => 0.0,
        _ => sum / hits as f64,
    }
}

/// Recall at the last rank whose precision is at least `precision`; 0 where no rank's is.
pub fn recall_at_precision(ranked: &[bool], precision: f64) -> f64 {
    let positives = ranked.iter().filter(|relevant| **relevant).count() as u64;
    let mut hits = 0u64;
    let mut best = 0;
    for (k, &relevant) in ranked.iter().enumerate() {
        hits += u64::from(relevant);
        if hits as f64 / (k + 1) as f64 >= precision {
            best = hits;
        }
    }
    ratio(best, positives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_counted_with_the_threshold_included() {
        let c = Decisions::at(0.5, &[0.5, 0.4, 0.6, 0.7], &[true, false, true, false]);
        assert_eq!(
            (
                c.true_positives,
                c.false_positives,
                c.false_negatives,
                c.true_negatives
            ),
            (1, 1, 1, 1)
        );
        assert_eq!(
            (c.accuracy(), c.precision(), c.recall(), c.f1()),
            (0.5, 0.5, 0.5, 0.5)
        );
    }

    #[test]
    fn no_prediction_is_zero_and_not_undefined() {
        let c = Decisions::at(0.1, &[0.5, 0.6], &[true, false]);
        assert_eq!(
            (c.accuracy(), c.precision(), c.recall(), c.f1()),
            (0.5, 0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn average_precision_by_hand() {
        assert_eq!(
            average_precision(&[true, false, true, false]),
            (1.0 + 2.0 / 3.0) / 2.0
        );
        assert_eq!(average_precision(&[true, true]), 1.0);
        assert_eq!(average_precision(&[false]), 0.0);
    }

    #[test]
    fn recall_is_taken_at_the_last_rank_of_that_precision() {
        // Precision falls to 0.5 at rank 2 and reaches exactly 19/20 = 0.95 again at rank 20.
        let mut late = vec![true; 20];
        late[1] = false;
        late.extend([false, false, true]);
        assert_eq!(recall_at_precision(&late, 0.95), 19.0 / 20.0);
        assert_eq!(recall_at_precision(&[true, false, true], 0.95), 0.5);
        assert_eq!(recall_at_precision(&[false, true], 0.95), 0.0);
    }

    #[test]
    fn equal_distances_keep_the_order_of_the_queries() {
        assert_eq!(
            ranked(&[1.0, 0.5, 1.0], &[true, false, false]),
            [false, true, false]
        );
    }

    #[test]
    fn names_lead_back_to_their_metric() {
        for metric in Metric::THRESHOLDED.iter().chain(&Metric::RANKED) {
            assert_eq!(Metric::from_name(metric.name()).unwrap(), *metric);
        }
        assert!(Metric::from_name("trace_ratio").is_err());
    }
}
