//! Holds what is to be built, after consolidation: the brands in the order of their indices and every image kept, under
//! the name that it bears in the dataset. Everything downstream reads this and never a folder name.

/// A brand. Its position in [`Catalog::brands`] is its index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Brand {
    /// Category, as spelled on disk.
    pub category: String,
    /// Canonical name.
    pub name: String,
}

/// An image to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Index of its brand.
    pub brand: u32,
    /// Its stem in the dataset, unlike any other of its brand even where case is ignored.
    pub stem: String,
    /// Its position in the scan's samples.
    pub raw: usize,
    /// The `<index>` of each object of its annotation, refused ones included, in the order of the annotation.
    pub object_indices: Vec<u32>,
}

/// Brands and images, in the order in which they are built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Sorted by name (byte order), then category. Every brand has at least one sample.
    pub brands: Vec<Brand>,
    /// Sorted by brand, then by natural stem order.
    pub samples: Vec<Sample>,
}
