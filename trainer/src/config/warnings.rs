//! What a configuration may ask for and hardly means: told before it runs, and no error.

use logodex_schemas::train::{LossConfig, MinerConfig, TrainConfig};

/// One for each key that asks for what no embedding can reach.
pub fn warnings(config: &TrainConfig) -> Vec<String> {
    let mut all = Vec::new();
    let on_sphere = config.model.l2_normalize;
    let mut distance = |key: &str, margin: f64, meaning: &str| {
        if on_sphere && margin >= 2.0 {
            all.push(format!(
                "{key} = {margin} cannot be reached: embeddings have length one (model.l2_normalize), and no two of them are farther apart than 2, so {meaning}; lower it, or set model.l2_normalize = false"
            ));
        }
    };
    match config.loss {
        LossConfig::Triplet { margin } | LossConfig::ContrastiveEuclidean { margin } => {
            distance("loss.margin", margin, "no negative is ever far enough");
        }
        _ => {}
    }
    if let MinerConfig::SemiHard { margin } = config.miner {
        distance("miner.margin", margin, "every negative is near enough");
    }
    let mut cosine = |key: &str, value: f64, reachable: bool, meaning: &str| {
        if !reachable {
            all.push(format!(
                "{key} = {value} cannot be reached: a cosine lies between -1 and 1, so {meaning}"
            ));
        }
    };
    match config.loss {
        LossConfig::ContrastiveCosine { margin } => {
            cosine(
                "loss.margin",
                margin,
                margin > -1.0,
                "no negative is ever far enough",
            );
        }
        LossConfig::ProxyAnchor { margin, .. } => {
            let meaning =
                "no image is ever near enough to its own proxy and far enough from the others";
            cosine("loss.margin", margin, margin.abs() < 1.0, meaning);
        }
        LossConfig::MultiSimilarity { base, .. } => {
            let meaning = "all pairs lie on one side of it";
            cosine("loss.base", base, base.abs() < 1.0, meaning);
        }
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_unit_vectors_cannot_reach_is_told_and_what_they_can_is_not() {
        let of = |loss: &str, model: &str| {
            let text = format!(
                "[model]\narch = \"resnet18\"\nhead = \"linear\"\n{model}\n[loss]\n{loss}\n[schedule]\nepochs = 1\n"
            );
            warnings(&parse(text.as_bytes()).unwrap())
        };
        for (loss, key) in [
            ("kind = \"triplet\"\nmargin = 3.0", "loss.margin = 3 cannot"),
            (
                "kind = \"contrastive_euclidean\"\nmargin = 2.0",
                "loss.margin = 2 cannot",
            ),
            (
                "kind = \"contrastive_cosine\"\nmargin = -1.0",
                "loss.margin = -1 cannot",
            ),
            (
                "kind = \"proxy_anchor\"\nalpha = 32.0\nmargin = 1.5",
                "loss.margin = 1.5 cannot",
            ),
            (
                "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = 1.5",
                "loss.base = 1.5 cannot",
            ),
            (
                "kind = \"triplet\"\nmargin = 1.0\n[miner]\nkind = \"semi_hard\"\nmargin = 2.5\n[data]\nsampler = \"pk\"",
                "miner.margin = 2.5 cannot",
            ),
        ] {
            let told = of(loss, "");
            assert_eq!(told.len(), 1, "{loss}: {told:?}");
            assert!(told[0].starts_with(key), "{told:?}");
        }
        assert_eq!(
            of("kind = \"triplet\"\nmargin = 3.0", "l2_normalize = false"),
            [""; 0]
        );
        for loss in [
            "kind = \"triplet\"\nmargin = 1.9",
            "kind = \"contrastive_cosine\"\nmargin = 0.2",
            "kind = \"proxy_anchor\"\nalpha = 32.0\nmargin = 0.1",
            "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = 0.5",
        ] {
            assert_eq!(of(loss, ""), [""; 0], "{loss}");
        }
    }
}
