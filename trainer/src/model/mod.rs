//! The embedding network: a ResNet backbone, a head, optionally L2 normalisation; its parameters as one flat list with
//! torchvision's names, and its state as named tensors.
//!
//! It is written here rather than taken from tch because frozen stages must run BatchNorm in evaluation mode and
//! without autograd while the rest trains, which one `train` flag cannot say.

mod head;
mod resnet;
pub mod weights;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use logodex_schemas::train::{Head as HeadKind, ModelConfig};
use rand::Rng;
use tch::{Device, Kind, Tensor};

use crate::random::stream;
use crate::{loss, torch};
use head::Head;
use resnet::ResNet;

/// How a forward pass treats BatchNorm, dropout and autograd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics (which also move the running ones), dropout, autograd; but the first `frozen` stages of
    /// {conv1 + bn1, layer1, layer2, layer3, layer4} run as in `Eval` and without autograd.
    Train {
        /// Freeze level, 0 to 5.
        frozen: u8,
    },
    /// Running statistics, no dropout. Autograd is the caller's: wrap in `tch::no_grad` where none is wanted.
    Eval,
}

/// Which learning rate a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The backbone's stage: 0 is conv1 + bn1, 1 to 4 are layer1 to layer4.
    Backbone {
        /// 0 to 4.
        stage: u8,
    },
    /// The head.
    Head,
    /// A loss's own weights: class weights or proxies.
    Loss,
}

/// A trainable tensor under its name.
#[derive(Debug)]
pub struct Parameter {
    /// torchvision's name for the backbone (`layer1.0.conv1.weight`), `torch.nn.Sequential`'s for the head (`fc.0.weight`).
    pub name: String,
    /// fp32, a leaf that requires a gradient; shares its storage with the network.
    pub tensor: Tensor,
    /// Its group.
    pub group: Group,
}

/// A ResNet whose `fc` is an embedding head.
#[derive(Debug)]
pub struct EmbeddingNet {
    backbone: ResNet,
    head: Head,
    l2_normalize: bool,
    channels_last: bool,
    device: Device,
    embedding_dim: i64,
    parameters: Vec<Parameter>,
    buffers: Vec<(String, Tensor)>,
}

impl EmbeddingNet {
    /// A network with torchvision's initialisation, drawn on the CPU from `seed` and each parameter's name (so it is
    /// the same on every device and whatever the head), then with the backbone of `config.weights` if given.
    ///
    /// # Errors
    /// An embedding size that does not go with the head; [`weights::WeightsError`] for the weights file.
    pub fn new(
        config: &ModelConfig,
        seed: u64,
        device: Device,
        channels_last: bool,
    ) -> Result<Self> {
        let mut layers = Layers {
            seed,
            device,
            channels_last,
            group: Group::Head,
            parameters: Vec::new(),
            buffers: Vec::new(),
        };
        let backbone = ResNet::new(&mut layers, config.arch);
        let features = backbone.feature_dim();
        let embedding_dim = match (config.head, config.embedding_dim) {
            (HeadKind::None, None) => features,
            (HeadKind::None, Some(_)) => {
                bail!("model.embedding_dim is not allowed with head = \"none\"")
            }
            (_, Some(0)) => bail!("model.embedding_dim must be at least 1"),
            (_, Some(dim)) => i64::from(dim),
            (HeadKind::Contrastive, None) => 256,
            (HeadKind::Linear | HeadKind::Triplet, None) => 128,
        };
        layers.group = Group::Head;
        let head = Head::new(&mut layers, config.head, features, embedding_dim);
        let mut net = Self {
            backbone,
            head,
            l2_normalize: config.l2_normalize,
            channels_last,
            device,
            embedding_dim,
            parameters: layers.parameters,
            buffers: layers.buffers,
        };
        if let Some(path) = &config.weights {
            weights::load_backbone(&mut net, Path::new(path))?;
        }
        Ok(net)
    }

