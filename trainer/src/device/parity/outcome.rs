//! What a learner makes of a batch of pictures, and how far two such outcomes lie apart.

use std::collections::BTreeMap;

use logodex_schemas::train::TrainConfig;
use tch::{Device, Kind, Tensor};

use crate::model::Mode;
use crate::optim::zero_grad;
use crate::runtime::Runtime;
use crate::train::Learner;
use crate::{augment, torch};

/// Classes of the losses that have weights.
pub(super) const CLASSES: i64 = 8;

/// What a learner makes of the pictures: all on the CPU, fp64.
pub(super) struct Outcome {
    pub(super) embeddings_eval: Tensor,
    pub(super) embeddings_train: Tensor,
    pub(super) loss: f64,
    pub(super) gradients: BTreeMap<String, Tensor>,
    pub(super) statistics: BTreeMap<String, Tensor>,
}

/// An evaluation pass, then a training pass with its gradients.
pub(super) fn outcome(
    learner: &mut Learner,
    config: &TrainConfig,
    runtime: &Runtime,
    pictures: &Tensor,
    frozen: u8,
) -> Outcome {
    let images = augment::prepare(&pictures.to_device(runtime.device), None);
    let forward = |learner: &Learner, mode| {
        torch::autocast_bf16(runtime.device, runtime.bf16, || {
            learner.net.forward(&images, mode)
        })
    };
    let embeddings_eval = tch::no_grad(|| forward(learner, Mode::Eval));
    zero_grad(&learner.parameters);
    let embeddings_train = forward(learner, Mode::Train { frozen });
    let classes: Vec<i64> = (0..pictures.size()[0]).map(|i| i % CLASSES).collect();
    let targets = runtime.i64_tensor(&classes);
    let loss = learner.loss(config, &embeddings_train, &targets, 0, 0);
    loss.backward();
    let gradients = learner.parameters.iter().filter_map(|p| {
        let grad = p.tensor.grad();
        grad.defined().then(|| (p.name.clone(), exact(&grad)))
    });
    let mut statistics = learner.net.state();
    statistics.retain(|name, _| name.contains(".running_"));
    Outcome {
        embeddings_eval: exact(&embeddings_eval),
        embeddings_train: exact(&embeddings_train),
        loss: loss.double_value(&[]),
        gradients: gradients.collect(),
        statistics: statistics
            .iter()
            .map(|(n, t)| (n.clone(), exact(t)))
            .collect(),
    }
}

/// A copy on the CPU in fp64.
pub(super) fn exact(tensor: &Tensor) -> Tensor {
    let copied = tensor.detach().to_device(Device::Cpu).contiguous();
    copied.to_kind(Kind::Double)
}

/// ‖x − reference‖ / ‖reference‖, NaN where the shapes differ.
pub(super) fn relative(x: &Tensor, reference: &Tensor) -> f64 {
    let pair = |t: &Tensor| BTreeMap::from([(String::new(), t.shallow_clone())]);
    relative_of_all(&pair(x), &pair(reference))
}

/// The same over all tensors together; NaN where names or shapes differ.
pub(super) fn relative_of_all(
    x: &BTreeMap<String, Tensor>,
    reference: &BTreeMap<String, Tensor>,
) -> f64 {
    let same = x.len() == reference.len()
        && x.iter()
            .zip(reference)
            .all(|((n, t), (name, r))| n == name && t.size() == r.size());
    if !same {
        return f64::NAN;
    }
    let square = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]);
    let distance: f64 = x
        .values()
        .zip(reference.values())
        .map(|(t, r)| square(&(t - r)))
        .sum();
    let norm: f64 = reference.values().map(square).sum();
    if distance == 0.0 {
        0.0
    } else {
        (distance / norm).sqrt()
    }
}
