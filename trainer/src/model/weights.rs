//! Loads a backbone from a `.safetensors` or `.pth` file: a torchvision ResNet, or the `model.safetensors` of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use logodex_schemas::train::Arch;
use tch::{Kind, Tensor};

use super::parameter::assign;
use super::pth;
use crate::torch;

/// Why a weights file cannot be used: a usage error (exit code 2), found by `error.downcast_ref::<WeightsError>()`.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// There is no such file.
    #[error(
        "{}: no such weights file; make one from torchvision with\n  python3 -c \"import torch, torchvision; \
         torch.save(torchvision.models.{arch}(weights='DEFAULT').state_dict(), '{}')\"\nor name the \
         model.safetensors of a run's checkpoint",
        path.display(),
        path.with_extension("pth").display()
    )]
    NotFound {
        /// As configured.
        path: PathBuf,
        /// torchvision's name of the configured architecture.
        arch: &'static str,
    },
    /// It cannot be read.
    #[error(
        "{reason}; weights must be a .safetensors file, or a .pth file that holds a state dict"
    )]
    Unreadable {
        /// Names the file.
        reason: String,
    },
    /// It holds another network.
    #[error("{}: is no {arch}: {}", path.display(), shortened(problems))]
    Mismatch {
        /// As configured.
        path: PathBuf,
        /// torchvision's name of the configured architecture.
        arch: &'static str,
        /// One for each missing, misshapen or surplus tensor of the backbone, all of them.
        problems: Vec<String>,
    },
}

/// Copies every backbone tensor of the file into those of a network, in place. Nothing else in the file is read: `fc.*`
/// of whatever shape, or the class weights of a loss. `num_batches_tracked` may be missing, as in torchvision's older
/// files. Floats of other sizes become fp32, which is said.
///
/// # Errors
/// See [`WeightsError`]; the network is then as it was before.
pub(super) fn load_backbone(
    arch: Arch,
    tensors: &[(&str, &Tensor)],
    path: &Path,
) -> Result<(), WeightsError> {
    let arch = match arch {
        Arch::Resnet18 => "resnet18",
        Arch::Resnet34 => "resnet34",
        Arch::Resnet50 => "resnet50",
    };
    if !path.is_file() {
        let path = path.to_owned();
        return Err(WeightsError::NotFound { path, arch });
    }
    let file = read(path).map_err(|error| WeightsError::Unreadable {
        reason: format!("{error:#}"),
    })?;
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let backbone = tensors.iter().filter(|(name, _)| is_backbone(name));
    for &(name, tensor) in backbone {
        match file.get(name) {
            None if name.ends_with(".num_batches_tracked") => {}
            None => problems.push(format!("{name} is missing")),
            Some(saved) if saved.size() != tensor.size() => problems.push(format!(
                "{name} is {:?} instead of {:?}",
                saved.size(),
                tensor.size()
            )),
            Some(saved) if is_float(saved.kind()) != is_float(tensor.kind()) => {
                problems.push(format!("{name} is {:?}", saved.kind()));
            }
            Some(saved) => found.push((tensor, saved)),
        }
    }
    let ours: BTreeSet<&str> = tensors.iter().map(|(name, _)| *name).collect();
    let surplus = file
        .keys()
        .filter(|name| is_backbone(name) && !ours.contains(name.as_str()));
    problems.extend(surplus.map(|name| format!("{name} is unexpected")));
    if !problems.is_empty() {
        let path = path.to_owned();
        return Err(WeightsError::Mismatch {
            path,
            arch,
            problems,
        });
    }
    let converted: BTreeSet<String> = found
        .iter()
        .filter(|(tensor, saved)| tensor.kind() != saved.kind())
        .map(|(_, saved)| format!("{:?}", saved.kind()))
        .collect();
    if !converted.is_empty() {
        let kinds: Vec<String> = converted.into_iter().collect();
        tracing::warn!(
            "{}: holds {} numbers; they are converted to fp32",
            path.display(),
            kinds.join(" and ")
        );
    }
    for (tensor, saved) in found {
        assign(tensor, saved);
    }
    Ok(())
}

/// The tensors of either format, which the content tells and not the name.
fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Tensor>> {
    match pth::is_torch_file(path)? {
        true => pth::load_tensors(path),
        false => torch::load_tensors(path),
    }
}

/// Is it a name of torchvision's backbone?
fn is_backbone(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    matches!(
        first,
        "conv1" | "bn1" | "layer1" | "layer2" | "layer3" | "layer4"
    )
}

fn is_float(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16
    )
}

/// The first problems in words, and how many more there are.
fn shortened(problems: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = problems[..problems.len().min(SHOWN)].join("; ");
    if problems.len() > SHOWN {
        text += &format!("; and {} more", problems.len() - SHOWN);
    }
    text
}
