//! What learns: the network, a loss's own weights and the optimiser, saved and restored together.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use logodex_schemas::train::{LossConfig, ModelConfig, SamplerKind, TrainConfig};
use tch::{Kind, Tensor};

use crate::checkpoint::Checkpoint;
use crate::ema::Ema;
use crate::loss::labelled::{self, Measure};
use crate::loss::{self, classes};
use crate::memory::{Memory, Remembered};
use crate::miner::{self, Labels, Selection};
use crate::model::{EmbeddingNet, Group, Parameter};
use crate::optimizer::Optimizer;
use crate::runtime::Runtime;
use logodex_schemas::random::derive;

/// Keys of a checkpoint's model that are the loss's and not the network's begin with this.
const LOSS_PREFIX: &str = "loss.";
const CLASS_WEIGHTS: &str = "loss.weight";
/// Keys of the training state that are the network's weights themselves, where the model holds their average.
const WEIGHTS_PREFIX: &str = "weights.";

/// The network with what trains it.
pub struct Learner {
    /// The network.
    pub net: EmbeddingNet,
    /// Everything that the optimiser may move: the network's parameters, then the loss's.
    pub parameters: Vec<Parameter>,
    /// Moves them.
    pub optimizer: Optimizer,
    /// Class weights or proxies, `[classes · centres, D]`; the last of `parameters`.
    class_weights: Option<Tensor>,
    /// The cross-batch memory, where the run has one.
    memory: Option<Memory>,
    /// The average of the network, where the run keeps one.
    ema: Option<Ema>,
}

impl Learner {
    /// The learner at the start of a run. Class weights, where the loss has them, are drawn like `xavier_normal_`.
    ///
    /// # Errors
    /// The configuration's weights file is missing or does not fit.
    pub fn new(config: &TrainConfig, n_classes: usize, runtime: &Runtime) -> Result<Self> {
        Self::build(&config.model, config, n_classes, runtime)
    }

    /// The learner as a checkpoint left it. The configuration's weights file is not read again.
    ///
    /// # Errors
    /// A damaged checkpoint, or one of another network.
    pub fn resume(
        config: &TrainConfig,
        n_classes: usize,
        runtime: &Runtime,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let model = ModelConfig {
            weights: None,
            ..config.model.clone()
        };
        let mut learner = Self::build(&model, config, n_classes, runtime)?;
        let mut load = || -> Result<()> {
            let state = checkpoint.model()?;
            if let Some(weights) = &learner.class_weights {
                let saved = state
                    .get(CLASS_WEIGHTS)
                    .with_context(|| format!("the checkpoint has no `{CLASS_WEIGHTS}`"))?;
                tch::no_grad(|| weights.shallow_clone().f_copy_(saved))?;
            }
            learner.net.load_state(&network_state(state))?;
            learner.load_training_state(checkpoint.optimizer()?)
        };
        load().with_context(|| {
            format!("cannot resume from checkpoint {}", checkpoint.dir.display())
        })?;
        Ok(learner)
    }

    fn build(
        model: &ModelConfig,
        config: &TrainConfig,
        n_classes: usize,
        runtime: &Runtime,
    ) -> Result<Self> {
        let net = EmbeddingNet::new(model, config.seed, runtime.device, runtime.channels_last)?;
        let mut parameters: Vec<Parameter> = net
            .parameters()
            .iter()
            .map(|p| Parameter {
                name: p.name.clone(),
                tensor: p.tensor.shallow_clone(),
                group: p.group,
            })
            .collect();
        let class_weights = config.loss.has_weights().then(|| {
            // Drawn on the CPU, so that every device starts from the same numbers.
            tch::manual_seed(derive(config.seed, "class weights", &[]) as i64);
            let centers = match config.loss {
                LossConfig::ArcFace { sub_centers, .. } => i64::from(sub_centers),
                _ => 1,
            };
            let shape = [n_classes as i64 * centers, net.embedding_dim()];
            let std = (2.0 / (shape[0] + shape[1]) as f64).sqrt();
            let drawn = Tensor::randn(shape, (Kind::Float, tch::Device::Cpu)) * std;
            drawn.to_device(runtime.device).set_requires_grad(true)
        });
        if let Some(weights) = &class_weights {
            parameters.push(Parameter {
                name: CLASS_WEIGHTS.to_owned(),
                tensor: weights.shallow_clone(),
                group: Group::Loss,
            });
        }
        Ok(Self {
            ema: Ema::new(config, &net, runtime)?,
            memory: config
                .memory
                .as_ref()
                .map(|memory| Memory::new(memory, net.embedding_dim(), runtime.device)),
            net,
            parameters,
            optimizer: Optimizer::new(&config.optimizer),
            class_weights,
        })
    }

