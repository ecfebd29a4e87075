//! Validates a network after each epoch: the loss on fixed pairs or triplets of validation brands and the distance
//! threshold with the highest F1, as the paper does, and retrieval among all their pictures, as the evaluator does.

use anyhow::Result;
use logodex_dataset::Dataset;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::protocols::retrieval;
use logodex_schemas::random::derive;
use logodex_schemas::train::{BestBy, LossConfig};
use tch::{Kind, Tensor};

use super::embed::embed_rows;
use crate::data::batch::{BatchPlan, Samples};
use crate::data::loader::Source;
use crate::loss::distance::{cosine_similarity, euclidean_distance};
use crate::loss::drawn_losses;
use crate::model::EmbeddingNet;
use crate::runtime::Runtime;
use logodex_sampling::FoldRows;

/// Thresholds tried.
const THRESHOLDS: usize = 100;

/// What validation says of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Mean loss; none for `norm_softmax`, whose classes are the training brands.
    pub loss: Option<f64>,
    /// Highest F1 over the thresholds.
    pub f1: f64,
    /// The first threshold that gives it: a distance below it means "same brand".
    pub threshold: f64,
    /// MAP@R of retrieval, where it is asked for and some brand has two source images.
    pub map_at_r: Option<f64>,
}

impl Validation {
    /// What the epoch is judged by.
    pub fn value(&self, best_by: BestBy) -> Option<f64> {
        match best_by {
            BestBy::MapAtR => self.map_at_r,
            BestBy::F1 => Some(self.f1),
        }
    }
}

/// What every epoch is validated on, from the seed alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationSet {
    /// Pairs or triplets, one after the other.
    batch: BatchPlan,
    /// All rows, ascending, where retrieval is asked for.
    all_rows: Option<Vec<u64>>,
    seed: u64,
}

impl ValidationSet {
    /// Draws it; `None` where no pair can be drawn.
    pub fn draw(loss: &LossConfig, val: &FoldRows, seed: u64, best_by: BestBy) -> Option<Self> {
        let mut all_rows = val.rows();
        all_rows.sort_unstable();
        Some(Self {
            batch: validation_batch(loss, val, seed)?,
            all_rows: (best_by == BestBy::MapAtR).then_some(all_rows),
            seed,
        })
    }

    /// The rows that are embedded, rising and each once.
    pub fn rows(&self) -> Vec<u64> {
        self.all_rows.clone().unwrap_or_else(|| {
            let mut rows = self.batch.rows.clone();
            rows.sort_unstable();
            rows.dedup();
            rows
        })
    }
}

/// The pairs or triplets that every epoch is validated on, from the seed alone; for `norm_softmax`, pairs.
/// `None` where the fold yields none.
fn validation_batch(loss: &LossConfig, val: &FoldRows, seed: u64) -> Option<BatchPlan> {
    let seed = derive(seed, "validation", &[]);
    let samples = match loss {
        LossConfig::Triplet { .. } => Samples::Triplets(logodex_sampling::triplets(val, seed, 0)),
        _ => Samples::Pairs(logodex_sampling::pairs(val, seed, 0)),
    };
    (!samples.is_empty()).then(|| samples.whole())
}

