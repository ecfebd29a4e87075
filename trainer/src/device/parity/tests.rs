//! Each check fails where something is wrong: every test plants a discrepancy.

use std::collections::BTreeSet;

use logodex_schemas::train::{OptimizerKind, Residency};

use tch::Device;

use super::optimizers::steps;
use super::*;

const SIZES: Sizes = Sizes {
    arch: Arch::Resnet18,
    side: 32,
    batch: 8,
};

const CPU: Arithmetic = Arithmetic {
    device: DeviceChoice::Cpu,
    precision: Precision::Fp32,
    channels_last: true,
    residency: Residency::Host,
    threads: 1,
};

/// A learner of [`SIZES`] on the CPU with what computes it.
fn cpu_learner() -> (TrainConfig, Runtime, Learner) {
    let config = experiment(SIZES.arch, TRAINED_LOSS).expect("accepted");
    let runtime = CPU.start().expect("the CPU is there");
    let learner = learner(&config, &runtime).expect("no file is read");
    (config, runtime, learner)
}

fn failed(compare_with: impl Fn(&mut Findings)) -> Vec<String> {
    let mut findings = Findings::new(1.0);
    compare_with(&mut findings);
    findings
        .failed()
        .iter()
        .map(|&name| name.to_owned())
        .collect()
}

#[test]
fn wrong_weights_fail_every_comparison_that_they_reach() {
    let (config, runtime, mut right) = cpu_learner();
    let pictures = pictures(SIZES);
    let initial = right.net.state();
    let expected = outcome(&mut right, &config, &runtime, &pictures, 0);
    right.net.load_state(&initial).expect("its own state");
    let again = outcome(&mut right, &config, &runtime, &pictures, 0);
    let judge = |found: &Outcome, precision| {
        failed(|findings| compare(findings, "", found, &expected, &bounds(precision)))
    };
    assert_eq!(judge(&again, Precision::Fp32), [""; 0]);

    right.net.load_state(&initial).expect("its own state");
    let name = "layer2.0.conv1.weight";
    let weight = right
        .parameters
        .iter()
        .find(|p| p.name == name)
        .expect(name);
    // Some inputs of every filter: a whole filter's scale is undone by the BatchNorm behind it.
    let _ = tch::no_grad(|| weight.tensor.narrow(1, 0, 16).g_mul_scalar_(2.0));
    let wrong = outcome(&mut right, &config, &runtime, &pictures, 0);
    let names = judge(&wrong, Precision::Fp32);
    for what in [
        "evaluation mode",
        "training mode",
        "gradients",
        "statistics",
    ] {
        assert!(
            names.iter().any(|name| name.contains(what)),
            "{what}: {names:?}"
        );
    }
    // bf16 that never left fp32.
    let names = judge(&again, Precision::Bf16);
    for what in ["evaluation mode", "training mode", "gradients"] {
        assert!(
            names.iter().any(|name| name.contains(what)),
            "{what}: {names:?}"
        );
    }
}

#[test]
fn a_stage_that_is_not_frozen_strays() {
    let (config, runtime, mut ours) = cpu_learner();
    let (_, _, mut theirs) = cpu_learner();
    let pictures = pictures(SIZES);
    let _ = outcome(&mut theirs, &config, &runtime, &pictures, 4);
    let _ = outcome(&mut ours, &config, &runtime, &pictures, 4);
    let (moved, strays) = steps(OptimizerKind::Adamw, 4, &theirs, &ours).expect("steps");
    assert_eq!((moved, strays), (0.0, 0));
    let _ = outcome(&mut ours, &config, &runtime, &pictures, 3);
    let (moved, strays) = steps(OptimizerKind::Adamw, 4, &theirs, &ours).expect("steps");
    assert!(moved > 1e-4 && strays > 0, "{moved} {strays}");
}

#[test]
fn another_constant_of_a_loss_is_seen() {
    let outcome_of = |loss: &str| {
        let config = experiment(Arch::Resnet18, loss).expect("accepted");
        loss_outcome(&config, CPU).expect("a loss")
    };
    let (value, gradients) = outcome_of(TRAINED_LOSS);
    let (same, same_gradients) = outcome_of(TRAINED_LOSS);
    assert_eq!(value, same);
    assert_eq!(relative_of_all(&same_gradients, &gradients), 0.0);
    let (other, other_gradients) = outcome_of("kind = \"norm_softmax\"\ntemperature = 0.051");
    assert!((other / value - 1.0).abs() > 1e-5);
    assert!(relative_of_all(&other_gradients, &gradients) > 1e-4);
}

#[test]
fn tensors_of_other_names_or_shapes_are_no_number() {
    let of = |name: &str, n: i64| {
        let ones = Tensor::ones([n], (Kind::Double, Device::Cpu));
        BTreeMap::from([(name.to_owned(), ones)])
    };
    assert_eq!(relative_of_all(&of("a", 2), &of("a", 2)), 0.0);
    assert!(relative_of_all(&of("a", 2), &of("b", 2)).is_nan());
    assert!(relative_of_all(&of("a", 2), &of("a", 3)).is_nan());
    assert!(relative_of_all(&of("a", 2), &BTreeMap::new()).is_nan());
}

#[test]
fn every_loss_of_the_configuration_is_in_the_list() {
    let schemas = logodex_schemas::json_schemas();
    let (_, schema) = schemas
        .iter()
        .find(|(name, _)| *name == "train_config")
        .expect("there");
    let kinds: BTreeSet<String> = schema["$defs"]["LossConfig"]["oneOf"]
        .as_array()
        .expect("an enum")
        .iter()
        .filter_map(|kind| {
            kind["properties"]["kind"]["const"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    let listed = LOSSES.map(|loss| loss.split('"').nth(1).expect("quoted").to_owned());
    assert!(!kinds.is_empty());
    assert_eq!(kinds, BTreeSet::from(listed));
}
