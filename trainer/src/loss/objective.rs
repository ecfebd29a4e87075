//! Chooses the loss that a configuration asks for, and keeps what that loss needs besides embeddings: trained class
//! weights and the cross-batch memory.

use logodex_schemas::random::derive;
use logodex_schemas::train::{LossConfig, SamplerKind, TrainConfig};
use tch::{Device, Kind, Tensor};

use super::cross_batch_memory::{CrossBatchMemory, Remembered};
use super::distance::Measure;
use super::miner::{self, Labels};
use super::selection::Selection;
use super::{drawn_losses, pair_losses, proxy_losses};

/// What a batch's embeddings are held against.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// `[B]`, as `BatchPlan::targets`.
    pub targets: &'a Tensor,
    /// The photograph that each picture is of, `[B]`, with `data.same_photo_positives = false`.
    pub photographs: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for Targets<'a> {
    fn from(targets: &'a Tensor) -> Self {
        Self {
            targets,
            photographs: None,
        }
    }
}

/// What a run minimises.
#[derive(Debug)]
pub struct Objective {
    /// Class weights or proxies, `[classes · centres, D]`, where the loss has them.
    pub class_weights: Option<Tensor>,
    /// The cross-batch memory, where the run has one.
    pub memory: Option<CrossBatchMemory>,
}

impl Objective {
    /// The objective at the start of a run, for embeddings of `dim` numbers. Class weights are drawn like
    /// `xavier_normal_`.
    pub fn new(config: &TrainConfig, n_classes: usize, dim: i64, device: Device) -> Self {
        let class_weights = config.loss.has_weights().then(|| {
            // Drawn on the CPU, so that every device starts from the same numbers.
            crate::torch::manual_seed(derive(config.seed, "class weights", &[]) as i64);
            let centers = match config.loss {
                LossConfig::ArcFace { sub_centers, .. } => i64::from(sub_centers),
                _ => 1,
            };
            let shape = [n_classes as i64 * centers, dim];
            let std = (2.0 / (shape[0] + shape[1]) as f64).sqrt();
            let drawn = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * std;
            drawn.to_device(device).set_requires_grad(true)
        });
        let memory = config.memory.as_ref();
        Self {
            class_weights,
            memory: memory.map(|memory| {
                let photographs = !config.data.same_photo_positives;
                CrossBatchMemory::new(memory, dim, photographs, device)
            }),
        }
    }

    /// The mean loss of a batch, in fp32. `embeddings`: `[roles × B, D]`, role after role. `step` steps came before this batch's; `number` batches.
    pub fn loss(
        &mut self,
        config: &TrainConfig,
        embeddings: &Tensor,
        held_against: Targets<'_>,
        step: u64,
        number: u64,
    ) -> Tensor {
        let targets = held_against.targets;
        let weights = || {
            let weights = self.class_weights.as_ref();
            weights.expect("built whenever the loss has any")
        };
        let role = |roles| embeddings.chunk(roles, 0);
        match (config.loss, config.sampler()) {
            (LossConfig::Triplet { margin }, SamplerKind::Triplets) => {
                let role = role(3);
                drawn_losses::triplet(&role[0], &role[1], &role[2], margin)
            }
            (LossConfig::ContrastiveEuclidean { margin }, SamplerKind::Pairs) => {
                let (role, same) = (role(2), targets.to_kind(Kind::Float));
                drawn_losses::contrastive_euclidean(&role[0], &role[1], &same, margin)
            }
            (LossConfig::ContrastiveCosine { margin }, SamplerKind::Pairs) => {
                let (role, same) = (role(2), targets.to_kind(Kind::Float));
                drawn_losses::contrastive_cosine(&role[0], &role[1], &same, margin)
            }
            (LossConfig::NormSoftmax { temperature }, _) => {
                proxy_losses::norm_softmax(embeddings, weights(), targets, temperature)
            }
            (
                LossConfig::ArcFace {
                    margin_deg,
                    scale,
                    sub_centers,
                },
                _,
            ) => {
                let centers = i64::from(sub_centers);
                proxy_losses::arc_face(embeddings, weights(), targets, margin_deg, scale, centers)
            }
            (LossConfig::ProxyAnchor { margin, alpha }, _) => {
                proxy_losses::proxy_anchor(embeddings, weights(), targets, margin, alpha)
            }
            _ => self.loss_over_pairs(config, embeddings, held_against, step, number),
        }
    }

    /// The loss over the pairs of a P×K batch, `[B, D]` and `[B]`, with itself or with the memory.
    fn loss_over_pairs(
        &mut self,
        config: &TrainConfig,
        embeddings: &Tensor,
        Targets {
            targets: labels,
            photographs,
        }: Targets<'_>,
        step: u64,
        number: u64,
    ) -> Tensor {
        let memory = self.memory.as_mut();
        let remembered =
            memory.and_then(|memory| memory.remember(embeddings, labels, photographs, step));
        let Remembered {
            embeddings: references,
            labels: reference_labels,
            photographs: reference_photographs,
            own,
        } = remembered.unwrap_or_else(|| Remembered {
            embeddings: embeddings.shallow_clone(),
            labels: labels.shallow_clone(),
            photographs: photographs.map(Tensor::shallow_clone),
            own: Tensor::arange(labels.size()[0], (Kind::Int64, labels.device())),
        });
        let labels = Labels {
            anchors: labels,
            references: &reference_labels,
            own: &own,
            photographs: photographs.zip(reference_photographs.as_ref()),
        };
        let of_loss = measure(&config.loss);
        let measured = of_loss.between(embeddings, &references); // [B, R]
        let of_miner = |asked: Measure| match asked == of_loss {
            true => measured.detach(),
            false => asked.between(embeddings, &references),
        };
        let (dim, drawn_from) = (embeddings.size()[1], (config.seed, number));
        let selection = miner::mine(&config.miner, of_miner, dim, labels, drawn_from);
        pair_loss(&config.loss, &measured, &selection)
    }
}

/// What a loss over pairs compares embeddings by.
fn measure(config: &LossConfig) -> Measure {
    match config {
        LossConfig::Triplet { .. } | LossConfig::ContrastiveEuclidean { .. } => Measure::Distance,
        _ => Measure::Cosine,
    }
}

/// A loss over selected pairs, of its [`measure`] `[B, R]`.
fn pair_loss(config: &LossConfig, measured: &Tensor, selection: &Selection) -> Tensor {
    match *config {
        LossConfig::Triplet { margin } => pair_losses::triplet(measured, selection, margin),
        LossConfig::ContrastiveEuclidean { margin } => {
            pair_losses::contrastive_euclidean(measured, selection, margin)
        }
        LossConfig::ContrastiveCosine { margin } => {
            pair_losses::contrastive_cosine(measured, selection, margin)
        }
        LossConfig::MultiSimilarity { alpha, beta, base } => {
            pair_losses::multi_similarity(measured, selection, (alpha, beta, base))
        }
        LossConfig::SupCon { temperature } => {
            pair_losses::sup_con(measured, selection, temperature)
        }
        LossConfig::Circle { margin, gamma } => {
            pair_losses::circle(measured, selection, margin, gamma)
        }
        LossConfig::NormSoftmax { .. }
        | LossConfig::ArcFace { .. }
        | LossConfig::ProxyAnchor { .. } => unreachable!("a loss over classes"),
    }
}
