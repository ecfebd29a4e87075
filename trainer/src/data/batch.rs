//! Plans an epoch's batches before a picture is read: which rows, in which order, with which targets.

use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_schemas::random::derive;
use logodex_schemas::train::{SamplerKind, TrainConfig};

use crate::data::sampler::{self, FoldRows, Labelled, Pair, Triplet};

/// The samples of one epoch, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// For the triplet loss.
    Triplets(Vec<Triplet>),
    /// For the contrastive losses.
    Pairs(Vec<Pair>),
    /// For losses over classes, and P×K batches one after the other.
    Images(Vec<Labelled>),
}

/// One batch before its pictures are read.
///
/// The pictures of all roles go through the network as one tensor, role after role: a triplet batch is
/// `[anchors, positives, negatives]`, a pair batch `[firsts, seconds]`. So BatchNorm's statistics cover the whole
/// batch, negatives included, as they would not with a forward pass per role.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    /// Rows, `[roles × B]`.
    pub rows: Vec<u64>,
    /// A number per picture, unique in the epoch: what its augmentation is derived from.
    pub keys: Vec<u64>,
    /// Pairs: 1 for the same brand, 0 otherwise. Images: the class. Triplets: nothing. `[B]`
    pub targets: Vec<i64>,
    /// 3, 2 or 1.
    pub roles: usize,
}

impl BatchPlan {
    /// Number of its triplets, pairs or images.
    pub fn samples(&self) -> usize {
        self.rows.len() / self.roles
    }
}

impl Samples {
    /// Draws an epoch of the configuration's sampler from (`config.seed`, `epoch`).
    ///
    /// # Panics
    /// If the fold has too few brands for a P×K batch; [`sampler::check_pk`] finds that earlier.
    pub fn draw(config: &TrainConfig, fold: &FoldRows, epoch: u64) -> Self {
        let (data, seed) = (&config.data, config.seed);
        match config.sampler() {
            SamplerKind::Triplets => Self::Triplets(sampler::triplets(fold, seed, epoch)),
            SamplerKind::Pairs => Self::Pairs(sampler::pairs(fold, seed, epoch)),
            SamplerKind::Images => Self::Images(sampler::labelled(fold, seed, epoch)),
            SamplerKind::Pk => {
                let (batch, per_brand) = (data.batch as usize, data.images_per_brand as usize);
                Self::Images(sampler::pk(fold, batch, per_brand, seed, epoch))
            }
        }
    }

    /// Number of triplets, pairs or images.
    pub fn len(&self) -> usize {
        match self {
            Self::Triplets(samples) => samples.len(),
            Self::Pairs(samples) => samples.len(),
            Self::Images(samples) => samples.len(),
        }
    }

    /// Whether nothing could be drawn.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pictures per sample: 3, 2 or 1.
    pub fn roles(&self) -> usize {
        match self {
            Self::Triplets(_) => 3,
            Self::Pairs(_) => 2,
            Self::Images(_) => 1,
        }
    }

    /// Cuts the epoch into batches of `size` samples. A last batch of fewer samples is kept, of a single sample
    /// dropped: BatchNorm cannot take statistics of one image.
    pub fn batches(&self, size: usize) -> Vec<BatchPlan> {
        (0..n_batches(self.len(), size))
            .map(|i| self.plan(i * size, ((i + 1) * size).min(self.len())))
            .collect()
    }

    /// All samples as one batch.
    pub fn whole(&self) -> BatchPlan {
        self.plan(0, self.len())
    }

    fn plan(&self, from: usize, to: usize) -> BatchPlan {
        let (rows, targets): (Vec<u64>, Vec<i64>) = match self {
            Self::Triplets(samples) => {
                let s = &samples[from..to];
                let anchors = s.iter().map(|t| t.anchor);
                let positives = s.iter().map(|t| t.positive);
                let negatives = s.iter().map(|t| t.negative);
                (anchors.chain(positives).chain(negatives).collect(), vec![])
            }
            Self::Pairs(samples) => {
                let s = &samples[from..to];
                let firsts = s.iter().map(|p| p.first);
                let seconds = s.iter().map(|p| p.second);
                let same = s.iter().map(|p| i64::from(p.same));
                (firsts.chain(seconds).collect(), same.collect())
            }
            Self::Images(samples) => samples[from..to].iter().map(|l| (l.row, l.class)).unzip(),
        };
        let keys = rows
            .iter()
            .enumerate()
            .map(|(i, &row)| {
                let (role, sample) = (i / (to - from), from + i % (to - from));
                derive(0, "picture", &[row, sample as u64, role as u64])
            })
            .collect();
        BatchPlan {
            rows,
            keys,
            targets,
            roles: self.roles(),
        }
    }
}

/// Number of batches that [`Samples::batches`] makes of `n` samples.
pub fn n_batches(n: usize, size: usize) -> usize {
    n / size + usize::from(n % size >= 2)
}

/// Training images that an epoch takes through the network, found without reading a picture; the same in every epoch.
///
/// # Errors
/// [`Failure::Usage`] where a P×K batch needs more brands than there are.
pub fn images_per_epoch(
    dataset: &Dataset,
    split: &Split,
    config: &TrainConfig,
) -> Result<u64, Failure> {
    let (train, _) = sampler::folds(dataset, split, config)?;
    let plans = Samples::draw(config, &train, 0).batches(config.data.batch as usize);
    Ok(plans.iter().map(|plan| plan.rows.len() as u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triplets(n: u64) -> Samples {
        let triplet = |i| Triplet {
            anchor: i,
            positive: 100 + i,
            negative: 200 + i,
        };
        Samples::Triplets((0..n).map(triplet).collect())
    }

    #[test]
    fn roles_follow_each_other_and_every_sample_is_used() {
        let plans = triplets(5).batches(3);
        assert_eq!(plans[0].rows, [0, 1, 2, 100, 101, 102, 200, 201, 202]);
        assert_eq!(plans[1].rows, [3, 4, 103, 104, 203, 204]);
        assert_eq!(plans.len(), 2);
    }

    #[test]
    fn a_last_batch_of_one_is_dropped_and_counted_as_such() {
        for (n, size, expected) in [(7, 3, 2), (8, 3, 3), (9, 3, 3), (1, 3, 0), (0, 3, 0)] {
            assert_eq!(triplets(n).batches(size).len(), expected, "{n} by {size}");
            assert_eq!(n_batches(n as usize, size), expected);
        }
    }

    #[test]
    fn keys_are_unique_and_do_not_depend_on_the_batch_size() {
        let samples = Samples::Images(
            (0..6)
                .map(|i| Labelled {
                    row: i % 2,
                    class: 0,
                })
                .collect(),
        );
        let keys = |size| -> Vec<u64> {
            let plans = samples.batches(size);
            plans.into_iter().flat_map(|p| p.keys).collect()
        };
        assert_eq!(keys(2), keys(6));
        let mut unique = keys(2);
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 6);
    }

    #[test]
    fn pairs_carry_their_label() {
        let pair = |first, same| Pair {
            first,
            second: first + 10,
            same,
        };
        let plan = Samples::Pairs(vec![pair(1, true), pair(2, false)]).whole();
        assert_eq!((plan.rows, plan.targets), (vec![1, 2, 11, 12], vec![1, 0]));
    }
}
