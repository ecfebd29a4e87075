//! The rules of `[loss]`, `[miner]` and `[memory]`, and of what goes with what. Each message begins with the key.

use logodex_schemas::train::{LossConfig, MinerConfig, SamplerKind, TrainConfig};

use super::require;

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

#[cfg(test)]
mod tests {
    use crate::config::parse;

    /// A configuration with this loss and these further lines, which may open tables.
    fn judged(loss: &str, more: &str) -> Result<(), String> {
        let text = format!(
            "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[schedule]\nepochs = 1\n[loss]\n{loss}\n{more}\n"
        );
        parse(text.as_bytes()).map(drop).map_err(|e| e.to_string())
    }

    #[test]
    fn every_loss_and_miner_is_taken_with_its_authors_numbers() {
        let pairs = [
            "kind = \"triplet\"\nmargin = 0.2",
            "kind = \"contrastive_euclidean\"\nmargin = 1.0",
            "kind = \"contrastive_cosine\"\nmargin = 0.2",
            "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = 1.0",
            "kind = \"sup_con\"\ntemperature = 0.1",
            "kind = \"circle\"\nmargin = 0.25\ngamma = 256.0",
        ];
        let miners = [
            "kind = \"none\"",
            "kind = \"batch_hard\"",
            "kind = \"semi_hard\"\nmargin = 0.2",
            "kind = \"distance_weighted\"",
            "kind = \"multi_similarity\"\nepsilon = 0.1",
        ];
        for loss in pairs {
            for miner in miners {
                judged(loss, &format!("[miner]\n{miner}")).expect(loss);
                let memory = format!("[miner]\n{miner}\n[memory]\nsize = 256");
                judged(loss, &memory).expect(loss);
            }
        }
        for loss in [
            "kind = \"norm_softmax\"\ntemperature = 0.05",
            "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0",
            "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0\nsub_centers = 3",
            "kind = \"proxy_anchor\"\nmargin = 0.1\nalpha = 32.0",
        ] {
            judged(loss, "").expect(loss);
            judged(loss, "[data]\nsampler = \"pk\"").expect(loss);
        }
    }

    #[test]
    fn every_rule_names_its_key() {
        let triplet = "kind = \"triplet\"\nmargin = 0.2";
        let circle = "kind = \"circle\"\nmargin = 0.25\ngamma = 80.0";
        let proxy = "kind = \"proxy_anchor\"\nmargin = 0.1\nalpha = 32.0";
        for (loss, more, key) in [
            ("kind = \"triplet\"\nmargin = 0.0", "", "loss.margin"),
            (
                "kind = \"sup_con\"\ntemperature = -1.0",
                "",
                "loss.temperature",
            ),
            (
                "kind = \"multi_similarity\"\nalpha = 0.0\nbeta = 50.0\nbase = 1.0",
                "",
                "loss.alpha",
            ),
            (
                "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 0.0\nbase = 1.0",
                "",
                "loss.beta",
            ),
            (
                "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = nan",
                "",
                "loss.base",
            ),
            (
                "kind = \"proxy_anchor\"\nmargin = 0.1\nalpha = 0.0",
                "",
                "loss.alpha",
            ),
            (
                "kind = \"proxy_anchor\"\nmargin = inf\nalpha = 1.0",
                "",
                "loss.margin",
            ),
            (
                "kind = \"arc_face\"\nmargin_deg = 90.0\nscale = 64.0",
                "",
                "loss.margin_deg",
            ),
            (
                "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 0.0",
                "",
                "loss.scale",
            ),
            (
                "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0\nsub_centers = 0",
                "",
                "loss.sub_centers",
            ),
            (
                "kind = \"circle\"\nmargin = 1.0\ngamma = 80.0",
                "",
                "loss.margin",
            ),
            (
                "kind = \"circle\"\nmargin = 0.25\ngamma = 0.0",
                "",
                "loss.gamma",
            ),
            (
                triplet,
                "[miner]\nkind = \"semi_hard\"\nmargin = 0.0",
                "miner.margin",
            ),
            (
                triplet,
                "[miner]\nkind = \"multi_similarity\"\nepsilon = -0.1",
                "miner.epsilon",
            ),
            (
                triplet,
                "[miner]\nkind = \"distance_weighted\"\ncutoff = 0.0",
                "miner.cutoff",
            ),
            (
                triplet,
                "[miner]\nkind = \"distance_weighted\"\ncutoff = 1.5",
                "miner.nonzero_loss_cutoff",
            ),
            (
                triplet,
                "[miner]\nkind = \"batch_hard\"\n[data]\nsampler = \"triplets\"",
                "miner.kind",
            ),
            (proxy, "[miner]\nkind = \"batch_hard\"", "miner.kind"),
            (proxy, "[memory]\nsize = 256", "memory"),
            (
                triplet,
                "[memory]\nsize = 256\n[data]\nsampler = \"triplets\"",
                "memory",
            ),
            (triplet, "[memory]\nsize = 63", "memory.size"),
            (triplet, "[data]\nsampler = \"pairs\"", "data.sampler"),
            (triplet, "[data]\nsampler = \"images\"", "data.sampler"),
            (circle, "[data]\nsampler = \"images\"", "data.sampler"),
            (proxy, "[data]\nsampler = \"pairs\"", "data.sampler"),
            (
                proxy,
                "[optimizer]\nloss_factor = 0.0",
                "optimizer.loss_factor",
            ),
        ] {
            let message = judged(loss, more).expect_err(more);
            assert!(message.starts_with(key), "{loss} {more}: {message}");
        }
    }
}
