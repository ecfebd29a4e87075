//! The words of `pixels` in those of the files on disk.

use logodex_pixels::{Fit, Format, Refused};
use logodex_schemas::dataset::{self, RejectReason, SourceFormat};

/// How a file is coded, as `catalog.parquet` has it.
pub fn source_format(format: Format) -> SourceFormat {
    match format {
        Format::Jpeg => SourceFormat::Jpeg,
        Format::JpegGrey => SourceFormat::JpegGrey,
        Format::JpegCmyk => SourceFormat::JpegCmyk,
        Format::Png => SourceFormat::Png,
        Format::Gif => SourceFormat::Gif,
        Format::Webp => SourceFormat::Webp,
    }
}

/// Why a file was refused, as `rejects.jsonl` has it.
pub fn reject_reason(refused: Refused) -> RejectReason {
    match refused {
        Refused::Empty => RejectReason::ImageEmpty,
        Refused::Truncated => RejectReason::ImageTruncated,
        Refused::Broken => RejectReason::ImageBroken,
        Refused::TooLarge => RejectReason::ImageTooLarge,
    }
}

/// How a region becomes a square, as the configuration says it.
pub fn fit(fit: dataset::Fit) -> Fit {
    match fit {
        dataset::Fit::Squash => Fit::Squash,
        dataset::Fit::Letterbox => Fit::Letterbox,
        dataset::Fit::Cover => Fit::Cover,
    }
}
