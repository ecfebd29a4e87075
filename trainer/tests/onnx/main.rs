//! What is exported is the network: ONNX Runtime computes from the file what libtorch computes from the weights.

mod precision;
mod session;

use logodex_schemas::train::{Arch, Head, ModelConfig, Pooling};
use logodex_trainer::augment::{MEAN, STD, prepare};
use logodex_trainer::loss::distance::l2_normalize;
use logodex_trainer::model::{EmbeddingNet, Mode};
use logodex_trainer::onnx::graph::Graph;
use logodex_trainer::onnx::interpreter::Interpreter;
use logodex_trainer::torch::{manual_seed, set_threads};
use tch::{Device, Kind, Tensor};

use session::Session;

const SIDE: i64 = 48;
const ARCHS: [Arch; 4] = [
    Arch::Resnet18,
    Arch::Resnet34,
    Arch::Resnet50,
    Arch::EfficientnetLite0,
];
const HEADS: [Head; 4] = [Head::None, Head::Linear, Head::Triplet, Head::Contrastive];

/// Pictures u8 `[count, SIDE, SIDE, 3]`: noise, with every level in it.
fn pictures(count: i64, seed: i64) -> Tensor {
    pictures_of(SIDE, count, seed)
}

fn pictures_of(side: i64, count: i64, seed: i64) -> Tensor {
    manual_seed(seed);
    Tensor::randint(256, [count, side, side, 3], (Kind::Uint8, Device::Cpu))
}

/// A network whose normalisations have seen pictures, so that they are no identities.
fn net(config: &ModelConfig) -> EmbeddingNet {
    set_threads(1);
    let net = EmbeddingNet::new(config, 3, Device::Cpu, false).unwrap();
    for seed in 0..3 {
        let images = prepare(&pictures(6, 100 + seed), None);
        let _ = tch::no_grad(|| net.forward(&images, Mode::Train { frozen: 0 }));
    }
    net
}

fn config(arch: Arch, head: Head, pooling: Pooling) -> ModelConfig {
    ModelConfig {
        arch,
        weights: None,
        allow_seen_brands: false,
        pooling,
        last_stride: 2,
        freeze_batch_norm: false,
        head,
        bn_neck: false,
        embedding_dim: None,
        l2_normalize: true,
    }
}

fn by_torch(net: &EmbeddingNet, pictures: &Tensor) -> Tensor {
    l2_normalize(&net.forward(&prepare(pictures, None), Mode::Eval))
}

fn by_interpreter(graph: &Graph, pictures: &Tensor) -> Tensor {
    let interpreter = Interpreter::new(graph, Device::Cpu);
    interpreter.run(pictures, |_, _| Ok(())).unwrap()
}

/// The largest difference of two rows, relative to their length, which is 1.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b)
        .norm_scalaropt_dim(2, [1], false)
        .max()
        .double_value(&[])
}

/// The network, its graph by libtorch and its file by ONNX Runtime, on one picture and on three.
fn assert_agrees(config: &ModelConfig, side: i64) {
    let net = net(config);
    let graph = net.to_graph(side, MEAN, STD);
    let mut session = Session::open(&graph.to_file().unwrap());
    for count in [1, 3] {
        let pictures = pictures_of(side, count, count);
        let expected = by_torch(&net, &pictures);
        let found = session.embed(&pictures);
        assert_eq!(found.size(), [count, net.embedding_dim()]);
        let apart = difference(&expected, &found);
        assert!(apart < 1e-4, "{config:?}: {apart}");
        let apart = difference(&expected, &by_interpreter(&graph, &pictures));
        assert!(apart < 1e-5, "{config:?} by the interpreter: {apart}");
        // Rows are told apart at all.
        if count > 1 {
            let first = expected.narrow(0, 0, 1);
            assert!(difference(&first, &expected.narrow(0, 1, 1)) > 1e-3);
        }
    }
}

#[test]
fn every_backbone_head_and_pooling_gives_the_embeddings_of_torch() {
    for arch in ARCHS {
        for head in HEADS {
            for pooling in [Pooling::Average, Pooling::Gem, Pooling::AverageMax] {
                assert_agrees(&config(arch, head, pooling), SIDE);
            }
        }
    }
}

/// Their padding depends on the side: of 48 it is uneven at every halving, of 75 at one alone.
#[test]
fn efficientnet_lites_of_any_side_and_last_stride_do() {
    for (arch, side, last_stride) in [
        (Arch::EfficientnetLite0, 75, 2),
        (Arch::EfficientnetLite0, 48, 1),
        (Arch::EfficientnetLite1, 64, 2),
        (Arch::EfficientnetLite2, 48, 2),
    ] {
        let config = ModelConfig {
            last_stride,
            ..config(arch, Head::Linear, Pooling::Average)
        };
        assert_agrees(&config, side);
    }
}

#[test]
fn so_do_a_neck_another_stride_and_a_network_that_does_not_normalise() {
    for head in HEADS {
        assert_agrees(
            &ModelConfig {
                bn_neck: true,
                last_stride: 1,
                l2_normalize: false,
                embedding_dim: (head != Head::None).then_some(24),
                ..config(Arch::Resnet18, head, Pooling::Gem)
            },
            SIDE,
        );
    }
}

#[test]
fn the_same_network_gives_the_same_bytes_and_weights_that_diverged_give_none() {
    let config = config(Arch::Resnet18, Head::Linear, Pooling::Average);
    let file = |net: &EmbeddingNet| net.to_graph(SIDE, MEAN, STD).to_file();
    let (first, second) = (net(&config), net(&config));
    assert_eq!(file(&first).unwrap(), file(&second).unwrap());
    let fc = first.parameters().last().unwrap();
    let _ = tch::no_grad(|| fc.tensor.shallow_clone().fill_(f64::NAN));
    let told = file(&first).unwrap_err().to_string();
    assert!(told.contains("not finite"), "{told}");
}
