//! Holds what learns: the network, a loss's own weights and the optimiser, saved and restored together.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use logodex_schemas::train::{ModelConfig, TrainConfig};
use tch::Tensor;

use crate::loss::objective::{Objective, Targets};
use crate::model::{EmbeddingNet, Group, Parameter};
use crate::optim::{Ema, Optimizer};
use crate::run::checkpoint::Checkpoint;
use crate::runtime::Runtime;
use crate::torch::is_finite;

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
    /// The loss; its class weights, where it has any, are the last of `parameters`.
    objective: Objective,
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
            if let Some(weights) = &learner.objective.class_weights {
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
        let dim = net.embedding_dim();
        let objective = Objective::new(config, n_classes, dim, runtime.device);
        if let Some(weights) = &objective.class_weights {
            parameters.push(Parameter {
                name: CLASS_WEIGHTS.to_owned(),
                tensor: weights.shallow_clone(),
                group: Group::Loss,
            });
        }
        Ok(Self {
            ema: Ema::new(config, &net, runtime)?,
            net,
            parameters,
            optimizer: Optimizer::new(&config.optimizer),
            objective,
        })
    }

    /// The mean loss of a batch: see [`Objective::loss`].
    pub fn loss<'a>(
        &mut self,
        config: &TrainConfig,
        embeddings: &Tensor,
        targets: impl Into<Targets<'a>>,
        step: u64,
        number: u64,
    ) -> Tensor {
        self.objective
            .loss(config, embeddings, targets.into(), step, number)
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

    /// Everything that only training needs, for a checkpoint's `optimizer.safetensors`: the optimiser's memory under
    /// the parameters' names, the cross-batch memory under `memory.` and, where the model holds an average, the weights
    /// themselves under `weights.`.
    pub fn training_state(&self) -> BTreeMap<String, Tensor> {
        let mut state = self.optimizer.state();
        if let Some(memory) = &self.objective.memory {
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
        if let Some(memory) = &mut self.objective.memory {
            memory.load_state(&mut state)?;
        }
        self.optimizer.load_state(&state, &self.parameters)
    }

    /// Whether every weight is a finite number, and so the network can go on.
    pub fn is_finite(&self) -> bool {
        self.parameters.iter().all(|p| is_finite(&p.tensor))
    }

    /// Everything a checkpoint's `model.safetensors` holds.
    pub fn model_state(&self) -> BTreeMap<String, Tensor> {
        let mut state = self.evaluated().state();
        if let Some(weights) = &self.objective.class_weights {
            state.insert(CLASS_WEIGHTS.to_owned(), weights.detach());
        }
        state
    }
}

/// A checkpoint's model without the loss's own weights.
pub fn network_state(mut state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    state.retain(|name, _| !name.starts_with(LOSS_PREFIX));
    state
}
