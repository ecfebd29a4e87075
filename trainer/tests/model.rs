//! What the network and the optimiser promise the training loop: frozen stages stand still, state returns bit for bit,
//! weights files are taken or refused with reasons.

use std::collections::BTreeMap;
use std::path::Path;

use logodex_schemas::train::{Arch, Head, ModelConfig, OptimizerConfig, OptimizerKind, Pooling};
use logodex_trainer::loss;
use logodex_trainer::model::weights::{WeightsError, load_backbone};
use logodex_trainer::model::{EmbeddingNet, Group, Mode, Parameter};
use logodex_trainer::optimizer::{Optimizer, zero_grad};
use logodex_trainer::torch::{autocast_bf16, load_tensors, save_tensors, set_threads};
use tch::{Device, Kind, Tensor};

fn config(arch: Arch, head: Head) -> ModelConfig {
    ModelConfig {
        arch,
        weights: None,
        pooling: Pooling::Average,
        last_stride: 2,
        bn_neck: false,
        head,
        embedding_dim: None,
        l2_normalize: true,
    }
}

fn net(arch: Arch, head: Head, seed: u64) -> EmbeddingNet {
    // The setting is the calling thread's: tests that run side by side would otherwise wait for each other.
    set_threads(1);
    EmbeddingNet::new(&config(arch, head), seed, Device::Cpu, true).unwrap()
}

fn images(count: i64) -> Tensor {
    let steps = Tensor::arange(count * 3 * 32 * 32, (Kind::Float, Device::Cpu));
    (steps * 0.37).sin().view([count, 3, 32, 32])
}

fn optimizer(kind: OptimizerKind) -> Optimizer {
    Optimizer::new(&OptimizerConfig {
        kind,
        weight_decay: 0.01,
        ..OptimizerConfig::default()
    })
}

/// One training step on pairs of neighbours.
fn train_step(net: &EmbeddingNet, optimizer: &mut Optimizer, frozen: u8, step: i64) {
    tch::manual_seed(step); // dropout
    zero_grad(net.parameters());
    let embeddings = net.forward(&(images(4) + step as f64 * 0.1), Mode::Train { frozen });
    let same = Tensor::from_slice(&[1_i64, 0]);
    let (x, y) = (embeddings.narrow(0, 0, 2), embeddings.narrow(0, 2, 2));
    loss::contrastive_cosine(&x, &y, &same, 0.2).backward();
    optimizer.step(net.parameters(), |_| 1e-2);
}

fn stage_of(name: &str) -> Option<u8> {
    match name.split('.').next()? {
        "conv1" | "bn1" => Some(0),
        layer => layer.strip_prefix("layer")?.parse().ok(),
    }
}

#[test]
fn frozen_stages_stand_still_with_their_statistics_while_the_others_move() {
    let mut net = net(Arch::Resnet18, Head::Triplet, 3);
    let before = net.state();
    for frozen in [0, 2, 4, 5] {
        net.load_state(&before).unwrap();
        let mut optimizer = optimizer(OptimizerKind::Adamw);
        train_step(&net, &mut optimizer, frozen, 0);
        for parameter in net.parameters() {
            let still = matches!(parameter.group, Group::Backbone { stage } if stage < frozen);
            let has_grad = parameter.tensor.grad().defined();
            assert_eq!(has_grad, !still, "{} at level {frozen}", parameter.name);
        }
        for (name, tensor) in net.state() {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            let still = stage_of(&name).is_some_and(|stage| stage < frozen);
            assert_eq!(tensor == before[&name], still, "{name} at level {frozen}");
        }
    }
}

#[test]
fn groups_follow_the_names() {
    let net = net(Arch::Resnet50, Head::Contrastive, 3);
    for Parameter { name, group, .. } in net.parameters() {
        match (stage_of(name), group) {
            (Some(of_name), Group::Backbone { stage }) => assert_eq!(of_name, *stage, "{name}"),
            (None, Group::Head) => assert!(name.starts_with("fc."), "{name}"),
            _ => panic!("{name} is in {group:?}"),
        }
    }
}

