//! A picture of the dataset as the page holds it: within itself, as a data URI.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logodex_schemas::evaluation::RowPicture;
use serde::Serialize;

use crate::report::load::inputs::Inputs;

/// A picture of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// A data URI.
    pub source: String,
    /// The brand.
    pub brand: String,
    /// The row of the dataset.
    pub row: u64,
}

/// A row's picture for the page.
pub fn picture(inputs: &Inputs, shown: &RowPicture) -> Picture {
    Picture {
        source: jpeg_uri(inputs, shown.row),
        brand: shown.brand.clone(),
        row: shown.row,
    }
}

/// The picture of a row of the dataset.
pub fn jpeg_uri(inputs: &Inputs, row: u64) -> String {
    let jpeg = inputs.pictures.get(&row).map_or(&[][..], Vec::as_slice);
    data_uri("image/jpeg", jpeg)
}

/// Bytes as an address that holds them.
pub fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_in_base64() {
        assert_eq!(
            data_uri("image/png", b"fooba"),
            "data:image/png;base64,Zm9vYmE="
        );
    }
}