    /// The mean loss of a batch, in fp32. `embeddings`: `[roles × B, D]`, role after role; `targets`: `[B]` as
    /// [`BatchPlan::targets`](crate::batch::BatchPlan::targets). `step` steps came before this batch's; `number` batches.
    pub fn loss(
        &mut self,
        config: &TrainConfig,
        embeddings: &Tensor,
        targets: &Tensor,
        step: u64,
        number: u64,
    ) -> Tensor {
        let weights = || {
            let weights = self.class_weights.as_ref();
            weights.expect("built whenever the loss has any")
        };
        let role = |roles| embeddings.chunk(roles, 0);
        match (config.loss, config.sampler()) {
            (LossConfig::Triplet { margin }, SamplerKind::Triplets) => {
                let role = role(3);
                loss::triplet(&role[0], &role[1], &role[2], margin)
            }
            (LossConfig::ContrastiveEuclidean { margin }, SamplerKind::Pairs) => {
                let (role, same) = (role(2), targets.to_kind(Kind::Float));
                loss::contrastive_euclidean(&role[0], &role[1], &same, margin)
            }
            (LossConfig::ContrastiveCosine { margin }, SamplerKind::Pairs) => {
                let (role, same) = (role(2), targets.to_kind(Kind::Float));
                loss::contrastive_cosine(&role[0], &role[1], &same, margin)
            }
            (LossConfig::NormSoftmax { temperature }, _) => {
                classes::norm_softmax(embeddings, weights(), targets, temperature)
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
                classes::arc_face(embeddings, weights(), targets, margin_deg, scale, centers)
            }
            (LossConfig::ProxyAnchor { margin, alpha }, _) => {
                classes::proxy_anchor(embeddings, weights(), targets, margin, alpha)
            }
            _ => self.labelled_loss(config, embeddings, targets, step, number),
        }
    }

    /// The loss over the pairs of a P×K batch, `[B, D]` and `[B]`, with itself or with the memory.
    fn labelled_loss(
        &mut self,
        config: &TrainConfig,
        embeddings: &Tensor,
        labels: &Tensor,
        step: u64,
        number: u64,
    ) -> Tensor {
        let memory = self.memory.as_mut();
        let remembered = memory.and_then(|memory| memory.remember(embeddings, labels, step));
        let Remembered {
            embeddings: references,
            labels: reference_labels,
            own,
        } = remembered.unwrap_or_else(|| Remembered {
            embeddings: embeddings.shallow_clone(),
            labels: labels.shallow_clone(),
            own: Tensor::arange(labels.size()[0], (Kind::Int64, labels.device())),
        });
        let labels = Labels {
            anchors: labels,
            references: &reference_labels,
            own: &own,
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

    /// The network to validate and to embed with: the average where the run keeps one.
    pub fn evaluated(&self) -> &EmbeddingNet {
        self.ema.as_ref().map_or(&self.net, Ema::net)
    }

    /// After a step of the optimiser: lets the average follow.
    pub fn average(&mut self) {
        if let Some(ema) = &mut self.ema {
            ema.follow(&self.net);
        }
    }

    /// Everything that only training needs, for a checkpoint's `optimizer.safetensors`: the optimiser's memory under the
    /// parameters' names, the cross-batch memory under `memory.` and, where the model holds an average, the weights
    /// themselves under `weights.`.
    pub fn training_state(&self) -> BTreeMap<String, Tensor> {
        let mut state = self.optimizer.state();
        if let Some(memory) = &self.memory {
            state.extend(memory.state());
        }
        if self.ema.is_some() {
            state.extend(self.net.parameters().iter().map(|parameter| {
                let name = format!("{WEIGHTS_PREFIX}{}", parameter.name);
                (name, parameter.tensor.detach().copy())
            }));
        }
        state
    }

    /// Takes over what [`Self::training_state`] gave, after the network was loaded from the model.
    ///
    /// # Errors
    /// A weight is missing or does not fit; see [`Optimizer::load_state`].
    pub fn load_training_state(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<()> {
        if let Some(ema) = &mut self.ema {
            ema.net_mut().load_state(&self.net.state())?;
            for parameter in self.net.parameters() {
                let name = format!("{WEIGHTS_PREFIX}{}", parameter.name);
                let weight = state
                    .remove(&name)
                    .with_context(|| format!("the checkpoint has no `{name}`"))?;
                tch::no_grad(|| parameter.tensor.shallow_clone().f_copy_(&weight))
                    .with_context(|| name)?;
            }
        }
        if let Some(memory) = &mut self.memory {
            memory.load_state(&mut state)?;
        }
        self.optimizer.load_state(&state, &self.parameters)
    }

    /// Everything a checkpoint's `model.safetensors` holds.
    pub fn model_state(&self) -> BTreeMap<String, Tensor> {
        let mut state = self.evaluated().state();
        if let Some(weights) = &self.class_weights {
            state.insert(CLASS_WEIGHTS.to_owned(), weights.detach());
        }
        state
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
        LossConfig::Triplet { margin } => labelled::triplet(measured, selection, margin),
        LossConfig::ContrastiveEuclidean { margin } => {
            labelled::contrastive_euclidean(measured, selection, margin)
        }
        LossConfig::ContrastiveCosine { margin } => {
            labelled::contrastive_cosine(measured, selection, margin)
        }
        LossConfig::MultiSimilarity { alpha, beta, base } => {
            labelled::multi_similarity(measured, selection, (alpha, beta, base))
        }
        LossConfig::SupCon { temperature } => labelled::sup_con(measured, selection, temperature),
        LossConfig::Circle { margin, gamma } => {
            labelled::circle(measured, selection, margin, gamma)
        }
        LossConfig::NormSoftmax { .. }
        | LossConfig::ArcFace { .. }
        | LossConfig::ProxyAnchor { .. } => unreachable!("a loss over classes"),
    }
}

/// A checkpoint's model without the loss's own weights.
pub fn network_state(mut state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    state.retain(|name, _| !name.starts_with(LOSS_PREFIX));
    state
}
