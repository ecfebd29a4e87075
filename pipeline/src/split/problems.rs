//! Finds what is wrong with a split that is there.

use std::path::Path;

use logodex_schemas::dataset::BrandRow;
use logodex_schemas::header::is_sealed;
use logodex_schemas::split::{Split, SplitRow, split_header};

use super::describe::describe;
use super::leaks;
use super::options::SplitOptions;
use crate::dataset::{parse_csv, read_manifest};

/// Reads a split and says everything that is wrong with it for this dataset.
pub(crate) fn problems(
    dataset: &Path,
    name: &str,
    brands: &[BrandRow],
    manifest_blake3: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    let file = |extension: &str| dataset.join("splits").join(format!("{name}.{extension}"));
    let read = |extension: &str| {
        std::fs::read(file(extension))
            .map_err(|error| format!("splits/{name}.{extension}: {error}"))
    };
    let (csv, json) = match (read("csv"), read("json")) {
        (Ok(csv), Ok(json)) => (csv, json),
        (csv, json) => return [csv.err(), json.err()].into_iter().flatten().collect(),
    };
    let record: Split = match split_header().parse(&json) {
        Ok(record) => record,
        Err(error) => return vec![format!("splits/{name}.json: {error}")],
    };
    if !is_sealed(&json) {
        problems.push(format!(
            "splits/{name}.json: its seal is broken: it was changed or is damaged"
        ));
    }
    if record.csv_blake3 != blake3::hash(&csv).to_hex().as_str() {
        problems.push(format!(
            "splits/{name}.csv: its BLAKE3 is not that in splits/{name}.json"
        ));
    }
    if record.manifest_blake3 != manifest_blake3 {
        problems.push(format!(
            "splits/{name}.json: it was drawn for another dataset"
        ));
    }
    let rows: Vec<SplitRow> = match parse_csv(&file("csv"), &csv) {
        Ok(rows) => rows,
        Err(error) => {
            problems.push(format!("{error:#}"));
            return problems;
        }
    };
    let with_rows: Vec<&BrandRow> = brands.iter().filter(|brand| brand.n_rows > 0).collect();
    let same = |row: &SplitRow, brand: &&BrandRow| {
        (row.index, &row.category, &row.brand) == (brand.index, &brand.category, &brand.brand)
    };
    if rows.len() != with_rows.len()
        || !rows
            .iter()
            .zip(&with_rows)
            .all(|(row, brand)| same(row, brand))
    {
        problems.push(format!(
            "splits/{name}.csv: its brands are not those of brands.csv that have rows"
        ));
        return problems;
    }
    let options = SplitOptions {
        name: record.name.clone(),
        seed: record.seed,
        test: record.test,
        val: record.val,
        allow_duplicates: true,
    };
    let mut again = describe(
        &rows,
        brands,
        &options,
        record.manifest_blake3.clone(),
        &csv,
    );
    match read_manifest(dataset).and_then(|(manifest, _)| leaks::leaks(dataset, &manifest, &rows)) {
        Ok(leaks) => again.duplicates_across_folds = leaks.len() as u64,
        // Whoever asks has named the damaged file already.
        Err(_) => again.duplicates_across_folds = record.duplicates_across_folds,
    }
    again.seal.clone_from(&record.seal);
    if record.name != name || again != record {
        problems.push(format!(
            "splits/{name}.json: it does not describe splits/{name}.csv"
        ));
    }
    problems
}
