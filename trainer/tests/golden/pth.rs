//! State dicts that `torch.save` wrote.

use std::path::{Path, PathBuf};

use logodex_schemas::train::{Arch, Head, ModelConfig, Pooling};
use logodex_trainer::model::EmbeddingNet;
use logodex_trainer::model::pth::{is_torch_file, load_tensors};
use tch::{Device, Kind, Tensor};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

#[test]
fn every_kind_and_view_of_a_tensor_is_read() {
    let numbers = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4]);
    let expected = [
        (
            "bfloat16",
            Tensor::from_slice(&[1.0_f32, -3.0e38]).to_kind(Kind::BFloat16),
        ),
        ("count", Tensor::from(1_i64 << 40)),
        ("double", Tensor::from_slice(&[1e-300])),
        ("empty", Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))),
        (
            "every_second",
            Tensor::from_slice(&[4.0_f32, 6.0, 8.0, 10.0]).view([2, 2]),
        ),
        ("flags", Tensor::from_slice(&[true, false])),
        (
            "half",
            Tensor::from_slice(&[0.5_f32, 65504.0]).to_kind(Kind::Half),
        ),
        ("parameter", Tensor::from_slice(&[1.5_f32, -2.0])),
        ("transposed", numbers.tr()),
        ("whole", numbers),
    ];
    // The same in the format of torch since 1.6 and in that of before.
    for name in ["odd.pth", "legacy.pth"] {
        assert!(is_torch_file(&file(name)).unwrap(), "{name}");
        let read = load_tensors(&file(name)).unwrap();
        let names: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(names, expected.each_ref().map(|(name, _)| *name));
        for (name, tensor) in &expected {
            assert_eq!(read[*name].kind(), tensor.kind(), "{name}");
            assert_eq!(read[*name].size(), tensor.size(), "{name}");
            assert_eq!(read[*name], *tensor, "{name}");
        }
    }
}

#[test]
fn a_whole_resnet_is_taken_over() {
    let config = ModelConfig {
        arch: Arch::Resnet18,
        weights: Some(file("resnet18.pth").to_str().unwrap().to_owned()),
        allow_seen_brands: false,
        pooling: Pooling::Average,
        last_stride: 2,
        freeze_batch_norm: false,
        head: Head::Linear,
        bn_neck: false,
        embedding_dim: None,
        l2_normalize: true,
    };
    let net = EmbeddingNet::new(&config, 1, Device::Cpu, true).unwrap();
    // With torchvision's `fc.weight` and `fc.bias` the names are the same, so their places are too.
    let mut taken = 0;
    for (place, (name, tensor)) in net.state().iter().enumerate() {
        if !name.starts_with("fc.") {
            let expected = place as f64;
            assert_eq!(tensor.min().double_value(&[]), expected, "{name}");
            assert_eq!(tensor.max().double_value(&[]), expected, "{name}");
            taken += 1;
        }
    }
    assert_eq!(taken, 120);
}

#[test]
fn what_is_no_plain_state_dict_is_refused_with_the_way_out() {
    let refused = |name: &str| {
        assert!(is_torch_file(&file(name)).unwrap(), "{name}");
        let message = format!("{:#}", load_tensors(&file(name)).unwrap_err());
        assert!(message.contains(name), "{message}");
        message
    };
    let checkpoint = refused("checkpoint.pth");
    assert!(checkpoint.contains("(epoch, model)"), "{checkpoint}");
    assert!(!is_torch_file(&file("losses.safetensors")).unwrap());
}
