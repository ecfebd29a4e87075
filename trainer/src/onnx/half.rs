//! A graph whose weights are stored in half precision and computed with in single precision.

use anyhow::{Result, ensure};
use tch::Kind;

use super::graph::Graph;
use crate::torch;

/// The weights of convolutions and fully connected layers as fp16, each with a cast to fp32 behind it; biases and all other
/// constants, a hundredth of the file, stay as they are. So every processor computes what it computed before, and what was
/// rounded is the weights alone.
///
/// # Errors
/// A weight that fp16 cannot hold: more than 65,504.
pub fn with_half_weights(graph: &Graph) -> Result<Graph> {
    let mut out = graph.emptied();
    for (name, tensor) in &graph.constants {
        let is_weight = graph
            .nodes
            .iter()
            .any(|node| node.has_weight() && node.input[1] == *name);
        match is_weight {
            false => out.constant(name, tensor),
            true => {
                let half = tensor.to_kind(Kind::Half);
                ensure!(
                    torch::is_finite(&half),
                    "{name} holds numbers that half precision cannot hold; export with --precision fp32"
                );
                out.constant(name, &half)
            }
        };
    }
    for node in &graph.nodes {
        let mut node = node.clone();
        if node.has_weight() {
            let weight = node.input[1].clone();
            node.input[1] = out.cast_to_float(&weight);
        }
        out.push(node);
    }
    Ok(out)
}
