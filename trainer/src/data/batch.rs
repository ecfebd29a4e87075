//! Plans an epoch's batches before a picture is read: which rows, in which order, with which targets.

use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_schemas::random::derive;
use logodex_schemas::train::{SamplerKind, TrainConfig};

use logodex_sampling::{FoldRows, Labelled, Pair, Triplet};

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
    /// A number per picture, unique in the epoch (of a view, unique in the run): what its augmentation is derived from.
    pub keys: Vec<u64>,
    /// The view of each picture, where pictures come in a number of views; else nothing.
    pub views: Vec<u32>,
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

    /// Lets each picture be one of its `views` views, drawn for (`seed`, `epoch`) and its place in the epoch.
    pub fn take_views(&mut self, views: u32, seed: u64, epoch: u64) {
        let view = |key: &u64| (derive(seed, "view", &[epoch, *key]) % u64::from(views)) as u32;
        self.views = self.keys.iter().map(view).collect();
        let shown = self.rows.iter().zip(&self.views);
        self.keys = shown.map(|(row, view)| view_key(*row, *view)).collect();
    }

    /// The epoch that the augmentation of its pictures is drawn for, in `epoch`: a view is the same in every epoch.
    pub fn augmented_for(&self, epoch: u32) -> u64 {
        match self.views.is_empty() {
            true => epoch.into(),
            false => 0,
        }
    }
}

/// What the augmentation of a view of a row is derived from.
pub fn view_key(row: u64, view: u32) -> u64 {
    derive(0, "view of a picture", &[row, view.into()])
}

/// How many views each training picture has; none where each epoch draws anew. A picture that is not augmented is its one
/// view.
pub fn views(config: &TrainConfig) -> Option<u32> {
    config.augment.as_ref().map_or(Some(1), |a| a.views)
}

impl Samples {
    /// Draws an epoch of the configuration's sampler from (`config.seed`, `epoch`).
    ///
    /// # Panics
    /// If the fold has too few brands for a P×K batch; [`logodex_sampling::check_pk`] finds that earlier.
    pub fn draw(config: &TrainConfig, fold: &FoldRows, epoch: u64) -> Self {
        let (data, seed) = (&config.data, config.seed);
        match config.sampler() {
            SamplerKind::Triplets => Self::Triplets(logodex_sampling::triplets(fold, seed, epoch)),
            SamplerKind::Pairs => Self::Pairs(logodex_sampling::pairs(fold, seed, epoch)),
            SamplerKind::Images => Self::Images(logodex_sampling::labelled(fold, seed, epoch)),
            SamplerKind::Pk => {
                let (batch, per_brand) = (data.batch as usize, data.images_per_brand as usize);
                Self::Images(logodex_sampling::pk(fold, batch, per_brand, seed, epoch))
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
            views: Vec::new(),
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
    let (train, _) = logodex_sampling::folds(dataset, split, config)?;
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
    fn a_view_is_the_same_in_every_epoch_and_batch_and_all_are_taken() {
        let samples = triplets(40);
        let of = |epoch, size| -> Vec<(u64, u32, u64)> {
            let mut plans = samples.batches(size);
            plans.iter_mut().for_each(|p| p.take_views(3, 7, epoch));
            assert!(plans.iter().all(|p| p.augmented_for(9) == 0));
            let all = plans.iter().flat_map(|p| {
                let shown = p.rows.iter().zip(&p.views).zip(&p.keys);
                shown.map(|((row, view), key)| (*row, *view, *key))
            });
            let mut all: Vec<_> = all.collect();
            all.sort_unstable();
            all
        };
        let (first, second) = (of(0, 8), of(1, 8));
        assert_eq!(first, of(0, 40));
        assert_ne!(first, second);
        for (row, view, key) in first.iter().chain(&second) {
            assert_eq!(*key, view_key(*row, *view));
        }
        for view in 0..3 {
            let taken = first.iter().filter(|(_, v, _)| *v == view).count();
            assert!((20..=60).contains(&taken), "{taken} of 120");
        }
        assert_eq!(triplets(4).whole().augmented_for(9), 9);
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
