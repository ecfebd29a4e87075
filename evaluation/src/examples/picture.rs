//! A row of the dataset as the report shows it: its picture, its brand and, where it was found, how similar it is.

use logodex_schemas::evaluation::{Neighbour, RowPicture};

use crate::embeddings::fold_index::FoldIndex;

/// The row at a position, as a picture.
pub(crate) fn row_picture(
    fold: &FoldIndex,
    brand_name: &dyn Fn(usize) -> String,
    position: usize,
) -> RowPicture {
    let row = fold.rows[position];
    RowPicture {
        row: row.cast_unsigned(),
        brand: brand_name(fold.brands.partition_point(|b| b.first <= position) - 1),
        picture: format!("pictures/row-{row}.jpg"),
    }
}

/// A row that was found.
pub(crate) fn neighbour(
    fold: &FoldIndex,
    brand_name: &dyn Fn(usize) -> String,
    (position, similarity): (usize, f32),
) -> Neighbour {
    Neighbour {
        picture: row_picture(fold, brand_name, position),
        similarity: similarity.into(),
    }
}
