//! Layers as functions of their tensors, made with torch's initialisation from a seed and each parameter's name.

use logodex_schemas::random::stream;
use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::batch_norm::{BatchNorm, NormConstants, TORCH};
use super::conv_norm::{ConvNorm, ConvShape};
use super::parameter::{Group, Parameter};
use crate::onnx::graph::{Graph, Value};
use crate::torch;

/// Makes layers, initialises them and keeps the list of their tensors.
pub(super) struct Layers {
    pub(super) seed: u64,
    pub(super) device: Device,
    pub(super) channels_last: bool,
    /// Whether the backbone's BatchNorm normalises by its running statistics in training, too.
    pub(super) freeze_batch_norm: bool,
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

    /// `torch.nn.Conv2d` without bias, `[out, in / groups, kernel, kernel]` (kaiming normal, fan out, ReLU: torchvision's
    /// ResNet and TensorFlow's EfficientNet), and the `torch.nn.BatchNorm2d` behind it.
    pub(super) fn conv_norm(
        &mut self,
        (conv, norm): (&str, &str),
        shape: ConvShape,
        constants: NormConstants,
    ) -> ConvNorm {
        let name = format!("{conv}.weight");
        let ConvShape {
            channels: (inputs, outputs),
            kernel,
            groups,
            ..
        } = shape;
        let std = (2.0 / (outputs / groups * kernel * kernel) as f64).sqrt();
        let size = [outputs, inputs / groups, kernel, kernel];
        let value = normal(self.seed, &name, &size, std);
        let weight = self.parameter(name, value);
        let norm = self.batch_norm_with(norm, outputs, true, constants);
        ConvNorm::new(weight, shape, norm, self.freeze_batch_norm)
    }

    /// `torch.nn.BatchNorm1d` or `2d`: weight 1, bias 0, running mean 0 and variance 1. A bias that is not `trained` stays
    /// 0, and is saved all the same.
    pub(super) fn batch_norm(
        &mut self,
        name: &str,
        channels: i64,
        trained_bias: bool,
    ) -> BatchNorm {
        self.batch_norm_with(name, channels, trained_bias, TORCH)
    }

    fn batch_norm_with(
        &mut self,
        name: &str,
        channels: i64,
        trained_bias: bool,
        constants: NormConstants,
    ) -> BatchNorm {
        let zeros = || Tensor::zeros([channels], (Kind::Float, Device::Cpu));
        let ones = || Tensor::ones([channels], (Kind::Float, Device::Cpu));
        let bias = format!("{name}.bias");
        let norm = BatchNorm {
            constants,
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
