//! The rules of `[loss]`, `[miner]` and `[memory]`, and of what goes with what.

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
