//! Fewer bits: how far the embeddings move, and that what was foretold with libtorch is what ONNX Runtime computes.

use logodex_schemas::train::{Arch, Head, Pooling};
use logodex_trainer::augment::{MEAN, STD};
use logodex_trainer::onnx::graph::Graph;
use logodex_trainer::onnx::half::with_half_weights;
use logodex_trainer::onnx::int8::{Ranges, quantized};
use logodex_trainer::onnx::interpreter::Interpreter;
use tch::{Device, Tensor};

use super::session::Session;
use super::{HEADS, SIDE, by_interpreter, by_torch, config, difference, net, pictures};

/// In eight bits, by what its activations are on some pictures.
fn in_eight_bits(graph: &Graph) -> Graph {
    let mut ranges = Ranges::default();
    let wanted = Ranges::wanted(graph);
    let interpreter = Interpreter::new(graph, Device::Cpu);
    for seed in 200..203 {
        let looked_at = interpreter.run(&pictures(8, seed), |name, value| {
            match wanted.contains(&name) {
                true => ranges.observe(name, value),
                false => Ok(()),
            }
        });
        let _embeddings = looked_at.unwrap();
    }
    quantized(graph, &ranges).unwrap()
}

/// The lowest cosine similarity of two rows of length one.
fn lowest_similarity(a: &Tensor, b: &Tensor) -> f64 {
    let similarities = (a * b).sum_dim_intlist([1].as_slice(), false, tch::Kind::Float);
    similarities.min().double_value(&[])
}

#[test]
fn half_precision_and_eight_bits_stay_near_in_less_space() {
    // Of the small network, what is no weight takes more.
    for (arch, pooling, of_eight_bits) in [
        (Arch::Resnet18, Pooling::Average, 0.27),
        (Arch::Resnet50, Pooling::Gem, 0.27),
        (Arch::EfficientnetLite0, Pooling::AverageMax, 0.3),
    ] {
        for head in HEADS {
            let net = net(&config(arch, head, pooling));
            let full = net.to_graph(SIDE, MEAN, STD);
            let size = full.to_file().unwrap().len() as f64;
            let expected = by_torch(&net, &pictures(3, 9));
            for (reduced, least, share) in [
                (with_half_weights(&full).unwrap(), 0.99999, 0.51),
                (in_eight_bits(&full), 0.98, of_eight_bits),
            ] {
                let file = reduced.to_file().unwrap();
                assert!((file.len() as f64) < share * size, "{} bytes", file.len());
                let found = Session::open(&file).embed(&pictures(3, 9));
                let similarity = lowest_similarity(&expected, &found);
                assert!(similarity > least, "{arch:?} {head:?}: {similarity}");
                assert!(difference(&expected, &found) > 0.0, "nothing was rounded");
                // What export foretells with libtorch, its thresholds among it, holds in ONNX Runtime.
                let foretold = by_interpreter(&reduced, &pictures(3, 9));
                let similarity = lowest_similarity(&foretold, &found);
                assert!(
                    similarity > 0.999,
                    "{arch:?} {head:?} foretold: {similarity}"
                );
            }
        }
    }
}

#[test]
fn a_weight_that_half_precision_cannot_hold_is_told() {
    let net = net(&config(Arch::Resnet18, Head::Linear, Pooling::Average));
    let fc = net.parameters().iter().find(|p| p.name == "fc.weight");
    let _ = tch::no_grad(|| fc.unwrap().tensor.shallow_clone().fill_(1e6));
    let told = with_half_weights(&net.to_graph(SIDE, MEAN, STD));
    let told = told.unwrap_err().to_string();
    assert!(told.contains("--precision fp32"), "{told}");
}
