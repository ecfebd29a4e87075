//! A trainable tensor, what it belongs to, and how a forward pass treats it.

use tch::Tensor;

/// How many stages every backbone has.
pub(super) const STAGES: u8 = 5;

/// How a forward pass treats BatchNorm, dropout and autograd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics (which also move the running ones; but see `model.freeze_batch_norm`), dropout, autograd; but the first `frozen` stages of the backbone
    /// run as in `Eval`.
    Train {
        /// Freeze level, 0 to 5.
        frozen: u8,
    },
    /// Running statistics, in the backbone folded into the convolutions; no dropout, no autograd.
    Eval,
}

/// Which learning rate a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The backbone's stage: of a ResNet 0 is conv1 + bn1, 1 to 4 are layer1 to layer4.
    Backbone {
        /// 0 to 4.
        stage: u8,
    },
    /// The head, with the BN-neck and GeM's exponent.
    Head,
    /// A loss's own weights: class weights or proxies.
    Loss,
}

/// A trainable tensor under its name.
#[derive(Debug)]
pub struct Parameter {
    /// That of the published weights for the backbone (torchvision's `layer1.0.conv1.weight`), `torch.nn.Sequential`'s for the head
    /// (`fc.0.weight`), `gem.p` and `bn_neck.weight`.
    pub name: String,
    /// fp32, a leaf that requires a gradient; shares its storage with the network.
    pub tensor: Tensor,
    /// Its group.
    pub group: Group,
}

/// Overwrites a tensor in place, so that every holder of it sees the change; its device and layout stay.
pub(super) fn assign(tensor: &Tensor, value: &Tensor) {
    let _no_grad = tch::no_grad_guard();
    tensor.shallow_clone().copy_(value);
}
