//! The same tables and figures in each form: page, LaTeX, SVG and PNG.

use std::fs;
use std::path::PathBuf;

use super::made::evaluation::write_model;
use super::made::model::{demo, made};
use super::{report_command, write_report};
use crate::intervals::difference;

/// The cells of a line of a table of the page, from its label on.
fn page_line<'a>(html: &'a str, id: &str, label: &str) -> Vec<&'a str> {
    let section = html.split(&format!("id=\"{id}\"")).nth(1).expect(id);
    let line = section
        .split(&format!("<tr><th>{label}</th>"))
        .nth(1)
        .expect(label);
    line.split("</tr>")
        .next()
        .unwrap()
        .split("<td")
        .skip(1)
        .collect()
}

#[test]
fn best_and_floors_are_marked_in_either_direction() {
    let html = write_report(&demo(), false).html;
    for (id, label, best, below) in [
        ("open_set-object", "AUROC", vec![0], vec![]),
        ("open_set-object", "EER", vec![0], vec![3]),
        ("open_set-object", "FAR less 1 %", vec![], vec![]),
        ("retrieval-image", "MAP@R", vec![0], vec![]),
        ("n_way_k_shot-image", "5-way accuracy", vec![0], vec![]),
    ] {
        let cells = page_line(&html, id, label);
        let marked = |mark: &str| -> Vec<usize> {
            (0..cells.len())
                .filter(|&i| cells[i].contains(mark))
                .collect()
        };
        assert_eq!(marked("<b>"), best, "{id} {label}: {cells:?}");
        assert_eq!(marked("▾"), below, "{id} {label}: {cells:?}");
    }
    let slice = page_line(&html, "slices", "category: Food &amp; Drink (11 brands)");
    assert!(slice[0].contains("<b>0.558</b>"), "0.9 of 0.62: {slice:?}");
    assert!(html.contains("The same on image rows"));
}

#[test]
fn every_figure_of_the_page_is_an_svg_and_a_png() {
    let written = write_report(&demo(), false);
    let names: Vec<&str> = written
        .figures
        .keys()
        .filter_map(|n| n.strip_suffix(".svg"))
        .collect();
    assert_eq!(
        names.len(),
        written.html.matches("<svg role=\"img\"").count()
    );
    for expected in [
        "roc-1-shot",
        "dir-1-shot",
        "oscr-1-shot",
        "precision-recall-1-shot",
        "map-5-shot",
        "loss-triplet",
        "confusion-norm-softmax",
        "tsne-contrastive",
        "slices-recall-at-1-object",
    ] {
        assert!(names.contains(&expected), "{expected}: {names:?}");
    }
    for name in names {
        let svg = String::from_utf8(written.figures[&format!("{name}.svg")].clone()).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"),
            "{name}"
        );
        let size = |key: &str| -> u32 {
            let value = svg.split(&format!("{key}=\"")).nth(1).unwrap();
            value.split('"').next().unwrap().parse().unwrap()
        };
        let png = image::load_from_memory(&written.figures[&format!("{name}.png")])
            .unwrap()
            .to_rgb8();
        assert_eq!(
            png.dimensions(),
            (size(" width"), size(" height")),
            "{name}"
        );
        let drawn = png.pixels().filter(|p| p.0 != [255; 3]).count();
        assert!(drawn > 500, "{name}: {drawn} pixels are not white");
    }
}

#[test]
fn latex_tables_are_whole_and_escaped() {
    let tex = write_report(&demo(), false).latex;
    let count = |word: &str| tex.matches(word).count();
    assert!(count("\\begin{tabular}") >= 10, "{tex}");
    for (begin, end) in [
        ("\\begin{table}", "\\end{table}"),
        ("\\begin{tabular}", "\\end{tabular}"),
        ("\\toprule", "\\bottomrule"),
    ] {
        assert_eq!(count(begin), count(end));
    }
    let mut labels: Vec<&str> = tex.lines().filter(|l| l.starts_with("\\label{")).collect();
    let all = labels.len();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), all, "no label twice");
    // Each row has as many cells as its table has columns.
    for table in tex.split("\\begin{tabular}{").skip(1) {
        let (columns, rest) = table.split_once('}').unwrap();
        for line in rest.lines().filter(|line| line.ends_with("\\\\")) {
            let cells = line.replace("\\&", "").matches(" & ").count() + 1;
            assert_eq!(cells, columns.len(), "{line}");
        }
    }
    assert!(tex.contains("norm\\_softmax") && !tex.contains("norm_softmax"));
    assert!(tex.contains("category: Food \\& Drink (11 brands)"));
}

#[test]
fn runs_that_differ_in_their_seed_alone_have_a_table_and_others_none() {
    let root = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = [("a", 0.5), ("b", 0.6), ("c", 0.55)]
        .map(|(name, quality)| write_model(root.path(), &made(name, quality, Some(2))))
        .into();
    for (name, dir) in ["a", "b", "c"].iter().zip(&runs) {
        let csv = fs::read_to_string(dir.join("evaluation.csv")).unwrap();
        let own = csv
            .lines()
            .filter(|line| line.starts_with(&format!("{name},")));
        let value = |line: &str| -> f32 { line.split(',').nth(4).unwrap().parse().unwrap() };
        let near = |v: f32| [-0.02, -0.01, 0.0, 0.01, 0.02].map(|d| v + d).to_vec();
        let replicates: Vec<Vec<f32>> = own.map(|line| near(value(line))).collect();
        difference::write(&dir.join(difference::FILE), &replicates).unwrap();
    }
    let report = |out: &str| {
        let out = root.path().join(out);
        report_command(&out, &runs).unwrap();
        ["report.md", "report.html"].map(|name| fs::read_to_string(out.join(name)).unwrap())
    };
    for text in report("one seed") {
        assert!(!text.contains("Over training seeds"));
    }
    let path = root.path().join("b/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("seed = 43\n{config}")).unwrap();
    let [markdown, html] = report("two seeds");
    assert!(html.contains("Over training seeds") && html.contains("<td>a, b</td>"));
    let line = markdown
        .lines()
        .find(|line| line.starts_with("| `a, b` | 1-shot mAP | "))
        .unwrap_or_else(|| panic!("{markdown}"));
    // The third is of the first's seed.
    let value = |name: &str| -> f64 {
        let csv = fs::read_to_string(root.path().join(name).join("evaluation.csv")).unwrap();
        let start = format!("{name},paper,1,map,");
        let row = csv.lines().find_map(|l| l.strip_prefix(&start)).unwrap();
        row.split(',').next().unwrap().parse().unwrap()
    };
    let (a, b) = (value("a"), value("b"));
    let (mean, deviation) = (f64::midpoint(a, b), (a - b).abs() / f64::sqrt(2.0));
    let cells: Vec<&str> = line.split(" | ").collect();
    assert_eq!(cells[2], format!("{mean:.3}"));
    assert_eq!(cells[4], format!("± {deviation:.3} (2 seeds)"));
    // The interval of the mean lies about it.
    let ends: Vec<f64> = cells[3]
        .trim_matches(['[', ']'])
        .split(", ")
        .map(|end| end.parse().unwrap())
        .collect();
    assert!(ends[0] < mean && mean < ends[1], "{line}");
}
