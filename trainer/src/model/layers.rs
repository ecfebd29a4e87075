//! Layers as functions of their tensors, made with torch's initialisation from a seed and each parameter's name.

use std::cell::RefCell;

use logodex_schemas::random::stream;
use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::parameter::{Group, Parameter};
use crate::onnx::graph::{Graph, Value, Window};
use crate::torch;
use crate::torch::bias_relu::bias_relu_;

/// Makes layers, initialises them and keeps the list of their tensors.
pub(super) struct Layers {
    pub(super) seed: u64,
    pub(super) device: Device,
    pub(super) channels_last: bool,
    /// That of the next parameters.
    pub(super) group: Group,
    pub(super) parameters: Vec<Parameter>,
    pub(super) buffers: Vec<(String, Tensor)>,
}

impl Layers {
    fn parameter(&mut self, name: String, value: Tensor) -> Tensor {
        let mut value = value.to_device(self.device);
        if self.channels_last {
            value = torch::channels_last(&value);
        }
        let tensor = value.set_requires_grad(true);
        self.parameters.push(Parameter {
            name,
            tensor: tensor.shallow_clone(),
            group: self.group,
        });
        tensor
    }

    fn buffer(&mut self, name: String, value: Tensor) -> Tensor {
        let value = value.to_device(self.device);
        self.buffers.push((name, value.shallow_clone()));
        value
    }

    /// One trained number.
    pub(super) fn scalar(&mut self, name: &str, value: f32) -> Tensor {
        self.parameter(name.to_owned(), Tensor::from_slice(&[value]))
    }

    /// `torch.nn.Conv2d` without bias, initialised as torchvision's ResNet does (kaiming normal, fan out, ReLU), and the
    /// `torch.nn.BatchNorm2d` behind it.
    pub(super) fn conv_norm(
        &mut self,
        (conv, norm): (&str, &str),
        in_out: (i64, i64),
        kernel: i64,
        stride: i64,
    ) -> ConvNorm {
        let name = format!("{conv}.weight");
        let std = (2.0 / (in_out.1 * kernel * kernel) as f64).sqrt();
        let size = [in_out.1, in_out.0, kernel, kernel];
        let value = normal(self.seed, &name, &size, std);
        ConvNorm {
            weight: self.parameter(name, value),
            stride,
            padding: kernel / 2,
            norm: self.batch_norm(norm, in_out.1, true),
            folded: RefCell::new(None),
        }
    }

    /// `torch.nn.BatchNorm1d` or `2d`: weight 1, bias 0, running mean 0 and variance 1. A bias that is not `trained` stays
    /// 0, and is saved all the same.
    pub(super) fn batch_norm(
        &mut self,
        name: &str,
        channels: i64,
        trained_bias: bool,
    ) -> BatchNorm {
        let zeros = || Tensor::zeros([channels], (Kind::Float, Device::Cpu));
        let ones = || Tensor::ones([channels], (Kind::Float, Device::Cpu));
        let bias = format!("{name}.bias");
        let norm = BatchNorm {
            weight: self.parameter(format!("{name}.weight"), ones()),
            bias: match trained_bias {
                true => self.parameter(bias, zeros()),
                false => self.buffer(bias, zeros()),
            },
            running_mean: self.buffer(format!("{name}.running_mean"), zeros()),
            running_var: self.buffer(format!("{name}.running_var"), ones()),
        };
        let _ = self.buffer(format!("{name}.num_batches_tracked"), Tensor::from(0_i64));
        norm
    }

    /// `torch.nn.Linear` with its default initialisation: weight and bias uniform in ±1/√inputs.
    pub(super) fn linear(&mut self, name: &str, inputs: i64, outputs: i64) -> Linear {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut draw = |name: String, size: &[i64]| {
            let value = uniform(self.seed, &name, size, bound);
            self.parameter(name, value)
        };
        Linear {
            weight: draw(format!("{name}.weight"), &[outputs, inputs]),
            bias: draw(format!("{name}.bias"), &[outputs]),
        }
    }
}

