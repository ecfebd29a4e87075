//! What consolidation leaves: the brands and, sorted by brand, the samples that become rows.

/// A canonical brand. Its position in [`Catalog::brands`] is its index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Brand {
    /// Canonical name. First, so that brands sort by name.
    pub name: String,
    /// Category.
    pub category: String,
}

/// An image that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Index of its brand: its folder's, whatever its annotation names.
    pub brand: u32,
    /// Its file stem in the dataset, unique within the brand.
    pub stem: String,
    /// Position in [`crate::scan::Scan::samples`].
    pub raw: usize,
    /// The `<index>` of each object of its annotation.
    pub object_indices: Vec<u32>,
}

/// The outcome of a plan applied to a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Sorted by name (byte order), then category.
    pub brands: Vec<Brand>,
    /// Sorted by brand, then in natural order of their stems.
    pub samples: Vec<Sample>,
}
