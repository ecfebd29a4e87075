//! The same tables and figures in each form: page, LaTeX, SVG and PNG.

use super::made::model::demo;
use super::write_report;

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
