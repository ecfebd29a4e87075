//! A 2-D convolution without bias, the batch normalisation behind it and what is cut off then: as layers of their own
//! where they train, as one convolution where they stand still.

use std::cell::RefCell;

use tch::{Device, Kind, Tensor};

use super::batch_norm::BatchNorm;
use crate::onnx::graph::{Graph, Value, Window};
use crate::torch;
use crate::torch::bias_relu::bias_relu_;

/// What a convolution is besides its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    /// In and out.
    pub(super) channels: (i64, i64),
    /// Height and width of the kernel.
    pub(super) kernel: i64,
    pub(super) stride: i64,
    /// 1, or as many as there are channels: depthwise.
    pub(super) groups: i64,
    pub(super) padding: Padding,
}

/// The zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// kernel / 2 on every side, as in torchvision's ResNet.
    Half,
    /// TensorFlow's `SAME`: as many as give ⌈side / stride⌉ positions, and of an odd number the one more at the bottom and at
    /// the right.
    Same,
}

/// What follows a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Activation {
    /// In place.
    fn apply(self, mut x: Tensor) -> Tensor {
        match self {
            Self::None => x,
            Self::Relu => x.relu_(),
            Self::Relu6 => x.relu6_(),
        }
    }
}

/// A 2-D convolution without bias and the batch normalisation behind it.
#[derive(Debug)]
pub(super) struct ConvNorm {
    weight: Tensor,
    shape: ConvShape,
    norm: BatchNorm,
    /// Whether it normalises by its running statistics in training, too.
    norm_stands_still: bool,
    /// Kept from one frozen pass to the next.
    folded: RefCell<Option<Folded>>,
}

/// Both as one convolution, and the versions of the tensors that it was made from.
#[derive(Debug)]
struct Folded {
    weight: Tensor,
    bias: Tensor,
    versions: [i64; 5],
}

impl ConvNorm {
    pub(super) fn new(
        weight: Tensor,
        shape: ConvShape,
        norm: BatchNorm,
        norm_stands_still: bool,
    ) -> Self {
        Self {
            weight,
            shape,
            norm,
            norm_stands_still,
            folded: RefCell::new(None),
        }
    }

    /// Convolution and normalisation, plus `around`, and then the activation: with `train` by the statistics of this batch,
    /// which also move the running ones (unless BatchNorm stands still), else by the running ones, folded.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        around: Option<&Tensor>,
        activation: Activation,
        train: bool,
    ) -> Tensor {
        if !train {
            return self.frozen(x, around, activation);
        }
        // The running statistics move without a new version.
        self.folded.replace(None);
        let mut out = match self.norm_stands_still {
            // Half the passes over the maps, forward and back; the gradients of all four are the same.
            true => {
                let (weight, bias) = self.folded_weights();
                self.conv(x, &weight, Some(&bias))
            }
            false => self.norm.forward(&self.conv(x, &self.weight, None), true),
        };
        if let Some(around) = around {
            out = out.g_add_(around);
        }
        activation.apply(out)
    }

    /// With the running statistics, folded into the convolution.
    fn frozen(&self, x: &Tensor, around: Option<&Tensor>, activation: Activation) -> Tensor {
        let mut folded = self.folded.borrow_mut();
        let [weight, bias, mean, var] = self.norm.tensors();
        let versions = [&self.weight, weight, bias, mean, var].map(Tensor::internal_version);
        let folded = match &mut *folded {
            Some(folded) if folded.versions == versions => folded,
            stale => stale.insert(self.fold(versions)),
        };
        let mut out = match x.device().is_cuda() {
            false => self.conv(x, &folded.weight, Some(&folded.bias)),
            // cuDNN's convolutions take no bias: libtorch would add it in a pass of its own.
            true => {
                let mut out = self.conv(x, &folded.weight, None);
                let cut_off = activation != Activation::None;
                if bias_relu_(&out, &folded.bias, around, cut_off) {
                    return match activation {
                        Activation::Relu6 => out.clamp_max_(6.0),
                        Activation::None | Activation::Relu => out,
                    };
                }
                let bias = folded.bias.view([1, -1, 1, 1]).to_kind(out.kind());
                out + bias
            }
        };
        if let Some(around) = around {
            out = out.g_add_(around);
        }
        activation.apply(out)
    }

    fn fold(&self, versions: [i64; 5]) -> Folded {
        let _no_grad = tch::no_grad_guard();
        let (weight, bias) = self.folded_weights();
        Folded {
            weight,
            bias,
            versions,
        }
    }

    /// γ·(w∗x − μ)/√(σ² + ε) + β as one convolution: w·s with s = γ/√(σ² + ε), and bias β − μ·s.
    fn folded_weights(&self) -> (Tensor, Tensor) {
        let [weight, bias, mean, var] = self.norm.tensors();
        let scale = weight / (var + self.norm.eps()).sqrt(); // [out]
        (
            &self.weight * scale.view([-1, 1, 1, 1]),
            bias - mean * scale,
        )
    }

    /// Adds all to a graph, as it is in evaluation, for maps of this side: the convolution, `around`, the activation.
    pub(super) fn add_to(
        &self,
        graph: &mut Graph,
        (x, side): (&Value, i64),
        around: Option<&Value>,
        activation: Activation,
    ) -> Value {
        let folded = self.fold([0; 5]);
        let window = Window {
            kernel: self.shape.kernel,
            stride: self.shape.stride,
            padding: self.shape.zeros(side),
        };
        let weights = (&folded.weight, &folded.bias);
        let mut out = graph.conv(x, weights, window, self.shape.groups);
        if let Some(around) = around {
            out = graph.sum(&out, around);
        }
        match activation {
            Activation::None => out,
            Activation::Relu => graph.relu(&out),
            Activation::Relu6 => graph.clip(&out, 0.0, 6.0),
        }
    }

    /// The side of the maps that it gives of maps of this side.
    pub(super) fn side_after(&self, side: i64) -> i64 {
        let zeros: i64 = self.shape.zeros(side).iter().sum();
        (side + zeros - self.shape.kernel) / self.shape.stride + 1
    }

    fn conv(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let (shape, size) = (self.shape, x.size());
        let [height, width] = [2, 3].map(|dim| shape.zeros(size[dim]));
        let of_map = |x: &Tensor, zeros: [i64; 2]| {
            let stride = [shape.stride; 2];
            let conv = |x: &Tensor| x.conv2d(weight, bias, stride, zeros, [1, 1], shape.groups);
            // On a CPU the backward pass of a depthwise convolution takes several times as long in bf16 as in fp32.
            match shape.groups > 1 && weight.requires_grad() && x.device() == Device::Cpu {
                true => torch::autocast_bf16(Device::Cpu, false, || conv(&x.to_kind(Kind::Float))),
                false => conv(x),
            }
        };
        let [before, behind] = [0, 1].map(|end| [height[end], width[end]]);
        match before == behind {
            true => of_map(x, before),
            false => {
                let sides = [width[0], width[1], height[0], height[1]];
                of_map(&x.constant_pad_nd(sides), [0, 0])
            }
        }
    }
}

impl ConvShape {
    /// Zeros before the first and behind the last position of a side.
    fn zeros(self, side: i64) -> [i64; 2] {
        match self.padding {
            Padding::Half => [self.kernel / 2; 2],
            Padding::Same => {
                let positions = (side + self.stride - 1) / self.stride;
                let all = ((positions - 1) * self.stride + self.kernel - side).max(0);
                [all / 2, all - all / 2]
            }
        }
    }
}
