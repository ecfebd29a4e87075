//! What the samplers draw: triplets, pairs and labelled rows.

/// A triplet of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triplet {
    /// Visited once per epoch.
    pub anchor: u64,
    /// Of the anchor's brand.
    pub positive: u64,
    /// Of another brand.
    pub negative: u64,
}

/// A pair of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Visited once per epoch.
    pub first: u64,
    /// Of the same brand or of another.
    pub second: u64,
    /// Whether it is of the same brand.
    pub same: bool,
}

/// A row with its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labelled {
    /// Visited once per epoch.
    pub row: u64,
    /// Position of its brand among the fold's brands.
    pub class: i64,
}
