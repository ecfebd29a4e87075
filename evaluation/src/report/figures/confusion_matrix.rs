//! Which brands are taken for which, as a matrix: a brand's queries by the brand of the nearest picture.

use std::collections::BTreeMap;

use crate::plot::figure::slug;
use crate::plot::{Axis, Figure, Mark, Panel, colour};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;

/// Brands of a matrix.
const BRANDS: usize = 14;

/// A matrix per model: of each brand's queries (a line) the share whose nearest picture shows each brand (a column).
/// Shown are the brands that stand in most wrong answers, on either side.
pub fn confusion_matrices(inputs: &Inputs) -> Vec<Figure> {
    let models = inputs.models.iter().enumerate();
    models
        .filter_map(|(place, model)| matrix(model, place))
        .collect()
}

fn matrix(model: &Model, place: usize) -> Option<Figure> {
    let mut wrong: BTreeMap<u32, u64> = BTreeMap::new();
    let mut totals: BTreeMap<u32, u64> = BTreeMap::new();
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    for row in &model.confusion {
        *totals.entry(row.brand).or_default() += u64::from(row.queries);
        names.insert(row.brand, &row.brand_name);
        names.insert(row.nearest, &row.nearest_name);
        if row.brand != row.nearest {
            *wrong.entry(row.brand).or_default() += u64::from(row.queries);
            *wrong.entry(row.nearest).or_default() += u64::from(row.queries);
        }
    }
    let mut brands: Vec<u32> = wrong.keys().copied().collect();
    brands.sort_by_key(|brand| (std::cmp::Reverse(wrong[brand]), *brand));
    brands.truncate(BRANDS);
    if brands.is_empty() {
        return None;
    }
    let n = brands.len();
    let place_of = |brand: u32| brands.iter().position(|b| *b == brand);
    let cells = model.confusion.iter().filter_map(|row| {
        let (line, column) = (place_of(row.brand)?, place_of(row.nearest)?);
        let share = f64::from(row.queries) / totals[&row.brand].max(1) as f64;
        Some(Mark::Cell(
            column as f64,
            (n - 1 - line) as f64,
            share,
            row.queries.to_string(),
            colour(place),
        ))
    });
    let x_ticks = (0..n).map(|i| (i as f64 + 0.5, (i + 1).to_string()));
    let name = |i: usize| {
        let name = names.get(&brands[i]).copied().unwrap_or_default();
        let short: String = name.chars().take(22).collect();
        let cut = if name.chars().count() > 22 { "…" } else { "" };
        format!("{short}{cut} {}", i + 1)
    };
    let y_ticks = (0..n).map(|i| ((n - 1 - i) as f64 + 0.5, name(i)));
    let title = format!(
        "{}: queries by brand and by the brand found, the {n} most often confused",
        model.name
    );
    Some(Figure {
        name: format!("confusion-{}", slug(&model.name)),
        legend: vec![],
        caption: model.name.clone(),
        panel: Panel {
            width: 540,
            height: 16 + 36 + 22 * n as u32,
            left: 180,
            x: Axis {
                low: 0.0,
                high: n as f64,
                ticks: x_ticks.collect(),
            },
            y: Axis {
                low: 0.0,
                high: n as f64,
                ticks: y_ticks.collect(),
            },
            x_title: "brand of the nearest picture".to_owned(),
            rules_at_y: false,
            marks: cells.collect(),
            description: title.clone(),
        },
        title,
    })
}
