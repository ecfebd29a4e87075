//! Writes a benchmark as a Markdown table.

use std::fmt::Write;

use logodex_schemas::device::{BenchRow, Benchmark, Source, Who};

use super::arithmetic::{layout_name, precision_name};
use super::machine::NOT_ON_GPU;

/// The table, the goals and how to read them.
pub(super) fn render(bench: &Benchmark) -> String {
    let mut out = String::new();
    let machine = &bench.setup.machine;
    let place = match &machine.gpu {
        Some(gpu) => format!("{} ({gpu})", machine.device),
        None if machine.device == "cpu" => format!("CPU, **{NOT_ON_GPU}**"),
        None => machine.device.clone(),
    };
    let arch = serde_json::to_value(bench.setup.arch).unwrap_or_default();
    let arch = arch.as_str().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{arch}, {side} × {side} px, {batch} pictures a step; forward, contrastive loss, backward, SGD with momentum. {place}, {threads} CPU threads; windows of {window} s, every row once per round, {total:.0} s in all.\n",
        side = bench.setup.side_px,
        batch = bench.setup.batch,
        threads = machine.threads,
        window = bench.window_secs,
        total = bench.total_secs,
    );
    out += "| whose step | arithmetic | layout | pictures | augmented | frozen | images/s: median (min–max) | peak memory |\n";
    out += "|---|---|---|---|---|---:|---:|---:|\n";
    for row in &bench.rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            who(row.who),
            precision_name(row.precision),
            layout_name(row.channels_last),
            source(row.source),
            if row.augmented { "yes" } else { "no" },
            row.freeze,
            speed(row),
            memory(row.peak_memory_bytes),
        );
    }
    if let Some(difference) = bench.peer_loss_difference {
        let _ = writeln!(
            out,
            "\nBoth sides compute the same: from the same weights and pictures their losses differ by {difference:.1e} at most over the first steps (relative, fp32)."
        );
    }
    out += "\n| goal (for an H200) | at least | measured | |\n|---|---:|---:|---|\n";
    for goal in &bench.goals {
        let measured = goal.measured.map_or("–".to_owned(), number);
        let _ = writeln!(
            out,
            "| {} | {} | {measured} | {} |",
            goal.what,
            number(goal.least),
            goal.outcome
        );
    }
    out
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Logodex => "**logodex-train**",
        Who::Eager => "PyTorch, eager",
        Who::Compiled => "PyTorch, compiled",
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Synthetic => "synthetic",
        Source::Resident => "resident",
        Source::Streamed => "streamed",
    }
}

fn speed(row: &BenchRow) -> String {
    let mut cell = match row.median {
        None => String::new(),
        Some(median) => {
            let low = row
                .images_per_sec
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            let high = row.images_per_sec.iter().copied().fold(0.0, f64::max);
            format!("{median:.0} ({low:.0}–{high:.0})")
        }
    };
    if let Some(reason) = &row.skipped {
        cell += if cell.is_empty() { "– " } else { "; " };
        cell += reason;
    }
    cell
}

fn memory(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64),
        None => "–".to_owned(),
    }
}

fn number(number: f64) -> String {
    match number >= 100.0 {
        true => format!("{number:.0}"),
        false => format!("{number:.2}"),
    }
}
