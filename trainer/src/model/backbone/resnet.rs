//! ResNet-18, -34 and -50 (He et al. 2015) with torchvision's structure and names: the bottleneck strides in its 3×3
//! convolution (v1.5), every stage can train or stand still on its own.

use tch::Tensor;

use crate::model::batch_norm::TORCH;
use crate::model::conv_norm::{Activation, ConvNorm, ConvShape, Padding};
use crate::model::layers::Layers;
use crate::model::parameter::Group;
use crate::onnx::graph::{Graph, Value, Window};

/// Images to feature maps.
#[derive(Debug)]
pub(in crate::model) struct ResNet {
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
    /// `depths` blocks in each of the four layers, of two convolutions where `expansion` is 1, else of three. `last_stride` is that of `layer4`: 2, or 1 for a feature map of twice the side.
    pub(super) fn new(
        layers: &mut Layers,
        depths: [usize; 4],
        expansion: i64,
        last_stride: i64,
    ) -> Self {
        layers.group = Group::Backbone { stage: 0 };
        let conv1 = conv_norm(layers, ("conv1", "bn1"), (3, 64), 7, 2);
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

    /// conv1, bn1 and the pooling behind them, or `layer1` to `layer4`.
    pub(super) fn stage(&self, index: u8, x: &Tensor, train: bool) -> Tensor {
        let Some(layer) = usize::from(index).checked_sub(1) else {
            let x = self.conv1.forward(x, None, Activation::Relu, train);
            return x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        };
        let blocks = self.layers[layer].iter();
        blocks.fold(x.shallow_clone(), |x, block| block.forward(&x, train))
    }

    /// Adds it to a graph: images to feature maps.
    pub(super) fn add_to(&self, graph: &mut Graph, images: &Value, side: i64) -> Value {
        let relu = Activation::Relu;
        let x = self.conv1.add_to(graph, (images, side), None, relu);
        let window = Window {
            kernel: 3,
            stride: 2,
            padding: [1, 1],
        };
        let mut x = graph.max_pool(&x, window);
        for block in self.layers.iter().flatten() {
            // The padding is the same for maps of any side.
            x = block.add_to(graph, (&x, side));
        }
        x
    }
}

fn conv_norm(
    layers: &mut Layers,
    names: (&str, &str),
    channels: (i64, i64),
    kernel: i64,
    stride: i64,
) -> ConvNorm {
    let shape = ConvShape {
        channels,
        kernel,
        stride,
        groups: 1,
        padding: Padding::Half,
    };
    layers.conv_norm(names, shape, TORCH)
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
                conv_norm(layers, (&names.0, &names.1), in_out, kernel, stride)
            })
            .collect();
        let downsample = (stride != 1 || channels != out).then(|| {
            let names = ["0", "1"].map(|part| format!("{name}.downsample.{part}"));
            conv_norm(layers, (&names[0], &names[1]), (channels, out), 1, stride)
        });
        Self { convs, downsample }
    }

    fn add_to(&self, graph: &mut Graph, (x, side): (&Value, i64)) -> Value {
        let around = match &self.downsample {
            Some(conv) => conv.add_to(graph, (x, side), None, Activation::None),
            None => x.clone(),
        };
        let mut out = x.clone();
        for (index, conv) in self.convs.iter().enumerate() {
            let around = (index + 1 == self.convs.len()).then_some(&around);
            out = conv.add_to(graph, (&out, side), around, Activation::Relu);
        }
        out
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let around = match &self.downsample {
            Some(conv) => conv.forward(x, None, Activation::None, train),
            None => x.shallow_clone(),
        };
        let mut out = x.shallow_clone();
        for (index, conv) in self.convs.iter().enumerate() {
            let last = index + 1 == self.convs.len();
            out = conv.forward(&out, last.then_some(&around), Activation::Relu, train);
        }
        out
    }
}
