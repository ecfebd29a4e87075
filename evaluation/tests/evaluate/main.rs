//! Evaluations as a whole, of embeddings whose quality is known.

mod few_shot;
mod on_disk;
mod planted;

use logodex_evaluation::facts::Facts;

/// Brands without categories; `image_of_row` says which rows are of one picture.
fn facts(image_of_row: fn(i64) -> i64) -> Facts<'static> {
    Facts {
        image_of_row: Box::new(image_of_row),
        brand_name: Box::new(|brand| format!("brand {brand}")),
        category: Box::new(|_| String::new()),
        logo: None,
    }
}
