use super::*;
use crate::config::parse;

fn config(text: &str) -> TrainConfig {
    let base = "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[schedule]\nepochs = 2\n";
    parse(format!("{base}{text}").as_bytes()).unwrap()
}

fn run(name: &str) -> Line {
    Line {
        name: name.to_owned(),
        outcome: Outcome::Done,
        map_at_r: Some(0.375),
        f1: Some(0.75),
        threshold: Some(0.6),
        val_loss: None,
        best_epoch: Some(1),
        epochs: 2,
        images: 200,
        images_per_sec: Some(80.0),
        seen_brands: 0,
        map: [Some((0.5, 0.4, 0.6)), None],
        over_seeds: [None; 2],
    }
}

#[test]
fn only_keys_that_differ_are_told_defaults_and_the_sampler_among_them() {
    let cosine = config("[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n");
    let triplet = config("[loss]\nkind = \"triplet\"\nmargin = 0.2\n[optimizer]\nlr = 0.1\n");
    let d = differences(&[&cosine, &triplet]).unwrap();
    let keys: Vec<&str> = d.keys().map(String::as_str).collect();
    assert_eq!(keys, ["data.sampler", "loss.kind", "optimizer.lr"]);
    assert_eq!(
        d["optimizer.lr"],
        [Some("0.001".to_owned()), Some("0.1".to_owned())]
    );
    assert!(differences(&[&cosine, &cosine]).unwrap().is_empty());
    let softmax = config("[loss]\nkind = \"norm_softmax\"\ntemperature = 0.05\n");
    let d = differences(&[&cosine, &softmax]).unwrap();
    assert_eq!(d["loss.temperature"], [None, Some("0.05".to_owned())]);
}

#[test]
fn a_run_that_left_nothing_is_an_empty_line() {
    let dir = tempfile::tempdir().unwrap();
    let empty = line("a", dir.path(), 100, &Outcome::Done);
    assert_eq!(
        (empty.epochs, empty.images, empty.f1, empty.images_per_sec),
        (0, 0, None, None)
    );
    let text = markdown(&[empty, run("b")], &Differences::new());
    assert!(
        text.contains("| a | done | – | – | – | – | 0 | 0 | – | – |"),
        "{text}"
    );
    assert!(
        text.contains(
            "| b | done | 0.3750 | 0.7500 | 0.600 | 1 | 2 | 200 | 80 | 0.500 [0.400, 0.600] |"
        ),
        "{text}"
    );
    assert!(!text.contains("What differs"));
}

#[test]
fn the_three_forms_say_the_same() {
    let failed = Line {
        outcome: Outcome::Failed("fit: exit code 1".to_owned()),
        map: [None; 2],
        ..run("b")
    };
    let differences =
        Differences::from([("loss.margin".to_owned(), vec![Some("0.2".to_owned()), None])]);
    let lines = [run("a"), failed];
    let text = terminal(&lines, &differences);
    assert!(
        text.contains("failed: fit: exit code 1") && text.contains("a: loss.margin = 0.2"),
        "{text}"
    );
    assert!(!text.contains("5-shot"), "nobody has it: {text}");
    let text = String::from_utf8(csv(&lines, &differences).unwrap()).unwrap();
    assert_eq!(
        text,
        "run,outcome,map_at_r,f1,threshold,val_loss,best_epoch,epochs,images,images_per_sec,\
         map_1,map_1_low,map_1_high,map_1_seeds,map_1_seeds_mean,map_1_seeds_deviation,\
         map_5,map_5_low,map_5_high,map_5_seeds,map_5_seeds_mean,map_5_seeds_deviation,loss.margin\n\
         a,done,0.375,0.75,0.6,,1,2,200,80,0.5,0.4,0.6,,,,,,,,,,0.2\n\
         b,failed: fit: exit code 1,0.375,0.75,0.6,,1,2,200,80,,,,,,,,,,,,,\n"
    );
    let text = markdown(&lines, &differences);
    assert!(
        text.contains("|  | a | b |\n|---|---:|---:|\n| `loss.margin` | 0.2 | – |"),
        "{text}"
    );
}

#[test]
fn a_best_epoch_is_that_of_map_at_r_and_of_f1_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let lines_of = |values: &[(Option<f64>, f64)]| {
        let metrics: String = (0..)
            .zip(values)
            .map(|(epoch, (map_at_r, f1))| {
                let map = map_at_r.map_or_else(String::new, |v| format!("\"map_at_r\":{v},"));
                format!("{{\"kind\":\"epoch\",\"epoch\":{epoch},\"step\":1,\"train_loss\":1.0,{map}\"f1\":{f1},\"lr\":{{\"backbone\":0,\"head\":0,\"loss\":0}},\"freeze\":0,\"skipped_images\":0,\"images_per_sec\":1.0}}\n")
            })
            .collect();
        std::fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
        let line = line("a", dir.path(), 100, &Outcome::Done);
        (line.best_epoch, line.map_at_r, line.f1)
    };
    let judged = [(Some(0.25), 0.5), (Some(0.5), 0.25), (Some(0.5), 0.75)];
    assert_eq!(lines_of(&judged), (Some(1), Some(0.5), Some(0.25)));
    let by_f1 = judged.map(|(_, f1)| (None, f1));
    assert_eq!(lines_of(&by_f1), (Some(2), None, Some(0.75)));
}

#[test]
fn runs_that_differ_in_their_seed_alone_share_a_spread() {
    let triplet = "[loss]\nkind = \"triplet\"\nmargin = 0.2\n";
    let seed = |seed: u64| TrainConfig {
        seed,
        ..config(triplet)
    };
    let configs = [
        seed(1),
        seed(2),
        seed(3),
        config("[loss]\nkind = \"triplet\"\nmargin = 0.5\n"),
    ];
    let mut lines: Vec<Line> = ["a", "b", "c", "d"].map(run).into();
    lines[1].map[0] = Some((0.75, 0.7, 0.8));
    // The third failed, and was not judged.
    lines[2].map[0] = None;
    over_seeds(&mut lines, &configs.iter().collect::<Vec<_>>());
    let spread = Spread::of(&[0.5, 0.75]);
    let found: Vec<_> = lines.iter().map(|line| line.over_seeds[0]).collect();
    assert_eq!(found, [spread, spread, spread, None]);
    let text = markdown(&lines, &Differences::new());
    assert!(
        text.contains("| 1-shot mAP | over seeds |")
            && text.contains("| 0.750 [0.700, 0.800] | 0.625 ± 0.177 (2) |"),
        "{text}"
    );
}

#[test]
fn a_run_that_was_trained_on_test_brands_says_so() {
    let seen = Line {
        seen_brands: 3,
        ..run("c")
    };
    let text = markdown(&[seen], &Differences::new());
    assert!(
        text.contains("| c | done, trained on 3 test brands |"),
        "{text}"
    );
}
