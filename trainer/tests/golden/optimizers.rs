//! Five steps of each optimiser against torch.optim: two groups of different rates, one parameter frozen in step 2.

use logodex_schemas::train::{OptimizerConfig, OptimizerKind};
use logodex_trainer::model::{Group, Parameter};
use logodex_trainer::optim::schedule::rate;
use logodex_trainer::optim::{Optimizer, clip_grad_norm, grad_norm, zero_grad};
use tch::Kind;

use crate::{assert_close, centred, golden};

fn parameters() -> [Parameter; 2] {
    let parameter = |name: &str, size: &[i64], group| Parameter {
        name: name.to_owned(),
        tensor: centred(name, size, 1.0).set_requires_grad(true),
        group,
    };
    [
        parameter("weight", &[7, 5], Group::Head),
        parameter("bias", &[7], Group::Backbone { stage: 0 }),
    ]
}

fn config(kind: OptimizerKind, momentum: f64, weight_decay: f64) -> OptimizerConfig {
    OptimizerConfig {
        kind,
        momentum,
        weight_decay,
        ..OptimizerConfig::default()
    }
}

/// Weight decay for the weight alone.
fn exempt(config: OptimizerConfig) -> OptimizerConfig {
    OptimizerConfig {
        decay_norms_and_biases: false,
        ..config
    }
}

/// Gives each parameter the golden gradient of the step, through autograd; the bias none in step 2.
fn backward(parameters: &[Parameter], step: usize) {
    zero_grad(parameters);
    for parameter in parameters {
        if parameter.name == "weight" || step != 2 {
            let name = format!("grad.{}.{step}", parameter.name);
            let grad = centred(&name, &parameter.tensor.size(), 1.0);
            (&parameter.tensor * grad).sum(Kind::Float).backward();
        }
    }
}

/// The backbone learns at a quarter of the head's rate.
fn quartered(base: f64) -> impl Fn(&Parameter) -> f64 {
    let config = OptimizerConfig {
        lr: base,
        backbone_factor: 0.25,
        ..OptimizerConfig::default()
    };
    move |parameter| rate(&config, 1.0, parameter.group)
}

#[test]
fn five_steps_equal_torch_optim_bit_for_bit_or_nearly() {
    let golden = golden("optimizers");
    for (tag, config, lr) in [
        ("sgd", config(OptimizerKind::Sgd, 0.9, 0.01), 0.1),
        ("sgd_plain", config(OptimizerKind::Sgd, 0.0, 0.0), 0.1),
        (
            "nesterov",
            OptimizerConfig {
                nesterov: true,
                ..config(OptimizerKind::Sgd, 0.9, 0.01)
            },
            0.1,
        ),
        ("adam", config(OptimizerKind::Adam, 0.9, 0.01), 0.01),
        ("adamw", config(OptimizerKind::Adamw, 0.9, 0.01), 0.01),
        (
            "sgd_exempt",
            exempt(config(OptimizerKind::Sgd, 0.9, 0.01)),
            0.1,
        ),
        (
            "adam_exempt",
            exempt(config(OptimizerKind::Adam, 0.9, 0.01)),
            0.01,
        ),
        (
            "adamw_exempt",
            exempt(config(OptimizerKind::Adamw, 0.9, 0.01)),
            0.01,
        ),
    ] {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&config);
        for step in 0..5 {
            backward(&parameters, step);
            optimizer.step(&parameters, quartered(lr));
            for parameter in &parameters {
                let key = format!("{tag}.{step}.{}", parameter.name);
                assert_close(&parameter.tensor.detach(), &golden[&key], 1e-7, &key);
            }
        }
    }
}

#[test]
fn gradients_are_clipped_as_torch_does() {
    let golden = golden("optimizers");
    for limit in ["10.0", "1.0", "0.01"] {
        let parameters = parameters();
        backward(&parameters, 0);
        let norm = clip_grad_norm(&parameters, limit.parse().unwrap());
        assert_close(&norm, &golden[&format!("clip.{limit}.norm")], 1e-6, limit);
        for parameter in &parameters {
            let key = format!("clip.{limit}.{}", parameter.name);
            assert_close(&parameter.tensor.grad(), &golden[&key], 1e-6, &key);
        }
        let clipped = grad_norm(&parameters).double_value(&[]);
        assert!(clipped <= limit.parse::<f64>().unwrap() * (1.0 + 1e-6));
    }
}

#[test]
fn parameters_without_a_gradient_count_nothing_in_the_norm() {
    let parameters = parameters();
    assert_eq!(clip_grad_norm(&parameters, 1.0).double_value(&[]), 0.0);
    backward(&parameters, 2); // none for the bias
    let alone = parameters[0].tensor.grad().norm().double_value(&[]);
    let norm = clip_grad_norm(&parameters, 1.0).double_value(&[]);
    assert!((norm - alone).abs() < 1e-6 * alone);
    assert!(!parameters[1].tensor.grad().defined());
}

#[test]
fn a_rate_of_zero_leaves_the_parameter_and_its_memory_alone() {
    for kind in [OptimizerKind::Sgd, OptimizerKind::Adamw] {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&config(kind, 0.9, 0.01));
        backward(&parameters, 0);
        optimizer.step(&parameters, quartered(0.1));
        let (weight, state) = (parameters[1].tensor.detach().copy(), optimizer.state());
        backward(&parameters, 1);
        optimizer.step(&parameters, |p| if p.name == "bias" { 0.0 } else { 0.1 });
        assert_eq!(parameters[1].tensor, weight);
        for (name, tensor) in optimizer.state() {
            assert_eq!(tensor == state[&name], name.starts_with("bias"), "{name}");
        }
    }
}
