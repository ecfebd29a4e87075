//! Weights files are taken over, or refused with the list of what is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use logodex_schemas::train::{Arch, Head, ModelConfig};
use logodex_trainer::model::EmbeddingNet;
use logodex_trainer::model::weights::WeightsError;
use logodex_trainer::torch::save_tensors;
use tch::{Device, Kind, Tensor};

use crate::{config, net};

/// What torchvision saves: the backbone, and `fc` with 1,000 classes.
fn torchvision_file(path: &Path, arch: Arch, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let mut state = net(arch, Head::None, 8).state();
    let features = if arch == Arch::Resnet50 { 2048 } else { 512 };
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
fn half_and_double_precision_become_fp32() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half.safetensors");
    torchvision_file(&path, Arch::Resnet34, |state| {
        for (name, tensor) in state {
            match name.as_str() {
                "bn1.bias" => *tensor = tensor.to_kind(Kind::Double),
                name if !name.ends_with("num_batches_tracked") => {
                    *tensor = tensor.to_kind(Kind::Half);
                }
                _ => {}
            }
        }
    });
    let target = net(Arch::Resnet34, Head::Linear, 3);
    target.load_backbone(&path).unwrap();
    let (state, source) = (target.state(), net(Arch::Resnet34, Head::None, 8).state());
    let (taken, exact) = (&state["conv1.weight"], &source["conv1.weight"]);
    assert_eq!(taken.kind(), Kind::Float);
    assert_eq!(*taken, exact.to_kind(Kind::Half).to_kind(Kind::Float));
}

#[test]
fn the_one_prefix_of_all_names_is_stripped_and_several_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrapped.safetensors");
    let wrap = |prefixes: &[&str]| {
        torchvision_file(&path, Arch::Resnet18, |state| {
            let plain = std::mem::take(state);
            for prefix in prefixes {
                let with = |(name, tensor): (&String, &Tensor)| {
                    (format!("{prefix}{name}"), tensor.shallow_clone())
                };
                state.extend(plain.iter().map(with));
            }
            state.insert("head.weight".into(), Tensor::from(0.5));
        });
    };
    let source = net(Arch::Resnet18, Head::None, 8).state();
    for prefix in ["module.", "backbone.", "module.encoder."] {
        wrap(&[prefix]);
        let target = net(Arch::Resnet18, Head::Linear, 3);
        target.load_backbone(&path).unwrap();
        assert_eq!(
            target.state()["layer4.1.conv2.weight"],
            source["layer4.1.conv2.weight"]
        );
    }
    wrap(&["encoder_q.", "encoder_k."]);
    let target = net(Arch::Resnet18, Head::Linear, 3);
    let told = target.load_backbone(&path).unwrap_err().to_string();
    assert!(
        told.contains("several networks") && told.contains("encoder_k., encoder_q."),
        "{told}"
    );
}

#[test]
fn weights_that_are_not_finite_are_refused_by_tensor_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("diverged.safetensors");
    let target = net(Arch::Resnet18, Head::Linear, 3);
    let before = target.state();
    let nan = |size: &[i64]| Tensor::full(size, f64::NAN, (Kind::Float, Device::Cpu));
    let too_large = Tensor::full([64], 1e300, (Kind::Double, Device::Cpu));
    for (name, tensor) in [
        ("layer2.0.conv1.weight", nan(&[128, 64, 3, 3])),
        ("bn1.running_var", too_large),
    ] {
        torchvision_file(&path, Arch::Resnet18, |state| {
            state.insert(name.to_owned(), tensor);
        });
        let error = target.load_backbone(&path).unwrap_err();
        assert!(matches!(error, WeightsError::NotFinite { .. }), "{error}");
        let told = error.to_string();
        assert!(
            told.contains(name) && told.contains("diverged.safetensors"),
            "{told}"
        );
    }
    assert_eq!(target.state(), before);
    // What is not taken over may be anything.
    torchvision_file(&path, Arch::Resnet18, |state| {
        state.insert("fc.bias".to_owned(), nan(&[1000]));
    });
    target.load_backbone(&path).unwrap();
}

#[test]
fn a_wrong_weights_file_is_refused_with_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    let target = net(Arch::Resnet18, Head::Linear, 3);
    let before = target.state();
    let refuse = |part: &str| {
        let error = target.load_backbone(&path).unwrap_err();
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
    torchvision_file(&path, Arch::Resnet34, |_| {});
    refuse("layer1.2.bn1.bias is unexpected");
    refuse("and 76 more");
    assert_eq!(target.state(), before, "a refused file changes nothing");
    let configured = ModelConfig {
        weights: Some("no/such/file.safetensors".into()),
        ..config(Arch::Resnet18, Head::Linear)
    };
    let error = EmbeddingNet::new(&configured, 3, Device::Cpu, true).unwrap_err();
    assert!(error.downcast_ref::<WeightsError>().is_some());
}
