//! `floors`: what doing nothing clever comes to on a split, before there is any model.

use anyhow::Result;
use logodex_dataset::Dataset;
use logodex_program::Failure;
use logodex_program::output::print;
use logodex_schemas::dataset::Region;
use logodex_schemas::split::Fold;

use crate::command::options::{Options, regions};
use crate::embeddings::matching::Rows;
use crate::evaluate::{Subject, evaluate};
use crate::floors::{COLOUR_HISTOGRAM, RANDOM, colour_histograms};
use crate::terminal::{protocols_table, table};

/// Judges the floors over all test rows, writes the results below `--out` as an evaluation whose model is
/// `colour_histogram`, and prints the tables. The numbers are those beside any model judged over all rows.
///
/// # Errors
/// [`Failure::Usage`] for a path that does not exist, a region that the dataset does not hold, or a split on which
/// nothing can be asked; [`logodex_dataset::DatasetError`] for the dataset; the disk.
pub fn floors_command(options: &Options) -> Result<()> {
    let opened = options.open()?;
    let dataset = &opened.dataset;
    let mut rows = Vec::new();
    for region in regions(options.region, dataset, Region::Image) {
        let of = |fold: Fold| dataset.rows(&dataset.fold(&opened.split, fold), region);
        rows.extend(colours(dataset, &of(Fold::Test), &of(Fold::Val))?.map(|rows| (region, rows)));
    }
    let outcome = options.judge(&opened, &rows, |rows, facts, settings| {
        let colours = Subject {
            name: COLOUR_HISTOGRAM,
            test: &rows.test,
            val: rows.val.as_ref(),
        };
        evaluate(colours, &[], facts, settings).map_err(|e| Failure::Usage(format!("{e:#}")).into())
    })?;
    let mut outcome = outcome.ok_or_else(|| {
        Failure::Usage(format!(
            "split {:?} has no test row of that region",
            options.split
        ))
    })?;
    options.write(&opened, &mut outcome)?;
    let rows = &outcome.evaluation.rows;
    print(table(rows, &[]));
    print(protocols_table(rows, &[COLOUR_HISTOGRAM, RANDOM]));
    options.print_footer(&outcome);
    Ok(())
}

/// The colour histograms of test and validation rows; none without test rows.
fn colours(dataset: &Dataset, test: &[u64], val: &[u64]) -> Result<Option<Rows>> {
    let of = |rows: &[u64]| {
        let rows: Vec<i64> = rows.iter().map(|row| row.cast_signed()).collect();
        let found = (!rows.is_empty()).then(|| colour_histograms(dataset, &rows));
        found.transpose()
    };
    let val = of(val)?;
    Ok(of(test)?.map(|test| Rows {
        test,
        val,
        notices: Vec::new(),
    }))
}
