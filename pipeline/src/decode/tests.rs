//! The decoder against Pillow (`tests/golden/decode.py`), and against every way to cut a file short.

use std::path::PathBuf;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{CpuExtensions, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use logodex_schemas::dataset::Fit;

use super::*;
use crate::resize::{Crop, resize_into, resizer_version};

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
                pillow: Picture {
                    width: number(1),
                    height: number(2),
                    rgb: golden(&format!("{name}.rgb")),
                },
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
        let (mean, _) = difference(&picture.rgb, &case.pillow.rgb);
        // Chroma upsampling and CMYK conversion differ between decoders by a level or two.
        assert!(mean < 1.5, "{}: mean difference {mean}", case.name);
    }
}

#[test]
fn resizes_as_pillow_does_on_the_same_pixels() {
    for case in cases() {
        let mut out = vec![0; case.resized.len()];
        resize_into(&case.pillow, case.crop, Fit::Squash, case.side, &mut out).unwrap();
        let (mean, most) = difference(&out, &case.resized);
        // The two round their fixed-point sums differently: never by more than one level.
        assert!(
            mean < 0.25 && most <= 1,
            "{}: mean {mean}, most {most}",
            case.name
        );
    }
}

/// Datasets built on different processors are the same bytes: every instruction set rounds alike.
#[test]
fn resizing_does_not_depend_on_the_processor() {
    let picture = decode(&golden("baseline_444.jpg")).unwrap();
    let source =
        ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3).unwrap();
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    for side in [7, 24, 224] {
        let resized = |resizer: &mut Resizer| {
            let mut target = Image::new(side, side, PixelType::U8x3);
            resizer.resize(&source, &mut target, &options).unwrap();
            target.into_vec()
        };
        let detected = resized(&mut Resizer::new());
        let mut plain = Resizer::new();
        // SAFETY: no extension at all is supported by every processor.
        unsafe { plain.set_cpu_extensions(CpuExtensions::None) };
        assert!(detected == resized(&mut plain), "side {side}");
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
                    let expected = if length == 0 {
                        RejectReason::ImageEmpty
                    } else {
                        RejectReason::ImageTruncated
                    };
                    assert_eq!(
                        error.reason, expected,
                        "{} cut to {length}: {error:?}",
                        case.name
                    );
                }
            }
        }
        assert!(kept <= 3, "{}: {kept} cuts pass", case.name);
    }
}

#[test]
fn an_early_end_marker_is_truncation_too() {
    for case in cases()
        .into_iter()
        .filter(|case| case.name != "progressive")
    {
        let cut = case.jpeg.len() * 3 / 4;
        // Not between an 0xff and its zero, where the cut would make another marker.
        let cut = cut - usize::from(case.jpeg[cut - 1] == 0xff);
        let bytes = [&case.jpeg[..cut], &[0xff, 0xd9]].concat();
        assert_eq!(
            decode(&bytes).unwrap_err().reason,
            RejectReason::ImageTruncated,
            "{}",
            case.name
        );
    }
}

#[test]
fn what_is_no_jpeg_is_broken() {
    for bytes in [
        &b"<html>not found</html>"[..],
        b"\x89PNG\r\n\x1a\n",
        &[0; 64],
    ] {
        assert_eq!(decode(bytes).unwrap_err().reason, RejectReason::ImageBroken);
    }
    // A hole of zeros in the middle of the data, as a failing disk leaves it.
    let mut bytes = golden("baseline_444.jpg");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0xff);
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(
        error.reason,
        RejectReason::ImageBroken | RejectReason::ImageTruncated
    ));
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
    assert_eq!(error.reason, RejectReason::ImageTooLarge);
    assert!(error.detail.contains("65535"), "{error:?}");
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
fn context_is_added_on_each_side_and_clipped() {
    let picture = Picture {
        width: 100,
        height: 80,
        rgb: Vec::new(),
    };
    assert_eq!(
        Crop::with_context([20, 30, 40, 70], 0.1, &picture),
        Crop {
            x: 18,
            y: 26,
            width: 24,
            height: 48
        }
    );
    assert_eq!(
        Crop::with_context([0, 30, 100, 70], 2.0, &picture),
        Crop {
            x: 0,
            y: 0,
            width: 100,
            height: 80
        }
    );
}

#[test]
fn pixels_not_bytes_make_the_pixel_hash() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = golden("baseline_420.jpg");
    // A comment after the first marker changes the bytes alone.
    let commented = [&bytes[..2], &[0xff, 0xfe, 0, 4, b'h', b'i'], &bytes[2..]].concat();
    let path = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let a = pixel_hash(&path("a", &bytes)).unwrap();
    assert_eq!(Some(a), pixel_hash(&path("b", &commented)));
    assert_ne!(Some(a), pixel_hash(&path("c", &golden("baseline_444.jpg"))));
    assert_eq!(None, pixel_hash(&path("d", &bytes[..bytes.len() / 2])));
    assert_eq!(None, pixel_hash(&dir.path().join("absent")));
}

#[test]
fn versions_are_those_of_the_lock_file() {
    assert!(
        !decoder_version().contains("unknown"),
        "{}",
        decoder_version()
    );
    assert!(
        !resizer_version().contains("unknown"),
        "{}",
        resizer_version()
    );
}