    /// Embeddings `[B, D]`, fp32, of ImageNet-normalised images `[B, 3, H, W]`, L2-normalised if configured.
    ///
    /// Under bf16 autocast only the backbone's convolutions run in bf16: pooling, head and normalisation stay fp32.
    /// Dropout draws from libtorch's global generator: seed it (`tch::manual_seed`) from the step before a training
    /// pass whose draws must repeat.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let features = self.features(images, mode);
        torch::autocast_bf16(self.device, false, || {
            let train = matches!(mode, Mode::Train { .. });
            let embeddings = self.head.forward(&features, train);
            if self.l2_normalize {
                loss::l2_normalize(&embeddings)
            } else {
                embeddings
            }
        })
    }

    /// Pooled backbone features `[B, F]`, fp32, of ImageNet-normalised images `[B, 3, H, W]`.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let images = if self.channels_last {
            torch::channels_last(images)
        } else {
            images.contiguous()
        };
        self.backbone.forward(&images, mode)
    }

    /// Every trainable tensor, in the order of the network.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Every tensor that is no parameter, BatchNorm's running statistics, by name and in the order of the network.
    pub fn buffers(&self) -> &[(String, Tensor)] {
        &self.buffers
    }

    /// Copies of all parameters and buffers by their names: what torch calls the `state_dict`. `num_batches_tracked`
    /// is there for strict loading in Python and never counted.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        self.tensors()
            .map(|(name, tensor)| (name.to_owned(), tensor.detach().copy()))
            .collect()
    }

    /// Takes over a complete state.
    ///
    /// # Errors
    /// Lists every missing, unexpected and misshapen tensor; the network is then as it was before.
    pub fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut problems = Vec::new();
        for (name, tensor) in self.tensors() {
            match state.get(name) {
                None => problems.push(format!("{name} is missing")),
                Some(saved) if saved.size() != tensor.size() => problems.push(format!(
                    "{name} is {:?} instead of {:?}",
                    saved.size(),
                    tensor.size()
                )),
                Some(saved) if saved.kind() != tensor.kind() => problems.push(format!(
                    "{name} is {:?} instead of {:?}",
                    saved.kind(),
                    tensor.kind()
                )),
                Some(_) => {}
            }
        }
        let known: BTreeMap<&str, &Tensor> = self.tensors().collect();
        let unexpected = state.keys().filter(|key| !known.contains_key(key.as_str()));
        problems.extend(unexpected.map(|name| format!("{name} is unexpected")));
        if !problems.is_empty() {
            bail!(
                "the state does not fit the configured network: {}",
                problems.join("; ")
            );
        }
        for (name, tensor) in self.tensors() {
            if let Some(saved) = state.get(name) {
                assign(tensor, saved);
            }
        }
        Ok(())
    }

    /// D, the length of an embedding.
    pub fn embedding_dim(&self) -> i64 {
        self.embedding_dim
    }

    /// F, the length of a pooled feature: 512 or 2,048.
    pub fn feature_dim(&self) -> i64 {
        self.backbone.feature_dim()
    }

    fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let parameters = self.parameters.iter().map(|p| (p.name.as_str(), &p.tensor));
        parameters.chain(
            self.buffers
                .iter()
                .map(|(name, tensor)| (name.as_str(), tensor)),
        )
    }
}

/// Overwrites a tensor in place, so that every holder of it sees the change; its device and layout stay.
fn assign(tensor: &Tensor, value: &Tensor) {
    let _no_grad = tch::no_grad_guard();
    tensor.shallow_clone().copy_(value);
}

/// Makes layers, initialises them and keeps the list of their tensors.
struct Layers {
    seed: u64,
    device: Device,
    channels_last: bool,
    group: Group,
    parameters: Vec<Parameter>,
    buffers: Vec<(String, Tensor)>,
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

    /// `torch.nn.Conv2d` without bias, initialised as torchvision's ResNet does: kaiming normal, fan out, ReLU.
    fn conv(&mut self, name: &str, in_out: (i64, i64), kernel: i64, stride: i64) -> Conv {
        let name = format!("{name}.weight");
        let std = (2.0 / (in_out.1 * kernel * kernel) as f64).sqrt();
        let size = [in_out.1, in_out.0, kernel, kernel];
        let value = normal(self.seed, &name, &size, std);
        Conv {
            weight: self.parameter(name, value),
            stride,
            padding: kernel / 2,
        }
    }

    /// `torch.nn.BatchNorm1d` or `2d`: weight 1, bias 0, running mean 0 and variance 1.
    fn batch_norm(&mut self, name: &str, channels: i64) -> BatchNorm {
        let zeros = || Tensor::zeros([channels], (Kind::Float, Device::Cpu));
        let ones = || Tensor::ones([channels], (Kind::Float, Device::Cpu));
        let norm = BatchNorm {
            weight: self.parameter(format!("{name}.weight"), ones()),
            bias: self.parameter(format!("{name}.bias"), zeros()),
            running_mean: self.buffer(format!("{name}.running_mean"), zeros()),
            running_var: self.buffer(format!("{name}.running_var"), ones()),
        };
        let _ = self.buffer(format!("{name}.num_batches_tracked"), Tensor::from(0_i64));
        norm
    }

    /// `torch.nn.Linear` with its default initialisation: weight and bias uniform in ±1/√inputs.
    fn linear(&mut self, name: &str, inputs: i64, outputs: i64) -> Linear {
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

/// A 2-D convolution without bias.
#[derive(Debug)]
struct Conv {
    weight: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv {
    fn forward(&self, x: &Tensor) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.conv2d(&self.weight, None::<&Tensor>, stride, padding, [1, 1], 1)
    }
}

/// Batch normalisation over all dimensions but the second, momentum 0.1, eps 1e-5.
#[derive(Debug)]
struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, var) = (Some(&self.running_mean), Some(&self.running_var));
        x.batch_norm(weight, bias, mean, var, train, 0.1, 1e-5, true)
    }
}

/// A fully connected layer.
#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
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
pub(crate) fn uniform(seed: u64, name: &str, size: &[i64], bound: f64) -> Tensor {
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
