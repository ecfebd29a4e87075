//! The report over made-up runs. With `LOGODEX_REPORT_DEMO=DIR` the page of [`the_whole_page`] is kept there, to be
//! looked at in a browser, and with `LOGODEX_STATS_DEMO=DIR` the dataset's figures are taken from there.

mod caution;
mod forms;
mod made;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::report::report_command;
use crate::terminal::METRICS;
use logodex_program::Failure;
use made::evaluation::write_model;
use made::model::{Made, demo, made};
use made::stats::write_stats;

/// The files of a report over these models, with the dataset's description where asked for.
struct Written {
    html: String,
    markdown: String,
    latex: String,
    evaluation: String,
    comparisons: String,
    /// The files of `figures/`, by name.
    figures: BTreeMap<String, Vec<u8>>,
}

fn write_report(models: &[Made], stats: bool) -> Written {
    let root = tempfile::tempdir().unwrap();
    let mut runs: Vec<PathBuf> = models.iter().map(|m| write_model(root.path(), m)).collect();
    if stats {
        runs.insert(0, write_stats(root.path()));
    }
    let kept = std::env::var_os("LOGODEX_REPORT_DEMO")
        .filter(|_| stats)
        .map(PathBuf::from);
    let out = kept.unwrap_or_else(|| root.path().join("report"));
    report_command(&out, &runs).unwrap();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    Written {
        html: read("report.html"),
        markdown: read("report.md"),
        latex: read("tables.tex"),
        evaluation: read("evaluation.csv"),
        comparisons: read("comparisons.csv"),
        figures: fs::read_dir(out.join("figures"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| {
                (
                    e.file_name().into_string().unwrap(),
                    fs::read(e.path()).unwrap(),
                )
            })
            .collect(),
    }
}

/// The error's words, and that it is one of usage.
fn refusal(runs: &[PathBuf]) -> String {
    let out = tempfile::tempdir().unwrap();
    let error = report_command(&out.path().join("report"), runs).unwrap_err();
    assert!(error.chain().any(|e| e.is::<Failure>()), "{error:#}");
    assert!(!out.path().join("report").exists(), "nothing is written");
    format!("{error:#}")
}

#[test]
fn the_whole_page() {
    let written = write_report(&demo(), true);
    let html = &written.html;

    // Offline: nothing is fetched, and the only addresses are names of namespaces.
    let without_namespaces = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in ["http://", "https://", "<link", "@import", "url("] {
        assert!(!without_namespaces.contains(forbidden), "{forbidden}");
    }

    // The one program, and its data; a brand's name cannot add another.
    assert_eq!(html.matches("<script>").count(), 1);
    assert_eq!(html.matches("<script type=\"application/json\"").count(), 1);
    assert_eq!(html.matches("<script").count(), 2);
    assert!(html.contains(&format!(
        "script-src {}",
        logodex_program::page::allowed(crate::report::figures::tsne::SCRIPT)
    )));

    // Overview 2, differences 2, thresholds 2 × 6, learning 4 + 4 + 3, similarities 2 × 6, confusion 6, t-SNE 6, curves 4, slices 2.
    assert_eq!(
        html.matches("<svg role=\"img\"").count(),
        2 + 2 + 12 + 11 + 12 + 6 + 6 + 4 + 2
    );
    assert_eq!(
        html.matches("unfreeze\n").count(),
        8,
        "on each panel of two runs"
    );
    // Three examples once, not once a model; then per model 6 × 7 found, 5 pairs, and the 60 rows of the t-SNE view once.
    assert_eq!(
        html.matches("data:image/jpeg;base64,").count(),
        9 + 6 * (42 + 10) + 60
    );
    assert_eq!(html.matches("data:image/svg+xml;base64,").count(), 2);
    assert_eq!(
        html.matches("Loss: training (dashed)</figcaption>").count(),
        1,
        "norm_softmax has no validation loss"
    );
    // The answer and the ranking come before every table, and each entry of the contents leads somewhere.
    let (answer, rest) = html.split_once("</ol>").expect("the answer");
    assert_eq!(answer.matches("<li>").count(), 3);
    assert!(answer.contains("is best: 1-shot mAP"), "{answer}");
    assert!(!answer.contains("<table") && rest.find("<svg") < rest.find("<table"));
    let links: Vec<&str> = html.split("<a href=\"#").skip(1).collect();
    assert!(links.len() > 8);
    for link in links {
        let id = link.split('"').next().unwrap_or_default();
        assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
    }
    for section in [
        "results",
        "findings",
        "thresholds",
        "curves",
        "slices",
        "learning",
        "similarities",
        "examples",
        "retrievals",
        "confusion",
        "map",
        "dataset",
        "reproduce",
    ] {
        assert!(
            html.contains(&format!("<section id=\"{section}\">")),
            "{section}"
        );
    }
    for (metric, label) in METRICS {
        // Of 1 and 5 shots, under `paper`; what a threshold decides under `paper_oracle`, too; mAP also of retrieval.
        let times = match metric {
            "accuracy" | "precision" | "recall" | "f1" => 4,
            "map" => 3,
            _ => 2,
        };
        let found = html.matches(&format!("<tr><th>{label}</th>")).count();
        assert_eq!(found, times, "{label}");
    }

    // Names are escaped wherever they stand.
    assert!(html.contains("Abercrombie &amp; Fitch") && !html.contains("Abercrombie & Fitch"));
    assert!(html.contains("L&#x27;OCCITANE en Provence"));
    assert!(html.contains("&lt;script&gt;alert(&quot;x&quot;)"));
    assert!(html.contains("Bravo!,  Cucina Italiana"));

    // What must be said, in both forms.
    let page = html
        .replace("<code>", "`")
        .replace("</code>", "`")
        .replace("&#x2f;", "/");
    let page = page.replace('\u{a0}', " ");
    for text in [&page, &written.markdown] {
        assert!(
            text.contains("`triplet` falls below `baseline_features` at 1 shot in "),
            "{text}"
        );
        assert!(!text.contains("`norm_softmax` falls below"));
        assert!(text.contains("`norm_softmax` lies below `baseline_features` in no metric."));
        assert!(text.contains("The accuracy of every model (0."));
        assert!(text.contains(
            "at 1 shot is below the floor `reject_all` (0.940); that of every model (0."
        ));
        assert!(text.contains("1 test brand supports no 5-shot episode"));
        assert!(text.contains("3f9c3f9c3f9c") && text.contains("151,442"));
        assert!(
            text.contains(
                "logodex-train evaluate --dataset DATASET --split demo --run RUNS/triplet"
            )
        );
    }
    assert!(!written.markdown.contains("NaN") && !html.contains(">NaN"));
}

#[test]
fn rows_are_gathered_and_floors_stand_once() {
    let written = write_report(&demo(), false);
    let mut lines = written.evaluation.lines();
    assert_eq!(
        lines.next(),
        Some("model,protocol,shots,metric,mean,ci_low,ci_high,region,slice,brands")
    );
    let lines: Vec<&str> = lines.collect();
    // A model: (6 + 2 + 4) × 2, then 6 + 7 on two regions and 4 of slices; random (6 + 2 + 4) × 2 and 13, reject_all 8 × 2.
    assert_eq!(lines.len(), 6 * (24 + 17) + 24 + 16 + 13);
    let mut keys: Vec<_> = lines
        .iter()
        .map(|l| {
            let cells: Vec<&str> = l.split(',').collect();
            (cells[..4].to_vec(), cells[7..9].to_vec())
        })
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), lines.len(), "no key twice");
    assert!(
        lines[0].starts_with("norm_softmax,paper,1,accuracy,"),
        "in the order given"
    );
    assert!(
        lines
            .iter()
            .rev()
            .take(29)
            .all(|l| l.starts_with("random,") || l.starts_with("reject_all,")),
        "the floors stand last"
    );

    // Three models × three baselines × two shots × (6 + 4).
    assert_eq!(
        written.comparisons.lines().next(),
        Some("model,reference,protocol,shots,metric,region,slice,difference,ci_low,ci_high")
    );
    assert_eq!(written.comparisons.lines().count(), 1 + 3 * 3 * 2 * 10);
    let line = written
        .comparisons
        .lines()
        .find(|l| l.starts_with("triplet,baseline_untrained,paper,1,map,"))
        .unwrap();
    let numbers: Vec<f64> = line
        .split(',')
        .skip(7)
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(
        numbers[1] > 0.0 && numbers[0] > 0.1 && numbers[2] >= numbers[0],
        "{line}"
    );
}

