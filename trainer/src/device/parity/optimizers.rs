//! The optimisers on the device against the CPU's, given the same gradients, and that frozen stages stand still.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use logodex_schemas::train::{OptimizerConfig, OptimizerKind, TrainConfig};
use tch::Tensor;

use super::outcome::{exact, outcome, relative_of_all};
use crate::device::findings::Findings;
use crate::model::Group;
use crate::optim::Optimizer;
use crate::runtime::Runtime;
use crate::train::Learner;

/// Two steps of each optimiser at two freeze levels from the same gradients: what moves, and that nothing else does.
pub(super) fn check(
    findings: &mut Findings,
    (cpu, device): (&mut Learner, &mut Learner),
    config: &TrainConfig,
    pictures: &Tensor,
) -> Result<()> {
    let runtime_of = |learner: &Learner| Runtime {
        device: learner.parameters[0].tensor.device(),
        bf16: false,
        channels_last: true,
        threads: 1,
    };
    let initial = cpu.net.state();
    for kind in [
        OptimizerKind::Sgd,
        OptimizerKind::Adam,
        OptimizerKind::Adamw,
    ] {
        for frozen in [0, 4] {
            cpu.net.load_state(&initial)?;
            device.net.load_state(&initial)?;
            for learner in [&mut *cpu, &mut *device] {
                let runtime = runtime_of(learner);
                let _ = outcome(learner, config, &runtime, pictures, frozen);
            }
            let (moved, strayed) = steps(kind, frozen, cpu, device)?;
            let name = format!("{kind:?} steps, freeze level {frozen}").to_lowercase();
            let detail = "how two steps move the weights, relative distance";
            findings.at_most(&name, moved, 1e-4, detail);
            let detail = "frozen parameters that moved or have a gradient, or others without";
            findings.at_most(&format!("{name}: strays"), strayed as f64, 0.0, detail);
        }
    }
    Ok(())
}

/// Steps both learners twice with the CPU's gradients. Returns the relative distance between the two movements and the
/// number of the device's parameters that do not keep to the freeze level.
pub(super) fn steps(
    kind: OptimizerKind,
    frozen: u8,
    cpu: &Learner,
    device: &Learner,
) -> Result<(f64, usize)> {
    let config = OptimizerConfig {
        kind,
        weight_decay: 0.01,
        ..OptimizerConfig::default()
    };
    let weights = |learner: &Learner| -> BTreeMap<String, Tensor> {
        let all = learner.parameters.iter();
        all.map(|p| (p.name.clone(), exact(&p.tensor))).collect()
    };
    let (before_cpu, before) = (weights(cpu), weights(device));
    let mut strays = BTreeSet::new();
    for (theirs, ours) in cpu.parameters.iter().zip(&device.parameters) {
        let still = matches!(ours.group, Group::Backbone { stage } if stage < frozen);
        if ours.tensor.grad().defined() == still {
            strays.insert(ours.name.as_str());
        }
        if ours.tensor.grad().defined() && theirs.tensor.grad().defined() {
            tch::no_grad(|| ours.tensor.grad().f_copy_(&theirs.tensor.grad()))?;
        }
    }
    for learner in [cpu, device] {
        let mut optimizer = Optimizer::new(&config);
        for _ in 0..2 {
            optimizer.step(&learner.parameters, |_| 1e-2);
        }
    }
    let moves = |before: &BTreeMap<String, Tensor>, learner: &Learner| {
        let after = weights(learner);
        let moves = after
            .iter()
            .map(|(name, t)| (name.clone(), t - &before[name]));
        moves.collect::<BTreeMap<_, _>>()
    };
    let (expected, found) = (moves(&before_cpu, cpu), moves(&before, device));
    for parameter in &device.parameters {
        let still = matches!(parameter.group, Group::Backbone { stage } if stage < frozen);
        let moved = found[&parameter.name].abs().max().double_value(&[]) > 0.0;
        if moved == still {
            strays.insert(parameter.name.as_str());
        }
    }
    Ok((relative_of_all(&found, &expected), strays.len()))
}
