//! SGD, Adam and AdamW with PyTorch's arithmetic and, unlike tch's, with a state that can be saved and resumed from
//! bit for bit.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use logodex_schemas::train::{OptimizerConfig, OptimizerKind};
use tch::{Kind, Tensor};

use crate::model::Parameter;
use crate::torch::fused::{self, AdamConstants, SgdConstants};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// An optimiser and what it remembers of each parameter, by the parameter's name.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: BTreeMap<String, Slot>,
}

/// What is remembered of one parameter.
#[derive(Debug)]
enum Slot {
    Momentum(Tensor),
    Adam {
        step: i64,
        mean: Tensor,
        mean_sq: Tensor,
    },
}

impl Optimizer {
    /// An optimiser without memory. `lr` and `backbone_factor` are the caller's: it passes the rates to [`Self::step`].
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            slots: BTreeMap::new(),
        }
    }

    /// One step of `torch.optim.SGD`, `Adam` or `AdamW` from the gradients as they are, in their fused form: one pass
    /// over memory, and one call for all parameters of one rate and one weight decay.
    ///
    /// A parameter whose rate is 0 or that has no gradient (it is frozen, or took no part in the loss) is skipped: it
    /// keeps its value, its momentum and its count of steps.
    pub fn step(&mut self, params: &[Parameter], lr: impl Fn(&Parameter) -> f64) {
        let _no_grad = tch::no_grad_guard();
        let mut groups: BTreeMap<(u64, bool), Vec<&Parameter>> = BTreeMap::new();
        for parameter in params {
            let lr = lr(parameter);
            if lr != 0.0 && parameter.tensor.grad().defined() {
                let decays = self.config.decay_norms_and_biases || parameter.tensor.dim() > 1;
                let group = groups.entry((lr.to_bits(), decays)).or_default();
                group.push(parameter);
            }
        }
        for ((bits, decays), params) in groups {
            let lr = f64::from_bits(bits);
            let weight_decay = if decays {
                self.config.weight_decay
            } else {
                0.0
            };
            match self.config.kind {
                OptimizerKind::Sgd => self.sgd(&params, lr, weight_decay),
                OptimizerKind::Adam | OptimizerKind::Adamw => self.adam(&params, lr, weight_decay),
            }
        }
    }

    fn sgd(&mut self, params: &[&Parameter], lr: f64, weight_decay: f64) {
        let constants = SgdConstants {
            momentum: self.config.momentum,
            nesterov: self.config.nesterov,
            weight_decay,
        };
        if constants.momentum == 0.0 {
            let (weights, grads) = weights_and_grads(params);
            return fused::sgd_(&weights, &grads, &[], false, lr, constants);
        }
        // The first step writes the momentum, so the kernel takes those that were never stepped on their own.
        let (known, fresh): (Vec<&Parameter>, _) = params
            .iter()
            .partition(|parameter| self.slots.contains_key(&parameter.name));
        for (params, first_step) in [(known, false), (fresh, true)] {
            if params.is_empty() {
                continue;
            }
            let (weights, grads) = weights_and_grads(&params);
            let mut buffers = Vec::new();
            for parameter in params {
                let fresh = || Slot::Momentum(parameter.tensor.zeros_like());
                let slot = self.slots.entry(parameter.name.clone());
                if let Slot::Momentum(buffer) = slot.or_insert_with(fresh) {
                    buffers.push(buffer.shallow_clone());
                }
            }
            fused::sgd_(&weights, &grads, &buffers, first_step, lr, constants);
        }
    }

    fn adam(&mut self, params: &[&Parameter], lr: f64, weight_decay: f64) {
        let constants = AdamConstants {
            betas: (BETA1, BETA2),
            eps: EPS,
            weight_decay,
            decoupled: self.config.kind == OptimizerKind::Adamw,
        };
        let (weights, grads) = weights_and_grads(params);
        let (mut means, mut mean_sqs, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        // The kernels read the count of steps from the device; most parameters share one.
        let mut counts: BTreeMap<i64, Tensor> = BTreeMap::new();
        for parameter in params {
            let fresh = || Slot::Adam {
                step: 0,
                mean: parameter.tensor.zeros_like(),
                mean_sq: parameter.tensor.zeros_like(),
            };
            let slot = self.slots.entry(parameter.name.clone());
            if let Slot::Adam {
                step,
                mean,
                mean_sq,
            } = slot.or_insert_with(fresh)
            {
                *step += 1;
                let count = counts
                    .entry(*step)
                    .or_insert_with(|| fused::step_count(*step, &parameter.tensor));
                steps.push(count.shallow_clone());
                means.push(mean.shallow_clone());
                mean_sqs.push(mean_sq.shallow_clone());
            }
        }
        fused::adam_(&weights, &grads, (&means, &mean_sqs), &steps, lr, constants);
    }

    /// Everything remembered, for `optimizer.safetensors`: `<parameter>.momentum_buffer`, or `<parameter>.exp_avg`,
    /// `.exp_avg_sq` and `.step` (i64).
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        for (name, slot) in &self.slots {
            match slot {
                Slot::Momentum(buffer) => {
                    state.insert(format!("{name}.momentum_buffer"), buffer.copy());
                }
                Slot::Adam {
                    step,
                    mean,
                    mean_sq,
                } => {
                    state.insert(format!("{name}.step"), Tensor::from(*step));
                    state.insert(format!("{name}.exp_avg"), mean.copy());
                    state.insert(format!("{name}.exp_avg_sq"), mean_sq.copy());
                }
            }
        }
        state
    }

    /// Takes over what [`Self::state`] gave, for the parameters `params`. A parameter without memory is one that was
    /// never stepped.
    ///
    /// # Errors
    /// All at once: entries of no parameter or of another kind of optimiser, wrong shapes, half an Adam memory. The
    /// optimiser is then as it was before.
    pub fn load_state(
        &mut self,
        state: &BTreeMap<String, Tensor>,
        params: &[Parameter],
    ) -> Result<()> {
        let mut problems = Vec::new();
        let mut used = 0;
        let mut slots = BTreeMap::new();
        for parameter in params {
            let name = &parameter.name;
            let mut found = |suffix: &str| {
                let tensor = state.get(&format!("{name}.{suffix}"));
                used += usize::from(tensor.is_some());
                tensor
            };
            let slot = match self.config.kind {
                OptimizerKind::Sgd => match found("momentum_buffer") {
                    None => continue,
                    Some(buffer) => restored(buffer, &parameter.tensor).map(Slot::Momentum),
                },
                OptimizerKind::Adam | OptimizerKind::Adamw => {
                    match (found("step"), found("exp_avg"), found("exp_avg_sq")) {
                        (None, None, None) => continue,
                        (Some(step), Some(mean), Some(mean_sq))
                            if step.kind() == Kind::Int64 && step.numel() == 1 =>
                        {
                            restored(mean, &parameter.tensor)
                                .zip(restored(mean_sq, &parameter.tensor))
                                .map(|(mean, mean_sq)| Slot::Adam {
                                    step: step.int64_value(&[]),
                                    mean,
                                    mean_sq,
                                })
                        }
                        _ => None,
                    }
                }
            };
            match slot {
                Some(slot) => drop(slots.insert(name.clone(), slot)),
                None => problems.push(format!("{name}: incomplete or of another shape")),
            }
        }
        if used < state.len() {
            let known = |key: &String| {
                params.iter().any(|p| {
                    let suffix = key.strip_prefix(&p.name).and_then(|s| s.strip_prefix('.'));
                    match self.config.kind {
                        OptimizerKind::Sgd => suffix == Some("momentum_buffer"),
                        _ => matches!(suffix, Some("step" | "exp_avg" | "exp_avg_sq")),
                    }
                })
            };
            let unknown = state.keys().filter(|key| !known(key));
            problems.extend(unknown.map(|key| format!("{key}: belongs to no parameter")));
        }
        if !problems.is_empty() {
            bail!(
                "the optimiser's state does not fit the model and the configured optimiser: {}",
                problems.join("; ")
            );
        }
        self.slots = slots;
        Ok(())
    }
}