#[test]
fn evaluation_changes_nothing_and_gives_unit_vectors_also_under_autocast() {
    let net = net(Arch::Resnet18, Head::Triplet, 3);
    let before = net.state();
    let embed = |bf16| {
        tch::no_grad(|| autocast_bf16(Device::Cpu, bf16, || net.forward(&images(3), Mode::Eval)))
    };
    let (full, half) = (embed(false), embed(true));
    assert_eq!(half.kind(), Kind::Float);
    assert_eq!(full.size(), [3, net.embedding_dim()]);
    let norms = half.norm_scalaropt_dim(2, [1], false);
    assert!((norms - 1.0).abs().max().double_value(&[]) < 1e-6);
    let cosine = loss::cosine_similarity(&full, &half).min();
    assert!(cosine.double_value(&[]) > 0.99);
    assert_ne!(full, half);
    assert_eq!(net.state(), before);
}

#[test]
fn training_works_under_autocast_with_frozen_stages() {
    let net = net(Arch::Resnet18, Head::Contrastive, 3);
    let mode = Mode::Train { frozen: 2 };
    let embeddings = autocast_bf16(Device::Cpu, true, || net.forward(&images(4), mode));
    loss::triplet(
        &embeddings.narrow(0, 0, 1),
        &embeddings.narrow(0, 1, 1),
        &embeddings.narrow(0, 2, 1),
        1.0,
    )
    .backward();
    for parameter in net.parameters() {
        let grad = parameter.tensor.grad();
        let trains = !matches!(parameter.group, Group::Backbone { stage: 0 | 1 });
        assert_eq!(grad.defined(), trains, "{}", parameter.name);
        assert!(!trains || grad.kind() == Kind::Float);
    }
}

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
        for step in 2..4 {
            train_step(&whole, &mut whole_optimizer, 3, step);
            train_step(&resumed, &mut resumed_optimizer, 3, step);
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
fn bits(state: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    save_tensors(file.path(), state).unwrap();
    std::fs::read(file.path()).unwrap()
}

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

#[test]
fn initialisation_is_torchvisions_and_decided_by_the_seed_and_the_name() {
    let net_a = net(Arch::Resnet18, Head::Linear, 5);
    let state = net_a.state();
    let std = |name: &str| {
        let weight = &state[name];
        assert!(
            weight.mean(Kind::Float).double_value(&[]).abs() < 2e-3,
            "{name}"
        );
        weight.std(true).double_value(&[])
    };
    // kaiming normal, fan out: √(2 / (outputs · kernel area)).
    for (name, fan_out) in [
        ("layer4.0.conv1.weight", 512 * 9),
        ("layer2.0.downsample.0.weight", 128),
        ("conv1.weight", 64 * 49),
    ] {
        let expected = (2.0 / f64::from(fan_out)).sqrt();
        assert!((std(name) / expected - 1.0).abs() < 0.03, "{name}");
    }
    // Linear: uniform in ±1/√inputs.
    let bound = 1.0 / 512_f64.sqrt();
    assert!((std("fc.weight") / (bound / 3_f64.sqrt()) - 1.0).abs() < 0.02);
    assert!(state["fc.weight"].abs().max().double_value(&[]) <= bound);
    let other_head = net(Arch::Resnet18, Head::Contrastive, 5).state();
    let other_seed = net(Arch::Resnet18, Head::Linear, 6).state();
    assert_eq!(
        other_head["layer3.1.conv2.weight"],
        state["layer3.1.conv2.weight"]
    );
    assert_ne!(
        other_seed["layer3.1.conv2.weight"],
        state["layer3.1.conv2.weight"]
    );
    assert_ne!(
        state["layer1.0.conv1.weight"],
        state["layer1.0.conv2.weight"]
    );
}

/// What torchvision saves: the backbone, and `fc` with 1,000 classes.
fn torchvision_file(path: &Path, arch: Arch, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let mut state = net(arch, Head::None, 8).state();
    let features = if arch == Arch::Resnet18 { 512 } else { 2048 };
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    state.insert("fc.weight".into(), zeros(&[1000, features]));
    state.insert("fc.bias".into(), zeros(&[1000]));
    change(&mut state);
    save_tensors(path, &state).unwrap();
}

#[test]
fn a_torchvision_file_and_a_run_give_their_backbone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resnet18.safetensors");
    torchvision_file(&path, Arch::Resnet18, |state| {
        state.insert(
            "loss.weight".into(),
            Tensor::zeros([7, 4], (Kind::Float, Device::Cpu)),
        );
        state.retain(|name, _| !name.ends_with("num_batches_tracked"));
    });
    let with_weights = ModelConfig {
        weights: Some(path.to_str().unwrap().to_owned()),
        ..config(Arch::Resnet18, Head::Linear)
    };
    let loaded = EmbeddingNet::new(&with_weights, 3, Device::Cpu, true).unwrap();
    let (source, fresh) = (
        net(Arch::Resnet18, Head::None, 8).state(),
        net(Arch::Resnet18, Head::Linear, 3).state(),
    );
    for (name, tensor) in loaded.state() {
        let from = if name.starts_with("fc.") {
            &fresh
        } else {
            &source
        };
        assert_eq!(tensor, from[&name], "{name}");
    }
}

