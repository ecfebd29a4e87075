//! What the dataset knows of rows and brands, as far as an evaluation asks.

use logodex_dataset::Dataset;
use logodex_schemas::dataset::BoxRow;

/// What the dataset knows of rows and brands.
pub struct Facts<'a> {
    /// Number of the source image of a row: rows of one picture never meet as support and query.
    pub image_of_row: Box<dyn Fn(i64) -> i64 + 'a>,
    /// Name of a brand.
    pub brand_name: Box<dyn Fn(i64) -> String + 'a>,
    /// Category of a brand; empty where there is none.
    pub category: Box<dyn Fn(i64) -> String + 'a>,
    /// The logo of a row, where the dataset lists them.
    pub logo: Option<Box<dyn Fn(i64) -> Logo + 'a>>,
}

impl<'a> Facts<'a> {
    /// Those of a dataset, and of its `boxes.csv` where there is one.
    ///
    /// # Panics
    /// The functions panic on a row or a brand that the dataset does not hold.
    pub fn of(dataset: &'a Dataset, boxes: Option<&'a [BoxRow]>) -> Self {
        let logo = |boxes: &'a [BoxRow]| -> Box<dyn Fn(i64) -> Logo + 'a> {
            Box::new(move |row| {
                let shown = &boxes[row as usize];
                Logo {
                    boxes: shown.boxes,
                    width: shown.width,
                    height: shown.height,
                }
            })
        };
        Self {
            image_of_row: Box::new(|row| dataset.image_of(row.cast_unsigned())),
            brand_name: Box::new(|brand| dataset.brands()[brand as usize].brand.clone()),
            category: Box::new(|brand| dataset.brands()[brand as usize].category.clone()),
            logo: boxes.map(logo),
        }
    }
}

/// The logo that a row shows; of a whole image its largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logo {
    /// Boxes in the source image.
    pub boxes: u32,
    /// Width of its box, source pixels.
    pub width: u32,
    /// Height of its box, source pixels.
    pub height: u32,
}
