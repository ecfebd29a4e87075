//! The embedding network: a backbone, pooling, a head, optionally a BN-neck and L2 normalisation; its parameters as one
//! flat list with the names of the backbone's published weights, and its state as named tensors.
//!
//! It is written here rather than taken from tch because frozen stages must run BatchNorm in evaluation mode and
//! without autograd while the rest trains, which one `train` flag cannot say.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use logodex_schemas::train::{Arch, Head as HeadKind, ModelConfig};
use tch::{Device, Tensor};

use super::backbone::{Backbone, to_pool};
use super::batch_norm::BatchNorm;
use super::head::Head;
use super::layers::Layers;
use super::parameter::{Group, Mode, Parameter, STAGES, assign};
use super::pool::Pool;
use super::weights::{self, WeightsError};
use crate::loss::distance::l2_normalize;
use crate::onnx::graph::Graph;
use crate::torch;

/// A backbone whose `fc` is an embedding head.
#[derive(Debug)]
pub struct EmbeddingNet {
    arch: Arch,
    backbone: Backbone,
    pool: Pool,
    head: Head,
    neck: Option<BatchNorm>,
    l2_normalize: bool,
    channels_last: bool,
    device: Device,
    embedding_dim: i64,
    parameters: Vec<Parameter>,
    buffers: Vec<(String, Tensor)>,
}

impl EmbeddingNet {
    /// A network with its publishers' initialisation, drawn on the CPU from `seed` and each parameter's name (so it is
    /// the same on every device and whatever the head), then with the backbone of `config.weights` if given.
    ///
    /// # Errors
    /// An embedding size that does not go with the head; [`WeightsError`] for the weights file.
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
            freeze_batch_norm: config.freeze_batch_norm,
            group: Group::Head,
            parameters: Vec::new(),
            buffers: Vec::new(),
        };
        let backbone = Backbone::new(&mut layers, config.arch, i64::from(config.last_stride));
        let features = backbone.feature_dim();
        let embedding_dim = match (config.head, config.embedding_dim) {
            (HeadKind::None, Some(_)) => {
                bail!("model.embedding_dim is not allowed with head = \"none\"")
            }
            (_, Some(0)) => bail!("model.embedding_dim must be at least 1"),
            (_, Some(dim)) => i64::from(dim),
            (head, None) => head.embedding_dim().map_or(features, i64::from),
        };
        layers.group = Group::Head;
        let pool = Pool::new(&mut layers, config.pooling);
        let head = Head::new(&mut layers, config.head, features, embedding_dim);
        let neck = config
            .bn_neck
            .then(|| layers.batch_norm("bn_neck", embedding_dim, false));
        let net = Self {
            arch: config.arch,
            backbone,
            pool,
            head,
            neck,
            l2_normalize: config.l2_normalize,
            channels_last,
            device,
            embedding_dim,
            parameters: layers.parameters,
            buffers: layers.buffers,
        };
        if let Some(path) = &config.weights {
            net.load_backbone(Path::new(path))?;
        }
        Ok(net)
    }

    /// Embeddings `[B, D]`, fp32, of ImageNet-normalised images `[B, 3, H, W]`, L2-normalised if configured.
    ///
    /// Under bf16 autocast only the backbone's convolutions run in bf16: pooling, head and normalisation stay fp32.
    /// Dropout draws from libtorch's global generator: seed it (`torch::manual_seed`) from the step before a training
    /// pass whose draws must repeat.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.embed(&self.features(images, mode), mode)
    }

    /// What the first `stages` of the backbone give of images, frozen: maps `[B, C, h, w]` in the arithmetic of the stages,
    /// or, where all are frozen and pooling has nothing to learn, pooled features `[B, F]` in fp32. Without autograd; equal to
    /// what [`Self::forward`] computes on its way at a freeze level of `stages`.
    pub fn frozen_output(&self, images: &Tensor, stages: u8) -> Tensor {
        if stages == STAGES && !self.pool.learns() {
            return self.features(images, Mode::Eval);
        }
        let images = self.laid_out(images);
        self.backbone.run(&images, 0..stages, Mode::Eval)
    }

    /// [`Self::forward`] from what [`Self::frozen_output`] gave, at a freeze level of `stages` at least.
    pub fn forward_from(&self, output: &Tensor, stages: u8, mode: Mode) -> Tensor {
        if output.dim() == 2 {
            return self.embed(output, mode);
        }
        let output = self.laid_out(output);
        let maps = to_pool(&self.backbone.run(&output, stages..STAGES, mode));
        let features = self.in_fp32(mode, || self.pool.forward(&maps));
        self.embed(&features, mode)
    }

    /// Head, BN-neck and normalisation: `[B, F]` → `[B, D]`.
    fn embed(&self, features: &Tensor, mode: Mode) -> Tensor {
        self.in_fp32(mode, || {
            let train = mode != Mode::Eval;
            let mut embeddings = self.head.forward(features, train);
            if let Some(neck) = &self.neck {
                embeddings = neck.forward(&embeddings, train);
            }
            match self.l2_normalize {
                true => l2_normalize(&embeddings),
                false => embeddings,
            }
        })
    }

    /// Pooled backbone features `[B, F]`, fp32, of ImageNet-normalised images `[B, 3, H, W]`.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let images = self.laid_out(images);
        let maps = to_pool(&self.backbone.forward(&images, mode)); // [B, F, h, w]
        self.in_fp32(mode, || self.pool.forward(&maps))
    }

    fn laid_out(&self, x: &Tensor) -> Tensor {
        match self.channels_last {
            true => torch::channels_last(x),
            false => x.contiguous(),
        }
    }

    /// The network in evaluation as a graph, from pictures U8 `[N, side, side, 3]`, which are normalised by `mean` and `std`, to
    /// embeddings of length one, whether or not it is configured to normalise them: they are compared by cosine.
    pub fn to_graph(&self, side: i64, mean: [f32; 3], std: [f32; 3]) -> Graph {
        let mut graph = Graph::new(side, self.embedding_dim);
        let images = graph.normalized_image(mean, std);
        let maps = self.backbone.add_to(&mut graph, &images, side);
        let features = self.pool.add_to(&mut graph, &maps);
        let mut embeddings = self.head.add_to(&mut graph, &features);
        if let Some(neck) = &self.neck {
            embeddings = neck.add_to(&mut graph, &embeddings);
        }
        graph.normalized_output(&embeddings);
        graph
    }

    /// Runs `f` in fp32, and in evaluation without autograd.
    fn in_fp32(&self, mode: Mode, f: impl FnOnce() -> Tensor) -> Tensor {
        let _no_grad = (mode == Mode::Eval).then(tch::no_grad_guard);
        torch::autocast_bf16(self.device, false, f)
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

    /// Takes over the backbone of a weights file.
    ///
    /// # Errors
    /// See [`WeightsError`]; the network is then as it was before.
    pub fn load_backbone(&self, path: &Path) -> Result<(), WeightsError> {
        let tensors: Vec<(&str, &Tensor)> = self.tensors().collect();
        weights::load_backbone(self.arch, &tensors, path)
    }

    /// D, the length of an embedding.
    pub fn embedding_dim(&self) -> i64 {
        self.embedding_dim
    }

    /// F, the length of a pooled feature: 512, 2,048 or 1,280.
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
