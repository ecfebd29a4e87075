//! How an image file is coded and why it is refused: the decoder's words in those of the files on disk.

use logodex_pixels::{Format, Refused};
use logodex_schemas::dataset::{RejectReason, SourceFormat};

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