/// Embeds each row of `source` that is needed once, in evaluation mode and without augmentation, and scores the set.
///
/// Distances: Euclidean for the triplet loss (anchor to positive, label 1; anchor to negative, label 0) and for
/// Euclidean pairs; 1 − cos for the others.
///
/// # Errors
/// A damaged dataset.
pub fn validate(
    net: &EmbeddingNet,
    runtime: &Runtime,
    (dataset, source): (&Dataset, Source<'_>),
    set: &ValidationSet,
    loss: &LossConfig,
) -> Result<Validation> {
    let batch = &set.batch;
    let rows = set.rows();
    let flat = embed_rows(net, runtime, source, &rows, None)?;
    let embeddings = Tensor::from_slice(&flat).view([rows.len() as i64, net.embedding_dim()]);
    let position: Vec<i64> = batch
        .rows
        .iter()
        .map(|row| rows.partition_point(|other| other < row) as i64)
        .collect();
    let gathered = embeddings.index_select(0, &Tensor::from_slice(&position)); // [roles × B, D]
    let role = gathered.chunk(batch.roles as i64, 0); // roles × [B, D]
    let same = Tensor::from_slice(&batch.targets).to_kind(Kind::Float);

    let (loss, distances, labels) = match *loss {
        LossConfig::Triplet { margin } => {
            let (a, p, n) = (&role[0], &role[1], &role[2]);
            let mut distances = numbers(&euclidean_distance(a, p))?;
            let mut labels = vec![true; distances.len()];
            distances.extend(numbers(&euclidean_distance(a, n))?);
            labels.resize(distances.len(), false);
            (
                Some(drawn_losses::triplet(a, p, n, margin)),
                distances,
                labels,
            )
        }
        LossConfig::ContrastiveEuclidean { margin } => (
            Some(drawn_losses::contrastive_euclidean(
                &role[0], &role[1], &same, margin,
            )),
            numbers(&euclidean_distance(&role[0], &role[1]))?,
            batch.targets.iter().map(|t| *t == 1).collect(),
        ),
        _ => (
            match *loss {
                LossConfig::ContrastiveCosine { margin } => Some(drawn_losses::contrastive_cosine(
                    &role[0], &role[1], &same, margin,
                )),
                _ => None,
            },
            numbers(&(1.0 - cosine_similarity(&role[0], &role[1])))?,
            batch.targets.iter().map(|t| *t == 1).collect(),
        ),
    };
    let (f1, threshold) = best_threshold(&distances, &labels);
    let map_at_r = set.all_rows.as_ref().and_then(|rows| {
        let embeddings = EmbeddingSet {
            dim: net.embedding_dim() as usize,
            embeddings: flat,
            brand: rows
                .iter()
                .map(|row| dataset.brand_of(*row).into())
                .collect(),
            row: rows.iter().map(|row| *row as i64).collect(),
        };
        let image_of_row = |row: i64| dataset.image_of(row.cast_unsigned());
        retrieval::map_at_r(&embeddings, &image_of_row, set.seed)
    });
    Ok(Validation {
        loss: loss.map(|l| l.double_value(&[])),
        f1,
        threshold,
        map_at_r,
    })
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(tensor.to_kind(Kind::Double))?)
}

/// The highest F1 over 100 thresholds spaced evenly from the smallest to the largest distance, both included, and the
/// first threshold that gives it. A distance below the threshold predicts "same brand"; F1 = 2TP / (2TP + FP + FN),
/// 0 on 0/0.
///
/// # Panics
/// If `distances` is empty or the lengths differ.
pub fn best_threshold(distances: &[f64], same: &[bool]) -> (f64, f64) {
    assert!(!distances.is_empty() && distances.len() == same.len());
    let low = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let high = distances.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let positives = same.iter().filter(|s| **s).count();
    let mut best = (f64::NEG_INFINITY, low);
    for i in 0..THRESHOLDS {
        let threshold = low + (high - low) * i as f64 / (THRESHOLDS - 1) as f64;
        let predicted = distances.iter().zip(same).filter(|(d, _)| **d < threshold);
        let (tp, fp) = predicted.fold((0, 0), |(tp, fp), (_, same)| match same {
            true => (tp + 1, fp),
            false => (tp, fp + 1),
        });
        let wrong = fp + (positives - tp);
        let f1 = match 2 * tp + wrong {
            0 => 0.0,
            n => 2.0 * tp as f64 / n as f64,
        };
        if f1 > best.0 {
            best = (f1, threshold);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_best_of_a_hundred_thresholds_is_found() {
        // Spacing 0.01 from 0 to 0.99. Below 0.5 lie three positives and one negative; the fourth positive lies behind
        // two more negatives. From 0.41 to 0.60: TP 3, FP 1, FN 1, so F1 = 6 / 8. The first such threshold counts.
        let distances = [0.0, 0.2, 0.3, 0.405, 0.6, 0.7, 0.99];
        let same = [true, false, true, true, false, false, true];
        let (f1, threshold) = best_threshold(&distances, &same);
        assert_eq!(f1, 0.75);
        assert!((threshold - 0.41).abs() < 1e-12, "{threshold}");
    }

    #[test]
    fn a_distance_at_the_threshold_is_not_below_it() {
        // The largest threshold equals the largest distance, so the last positive is never found.
        let (f1, _) = best_threshold(&[0.0, 1.0], &[true, true]);
        assert_eq!(f1, 2.0 / 3.0);
    }

    #[test]
    fn nothing_to_find_is_zero_and_no_nan() {
        assert_eq!(best_threshold(&[0.5, 0.5], &[true, false]), (0.0, 0.5));
        assert_eq!(best_threshold(&[0.1, 0.5], &[false, false]), (0.0, 0.1));
    }
}
