//! EfficientNet-Lite 0 to 2 (Tan & Le 2019, without squeeze and excitation and with ReLU6) with the structure and names of
//! `efficientnet_lite_pytorch`, whose weights are TensorFlow's. The depth of drop connect, a regulariser of training from
//! nothing, is not here.

use logodex_schemas::train::Arch;
use tch::Tensor;

use crate::model::batch_norm::NormConstants;
use crate::model::conv_norm::{Activation, ConvNorm, ConvShape, Padding};
use crate::model::layers::Layers;
use crate::model::parameter::{Group, STAGES};
use crate::onnx::graph::{Graph, Value};

/// TensorFlow's.
const NORM: NormConstants = NormConstants {
    eps: 1e-3,
    momentum: 0.01,
};
/// Channels behind the stem and behind the head convolution, which no variant scales.
const STEM: i64 = 32;
const HEAD: i64 = 1280;

/// Blocks of one shape.
struct Repeat {
    /// Hidden channels are so many times those that come in.
    expansion: i64,
    channels: i64,
    depth: usize,
    kernel: i64,
    /// Of the first of them.
    stride: i64,
    /// Where they belong when stages are frozen: what lies between two halvings of the map.
    stage: u8,
}

/// Images to feature maps.
#[derive(Debug)]
pub(in crate::model) struct EfficientNetLite {
    conv_stem: ConvNorm, // and _bn0
    stages: Vec<Vec<Block>>,
    conv_head: ConvNorm, // and _bn1
}

/// An inverted bottleneck, and whether its input is added to what it gives.
#[derive(Debug)]
struct Block {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    project: ConvNorm,
    adds_input: bool,
}

/// The blocks of a variant, from the stem on.
fn repeats(arch: Arch, last_stride: i64) -> [Repeat; 7] {
    let channels = match arch {
        Arch::EfficientnetLite2 => [16, 24, 48, 88, 120, 208, 352],
        _ => [16, 24, 40, 80, 112, 192, 320],
    };
    let depths = match arch {
        Arch::EfficientnetLite0 => [1, 2, 2, 3, 3, 4, 1],
        _ => [1, 3, 3, 4, 4, 5, 1],
    };
    // (expansion, kernel, stride, stage)
    let shapes = [
        (1, 3, 1, 0),
        (6, 3, 2, 1),
        (6, 5, 2, 2),
        (6, 3, 2, 3),
        (6, 5, 1, 3),
        (6, 5, last_stride, 4),
        (6, 3, 1, 4),
    ];
    std::array::from_fn(|i| {
        let (expansion, kernel, stride, stage) = shapes[i];
        Repeat {
            expansion,
            channels: channels[i],
            depth: depths[i],
            kernel,
            stride,
            stage,
        }
    })
}

impl EfficientNetLite {
    /// `last_stride` is that of the last blocks that halve the map: 2, or 1 for a feature map of twice the side.
    pub(super) fn new(layers: &mut Layers, arch: Arch, last_stride: i64) -> Self {
        layers.group = Group::Backbone { stage: 0 };
        let conv_stem = conv_norm(layers, ("_conv_stem", "_bn0"), (3, STEM), 3, 2, 1);
        let mut stages: Vec<Vec<Block>> = (0..STAGES).map(|_| Vec::new()).collect();
        let (mut channels, mut index) = (STEM, 0);
        for repeat in repeats(arch, last_stride) {
            layers.group = Group::Backbone {
                stage: repeat.stage,
            };
            for place in 0..repeat.depth {
                let stride = if place == 0 { repeat.stride } else { 1 };
                let name = format!("_blocks.{index}");
                let block = Block::new(layers, &name, channels, &repeat, stride);
                stages[usize::from(repeat.stage)].push(block);
                channels = repeat.channels;
                index += 1;
            }
        }
        let conv_head = conv_norm(layers, ("_conv_head", "_bn1"), (channels, HEAD), 1, 1, 1);
        Self {
            conv_stem,
            stages,
            conv_head,
        }
    }

    pub(super) fn feature_dim(&self) -> i64 {
        HEAD
    }

    /// The blocks of a stage; before the first the stem, behind the last the head convolution.
    pub(super) fn stage(&self, index: u8, x: &Tensor, train: bool) -> Tensor {
        let mut x = match index {
            0 => self.conv_stem.forward(x, None, Activation::Relu6, train),
            _ => x.shallow_clone(),
        };
        for block in &self.stages[usize::from(index)] {
            x = block.forward(&x, train);
        }
        match index + 1 {
            STAGES => self.conv_head.forward(&x, None, Activation::Relu6, train),
            _ => x,
        }
    }

    /// Adds it to a graph: images of this side to feature maps.
    pub(super) fn add_to(&self, graph: &mut Graph, images: &Value, side: i64) -> Value {
        let relu6 = Activation::Relu6;
        let mut x = self.conv_stem.add_to(graph, (images, side), None, relu6);
        let mut side = self.conv_stem.side_after(side);
        for block in self.stages.iter().flatten() {
            x = block.add_to(graph, (&x, side));
            side = block.depthwise.side_after(side);
        }
        self.conv_head.add_to(graph, (&x, side), None, relu6)
    }
}

fn conv_norm(
    layers: &mut Layers,
    names: (&str, &str),
    channels: (i64, i64),
    kernel: i64,
    stride: i64,
    groups: i64,
) -> ConvNorm {
    let shape = ConvShape {
        channels,
        kernel,
        stride,
        groups,
        padding: Padding::Same,
    };
    layers.conv_norm(names, shape, NORM)
}

impl Block {
    fn new(layers: &mut Layers, name: &str, inputs: i64, repeat: &Repeat, stride: i64) -> Self {
        let hidden = inputs * repeat.expansion;
        let named = |conv: &str, norm: &str| (format!("{name}.{conv}"), format!("{name}.{norm}"));
        let mut layer = |(conv, norm): (String, String), channels, kernel, stride, groups| {
            conv_norm(layers, (&conv, &norm), channels, kernel, stride, groups)
        };
        Self {
            expand: (repeat.expansion != 1)
                .then(|| layer(named("_expand_conv", "_bn0"), (inputs, hidden), 1, 1, 1)),
            depthwise: layer(
                named("_depthwise_conv", "_bn1"),
                (hidden, hidden),
                repeat.kernel,
                stride,
                hidden,
            ),
            project: layer(
                named("_project_conv", "_bn2"),
                (hidden, repeat.channels),
                1,
                1,
                1,
            ),
            adds_input: stride == 1 && inputs == repeat.channels,
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let hidden = match &self.expand {
            Some(conv) => conv.forward(x, None, Activation::Relu6, train),
            None => x.shallow_clone(),
        };
        let hidden = self
            .depthwise
            .forward(&hidden, None, Activation::Relu6, train);
        let around = self.adds_input.then_some(x);
        self.project
            .forward(&hidden, around, Activation::None, train)
    }

    fn add_to(&self, graph: &mut Graph, (x, side): (&Value, i64)) -> Value {
        let relu6 = Activation::Relu6;
        let hidden = match &self.expand {
            Some(conv) => conv.add_to(graph, (x, side), None, relu6),
            None => x.clone(),
        };
        let hidden = self.depthwise.add_to(graph, (&hidden, side), None, relu6);
        let side = self.depthwise.side_after(side);
        let around = self.adds_input.then_some(x);
        self.project
            .add_to(graph, (&hidden, side), around, Activation::None)
    }
}
