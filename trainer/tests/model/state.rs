//! A state returns bit for bit, and a wrong one is refused.

use logodex_schemas::train::{Arch, Head, OptimizerKind};
use logodex_trainer::model::Mode;
use logodex_trainer::torch::{load_tensors, save_tensors};
use tch::{Device, Kind, Tensor};

use crate::{bits, images, net, optimizer, train_step};

#[test]
fn a_state_returns_bit_for_bit_through_a_file_and_a_wrong_one_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let trained = net(Arch::Resnet18, Head::Triplet, 3);
    train_step(&trained, &mut optimizer(OptimizerKind::Sgd), 1, 0);
    let state = trained.state();
    assert_eq!(state["bn1.num_batches_tracked"].kind(), Kind::Int64);
    save_tensors(&path, &state).unwrap();
    let mut other = net(Arch::Resnet18, Head::Triplet, 4);
    assert_ne!(other.state(), state);
    other.load_state(&load_tensors(&path).unwrap()).unwrap();
    assert_eq!(other.state(), state);

    let mut wrong = net(Arch::Resnet18, Head::Triplet, 4).state();
    wrong.remove("layer2.0.bn1.bias");
    wrong.insert(
        "fc.4.weight".into(),
        Tensor::zeros([9, 256], (Kind::Float, Device::Cpu)),
    );
    wrong.insert("fc.7.weight".into(), Tensor::from(0_i64));
    let message = other.load_state(&wrong).unwrap_err().to_string();
    for part in [
        "layer2.0.bn1.bias is missing",
        "fc.4.weight is [9, 256] instead of [128, 256]",
        "fc.7.weight is unexpected",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(other.state(), state, "a refused state changes nothing");
}

#[test]
fn resuming_equals_going_on_bit_for_bit() {
    for kind in [OptimizerKind::Sgd, OptimizerKind::Adamw] {
        let dir = tempfile::tempdir().unwrap();
        let whole = net(Arch::Resnet18, Head::Triplet, 3);
        let mut whole_optimizer = optimizer(kind);
        // Frozen at first, so that parameters have different numbers of steps behind them.
        for step in 0..2 {
            train_step(&whole, &mut whole_optimizer, 4 - step as u8, step);
        }
        let files = ["model", "optimizer"].map(|name| dir.path().join(name));
        save_tensors(&files[0], &whole.state()).unwrap();
        save_tensors(&files[1], &whole_optimizer.state()).unwrap();
        let mut resumed = net(Arch::Resnet18, Head::Triplet, 99);
        let mut resumed_optimizer = optimizer(kind);
        resumed
            .load_state(&load_tensors(&files[0]).unwrap())
            .unwrap();
        resumed_optimizer
            .load_state(&load_tensors(&files[1]).unwrap(), resumed.parameters())
            .unwrap();
        // Validation in between changes nothing, nor does what the one has folded already.
        let _ = whole.forward(&images(2), Mode::Eval);
        for (step, frozen) in [(2, 3), (3, 1)] {
            train_step(&whole, &mut whole_optimizer, frozen, step);
            train_step(&resumed, &mut resumed_optimizer, frozen, step);
        }
        assert_eq!(bits(&whole.state()), bits(&resumed.state()), "{kind:?}");
        assert_eq!(
            bits(&whole_optimizer.state()),
            bits(&resumed_optimizer.state()),
            "{kind:?}"
        );
    }
}

/// The file's bytes, in which 0 and −0 differ.
#[test]
fn an_optimiser_refuses_the_state_of_another() {
    let net = net(Arch::Resnet18, Head::Linear, 3);
    let mut sgd = optimizer(OptimizerKind::Sgd);
    train_step(&net, &mut sgd, 5, 0);
    let state = sgd.state();
    let mut adam = optimizer(OptimizerKind::Adam);
    let message = adam.load_state(&state, net.parameters()).unwrap_err();
    assert!(message.to_string().contains("fc.weight.momentum_buffer"));
    let mut short = state;
    short.insert("fc.bias.momentum_buffer".into(), Tensor::from(1.0_f32));
    let message = sgd.load_state(&short, net.parameters()).unwrap_err();
    assert!(message.to_string().contains("fc.bias: "), "{message}");
}
