//! ResNet-18, -34 and -50 (He et al. 2015) with torchvision's structure and names: the bottleneck strides in its 3×3
//! convolution (v1.5), every stage can train or stand still on its own.

use logodex_schemas::train::Arch;
use tch::{Kind, Tensor};

use super::layers::{ConvNorm, Layers};
use super::parameter::{Group, Mode};
use crate::onnx::graph::{Graph, Value, Window};

/// A backbone: images to feature maps.
#[derive(Debug)]
pub(super) struct ResNet {
    conv1: ConvNorm,         // and bn1
    layers: Vec<Vec<Block>>, // layer1 to layer4
    feature_dim: i64,
}

/// A BasicBlock (two convolutions) or a Bottleneck (three), with its way around.
#[derive(Debug)]
struct Block {
    convs: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl ResNet {
    /// `last_stride` is that of `layer4`: 2, or 1 for a feature map of twice the side.
    pub(super) fn new(layers: &mut Layers, arch: Arch, last_stride: i64) -> Self {
        let (depths, expansion) = match arch {
            Arch::Resnet18 => ([2, 2, 2, 2], 1),
            Arch::Resnet34 => ([3, 4, 6, 3], 1),
            Arch::Resnet50 => ([3, 4, 6, 3], 4),
        };
        layers.group = Group::Backbone { stage: 0 };
        let conv1 = layers.conv_norm(("conv1", "bn1"), (3, 64), 7, 2);
        let mut channels = 64;
        let mut stages = Vec::new();
        for (stage, depth) in (1_u8..).zip(depths) {
            layers.group = Group::Backbone { stage };
            let width = 64 << (stage - 1);
            let mut blocks = Vec::new();
            for index in 0..depth {
                let stride = match (stage, index) {
                    (2 | 3, 0) => 2,
                    (4, 0) => last_stride,
                    _ => 1,
                };
                let name = format!("layer{stage}.{index}");
                blocks.push(Block::new(
                    layers, &name, channels, width, expansion, stride,
                ));
                channels = width * expansion;
            }
            stages.push(blocks);
        }
        Self {
            conv1,
            layers: stages,
            feature_dim: channels,
        }
    }

    pub(super) fn feature_dim(&self) -> i64 {
        self.feature_dim
    }

    /// `[B, 3, H, W]` → `[B, F, h, w]`, fp32.
    pub(super) fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let mut x = stage(mode, 0, |train| {
            let x = run(&self.conv1, images, None, true, train);
            x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)
        });
        for (index, blocks) in (1..).zip(&self.layers) {
            x = stage(mode, index, |train| {
                let mut x = x;
                for block in blocks {
                    x = block.forward(&x, train);
                }
                x
            });
        }
        // Pooling is done in fp32, so that under autocast the features are not rounded to bf16.
        x.to_kind(Kind::Float)
    }

    /// Adds it to a graph: images to feature maps.
    pub(super) fn add_to(&self, graph: &mut Graph, images: &Value) -> Value {
        let x = self.conv1.add_to(graph, images);
        let x = graph.relu(&x);
        let window = Window {
            kernel: 3,
            stride: 2,
            padding: [1, 1],
        };
        let mut x = graph.max_pool(&x, window);
        for block in self.layers.iter().flatten() {
            x = block.add_to(graph, &x);
        }
        x
    }
}

/// Runs one stage; in evaluation and where it is frozen without autograd, cut off from the graph.
fn stage(mode: Mode, index: u8, run: impl FnOnce(bool) -> Tensor) -> Tensor {
    match mode {
        Mode::Train { frozen } if index >= frozen => run(true),
        Mode::Train { .. } | Mode::Eval => tch::no_grad(|| run(false)),
    }
}

/// Convolution and normalisation, plus `around`, and, with `relu`, without what is negative.
fn run(conv: &ConvNorm, x: &Tensor, around: Option<&Tensor>, relu: bool, train: bool) -> Tensor {
    if !train {
        return conv.frozen(x, around, relu);
    }
    let mut out = conv.train(x);
    if let Some(around) = around {
        out = out.g_add_(around);
    }
    match relu {
        true => out.relu_(),
        false => out,
    }
}

impl Block {
    fn new(
        layers: &mut Layers,
        name: &str,
        channels: i64,
        width: i64,
        expansion: i64,
        stride: i64,
    ) -> Self {
        let out = width * expansion;
        // (channels in and out, kernel, stride)
        let shapes = if expansion == 1 {
            vec![((channels, width), 3, stride), ((width, width), 3, 1)]
        } else {
            vec![
                ((channels, width), 1, 1),
                ((width, width), 3, stride),
                ((width, out), 1, 1),
            ]
        };
        let convs = (1..)
            .zip(shapes)
            .map(|(i, (in_out, kernel, stride))| {
                let names = (format!("{name}.conv{i}"), format!("{name}.bn{i}"));
                layers.conv_norm((&names.0, &names.1), in_out, kernel, stride)
            })
            .collect();
        let downsample = (stride != 1 || channels != out).then(|| {
            let names = ["0", "1"].map(|part| format!("{name}.downsample.{part}"));
            layers.conv_norm((&names[0], &names[1]), (channels, out), 1, stride)
        });
        Self { convs, downsample }
    }

    fn add_to(&self, graph: &mut Graph, x: &Value) -> Value {
        let around = match &self.downsample {
            Some(conv) => conv.add_to(graph, x),
            None => x.clone(),
        };
        let mut out = x.clone();
        for (index, conv) in self.convs.iter().enumerate() {
            out = conv.add_to(graph, &out);
            if index + 1 == self.convs.len() {
                out = graph.sum(&out, &around);
            }
            out = graph.relu(&out);
        }
        out
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let around = match &self.downsample {
            Some(conv) => run(conv, x, None, false, train),
            None => x.shallow_clone(),
        };
        let mut out = x.shallow_clone();
        for (index, conv) in self.convs.iter().enumerate() {
            let last = index + 1 == self.convs.len();
            out = run(conv, &out, last.then_some(&around), true, train);
        }
        out
    }
}
