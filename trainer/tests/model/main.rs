//! What the network and the optimiser promise the training loop: frozen stages stand still, state returns bit for bit,
//! weights files are taken or refused with reasons.

mod state;
mod weights;

use std::collections::BTreeMap;

use logodex_schemas::train::{Arch, Head, ModelConfig, OptimizerConfig, OptimizerKind, Pooling};
use logodex_trainer::loss::distance::cosine_similarity;
use logodex_trainer::loss::drawn_losses;
use logodex_trainer::model::{EmbeddingNet, Group, Mode, Parameter};
use logodex_trainer::optim::schedule::batches_of_step;
use logodex_trainer::optim::{Optimizer, zero_grad};
use logodex_trainer::torch::{autocast_bf16, save_tensors, set_threads};
use tch::{Device, Kind, Tensor};

fn config(arch: Arch, head: Head) -> ModelConfig {
    ModelConfig {
        arch,
        weights: None,
        allow_seen_brands: false,
        pooling: Pooling::Average,
        last_stride: 2,
        freeze_batch_norm: false,
        head,
        bn_neck: false,
        embedding_dim: None,
        l2_normalize: true,
    }
}

/// With everything that may be configured.
fn full_config(arch: Arch, head: Head) -> ModelConfig {
    ModelConfig {
        pooling: Pooling::Gem,
        last_stride: 1,
        bn_neck: true,
        ..config(arch, head)
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
    drawn_losses::contrastive_cosine(&x, &y, &same, 0.2).backward();
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
fn groups_follow_the_names_and_a_bn_neck_trains_no_bias() {
    let config = full_config(Arch::Resnet50, Head::Contrastive);
    let net = EmbeddingNet::new(&config, 3, Device::Cpu, true).unwrap();
    let mut in_head = Vec::new();
    for Parameter { name, group, .. } in net.parameters() {
        match (stage_of(name), group) {
            (Some(of_name), Group::Backbone { stage }) => assert_eq!(of_name, *stage, "{name}"),
            (None, Group::Head) => in_head.push(name.as_str()),
            _ => panic!("{name} is in {group:?}"),
        }
    }
    let linear = ["fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"];
    assert_eq!(in_head[0], "gem.p");
    assert_eq!(in_head[1..5], linear);
    assert_eq!(in_head[5..], ["bn_neck.weight"]);
    assert_eq!(
        net.state()["bn_neck.bias"],
        Tensor::zeros([256], (Kind::Float, Device::Cpu))
    );
}

#[test]
fn evaluation_follows_every_change_of_weights_and_statistics() {
    set_threads(1);
    let mut net = EmbeddingNet::new(
        &full_config(Arch::Resnet18, Head::Linear),
        3,
        Device::Cpu,
        true,
    )
    .unwrap();
    let start = net.state();
    let mut seen = vec![net.forward(&images(2), Mode::Eval)];
    // What is folded for one pass must not outlive the weights: a fresh network has nothing folded.
    let mut check = |net: &EmbeddingNet, what: &str| {
        let config = full_config(Arch::Resnet18, Head::Linear);
        let mut fresh = EmbeddingNet::new(&config, 9, Device::Cpu, true).unwrap();
        fresh.load_state(&net.state()).unwrap();
        let now = net.forward(&images(2), Mode::Eval);
        assert_eq!(now, fresh.forward(&images(2), Mode::Eval), "{what}");
        assert!(seen.iter().all(|before| *before != now), "{what}");
        assert_eq!(
            net.features(&images(2), Mode::Train { frozen: 5 }),
            net.features(&images(2), Mode::Eval),
            "frozen stages compute what evaluation does"
        );
        seen.push(now);
    };
    let _ = net.forward(&images(4), Mode::Train { frozen: 2 });
    check(&net, "running statistics moved alone");
    train_step(&net, &mut optimizer(OptimizerKind::Sgd), 0, 0);
    check(&net, "a step of all stages");
    train_step(&net, &mut optimizer(OptimizerKind::Sgd), 3, 1);
    check(&net, "a step with frozen stages");
    net.load_state(&start).unwrap();
    assert_eq!(net.forward(&images(2), Mode::Eval), seen[0], "loaded");
}

#[test]
fn a_stage_that_is_unfrozen_trains_its_own_weights() {
    let frozen_once = net(Arch::Resnet18, Head::Linear, 3);
    let never_frozen = net(Arch::Resnet18, Head::Linear, 3);
    let _ = frozen_once.forward(&images(4), Mode::Train { frozen: 5 });
    for net in [&frozen_once, &never_frozen] {
        train_step(net, &mut optimizer(OptimizerKind::Sgd), 0, 0);
    }
    assert_eq!(bits(&frozen_once.state()), bits(&never_frozen.state()));
}

#[test]
fn momentum_is_kept_over_several_unfreezings() {
    let net = net(Arch::Resnet18, Head::Linear, 3);
    let mut optimizer = optimizer(OptimizerKind::Sgd);
    let mut stepped = 0;
    for (step, frozen) in [(0, 5), (1, 4), (2, 2), (3, 0)] {
        let (before, weights) = (optimizer.state(), net.state());
        train_step(&net, &mut optimizer, frozen, step);
        let after = optimizer.state();
        assert!(after.len() > stepped, "a level more has momentum");
        stepped = after.len();
        for parameter in net.parameters() {
            let Some(now) = after.get(&format!("{}.momentum_buffer", parameter.name)) else {
                continue;
            };
            let decayed =
                tch::no_grad(|| parameter.tensor.grad() + &weights[&parameter.name] * 0.01);
            let expected = match before.get(&format!("{}.momentum_buffer", parameter.name)) {
                Some(before) => before * 0.9 + decayed,
                None => decayed,
            };
            let scale = expected.abs().max().double_value(&[]).max(1e-12);
            let off = (now - expected).abs().max().double_value(&[]);
            assert!(
                off <= 1e-5 * scale,
                "{} in step {step}: {off}",
                parameter.name
            );
        }
    }
    assert_eq!(stepped, net.parameters().len());
}

#[test]
fn accumulated_batches_give_the_gradient_of_one_large_batch() {
    let net = net(Arch::Resnet18, Head::Contrastive, 3);
    // Frozen, for BatchNorm's statistics are a batch's own.
    let features = net.features(&images(12), Mode::Train { frozen: 5 });
    let weight = &net
        .parameters()
        .iter()
        .find(|p| p.name == "fc.0.weight")
        .unwrap()
        .tensor;
    let mean_loss = |rows: &Tensor| rows.matmul(&weight.tr()).square().mean(Kind::Float);
    zero_grad(net.parameters());
    mean_loss(&features).backward();
    let whole = weight.grad().copy();
    let size = batches_of_step(0, 4, 4);
    zero_grad(net.parameters());
    for batch in 0..size as i64 {
        let rows = features.narrow(0, batch * 3, 3);
        (mean_loss(&rows) / size as f64).backward();
    }
    let off = (weight.grad() - &whole).abs().max().double_value(&[]);
    assert!(off <= 1e-5 * whole.abs().max().double_value(&[]), "{off}");
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
    let cosine = cosine_similarity(&full, &half).min();
    assert!(cosine.double_value(&[]) > 0.99);
    assert_ne!(full, half);
    assert_eq!(net.state(), before);
}

#[test]
fn training_works_under_autocast_with_frozen_stages() {
    let net = net(Arch::Resnet18, Head::Contrastive, 3);
    let mode = Mode::Train { frozen: 2 };
    let embeddings = autocast_bf16(Device::Cpu, true, || net.forward(&images(4), mode));
    drawn_losses::triplet(
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
fn what_frozen_stages_give_is_what_a_whole_pass_computes_on_its_way() {
    for arch in [Arch::Resnet18, Arch::EfficientnetLite0] {
        for pooling in [Pooling::Average, Pooling::AverageMax, Pooling::Gem] {
            set_threads(1);
            let config = ModelConfig {
                pooling,
                ..config(arch, Head::Triplet)
            };
            let new = || EmbeddingNet::new(&config, 3, Device::Cpu, true).unwrap();
            let (whole, parted) = (new(), new());
            for level in 0..=5 {
                let output = parted.frozen_output(&images(4), level);
                assert!(!output.requires_grad() || level == 0);
                let pooled = level == 5 && pooling != Pooling::Gem;
                assert_eq!(output.dim(), if pooled { 2 } else { 4 });
                for mode in [Mode::Train { frozen: level }, Mode::Eval] {
                    let embed = |f: &dyn Fn() -> Tensor| {
                        tch::manual_seed(1); // dropout
                        f()
                    };
                    let at_once = embed(&|| whole.forward(&images(4), mode));
                    let in_parts = embed(&|| parted.forward_from(&output, level, mode));
                    assert_eq!(at_once, in_parts, "{arch:?} {pooling:?} {level} {mode:?}");
                }
            }
            assert_eq!(whole.state(), parted.state());
        }
    }
}

fn bits(state: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    save_tensors(file.path(), state).unwrap();
    std::fs::read(file.path()).unwrap()
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
