//! Pools the last feature map to one feature vector.

use logodex_schemas::train::Pooling;
use tch::Tensor;

use super::layers::Layers;
use crate::onnx::graph::{Graph, Value};

/// Radenović et al.'s: x^p has a gradient at 0, where ReLU leaves most of it.
const GEM_EPS: f64 = 1e-6;

#[derive(Debug)]
pub(super) enum Pool {
    Average,
    AverageMax,
    /// `gem.p`, `[1]`.
    Gem(Tensor),
}

impl Pool {
    pub(super) fn new(layers: &mut Layers, kind: Pooling) -> Self {
        match kind {
            Pooling::Average => Self::Average,
            Pooling::AverageMax => Self::AverageMax,
            Pooling::Gem => Self::Gem(layers.scalar("gem.p", 3.0)),
        }
    }

    /// Whether it has a parameter.
    pub(super) fn learns(&self) -> bool {
        matches!(self, Self::Gem(_))
    }

    /// `[B, F, h, w]`, fp32 → `[B, F]`. GeM is (mean of max(x, 1e-6)^p)^(1/p) (Radenović et al. 2018).
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mean = |x: &Tensor| x.adaptive_avg_pool2d([1, 1]).flatten(1, -1);
        match self {
            Self::Average => mean(x),
            Self::AverageMax => mean(x) + x.adaptive_max_pool2d([1, 1]).0.flatten(1, -1),
            Self::Gem(p) => mean(&x.clamp_min(GEM_EPS).pow(p)).pow(&p.reciprocal()),
        }
    }

    /// Adds it to a graph.
    pub(super) fn add_to(&self, graph: &mut Graph, maps: &Value) -> Value {
        match self {
            Self::Average => graph.mean_over_positions(maps),
            Self::AverageMax => {
                let mean = graph.mean_over_positions(maps);
                let max = graph.max_over_positions(maps);
                graph.sum(&mean, &max)
            }
            Self::Gem(p) => {
                let p = p.double_value(&[0]);
                let positive = graph.clip(maps, GEM_EPS as f32, f32::MAX);
                let powers = graph.power(&positive, p as f32);
                let mean = graph.mean_over_positions(&powers);
                graph.power(&mean, p.recip() as f32)
            }
        }
    }
}
