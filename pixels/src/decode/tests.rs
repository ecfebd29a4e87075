//! The decoder against Pillow (`tests/golden/decode.py`), and against every way to cut a file short.

use std::path::PathBuf;

use image::ImageDecoder;
use image::codecs::jpeg::JpegDecoder;

use super::*;
use crate::picture::Format;
use crate::resize::{Crop, Fit, resize_into};

mod layouts;
mod reduced;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Case {
    name: String,
    jpeg: Vec<u8>,
    pillow: Picture,
    crop: Crop,
    side: u32,
    resized: Vec<u8>,
}

fn format_of(case: &str) -> Format {
    match case.split('_').collect::<Vec<_>>()[..] {
        ["png", ..] => Format::Png,
        ["gif", ..] => Format::Gif,
        ["webp", ..] => Format::Webp,
        [.., "grey"] => Format::JpegGrey,
        [.., "cmyk"] => Format::JpegCmyk,
        _ => Format::Jpeg,
    }
}

fn is_jpeg(case: &Case) -> bool {
    case.jpeg.starts_with(&[0xff, 0xd8])
}

fn cases() -> Vec<Case> {
    let table = golden("cases.csv");
    let mut reader = csv::Reader::from_reader(table.as_slice());
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let name = record[0].to_owned();
            let number = |i: usize| record[i].parse::<u32>().unwrap();
            Case {
                jpeg: golden(&format!("{name}.jpg")),
                pillow: Picture::from_rgb(
                    format_of(&name),
                    number(1),
                    number(2),
                    &golden(&format!("{name}.rgb")),
                ),
                crop: Crop {
                    x: number(3),
                    y: number(4),
                    width: number(5),
                    height: number(6),
                },
                side: number(7),
                resized: golden(&format!("{name}.resized.rgb")),
                name,
            }
        })
        .collect()
}

/// Mean and largest absolute difference.
fn difference(a: &[u8], b: &[u8]) -> (f64, u8) {
    assert_eq!(a.len(), b.len());
    let differences = || a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b));
    (
        differences().map(f64::from).sum::<f64>() / a.len() as f64,
        differences().max().unwrap(),
    )
}

#[test]
fn decodes_as_pillow_does() {
    for case in cases() {
        let picture = decode(&case.jpeg).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        assert_eq!(
            (picture.width, picture.height),
            (case.pillow.width, case.pillow.height)
        );
        assert_eq!(picture.format, case.pillow.format, "{}", case.name);
        let (mean, most) = difference(&picture.to_rgb(), &case.pillow.to_rgb());
        if is_jpeg(&case) {
            // Pillow has libjpeg-turbo, whose arithmetic ours is.
            assert_eq!(most, 0, "{}", case.name);
        } else if case.name == "webp_lossy" {
            // Chroma upsampling differs between decoders by a level or two.
            assert!(mean < 1.5, "{}: mean difference {mean}", case.name);
        } else {
            // Nothing is lost; only what shows through an alpha channel is rounded.
            let allowed = u8::from(case.name.contains("alpha"));
            assert!(most <= allowed, "{}: difference {most}", case.name);
        }
    }
}

#[test]
fn resizes_as_pillow_does_on_the_same_pixels() {
    for case in cases() {
        let mut out = vec![0; case.resized.len()];
        resize_into(&case.pillow, case.crop, Fit::Squash, case.side, &mut out).unwrap();
        let (mean, most) = difference(&out, &case.resized);
        // Pillow rounds between its two passes: never by more than one level.
        assert!(
            mean < 0.25 && most <= 1,
            "{}: mean {mean}, most {most}",
            case.name
        );
    }
}

