//! The tables as LaTeX (packages `booktabs` and `graphicx`), to be pasted into a paper.

use std::fmt::Write;

use logodex_schemas::evaluation::ComparisonRow;

use crate::report::comparisons::is_headline;
use crate::report::load::inputs::Inputs;
use crate::report::text::protocols::label;
use crate::report::text::tables::{RegionTables, Table};
use crate::report::text::thresholds::threshold_lines;
use crate::report::wording::{plain, signed};

/// Every table of the page.
pub fn render(inputs: &Inputs, regions: &[RegionTables], comparisons: &[ComparisonRow]) -> String {
    let mut out = String::from(
        "% Needs \\usepackage{booktabs,graphicx}; a table wider than a line is shrunk to it. Values with 95 % intervals by bootstrap over brands; the best model of a row in bold;\n% a dagger marks a value that a floor surpasses.\n",
    );
    let caution: String = inputs
        .models
        .iter()
        .filter(|model| !model.evaluation.trained_on.test_brands.is_empty())
        .map(|model| {
            let n = model.evaluation.trained_on.test_brands.len();
            format!(" {} was trained on {n} of the test brands.", model.name)
        })
        .collect();
    for region in regions {
        let name = region.name;
        for section in &region.sections {
            for table in &section.tables {
                let caption = format!("{}, {}, {name} rows.{caution}", section.title, table.title);
                values(&mut out, table, &caption);
            }
        }
        for table in &region.slices {
            let caption = format!(
                "{} by category and slice, {name} rows.{caution}",
                table.title
            );
            values(&mut out, table, &caption);
        }
    }
    thresholds(&mut out, inputs);
    differences(&mut out, comparisons);
    out
}

fn values(out: &mut String, table: &Table, caption: &str) {
    let heads: Vec<String> = table.columns.iter().map(|c| escape(&c.name)).collect();
    let lines = table.lines.iter().map(|line| {
        let cells = line.cells.iter().map(|cell| match cell {
            None => "--".to_owned(),
            Some(cell) => {
                let mean = match cell.best {
                    true => format!("\\textbf{{{}}}", number(cell.mean)),
                    false => number(cell.mean),
                };
                let below = if cell.below.is_some() {
                    "$^\\dagger$"
                } else {
                    ""
                };
                format!(
                    "{mean}{below} {{\\scriptsize[{}, {}]}}",
                    number(cell.low),
                    number(cell.high)
                )
            }
        });
        std::iter::once(escape(&line.label)).chain(cells).collect()
    });
    let heads: Vec<String> = std::iter::once(String::new()).chain(heads).collect();
    tabular(out, &table.id, caption, &heads, lines);
}

fn thresholds(out: &mut String, inputs: &Inputs) {
    let lines = threshold_lines(inputs);
    if lines.is_empty() {
        return;
    }
    let heads = [
        "model",
        "shots",
        "$\\tau$ transferred",
        "F1",
        "$\\tau$ oracle",
        "F1",
    ]
    .map(str::to_owned);
    let rows = lines.into_iter().map(|l| {
        vec![
            escape(&l.model),
            l.shots.to_string(),
            escape(&l.transferred),
            escape(&l.transferred_f1),
            escape(&l.oracle),
            escape(&l.oracle_f1),
        ]
    });
    let caption = "Thresholds chosen on validation brands (transferred) and on the test brands themselves (oracle).";
    tabular(out, "thresholds", caption, &heads, rows);
}

fn differences(out: &mut String, comparisons: &[ComparisonRow]) {
    let rows: Vec<_> = comparisons.iter().filter(|c| is_headline(c)).collect();
    if rows.is_empty() {
        return;
    }
    let heads = [
        "model",
        "baseline",
        "protocol",
        "shots",
        "metric",
        "difference",
    ]
    .map(str::to_owned);
    let rows = rows.into_iter().map(|c| {
        vec![
            escape(&c.model),
            escape(&c.reference),
            escape(&c.protocol),
            c.shots.to_string(),
            escape(label(&c.metric)),
            format!(
                "{} {{\\scriptsize[{}, {}]}}",
                escape(&signed(c.difference)),
                escape(&signed(c.ci_low)),
                escape(&signed(c.ci_high))
            ),
        ]
    });
    let caption = "Paired differences to the baselines on the same episodes, queries or draws.";
    tabular(out, "differences", caption, &heads, rows);
}

fn tabular(
    out: &mut String,
    id: &str,
    caption: &str,
    heads: &[String],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let _ = write!(
        out,
        "\n\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\label{{tab:{id}}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n\\midrule\n",
        escape(caption),
        "r".repeat(heads.len() - 1),
        heads.join(" & ")
    );
    for row in rows {
        let _ = writeln!(out, "{} \\\\", row.join(" & "));
    }
    out.push_str("\\bottomrule\n\\end{tabular}}\n\\end{table}\n");
}

fn number(value: f64) -> String {
    escape(&plain(value))
}

/// Text as LaTeX takes it.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '_' | '&' | '%' | '#' | '$' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '\\' => out.push_str("\\textbackslash{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '−' => out.push_str("$-$"),
            '–' => out.push_str("--"),
            'τ' => out.push_str("$\\tau$"),
            '\u{a0}' => out.push('~'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_latex_would_read_is_escaped() {
        assert_eq!(
            escape("a_b & 5 % #1 $x {y} ~^\\ −0.1 τ <é>"),
            "a\\_b \\& 5 \\% \\#1 \\$x \\{y\\} \\textasciitilde{}\\textasciicircum{}\\textbackslash{} $-$0.1 $\\tau$ \\textless{}é\\textgreater{}"
        );
    }
}
