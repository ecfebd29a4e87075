//! The backbones, each five stages that train or stand still on their own.

mod efficientnet_lite;
mod resnet;

use std::ops::Range;

use logodex_schemas::train::Arch;
use tch::{Kind, Tensor};

use super::layers::Layers;
use super::parameter::{Mode, STAGES};
use crate::onnx::graph::{Graph, Value};
use efficientnet_lite::EfficientNetLite;
use resnet::ResNet;

/// Images to feature maps.
#[derive(Debug)]
pub(super) enum Backbone {
    ResNet(ResNet),
    EfficientNetLite(EfficientNetLite),
}

impl Backbone {
    /// `last_stride` is that of the last stage: 2, or 1 for a feature map of twice the side.
    pub(super) fn new(layers: &mut Layers, arch: Arch, last_stride: i64) -> Self {
        let resnet =
            |layers, depths, expansion| ResNet::new(layers, depths, expansion, last_stride);
        match arch {
            Arch::Resnet18 => Self::ResNet(resnet(layers, [2, 2, 2, 2], 1)),
            Arch::Resnet34 => Self::ResNet(resnet(layers, [3, 4, 6, 3], 1)),
            Arch::Resnet50 => Self::ResNet(resnet(layers, [3, 4, 6, 3], 4)),
            Arch::EfficientnetLite0 | Arch::EfficientnetLite1 | Arch::EfficientnetLite2 => {
                Self::EfficientNetLite(EfficientNetLite::new(layers, arch, last_stride))
            }
        }
    }

    pub(super) fn feature_dim(&self) -> i64 {
        match self {
            Self::ResNet(net) => net.feature_dim(),
            Self::EfficientNetLite(net) => net.feature_dim(),
        }
    }

    /// Runs some of the stages one after the other: images `[B, 3, H, W]` or what the stage before the first gave → maps
    /// `[B, C, h, w]` in the arithmetic that they were computed in. In evaluation and where it is frozen a stage runs without
    /// autograd and is cut off from the graph.
    pub(super) fn run(&self, x: &Tensor, stages: Range<u8>, mode: Mode) -> Tensor {
        stages.fold(x.shallow_clone(), |x, index| {
            let run = |train| match self {
                Self::ResNet(net) => net.stage(index, &x, train),
                Self::EfficientNetLite(net) => net.stage(index, &x, train),
            };
            match mode {
                Mode::Train { frozen } if index >= frozen => run(true),
                Mode::Train { .. } | Mode::Eval => tch::no_grad(|| run(false)),
            }
        })
    }

    /// Adds it to a graph: images of this side to feature maps.
    pub(super) fn add_to(&self, graph: &mut Graph, images: &Value, side: i64) -> Value {
        match self {
            Self::ResNet(net) => net.add_to(graph, images, side),
            Self::EfficientNetLite(net) => net.add_to(graph, images, side),
        }
    }

    /// All of it: `[B, 3, H, W]` → `[B, F, h, w]`.
    pub(super) fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.run(images, 0..STAGES, mode)
    }
}

/// Pooling is done in fp32, so that under autocast the features are not rounded to bf16.
pub(super) fn to_pool(maps: &Tensor) -> Tensor {
    maps.to_kind(Kind::Float)
}
