//! The network against torchvision's.

use std::collections::BTreeMap;

use logodex_schemas::train::{Arch, Head, ModelConfig, Pooling};
use logodex_trainer::model::{EmbeddingNet, Mode};
use tch::{Device, Kind, Tensor};

use crate::{assert_close, centred, fill, golden};

fn config(arch: Arch, head: Head, l2_normalize: bool) -> ModelConfig {
    ModelConfig {
        arch,
        weights: None,
        pooling: Pooling::Average,
        last_stride: 2,
        bn_neck: false,
        head,
        embedding_dim: None,
        l2_normalize,
    }
}

/// `fill_state` of `make_golden.py`, loaded strictly: so the names and shapes are torchvision's too.
fn filled(config: &ModelConfig, channels_last: bool) -> EmbeddingNet {
    let mut net = EmbeddingNet::new(config, 1, Device::Cpu, channels_last).unwrap();
    let state: BTreeMap<String, Tensor> = net
        .state()
        .into_iter()
        .map(|(name, tensor)| {
            let size = tensor.size();
            let value = if name.ends_with("num_batches_tracked") {
                tensor
            } else if size.len() > 1 {
                let fan_in: i64 = size[1..].iter().product();
                centred(&name, &size, (6.0 / fan_in as f64).sqrt())
            } else if name.ends_with("running_var")
                || (name.ends_with("weight") && !name.contains("fc"))
                || name == "fc.1.weight"
            {
                let last = name.ends_with("bn2.weight") || name.ends_with("bn3.weight");
                let scale = if last { 0.25 } else { 1.0 };
                ((fill(&name, &size) + 0.5) * scale).to_kind(Kind::Float)
            } else {
                centred(&name, &size, 0.1)
            };
            (name, value)
        })
        .collect();
    net.load_state(&state).unwrap();
    net
}

fn images() -> Tensor {
    centred("images", &[4, 3, 64, 64], 2.0)
}

fn evaluation(arch: Arch, head: Head, tag: &str) {
    let golden = golden("resnets");
    for channels_last in [false, true] {
        for (normalize, key) in [(false, "eval"), (true, "eval_normalized")] {
            let net = filled(&config(arch, head, normalize), channels_last);
            let embeddings = tch::no_grad(|| net.forward(&images(), Mode::Eval));
            assert_close(&embeddings, &golden[&format!("{tag}.{key}")], 1e-5, tag);
        }
    }
}

fn training(arch: Arch, head: Head, tag: &str) {
    let golden = golden("resnets");
    for channels_last in [false, true] {
        let net = filled(&config(arch, head, false), channels_last);
        let embeddings = net.forward(&images(), Mode::Train { frozen: 0 });
        assert_close(&embeddings, &golden[&format!("{tag}.train")], 1e-5, tag);
        let cotangent = centred("cotangent", &embeddings.size(), 1.0);
        (embeddings * cotangent).sum(Kind::Float).backward();
        let state = net.state();
        let prefixed = |prefix: String| {
            golden
                .iter()
                .filter_map(move |(key, value)| Some((key.strip_prefix(&prefix)?, value)))
        };
        for (name, expected) in prefixed(format!("{tag}.stats.")) {
            assert_close(&state[name].narrow(0, 0, 64), expected, 1e-5, name);
        }
        let mut compared = 0;
        for (name, expected) in prefixed(format!("{tag}.grad.")) {
            let parameter = net.parameters().iter().find(|p| p.name == name).unwrap();
            let grad = parameter.tensor.grad().contiguous().view([-1]);
            // fp32 gradients are this far from double precision: in fifty layers some ReLU falls on the other side,
            // another on every processor (2e-3 on an Intel Xeon, 1.5e-2 on an AMD EPYC). A wrong stride, shortcut or
            // statistic is a matter of 0.1 and more.
            let tolerance = if arch == Arch::Resnet18 { 1e-5 } else { 3e-2 };
            assert_close(&grad.narrow(0, 0, 64), expected, tolerance, name);
            compared += 1;
        }
        assert_eq!(compared, 4);
    }
}

#[test]
fn resnet18_evaluates_as_torchvision_does() {
    evaluation(Arch::Resnet18, Head::Linear, "resnet18.linear");
}

#[test]
fn resnet18_evaluates_as_torchvision_does_with_the_triplet_head() {
    evaluation(Arch::Resnet18, Head::Triplet, "resnet18.triplet");
}

#[test]
fn resnet50_evaluates_as_torchvision_does() {
    evaluation(Arch::Resnet50, Head::Contrastive, "resnet50.contrastive");
}

#[test]
fn resnet18_trains_as_torchvision_does() {
    training(Arch::Resnet18, Head::Linear, "resnet18.linear");
    training(Arch::Resnet18, Head::Contrastive, "resnet18.contrastive");
}

#[test]
fn resnet50_trains_as_torchvision_does() {
    training(Arch::Resnet50, Head::Contrastive, "resnet50.contrastive");
}
