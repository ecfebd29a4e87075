//! What people type: `evaluate`, `floors` and `report`, as `logodex-eval` and `logodex-train` both offer them.

pub mod evaluate;
pub mod floors;
pub mod options;
pub mod report;
pub mod tsne_brands;