#[test]
fn a_cut_file_is_refused_or_whole() {
    for case in cases() {
        let whole = decode(&case.jpeg).unwrap();
        let mut kept = 0;
        for length in 0..case.jpeg.len() {
            match decode(&case.jpeg[..length]) {
                Ok(picture) => {
                    assert!(
                        picture == whole,
                        "{} cut to {length} decodes differently",
                        case.name
                    );
                    kept += 1;
                }
                Err(error) => {
                    let expected = match (length, is_jpeg(&case)) {
                        (0, _) => Refused::Empty,
                        // Too little to tell what it was to be.
                        (1..12, false) => error.reason,
                        _ => Refused::Truncated,
                    };
                    assert_eq!(
                        error.reason, expected,
                        "{} cut to {length}: {error:?}",
                        case.name
                    );
                }
            }
        }
        // The end-of-image marker; the end chunk of a PNG; the frames of an animation after the first.
        let spare = match case.name.as_str() {
            "gif_animated" => case.jpeg.len() - 400,
            name if name.starts_with("png") => 16,
            _ => 3,
        };
        assert!(kept <= spare, "{}: {kept} cuts pass", case.name);
    }
}

#[test]
fn an_early_end_marker_is_truncation_too() {
    for case in cases().iter().filter(|case| is_jpeg(case)) {
        let whole = decode(&case.jpeg).unwrap();
        // A scan's last bits may be padding, of which a byte may be missed by none.
        let (mut tried, mut kept) = (0, 0);
        for cut in (2..case.jpeg.len() - 2).filter(|&cut| case.jpeg[cut - 1] != 0xff) {
            let bytes = [&case.jpeg[..cut], &[0xff, 0xd9]].concat();
            tried += 1;
            match decode(&bytes) {
                Ok(picture) => {
                    assert!(picture == whole, "{} cut to {cut}", case.name);
                    kept += 1;
                }
                // Within a header the marker is taken for one of its bytes.
                Err(error) => assert!(
                    matches!(error.reason, Refused::Truncated | Refused::Broken),
                    "{} cut to {cut}: {error:?}",
                    case.name
                ),
            }
        }
        assert!(
            tried > 500 && kept == 0,
            "{}: {kept} of {tried} cuts pass",
            case.name
        );
    }
}

/// A frame and a scan header are all that tells how much a progressive file should hold.
#[test]
fn a_progressive_file_without_its_last_scan_is_truncated() {
    for name in ["progressive", "progressive_grey", "progressive_cmyk"] {
        let bytes = golden(&format!("{name}.jpg"));
        let scans: Vec<usize> = (0..bytes.len() - 1)
            .filter(|&at| bytes[at..at + 2] == [0xff, 0xda])
            .collect();
        assert!(scans.len() > 3);
        for &scan in &scans {
            let cut = [&bytes[..scan], &[0xff, 0xd9]].concat();
            assert_eq!(decode(&cut).unwrap_err().reason, Refused::Truncated);
        }
        let first = scans[0];
        let doubled = [&bytes[..scans[1]], &bytes[first..]].concat();
        assert_eq!(decode(&doubled).unwrap_err().reason, Refused::Broken);
    }
}

#[test]
fn a_gif_or_webp_that_ends_early_by_its_own_account_is_refused() {
    let gif = golden("gif.jpg");
    let ended = [&gif[..gif.len() / 2], &[0, 0x3b]].concat();
    assert!(decode(&ended).is_err());
    let webp = golden("webp_lossless.jpg");
    let mut ended = webp[..webp.len() / 2].to_vec();
    let riff = (ended.len() as u32 - 8).to_le_bytes();
    ended[4..8].copy_from_slice(&riff);
    assert!(decode(&ended).is_err());
}

/// Boxes are in stored pixels, so an orientation that a viewer would apply is none of ours.
#[test]
fn an_exif_orientation_leaves_the_stored_pixels() {
    let plain = golden("baseline_420.jpg");
    // APP1: "Exif\0\0", a big-endian TIFF header, one entry: tag 0x0112 (orientation), SHORT, 6 (a quarter turn).
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    let rotated = [&plain[..2], &exif, &plain[2..]].concat();
    let seen = JpegDecoder::new(std::io::Cursor::new(&rotated))
        .unwrap()
        .orientation()
        .unwrap();
    assert_eq!(
        seen,
        image::metadata::Orientation::Rotate90,
        "the tag is read"
    );
    assert!(decode(&rotated).unwrap() == decode(&plain).unwrap());
}