#[test]
fn a_model_alone_has_a_report() {
    let alone = Made {
        transferred: false,
        ..made("external", 0.5, None)
    };
    let written = write_report(&[alone], false);
    assert_eq!(
        written.comparisons.lines().count(),
        1,
        "a header and nothing to compare"
    );
    assert!(
        written
            .html
            .contains("baseline_features</code> is not among the runs")
    );
    for absent in [
        "id=\"learning\"",
        "id=\"dataset\"",
        "Against the baselines",
        "falls below",
    ] {
        assert!(!written.html.contains(absent), "{absent}");
    }
    assert!(
        written.html.contains("(oracle)"),
        "the verdicts' threshold is named as what it is"
    );
    assert!(written.html.contains("--name external"));
}

#[test]
fn a_run_of_no_epochs_has_no_learning_curves() {
    let written = write_report(&[made("baseline_features", 0.5, Some(0))], false);
    assert!(!written.html.contains("id=\"learning\""));
    assert!(!written.html.contains("is not among the runs"));
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_they_lie() {
    let (a, b) = (
        write_report(&demo()[..3], false),
        write_report(&demo()[..3], false),
    );
    assert!(a.html == b.html && a.markdown == b.markdown);
    assert!(a.evaluation == b.evaluation && a.comparisons == b.comparisons);
    assert!(a.latex == b.latex && a.figures == b.figures);
}

#[test]
fn what_cannot_be_reported_is_refused_with_its_reason() {
    let root = tempfile::tempdir().unwrap();
    let good = write_model(root.path(), &made("good", 0.5, Some(2)));
    assert!(refusal(&[]).contains("nothing to report"));
    assert!(refusal(&[root.path().join("nowhere")]).contains("does not exist"));
    assert!(refusal(&[good.join("pictures")]).contains("neither evaluation.json"));
    let twice = refusal(&[good.clone(), good.clone()]);
    assert!(twice.contains("named \"good\""), "{twice}");

    let unevaluated = root.path().join("unevaluated");
    fs::create_dir_all(&unevaluated).unwrap();
    fs::write(unevaluated.join("config.toml"), "").unwrap();
    assert!(refusal(&[unevaluated]).contains("logodex-train evaluate"));

    // Each file of an evaluation that is missing is named.
    for name in [
        "evaluation.csv",
        "episodes.csv",
        "metrics.jsonl",
        "confusion.csv",
        "curves.csv",
        "pictures/row-101.jpg",
    ] {
        let (path, aside) = (good.join(name), root.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        let message = refusal(std::slice::from_ref(&good));
        assert!(
            message.contains(name) && message.contains("missing"),
            "{message}"
        );
        fs::rename(&aside, &path).unwrap();
    }

    // Another dataset, split, or version.
    let other = write_model(root.path(), &made("other", 0.5, None));
    let path = other.join("evaluation.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, word) in [
        ("3f9c", "0000", "another dataset"),
        ("b71e", "0000", "another split"),
        ("\"seed\":42", "\"seed\":43", "another seed"),
        (
            "\"regions\":[{\"region\":\"object\"",
            "\"regions\":[{\"region\":\"image\"",
            "--region object",
        ),
        ("\"version\":4", "\"version\":5", "version 5"),
        (
            "pictures/row-0.jpg",
            "../good/evaluation.csv",
            "outside its directory",
        ),
        (
            "\"model\":\"other\"",
            "\"model\":\"random\"",
            "leave it out",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let message = refusal(&[good.clone(), other.clone()]);
        assert!(message.contains(word), "{message}");
    }
    fs::write(&path, &text).unwrap();

    // A floor that differs was measured on other rows.
    let path = other.join("evaluation.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("random,paper,1,map,0.127", "random,paper,1,map,0.2"),
    )
    .unwrap();
    assert!(refusal(&[good.clone(), other.clone()]).contains("its floor random"));
    fs::write(&path, &text).unwrap();

    let stats = write_stats(root.path());
    let path = stats.join("stats.json");
    let json = fs::read_to_string(&path).unwrap().replace("3f9c", "0000");
    fs::write(&path, json).unwrap();
    assert!(refusal(&[good, stats]).contains("another dataset"));
}
