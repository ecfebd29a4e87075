//! Which ways of training are timed, in the order of what they are worth when time runs short, and the goals.

use logodex_schemas::device::{BenchRow, Goal, Source, Who};
use logodex_schemas::train::Precision;

use super::arithmetic::{layout_name, precision_name};
use super::machine::NOT_ON_GPU;
use Precision::{Bf16, Fp32, Tf32};
use Source::{Resident, Streamed, Synthetic};
use Who::{Compiled, Eager, Logodex};

/// Rows of the table on a GPU: precision × layout on a fixed batch; the sources with and without augmentation; the
/// paper's freeze levels 4 and 3; the peer beside ours.
pub(super) fn table() -> Vec<BenchRow> {
    const CL: bool = true;
    const NCHW: bool = false;
    vec![
        row(Logodex, Bf16, CL, Synthetic, false, 0),
        row(Eager, Bf16, CL, Synthetic, false, 0),
        row(Logodex, Bf16, CL, Streamed, true, 0),
        row(Logodex, Bf16, CL, Resident, true, 0),
        row(Logodex, Bf16, NCHW, Synthetic, false, 0),
        row(Compiled, Bf16, CL, Synthetic, false, 0),
        row(Logodex, Bf16, CL, Synthetic, false, 4),
        row(Eager, Bf16, CL, Synthetic, false, 4),
        row(Logodex, Bf16, CL, Streamed, true, 4),
        row(Logodex, Bf16, CL, Synthetic, false, 3),
        row(Eager, Bf16, CL, Synthetic, false, 3),
        row(Logodex, Bf16, CL, Streamed, false, 0),
        row(Logodex, Bf16, CL, Resident, false, 0),
        row(Logodex, Tf32, CL, Synthetic, false, 0),
        row(Eager, Tf32, CL, Synthetic, false, 0),
        row(Logodex, Tf32, NCHW, Synthetic, false, 0),
        row(Logodex, Fp32, CL, Synthetic, false, 0),
        row(Eager, Fp32, CL, Synthetic, false, 0),
        row(Logodex, Fp32, NCHW, Synthetic, false, 0),
        row(Eager, Bf16, NCHW, Synthetic, false, 0),
    ]
}

fn row(
    who: Who,
    precision: Precision,
    channels_last: bool,
    source: Source,
    augmented: bool,
    freeze: u8,
) -> BenchRow {
    BenchRow {
        who,
        precision,
        channels_last,
        source,
        augmented,
        freeze,
        images_per_sec: Vec::new(),
        median: None,
        peak_memory_bytes: None,
        skipped: None,
    }
}

/// A row as progress names it.
pub(super) fn describe(row: &BenchRow) -> String {
    format!(
        "{:?} {} {} {:?} freeze {}",
        row.who,
        precision_name(row.precision),
        layout_name(row.channels_last),
        row.source,
        row.freeze
    )
}

/// The middle of some numbers; the mean of the two middle ones where there is no one middle.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some((sorted[half - 1] + sorted[half]) / 2.0),
    }
}

/// The goals for an H200 beside what was measured.
pub(super) fn goals(rows: &[BenchRow], on_gpu: bool) -> Vec<Goal> {
    let find = |wanted: BenchRow| {
        let same = |row: &&BenchRow| {
            (row.who, row.precision, row.channels_last)
                == (wanted.who, wanted.precision, wanted.channels_last)
                && (row.source, row.augmented, row.freeze)
                    == (wanted.source, wanted.augmented, wanted.freeze)
        };
        rows.iter().find(same).and_then(|row| row.median)
    };
    let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let ours = find(row(Logodex, Bf16, true, Synthetic, false, 0));
    let nchw = find(row(Logodex, Bf16, false, Synthetic, false, 0));
    let eager = find(row(Eager, Bf16, true, Synthetic, false, 0));
    let source = |source| find(row(Logodex, Bf16, true, source, true, 0));
    let goal = |what: &str, least: f64, measured: Option<f64>| Goal {
        what: what.to_owned(),
        least,
        measured: measured.filter(|_| on_gpu),
        outcome: match measured {
            _ if !on_gpu => NOT_ON_GPU,
            None => "not measured",
            Some(measured) if measured >= least => "met",
            Some(_) => "missed",
        }
        .to_owned(),
    };
    vec![
        goal(
            "images/s, bf16, channels-last, all layers trained",
            3000.0,
            ours,
        ),
        goal("the same, stretch", 4500.0, ours),
        goal(
            "channels-last over NCHW, bf16, all layers",
            1.4,
            ratio(ours, nchw),
        ),
        goal(
            "streamed and augmented over synthetic, bf16, all layers",
            0.95,
            ratio(source(Streamed), ours),
        ),
        goal(
            "resident and augmented over synthetic, bf16, all layers",
            0.95,
            ratio(source(Resident), ours),
        ),
        goal(
            "ours over PyTorch eager, bf16, channels-last, all layers",
            1.0,
            ratio(ours, eager),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_there_twice_and_every_goal_has_its_rows() {
        let mut rows = table();
        let unmeasured = goals(&rows, true);
        assert!(unmeasured.iter().all(|goal| goal.outcome == "not measured"));
        for (index, row) in rows.iter_mut().enumerate() {
            row.median = Some(2000.0 + index as f64);
        }
        for goal in goals(&rows, true) {
            assert!(goal.measured.is_some(), "{}", goal.what);
        }
        let medians: Vec<_> = rows
            .drain(..)
            .map(|mut row| (row.median.take(), row))
            .collect();
        for (i, (_, row)) in medians.iter().enumerate() {
            assert!(
                medians[..i].iter().all(|(_, other)| other != row),
                "row {i}"
            );
        }
    }

    #[test]
    fn a_goal_is_met_missed_or_not_run_on_a_gpu() {
        let mut rows = table();
        rows[0].median = Some(3100.0);
        let outcomes = |on_gpu| -> Vec<String> {
            let goals = goals(&rows, on_gpu);
            goals.into_iter().map(|goal| goal.outcome).take(3).collect()
        };
        assert_eq!(outcomes(true), ["met", "missed", "not measured"]);
        assert_eq!(outcomes(false), [NOT_ON_GPU; 3]);
    }

    #[test]
    fn the_median_of_none_is_none() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
