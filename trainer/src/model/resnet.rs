//! ResNet-18 and ResNet-50 (He et al. 2015) with torchvision's structure and names: the bottleneck strides in its 3×3
//! convolution (v1.5), every stage can train or stand still on its own.

use logodex_schemas::train::Arch;
use tch::{Kind, Tensor};

use super::{BatchNorm, Conv, Group, Layers, Mode};

/// A backbone: images to pooled features.
#[derive(Debug)]
pub(super) struct ResNet {
    conv1: Conv,
    bn1: BatchNorm,
    layers: Vec<Vec<Block>>, // layer1 to layer4
    feature_dim: i64,
}

/// A BasicBlock (two convolutions) or a Bottleneck (three), with its way around.
#[derive(Debug)]
struct Block {
    convs: Vec<(Conv, BatchNorm)>,
    downsample: Option<(Conv, BatchNorm)>,
}

impl ResNet {
    pub(super) fn new(layers: &mut Layers, arch: Arch) -> Self {
        let (depths, expansion) = match arch {
            Arch::Resnet18 => ([2, 2, 2, 2], 1),
            Arch::Resnet34 => ([3, 4, 6, 3], 1),
            Arch::Resnet50 => ([3, 4, 6, 3], 4),
        };
        layers.group = Group::Backbone { stage: 0 };
        let conv1 = layers.conv("conv1", (3, 64), 7, 2);
        let bn1 = layers.batch_norm("bn1", 64);
        let mut channels = 64;
        let mut stages = Vec::new();
        for (stage, depth) in (1_u8..).zip(depths) {
            layers.group = Group::Backbone { stage };
            let width = 64 << (stage - 1);
            let mut blocks = Vec::new();
            for index in 0..depth {
                let stride = if stage > 1 && index == 0 { 2 } else { 1 };
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
            bn1,
            layers: stages,
            feature_dim: channels,
        }
    }

    pub(super) fn feature_dim(&self) -> i64 {
        self.feature_dim
    }

    /// `[B, 3, H, W]` → `[B, F]`, fp32.
    pub(super) fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let mut x = stage(mode, 0, |train| {
            let x = self.bn1.forward(&self.conv1.forward(images), train).relu_();
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
        // fp32 before the mean, so that under autocast the features are not rounded to bf16.
        let x = x.to_kind(Kind::Float).adaptive_avg_pool2d([1, 1]);
        x.flatten(1, -1)
    }
}

/// Runs one stage; a frozen one in evaluation mode, without autograd, its output cut off from the graph.
fn stage(mode: Mode, index: u8, run: impl FnOnce(bool) -> Tensor) -> Tensor {
    match mode {
        Mode::Eval => run(false),
        Mode::Train { frozen } if index < frozen => {
            let _no_grad = tch::no_grad_guard();
            run(false).detach()
        }
        Mode::Train { .. } => run(true),
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
                let conv = layers.conv(&format!("{name}.conv{i}"), in_out, kernel, stride);
                (conv, layers.batch_norm(&format!("{name}.bn{i}"), in_out.1))
            })
            .collect();
        let downsample = (stride != 1 || channels != out).then(|| {
            let conv = layers.conv(&format!("{name}.downsample.0"), (channels, out), 1, stride);
            (
                conv,
                layers.batch_norm(&format!("{name}.downsample.1"), out),
            )
        });
        Self { convs, downsample }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let around = match &self.downsample {
            Some((conv, norm)) => norm.forward(&conv.forward(x), train),
            None => x.shallow_clone(),
        };
        let mut out = x.shallow_clone();
        for (index, (conv, norm)) in self.convs.iter().enumerate() {
            out = norm.forward(&conv.forward(&out), train);
            if index + 1 < self.convs.len() {
                out = out.relu_();
            }
        }
        out.g_add_(&around).relu_()
    }
}
