//! Names the files and folders of a dataset, and those that a build works in.

/// What a build works in.
pub const WORK: &str = ".build";
/// The files at the top of a dataset besides the manifest, which lists them.
pub const FILES: [&str; 8] = [
    "boxes.csv",
    "brand_to_index.csv",
    "brands.csv",
    "catalog.parquet",
    "consolidation.json",
    "croissant.json",
    "images.csv",
    "rejects.jsonl",
];
/// The folder of the indexed annotations.
pub const ANNOTATIONS: &str = "annotations";
/// The folder of the shards.
pub const SHARDS: &str = "shards";
/// The folder of the splits.
pub const SPLITS: &str = "splits";
/// In [`WORK`]: locked by the build that is running.
pub const LOCK: &str = "lock";
/// In [`WORK`]: where files are prepared, under their paths in the dataset.
pub const STAGE: &str = "stage";
/// In [`WORK`]: the journal of finished shards.
pub const JOURNAL: &str = "shards.jsonl";