/// A 2-D convolution without bias and the batch normalisation behind it.
#[derive(Debug)]
pub(super) struct ConvNorm {
    weight: Tensor,
    stride: i64,
    padding: i64,
    norm: BatchNorm,
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
    /// With the statistics of this batch, which also move the running ones.
    pub(super) fn train(&self, x: &Tensor) -> Tensor {
        // The running statistics move without a new version.
        self.folded.replace(None);
        self.norm.forward(&self.conv(x, &self.weight, None), true)
    }

    /// With the running statistics, folded into the convolution; without autograd. Adds `around` and, with `relu`, cuts off
    /// what is negative.
    pub(super) fn frozen(&self, x: &Tensor, around: Option<&Tensor>, relu: bool) -> Tensor {
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
                let out = self.conv(x, &folded.weight, None);
                if bias_relu_(&out, &folded.bias, around, relu) {
                    return out;
                }
                let bias = folded.bias.view([1, -1, 1, 1]).to_kind(out.kind());
                out + bias
            }
        };
        if let Some(around) = around {
            out = out.g_add_(around);
        }
        match relu {
            true => out.relu_(),
            false => out,
        }
    }

    /// γ·(w∗x − μ)/√(σ² + ε) + β as one convolution: w·s with s = γ/√(σ² + ε), and bias β − μ·s.
    fn fold(&self, versions: [i64; 5]) -> Folded {
        let _no_grad = tch::no_grad_guard();
        let [weight, bias, mean, var] = self.norm.tensors();
        let scale = weight / (var + NORM_EPS).sqrt(); // [out]
        Folded {
            weight: &self.weight * scale.view([-1, 1, 1, 1]),
            bias: bias - mean * scale,
            versions,
        }
    }

    /// Adds both to a graph as one convolution.
    pub(super) fn add_to(&self, graph: &mut Graph, x: &Value) -> Value {
        let folded = self.fold([0; 5]);
        let window = Window {
            kernel: self.weight.size()[2],
            stride: self.stride,
            padding: [self.padding; 2],
        };
        graph.conv(x, (&folded.weight, &folded.bias), window, 1)
    }

    fn conv(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.conv2d(weight, bias, stride, padding, [1, 1], 1)
    }
}

const NORM_EPS: f64 = 1e-5;

/// Batch normalisation over all dimensions but the second, momentum 0.1, eps 1e-5.
#[derive(Debug)]
pub(super) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [weight, bias, mean, var] = self.tensors().map(Some);
        x.batch_norm(weight, bias, mean, var, train, 0.1, NORM_EPS, true)
    }

    /// Adds it to a graph, as it is in evaluation: x·s + (β − μ·s), s = γ/√(σ² + ε).
    pub(super) fn add_to(&self, graph: &mut Graph, x: &Value) -> Value {
        let _no_grad = tch::no_grad_guard();
        let [weight, bias, mean, var] = self.tensors();
        let scale = weight / (var + NORM_EPS).sqrt(); // [C]
        graph.scale_and_shift(x, &scale, &(bias - mean * &scale))
    }

    fn tensors(&self) -> [&Tensor; 4] {
        [
            &self.weight,
            &self.bias,
            &self.running_mean,
            &self.running_var,
        ]
    }
}

/// A fully connected layer.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// Adds it to a graph.
    pub(super) fn add_to(&self, graph: &mut Graph, x: &Value) -> Value {
        graph.linear(x, (&self.weight, &self.bias))
    }
}

/// Normal numbers with mean 0 by Box and Muller's transform, from the stream of the parameter's name.
fn normal(seed: u64, name: &str, size: &[i64], std: f64) -> Tensor {
    let mut rng = stream(seed, "init", &[name_key(name)]);
    let count = size.iter().product::<i64>() as usize;
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = std * (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    Tensor::from_slice(&values[..count]).view(size)
}

/// Uniform numbers in ±bound from the stream of the parameter's name.
fn uniform(seed: u64, name: &str, size: &[i64], bound: f64) -> Tensor {
    let mut rng = stream(seed, "init", &[name_key(name)]);
    let count = size.iter().product::<i64>() as usize;
    let values: Vec<f32> = (0..count)
        .map(|_| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32)
        .collect();
    Tensor::from_slice(&values).view(size)
}

/// A name as a stream index: the first 8 bytes of its BLAKE3.
fn name_key(name: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}
