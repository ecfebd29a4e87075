//! What a dataset holds, in numbers and in two figures of the paper: the sample sheet (Figure 1) and the long tail by
//! category (Figure 2). The report shows both.

mod long_tail;
#[cfg(test)]
pub(crate) mod made;
mod numbers;
mod samples;
mod svg;

use std::path::Path;

use anyhow::{Context, Result};
use logodex_dataset::Dataset;
use logodex_schemas::stats::DatasetStats;

use logodex_program::durable::write_whole;
use numbers::describe;

/// Writes `samples.svg`, `long_tail.svg` and, last, `stats.json` into `out`; returns a line per category, to print.
///
/// # Errors
/// No dataset at `dataset` (usage), a damaged one (corrupt), or a file that cannot be written.
pub fn stats(dataset: &Path, out: &Path) -> Result<String> {
    let dataset = Dataset::open(dataset)?;
    let hash = dataset.manifest_blake3().to_owned();
    let stats = describe(dataset.brands(), dataset.manifest(), hash)?;
    let sheet = samples::sheet(&stats.samples, stats.side, &|row| Ok(dataset.pixels(row)?))?;
    let tail = long_tail::figure(dataset.brands(), &stats.categories)?;

    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot make the directory", out.display()))?;
    write_whole(&out.join("samples.svg"), sheet.as_bytes())?;
    write_whole(&out.join("long_tail.svg"), tail.as_bytes())?;
    let mut json = serde_json::to_vec_pretty(&stats)?;
    json.push(b'\n');
    write_whole(&out.join("stats.json"), &json)?;
    Ok(table(&stats))
}

/// A line per category and one for all, for a terminal.
fn table(stats: &DatasetStats) -> String {
    let mut lines = vec![[
        "category".to_owned(),
        "brands".to_owned(),
        "images".to_owned(),
        "min".to_owned(),
        "median".to_owned(),
        "max".to_owned(),
        "largest brand".to_owned(),
    ]];
    lines.extend(stats.categories.iter().map(|c| {
        [
            c.category.clone(),
            c.brands.to_string(),
            c.images.to_string(),
            c.min_images.to_string(),
            c.median_images.to_string(),
            c.max_images.to_string(),
            c.largest_brand.clone(),
        ]
    }));
    let none = String::new;
    lines.push([
        "all".to_owned(),
        stats.counts.brands.to_string(),
        stats.counts.images.to_string(),
        none(),
        none(),
        none(),
        none(),
    ]);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut row = format!("{:<1$}", line[0], widths[0]);
        for (cell, width) in line[1..6].iter().zip(&widths[1..]) {
            row += &format!("  {cell:>width$}");
        }
        row += &format!("  {}", line[6]);
        text += row.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::made::{brands, manifest};
    use super::*;

    #[test]
    fn the_table_has_a_line_per_category_and_one_for_all() {
        let stats = describe(&brands(), &manifest(), String::new()).unwrap();
        let text = table(&stats);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[2].starts_with("Food"));
        assert!(lines[2].contains(" 48.5 "), "{text}");
        assert_eq!(
            lines[4].split_whitespace().collect::<Vec<_>>(),
            ["all", "6", "193"]
        );
    }

    #[test]
    fn the_order_of_the_brands_changes_neither_the_numbers_nor_the_long_tail() {
        let one = describe(&brands(), &manifest(), String::new()).unwrap();
        let mut shuffled = brands();
        shuffled.rotate_left(2);
        let two = describe(&shuffled, &manifest(), String::new()).unwrap();
        // Two brands of Clothes share the most images.
        assert_eq!(one.categories, two.categories);
        assert_eq!(
            long_tail::figure(&brands(), &one.categories).unwrap(),
            long_tail::figure(&shuffled, &two.categories).unwrap()
        );
    }
}
