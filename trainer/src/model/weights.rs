//! Loads a backbone from a `.safetensors` or `.pth` file: a torchvision ResNet, an EfficientNet-Lite of
//! `efficientnet_lite_pytorch`, or the `model.safetensors` of a run.

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
        "{}: no such weights file; {}\nor name the model.safetensors of a run's checkpoint",
        path.display(),
        source_of(*arch, path)
    )]
    NotFound {
        /// As configured.
        path: PathBuf,
        /// The configured architecture.
        arch: Arch,
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
    #[error("{}: is no {}: {}", path.display(), arch.name(), shortened(problems))]
    Mismatch {
        /// As configured.
        path: PathBuf,
        /// The configured architecture.
        arch: Arch,
        /// One for each missing, misshapen or surplus tensor of the backbone, all of them.
        problems: Vec<String>,
    },
    /// It holds numbers that no network can compute with.
    #[error(
        "{}: {tensor} holds numbers that are not finite: its training diverged, or the file is damaged; take an earlier \
         checkpoint or another file",
        path.display()
    )]
    NotFinite {
        /// As configured.
        path: PathBuf,
        /// The first such tensor, as the file names it.
        tensor: String,
    },
}

/// How to get weights for an architecture.
fn source_of(arch: Arch, path: &Path) -> String {
    match Names::of(arch) {
        Names::Torchvision => format!(
            "make one from torchvision with\n  python3 -c \"import torch, torchvision; torch.save(torchvision.models.{}(weights='DEFAULT').state_dict(), '{}')\"",
            arch.name(),
            path.with_extension("pth").display()
        ),
        Names::EfficientNetLite => format!(
            "fetch ImageNet's with\n  scripts/fetch_weights.sh {} {}",
            arch.name(),
            path.with_extension("pth").display()
        ),
    }
}

/// Whose names a backbone's tensors have.
#[derive(Debug, Clone, Copy)]
enum Names {
    Torchvision,
    /// `efficientnet_lite_pytorch`'s.
    EfficientNetLite,
}

impl Names {
    fn of(arch: Arch) -> Self {
        match arch {
            Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet50 => Self::Torchvision,
            Arch::EfficientnetLite0 | Arch::EfficientnetLite1 | Arch::EfficientnetLite2 => {
                Self::EfficientNetLite
            }
        }
    }

    /// The parts of a backbone, which begin its tensors' names.
    fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Torchvision => &["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"],
            Self::EfficientNetLite => &["_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"],
        }
    }

    /// Is it a name of the backbone?
    fn is_backbone(self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or_default();
        self.parts().contains(&first)
    }

    /// The first tensor of a network, and another, without which the first may be a block's own.
    fn landmarks(self) -> [&'static str; 2] {
        match self {
            Self::Torchvision => ["conv1.weight", "layer1.0.conv1.weight"],
            Self::EfficientNetLite => ["_conv_stem.weight", "_blocks.0._depthwise_conv.weight"],
        }
    }
}

/// Copies every backbone tensor of the file into those of a network, in place. Nothing else in the file is read: `fc.*`
/// of whatever shape, or the class weights of a loss. `num_batches_tracked` may be missing, as in torchvision's older
/// files. Floats of other sizes become fp32, and a prefix of all names (`module.` of DataParallel, `backbone.`) is
/// stripped, which is said.
///
/// # Errors
/// See [`WeightsError`]; the network is then as it was before.
pub(super) fn load_backbone(
    arch: Arch,
    tensors: &[(&str, &Tensor)],
    path: &Path,
) -> Result<(), WeightsError> {
    let names = Names::of(arch);
    if !path.is_file() {
        let path = path.to_owned();
        return Err(WeightsError::NotFound { path, arch });
    }
    let file = read(path).map_err(|error| WeightsError::Unreadable {
        reason: format!("{error:#}"),
    })?;
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let file = match prefixes(&file, names).as_slice() {
        [] => file,
        [prefix] => {
            tracing::info!(
                "{}: the names of its tensors begin with `{prefix}`, which is stripped",
                path.display()
            );
            stripped(file, prefix)
        }
        several => {
            return Err(WeightsError::Mismatch {
                path: path.to_owned(),
                arch,
                problems: vec![format!(
                    "it holds several networks, whose names begin with {}; save one of them alone",
                    several.join(", ")
                )],
            });
        }
    };
    let backbone = tensors.iter().filter(|(name, _)| names.is_backbone(name));
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
            Some(saved) => found.push((name, tensor, saved)),
        }
    }
    let ours: BTreeSet<&str> = tensors.iter().map(|(name, _)| *name).collect();
    let surplus = file
        .keys()
        .filter(|name| names.is_backbone(name) && !ours.contains(name.as_str()));
    problems.extend(surplus.map(|name| format!("{name} is unexpected")));
    if !problems.is_empty() {
        let path = path.to_owned();
        return Err(WeightsError::Mismatch {
            path,
            arch,
            problems,
        });
    }
    // As they will be: a double may be too large for fp32.
    let is_finite =
        |tensor: &Tensor, saved: &Tensor| torch::is_finite(&saved.to_kind(tensor.kind()));
    if let Some((name, ..)) = found
        .iter()
        .find(|(_, tensor, saved)| !is_finite(tensor, saved))
    {
        return Err(WeightsError::NotFinite {
            path: path.to_owned(),
            tensor: (*name).to_owned(),
        });
    }
    let converted: BTreeSet<String> = found
        .iter()
        .filter(|(_, tensor, saved)| tensor.kind() != saved.kind())
        .map(|(_, _, saved)| format!("{:?}", saved.kind()))
        .collect();
    if !converted.is_empty() {
        let kinds: Vec<String> = converted.into_iter().collect();
        tracing::warn!(
            "{}: holds {} numbers; they are converted to fp32",
            path.display(),
            kinds.join(" and ")
        );
    }
    for (_, tensor, saved) in found {
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

/// What stands before a backbone's names, where they do not stand alone: one prefix for each network in the file.
fn prefixes(file: &BTreeMap<String, Tensor>, names: Names) -> Vec<String> {
    let [first, second] = names.landmarks();
    let begins_network = |prefix: &&str| file.contains_key(&format!("{prefix}{second}"));
    if file.contains_key(first) {
        return Vec::new();
    }
    file.keys()
        .filter_map(|name| name.strip_suffix(first))
        .filter(begins_network)
        .map(str::to_owned)
        .collect()
}

/// The tensors whose names begin with the prefix, without it.
fn stripped(file: BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    file.into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
        .collect()
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
