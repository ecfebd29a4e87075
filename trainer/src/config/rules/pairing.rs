//! The rules of `[loss]`, `[miner]` and `[memory]`, and of what goes with what. Each message begins with the key.

use logodex_schemas::train::{LossConfig, MinerConfig, SamplerKind, TrainConfig};

use super::require::require;

pub(super) fn check_loss(loss: &LossConfig) -> Result<(), String> {
    let positive = |key: &str, value: f64| {
        require(&format!("loss.{key}"), value, value > 0.0, "greater than 0")
    };
    let any = |key: &str, value: f64| require(&format!("loss.{key}"), value, true, "finite");
    match *loss {
        LossConfig::Triplet { margin } | LossConfig::ContrastiveEuclidean { margin } => {
            positive("margin", margin)
        }
        LossConfig::ContrastiveCosine { margin } => {
            let ok = (-1.0..1.0).contains(&margin);
            let rule = "at least -1 and below 1: it bounds a cosine";
            require("loss.margin", margin, ok, rule)
        }
        LossConfig::NormSoftmax { temperature } | LossConfig::SupCon { temperature } => {
            positive("temperature", temperature)
        }
        LossConfig::MultiSimilarity { alpha, beta, base } => {
            positive("alpha", alpha)?;
            positive("beta", beta)?;
            any("base", base)
        }
        LossConfig::ProxyAnchor { margin, alpha } => {
            any("margin", margin)?;
            positive("alpha", alpha)
        }
        LossConfig::ArcFace {
            margin_deg,
            scale,
            sub_centers,
        } => {
            let ok = (0.0..90.0).contains(&margin_deg);
            let rule = "at least 0 and below 90 degrees";
            require("loss.margin_deg", margin_deg, ok, rule)?;
            positive("scale", scale)?;
            match sub_centers {
                1..=64 => Ok(()),
                n => Err(format!("loss.sub_centers = {n} must be 1 to 64")),
            }
        }
        LossConfig::Circle { margin, gamma } => {
            let ok = 0.0 < margin && margin < 1.0;
            require("loss.margin", margin, ok, "above 0 and below 1")?;
            positive("gamma", gamma)
        }
    }
}

pub(super) fn check_miner(miner: &MinerConfig) -> Result<(), String> {
    match *miner {
        MinerConfig::None | MinerConfig::BatchHard => Ok(()),
        MinerConfig::SemiHard { margin } => {
            require("miner.margin", margin, margin > 0.0, "greater than 0")
        }
        MinerConfig::MultiSimilarity { epsilon } => {
            require("miner.epsilon", epsilon, epsilon >= 0.0, "at least 0")
        }
        MinerConfig::DistanceWeighted {
            cutoff,
            nonzero_loss_cutoff,
        } => {
            let rule = "above 0 and below 2: it is a distance on the unit sphere";
            let ok = |value: f64| 0.0 < value && value < 2.0;
            require("miner.cutoff", cutoff, ok(cutoff), rule)?;
            let key = "miner.nonzero_loss_cutoff";
            require(key, nonzero_loss_cutoff, ok(nonzero_loss_cutoff), rule)?;
            match nonzero_loss_cutoff > cutoff {
                true => Ok(()),
                false => Err(format!(
                    "{key} = {nonzero_loss_cutoff} must be above miner.cutoff = {cutoff}, or no negative is ever drawn"
                )),
            }
        }
    }
}

/// Which sampler, miner and memory go with the loss.
pub(super) fn check_combination(config: &TrainConfig) -> Result<(), String> {
    let (loss, sampler) = (&config.loss, config.sampler());
    let of_classes = loss.has_weights();
    if config.miner != MinerConfig::None {
        if of_classes {
            return Err(
                "miner.kind: a loss over classes looks at each image alone, so there is nothing to mine; remove [miner] or choose a loss over pairs"
                    .to_owned(),
            );
        }
        if sampler != SamplerKind::Pk {
            return Err(
                "miner.kind needs data.sampler = \"pk\": drawn pairs and triplets leave nothing to choose"
                    .to_owned(),
            );
        }
    }
    if !config.data.same_photo_positives && (of_classes || sampler != SamplerKind::Pk) {
        return Err(
            "data.same_photo_positives = false has a meaning with a loss over the pairs of data.sampler = \"pk\" only"
                .to_owned(),
        );
    }
    if let Some(memory) = &config.memory {
        if of_classes {
            return Err(
                "memory: a loss over classes has no references; remove [memory] or choose a loss over pairs"
                    .to_owned(),
            );
        }
        if sampler != SamplerKind::Pk {
            return Err("memory needs data.sampler = \"pk\"".to_owned());
        }
        if memory.size < config.data.batch {
            return Err(format!(
                "memory.size = {} must be at least data.batch = {}",
                memory.size, config.data.batch
            ));
        }
    }
    let goes = match loss {
        LossConfig::Triplet { .. } => [SamplerKind::Triplets, SamplerKind::Pk].contains(&sampler),
        LossConfig::ContrastiveEuclidean { .. } | LossConfig::ContrastiveCosine { .. } => {
            [SamplerKind::Pairs, SamplerKind::Pk].contains(&sampler)
        }
        _ if of_classes => [SamplerKind::Images, SamplerKind::Pk].contains(&sampler),
        _ => sampler == SamplerKind::Pk,
    };
    match goes {
        true => Ok(()),
        false => Err(
            "data.sampler does not give this loss what it takes: triplet takes \"triplets\" or \"pk\", contrastive_* \"pairs\" or \"pk\", norm_softmax, arc_face and proxy_anchor \"images\" or \"pk\", all others \"pk\""
                .to_owned(),
        ),
    }
}