#[test]
fn a_wrong_weights_file_is_refused_with_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    let mut target = net(Arch::Resnet18, Head::Linear, 3);
    let before = target.state();
    let mut refuse = |part: &str| {
        let error = load_backbone(&mut target, &path).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("weights.safetensors"), "{error}");
        error
    };
    let missing = refuse("torchvision.models.resnet18");
    assert!(matches!(missing, WeightsError::NotFound { .. }));
    std::fs::write(&path, "PK\u{3}\u{4} a .pth").unwrap();
    assert!(matches!(
        refuse(".safetensors"),
        WeightsError::Unreadable { .. }
    ));
    torchvision_file(&path, Arch::Resnet18, |state| {
        state.remove("layer3.0.downsample.0.weight");
        let two_dead = Tensor::zeros([63], (Kind::Float, Device::Cpu));
        state.insert("bn1.weight".into(), two_dead);
    });
    refuse("bn1.weight is [63] instead of [64]");
    refuse("layer3.0.downsample.0.weight is missing");
    torchvision_file(&path, Arch::Resnet50, |_| {});
    refuse("is no resnet18");
    // A ResNet-34 has every tensor of a ResNet-18, and more.
    torchvision_file(&path, Arch::Resnet18, |state| {
        let surplus = state["layer1.1.conv1.weight"].copy();
        state.insert("layer1.2.conv1.weight".into(), surplus);
    });
    refuse("layer1.2.conv1.weight is unexpected");
    assert_eq!(target.state(), before, "a refused file changes nothing");
    let configured = ModelConfig {
        weights: Some("no/such/file.safetensors".into()),
        ..config(Arch::Resnet18, Head::Linear)
    };
    let error = EmbeddingNet::new(&configured, 3, Device::Cpu, true).unwrap_err();
    assert!(error.downcast_ref::<WeightsError>().is_some());
}

#[test]
fn an_embedding_size_that_does_not_go_with_the_head_is_refused() {
    for (head, dim) in [(Head::None, 64), (Head::Linear, 0)] {
        let config = ModelConfig {
            embedding_dim: Some(dim),
            ..config(Arch::Resnet18, head)
        };
        let error = EmbeddingNet::new(&config, 3, Device::Cpu, true).unwrap_err();
        assert!(error.to_string().contains("model.embedding_dim"), "{error}");
    }
}
