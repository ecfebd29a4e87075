//! The paper's heads: pooled features to embeddings, named as `torch.nn.Sequential` under `fc` would name them.

use logodex_schemas::train::Head as HeadKind;
use tch::Tensor;

use super::batch_norm::BatchNorm;
use super::layers::{Layers, Linear};
use crate::onnx::graph::{Graph, Value};

/// What follows the pooled features.
#[derive(Debug)]
pub(super) enum Head {
    /// The features themselves.
    None,
    /// `fc`.
    Linear(Linear),
    /// `fc.0` Linear F→256, `fc.1` BatchNorm1d, ReLU, Dropout 0.3, `fc.4` Linear 256→D.
    Triplet(Linear, BatchNorm, Linear),
    /// `fc.0` Linear F→1024, ReLU, `fc.2` Linear 1024→D.
    Contrastive(Linear, Linear),
}

impl Head {
    pub(super) fn new(layers: &mut Layers, kind: HeadKind, features: i64, dim: i64) -> Self {
        match kind {
            HeadKind::None => Self::None,
            HeadKind::Linear => Self::Linear(layers.linear("fc", features, dim)),
            HeadKind::Triplet => Self::Triplet(
                layers.linear("fc.0", features, 256),
                layers.batch_norm("fc.1", 256, true),
                layers.linear("fc.4", 256, dim),
            ),
            HeadKind::Contrastive => Self::Contrastive(
                layers.linear("fc.0", features, 1024),
                layers.linear("fc.2", 1024, dim),
            ),
        }
    }

    /// `[B, F]` → `[B, D]`.
    pub(super) fn forward(&self, features: &Tensor, train: bool) -> Tensor {
        match self {
            Self::None => features.shallow_clone(),
            Self::Linear(fc) => fc.forward(features),
            Self::Triplet(first, norm, last) => {
                let hidden = norm.forward(&first.forward(features), train).relu_();
                last.forward(&hidden.dropout(0.3, train))
            }
            Self::Contrastive(first, last) => last.forward(&first.forward(features).relu_()),
        }
    }

    /// Adds it to a graph, as it is in evaluation.
    pub(super) fn add_to(&self, graph: &mut Graph, features: &Value) -> Value {
        match self {
            Self::None => features.clone(),
            Self::Linear(fc) => fc.add_to(graph, features),
            Self::Triplet(first, norm, last) => {
                let hidden = first.add_to(graph, features);
                let hidden = norm.add_to(graph, &hidden);
                let hidden = graph.relu(&hidden);
                last.add_to(graph, &hidden)
            }
            Self::Contrastive(first, last) => {
                let hidden = first.add_to(graph, features);
                let hidden = graph.relu(&hidden);
                last.add_to(graph, &hidden)
            }
        }
    }
}
