//! The rules of `[model]`, `[optimizer]` and `[schedule]`.

use super::error;
use crate::config::parse;

const GOOD: &str = r#"
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
[schedule]
epochs = 3
freeze = 4
unfreeze = [{ epoch = 1, freeze = 3 }, { epoch = 2, freeze = 0 }]
"#;

#[test]
fn every_rule_of_model_optimizer_and_schedule_names_its_key() {
    parse(GOOD.as_bytes()).expect("the good configuration is accepted");
    // The rule is about the last line.
    for (from, to) in [
        ("head = \"triplet\"", "head = \"none\"\nembedding_dim = 128"),
        ("head = \"triplet\"", "head = \"linear\"\nembedding_dim = 0"),
        ("head = \"triplet\"", "head = \"linear\"\nlast_stride = 3"),
        (
            "head = \"triplet\"",
            "head = \"linear\"\nfreeze_batch_norm = true",
        ),
        ("kind = \"sgd\"", "lr = 0.0"),
        ("kind = \"sgd\"", "lr = inf"),
        ("kind = \"sgd\"", "backbone_factor = -1.0"),
        ("kind = \"sgd\"", "loss_factor = 0.0"),
        ("kind = \"sgd\"", "momentum = 1.0"),
        ("kind = \"sgd\"", "nesterov = true"),
        (
            "kind = \"sgd\"",
            "kind = \"sgd\"\nmomentum = 0.0\nnesterov = true",
        ),
        ("kind = \"sgd\"", "weight_decay = -1.0"),
        ("kind = \"sgd\"", "decay_norms_and_biases = false"),
        ("kind = \"sgd\"", "clip_norm = 0.0"),
        ("kind = \"sgd\"", "clip_norm = nan"),
        ("kind = \"sgd\"", "accumulate = 0"),
        ("epochs = 3", "epochs = 3\nstep_epochs = 5"),
        (
            "epochs = 3",
            "epochs = 3\nlr = \"cosine\"\nstep_factor = 0.1",
        ),
        ("epochs = 3", "epochs = 3\nlr = \"step\"\nstep_epochs = 0"),
        ("epochs = 3", "epochs = 3\nlr = \"step\"\nstep_factor = 0.0"),
        ("freeze = 4", "freeze = 6"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let table = match from {
            "head = \"triplet\"" => "model",
            "kind = \"sgd\"" => "optimizer",
            _ => "schedule",
        };
        let last_line = to.lines().last().expect("a line");
        let key = last_line.split(' ').next().expect("a key");
        let message = error(&text);
        assert!(
            message.starts_with(&format!("{table}.{key} ")),
            "{to}: {message}"
        );
    }
}

#[test]
fn unfreezings_come_in_order_within_the_run_and_each_frees_more() {
    for (from, to, key) in [
        ("freeze = 3 }", "freeze = 4 }", "schedule.unfreeze.freeze"),
        ("freeze = 0 }", "freeze = 3 }", "schedule.unfreeze.freeze"),
        ("epoch = 2", "epoch = 1", "schedule.unfreeze.epoch"),
        ("epoch = 2", "epoch = 3", "schedule.unfreeze.epoch"),
        (
            "freeze = 3 }",
            "freeze = 3, lr_factor = 0.0 }",
            "schedule.unfreeze.lr_factor",
        ),
    ] {
        let message = error(&GOOD.replace(from, to));
        assert!(message.starts_with(key), "{to}: {message}");
    }
}

#[test]
fn features_are_cached_of_frozen_stages_and_of_pictures_that_come_again() {
    let with = |cache: &str, augment: &str| format!("{GOOD}{augment}\n[runtime]\n{cache}\n");
    let cache = "feature_cache_gib = 2.5";
    for augment in ["", "[augment]\nviews = 8"] {
        parse(with(cache, augment).as_bytes()).expect("accepted");
    }
    let anew = error(&with(cache, "[augment]"));
    assert!(
        anew.starts_with("runtime.feature_cache_gib = 2.5 needs augment.views"),
        "{anew}"
    );
    let nothing = error(&with(cache, "").replace("freeze = 4\nunfreeze = [", "# ["));
    assert!(
        nothing.starts_with("runtime.feature_cache_gib"),
        "{nothing}"
    );
    for wrong in ["0.0", "-1.0", "nan"] {
        let message = error(&with(&format!("feature_cache_gib = {wrong}"), ""));
        assert!(
            message.starts_with("runtime.feature_cache_gib"),
            "{message}"
        );
    }
    let alone = error(&with("feature_cache_dir = \"kept\"", ""));
    assert!(
        alone.starts_with("runtime.feature_cache_dir = \"kept\" needs runtime.feature_cache_gib"),
        "{alone}"
    );
    let none = error(&with("", "[augment]\nviews = 0"));
    assert!(none.starts_with("augment.views = 0"), "{none}");
}

#[test]
fn what_only_nesterov_or_a_stepped_rate_needs_is_accepted_with_it() {
    let text = GOOD
        .replace("kind = \"sgd\"", "kind = \"sgd\"\nnesterov = true")
        .replace(
            "epochs = 3",
            "epochs = 3\nlr = \"step\"\nstep_epochs = 5\nstep_factor = 0.5",
        );
    parse(text.as_bytes()).expect("accepted");
}

#[test]
fn a_run_that_would_train_nothing_is_refused() {
    let bare = GOOD.replace("head = \"triplet\"", "head = \"none\"");
    let frozen = bare
        .replace("freeze = 4", "freeze = 5")
        .replace("unfreeze = [", "unfreeze = [] # ");
    assert!(error(&frozen).starts_with("schedule.freeze = 5"));
    let still = bare.replace("kind = \"sgd\"", "backbone_factor = 0.0");
    assert!(error(&still).starts_with("optimizer.backbone_factor = 0"));
    for text in [frozen, still] {
        let weights = "kind = \"norm_softmax\"\ntemperature = 0.05";
        let learns = [
            text.replace("kind = \"triplet\"\nmargin = 1.0", weights),
            text.replace("head = \"none\"", "head = \"none\"\nbn_neck = true"),
            text.replace("head = \"none\"", "head = \"none\"\npooling = \"gem\""),
            // A baseline trains nothing.
            text.replace("epochs = 3", "epochs = 0")
                .replace("unfreeze = [", "unfreeze = [] # "),
        ];
        for text in learns {
            parse(text.as_bytes()).expect(&text);
        }
    }
}
