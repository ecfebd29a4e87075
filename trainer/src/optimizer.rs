//! SGD, Adam and AdamW with PyTorch's arithmetic and, unlike tch's, with a state that can be saved and resumed from
//! bit for bit.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use logodex_schemas::train::{OptimizerConfig, OptimizerKind};
use tch::{Kind, Tensor};

use crate::model::Parameter;
use crate::torch::{self, AdamConstants};

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

    /// One step of `torch.optim.SGD`, `Adam` or `AdamW` (their fused form: one pass over memory) from the gradients as
    /// they are.
    ///
    /// A parameter whose rate is 0 or that has no gradient (it is frozen, or took no part in the loss) is skipped: it
    /// keeps its value, its momentum and its count of steps.
    pub fn step(&mut self, params: &[Parameter], lr: impl Fn(&Parameter) -> f64) {
        let _no_grad = tch::no_grad_guard();
        // The kernels read the count of steps from the device; most parameters share one.
        let mut counts = BTreeMap::new();
        for parameter in params {
            let grad = parameter.tensor.grad();
            let lr = lr(parameter);
            if lr == 0.0 || !grad.defined() {
                continue;
            }
            let mut weight = parameter.tensor.shallow_clone();
            match self.config.kind {
                OptimizerKind::Sgd => self.sgd(&parameter.name, &mut weight, &grad, lr),
                OptimizerKind::Adam | OptimizerKind::Adamw => {
                    self.adam(&parameter.name, &mut weight, &grad, lr, &mut counts);
                }
            }
        }
    }

    fn sgd(&mut self, name: &str, weight: &mut Tensor, grad: &Tensor, lr: f64) {
        let (momentum, decay) = (self.config.momentum, self.config.weight_decay);
        if momentum == 0.0 {
            return torch::fused_sgd_(weight, grad, None, lr, decay, false);
        }
        let mut first_step = false;
        let slot = self.slots.entry(name.to_owned()).or_insert_with(|| {
            first_step = true;
            Slot::Momentum(weight.zeros_like())
        });
        if let Slot::Momentum(buffer) = slot {
            torch::fused_sgd_(
                weight,
                grad,
                Some((buffer, momentum)),
                lr,
                decay,
                first_step,
            );
        }
    }

    fn adam(
        &mut self,
        name: &str,
        weight: &mut Tensor,
        grad: &Tensor,
        lr: f64,
        counts: &mut BTreeMap<i64, Tensor>,
    ) {
        let constants = AdamConstants {
            betas: (BETA1, BETA2),
            eps: EPS,
            weight_decay: self.config.weight_decay,
            decoupled: self.config.kind == OptimizerKind::Adamw,
        };
        let slot = self
            .slots
            .entry(name.to_owned())
            .or_insert_with(|| Slot::Adam {
                step: 0,
                mean: weight.zeros_like(),
                mean_sq: weight.zeros_like(),
            });
        if let Slot::Adam {
            step,
            mean,
            mean_sq,
        } = slot
        {
            *step += 1;
            let count = counts
                .entry(*step)
                .or_insert_with(|| Tensor::from(*step as f32).to_device(weight.device()));
            torch::fused_adam_(weight, grad, (mean, mean_sq), count, lr, constants);
        }
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

/// The Euclidean norm of all gradients together, a scalar on their device; 0 without any.
pub fn grad_norm(params: &[Parameter]) -> Tensor {
    let norms: Vec<Tensor> = gradients(params).map(|grad| grad.norm()).collect();
    match norms.is_empty() {
        true => Tensor::from(0f32),
        false => Tensor::stack(&norms, 0).norm(),
    }
}

/// `torch.nn.utils.clip_grad_norm_`: all gradients times min(1, max_norm / (norm + 1e-6)), without waiting for the device.
/// Returns the norm before, as [`grad_norm`].
pub fn clip_grad_norm(params: &[Parameter], max_norm: f64) -> Tensor {
    let norm = grad_norm(params);
    let factor = ((&norm + 1e-6).reciprocal() * max_norm).clamp_max(1.0);
    for mut grad in gradients(params) {
        let _ = grad.g_mul_(&factor);
    }
    norm
}

fn gradients(params: &[Parameter]) -> impl Iterator<Item = Tensor> {
    let all = params.iter().map(|parameter| parameter.tensor.grad());
    all.filter(Tensor::defined)
}

/// Forgets the gradients (`set_to_none`), so that the next backward pass writes fresh ones: adding to zeros instead
/// would leave other signs of zero in a run that was resumed.
pub fn zero_grad(params: &[Parameter]) {
    for parameter in params {
        torch::clear_grad(&parameter.tensor);
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
