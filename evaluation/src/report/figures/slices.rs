//! Every category and slice a line, every model a dot with its interval.

use crate::plot::figure::slug;
use crate::plot::forest::{forest, short};
use crate::plot::{Axis, Figure, Mark, colour};
use crate::report::load::inputs::Inputs;
use crate::report::text::tables::Table;
use crate::settings::region_name;

/// A figure per table of slices: each slice a line, each model a dot with its interval.
pub fn slices(inputs: &Inputs, tables: &[Table]) -> Vec<Figure> {
    let region = inputs.region().map_or("", region_name);
    let models = inputs.models.len();
    let figure = |table: &Table| {
        let n = table.lines.len();
        let highest = table
            .lines
            .iter()
            .flat_map(|line| line.cells.iter().flatten());
        let highest = highest.map(|cell| cell.high).fold(0.0, f64::max);
        let mut marks = Vec::new();
        for (at, line) in table.lines.iter().enumerate() {
            for (place, cell) in line.cells.iter().take(models).enumerate() {
                if let Some(cell) = cell {
                    // Within a line of height 1 the models stand below one another.
                    let y = (n - at) as f64 - (place as f64 + 0.8) / (models as f64 + 0.6);
                    marks.push(Mark::Interval(
                        y,
                        cell.low,
                        cell.mean,
                        cell.high,
                        colour(place),
                    ));
                }
            }
        }
        let ticks = table.lines.iter().enumerate();
        let ticks = ticks.map(|(at, line)| ((n - at) as f64 - 0.5, short(&brief(&line.label))));
        let mut panel = forest(
            Axis::round(0.0, highest, 5, true),
            ticks.collect(),
            n,
            marks,
            format!("{} by slice, with 95 % intervals, {}", table.title, region),
        );
        panel.height = 38 + n as u32 * (10 * models as u32).max(24);
        let names = inputs.models.iter().enumerate();
        let caption = format!("{}, by slice (and its brands)", table.title);
        Figure {
            name: slug(&table.id),
            title: caption.clone(),
            caption,
            legend: names
                .map(|(place, model)| (colour(place), model.name.clone()))
                .collect(),
            panel,
        }
    };
    tables.iter().map(figure).collect()
}

/// A slice's label where room is scarce: `category: Food (12 brands)` is `Food (12)`.
fn brief(label: &str) -> String {
    label
        .trim_start_matches("category: ")
        .replace(" brands)", ")")
}