#[test]
fn twelve_bits_are_refused_by_name() {
    let mut bytes = golden("baseline_420.jpg");
    let frame = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    (bytes[frame + 1], bytes[frame + 4]) = (0xc1, 12);
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.reason, Refused::Broken);
    assert!(error.detail.contains("12 bits"), "{error:?}");
}

#[test]
fn a_large_picture_leaves_no_large_buffer() {
    let (width, height) = (1500, 1000);
    let mut png = Vec::new();
    image::ImageEncoder::write_image(
        image::codecs::png::PngEncoder::new(&mut png),
        &vec![77; width * height],
        width as u32,
        height as u32,
        image::ExtendedColorType::L8,
    )
    .unwrap();
    let held = || BUFFERS.with_borrow(|b| b.picture.held() + b.samples.held() + b.raw.capacity());
    let sum = with_picture(&png, |picture| {
        picture.to_rgb().iter().map(|&v| u64::from(v)).sum()
    });
    assert_eq!(sum, Ok(77 * 3 * (width * height) as u64));
    assert_eq!(held(), 0);
    decode(&golden("grey.jpg")).unwrap();
    assert!((1..1 << 20).contains(&held()));
}

#[test]
fn what_is_no_jpeg_is_broken() {
    for bytes in [
        &b"<html>not found</html>"[..],
        b"\x89PNG and not quite",
        b"RIFF\x10\0\0\0WAVEfmt \0\0\0\0",
        b"GIF89a\0\0\0\0\0\0\0",
        &[0; 64],
    ] {
        assert_eq!(decode(bytes).unwrap_err().reason, Refused::Broken);
    }
    // A hole of zeros in the middle of the data, as a failing disk leaves it.
    let mut bytes = golden("baseline_444.jpg");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0xff);
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(error.reason, Refused::Broken | Refused::Truncated));
}

#[test]
fn size_is_judged_from_the_header() {
    let mut bytes = golden("grey.jpg");
    let frame = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.reason, Refused::TooLarge);
    assert!(error.detail.contains("65535"), "{error:?}");
    for (name, at) in [("png_16", 16..24), ("gif", 6..10), ("webp_lossy", 26..30)] {
        let mut bytes = golden(&format!("{name}.jpg"));
        bytes[at].fill(0xff);
        let error = decode(&bytes).unwrap_err();
        assert_eq!(error.reason, Refused::TooLarge, "{name}: {error:?}");
    }
}

/// No byte of a file may make the decoder panic, whatever it is set to.
#[test]
fn flipped_bytes_never_panic() {
    let bytes = golden("restarts_422.jpg");
    for at in 0..bytes.len() {
        for value in [0, 0xff, bytes[at] ^ 0x10] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Err(error) = decode(&damaged) {
                assert!(!error.detail.contains("panicked"), "byte {at} = {value}");
            }
        }
    }
}

#[test]
fn pixels_not_bytes_make_the_pixel_hash() {
    let bytes = golden("baseline_420.jpg");
    // A comment after the first marker changes the bytes alone.
    let commented = [&bytes[..2], &[0xff, 0xfe, 0, 4, b'h', b'i'], &bytes[2..]].concat();
    let hash = pixel_hash(&bytes).unwrap();
    assert_eq!(pixel_hash(&commented), Ok(hash));
    assert_ne!(pixel_hash(&golden("baseline_444.jpg")), Ok(hash));
    assert!(pixel_hash(&bytes[..bytes.len() / 2]).is_err());
}

#[test]
fn a_square_is_decoded_into_its_place_and_nothing_else_is() {
    for name in ["gif_animated", "baseline_420"] {
        let bytes = golden(&format!("{name}.jpg"));
        let picture = decode(&bytes).unwrap();
        let mut out = vec![1; 24 * 24 * 3];
        let decoded = decode_into(&bytes, 24, &mut out);
        if (picture.width, picture.height) == (24, 24) {
            assert_eq!(decoded, Ok(()));
            assert_eq!(out, picture.to_rgb());
        } else {
            assert_eq!(decoded.unwrap_err().detail, "97 × 66 pixels, not 24 × 24");
            assert_eq!(out, [1; 24 * 24 * 3]);
        }
    }
}