fn weights_and_grads(params: &[&Parameter]) -> (Vec<Tensor>, Vec<Tensor>) {
    let both = |p: &&Parameter| (p.tensor.shallow_clone(), p.tensor.grad());
    params.iter().map(both).unzip()
}

/// The Euclidean norm over the gradients of all parameters that have one (`torch.nn.utils.get_total_norm`): one fp32
/// number on the device, which is not waited for until it is read.
pub fn grad_norm(params: &[Parameter]) -> Tensor {
    match params.iter().any(|p| p.tensor.grad().defined()) {
        true => fused::grad_norm(params.iter().map(|p| &p.tensor)),
        false => Tensor::from(0_f32),
    }
}

/// Scales all gradients so that their norm is at most `max_norm`, by min(1, max_norm / (norm + 1e-6)), and returns the
/// norm that they had: `torch.nn.utils.clip_grad_norm_`. The device is not waited for.
pub fn clip_grad_norm(params: &[Parameter], max_norm: f64) -> Tensor {
    let norm = grad_norm(params);
    if params.iter().any(|p| p.tensor.grad().defined()) {
        fused::clip_grads_(params.iter().map(|p| &p.tensor), &norm, max_norm);
    }
    norm
}

/// Forgets the gradients (`set_to_none`), so that the next backward pass writes fresh ones: adding to zeros instead
/// would leave other signs of zero in a run that was resumed.
pub fn zero_grad(params: &[Parameter]) {
    for parameter in params {
        fused::clear_grad(&parameter.tensor);
    }
}

/// A copy of `saved` with the device and layout of `like`, unless the shapes or kinds differ.
fn restored(saved: &Tensor, like: &Tensor) -> Option<Tensor> {
    if saved.size() != like.size() || saved.kind() != like.kind() {
        return None;
    }
    let mut copy = tch::no_grad(|| like.empty_like());
    copy.copy_(saved);
    Some(copy)
}
