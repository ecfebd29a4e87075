//! Damaged JPEGs, PNGs, GIFs and WebPs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use logodex_pixels::Refused;
use logodex_pixels::decode::{MAX_PIXELS, SHARED_BYTES, decode, look, with_picture};

use crate::memory::peak_of;
use crate::mutate::{Stream, damage};
use crate::{Verdict, read_all};

const SORT: u64 = 1;

/// The files that Pillow made for the golden tests: every format, coding and depth.
fn sources() -> Vec<Vec<u8>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pixels/tests/golden");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 16);
    let read = |path| std::fs::read(path).unwrap();
    paths.into_iter().map(read).collect()
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG")
}

/// Where a file of ours states its size, if it is whole enough: first byte, and one past the last.
fn size_fields(bytes: &[u8]) -> Vec<(usize, usize)> {
    match bytes {
        [0x89, b'P', ..] => vec![(16, 24)],
        [b'G', b'I', b'F', ..] => vec![(6, 10)],
        [b'R', b'I', b'F', b'F', ..] => vec![(21, 25), (24, 30), (26, 30)],
        _ => (0..bytes.len().saturating_sub(9))
            .filter(|&at| bytes[at] == 0xff && (0xc0..=0xc2).contains(&bytes[at + 1]))
            .map(|at| (at + 5, at + 9))
            .collect(),
    }
}

/// The most pixels that any of a file's size fields can be taken to state.
fn claimed(bytes: &[u8]) -> u64 {
    let number = |bytes: &[u8], little: bool| {
        let fold = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        if little {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        }
    };
    let fields = size_fields(bytes).into_iter();
    fields
        .filter_map(|(start, end)| bytes.get(start..end))
        .map(|field| {
            let (a, b) = field.split_at(field.len() / 2);
            match bytes[0] {
                b'G' => number(a, true) * number(b, true),
                // Three layouts: as much as the largest of them.
                b'R' => u64::MAX,
                _ => number(a, false) * number(b, false),
            }
        })
        .max()
        .unwrap_or(0)
}

/// A damaged file.
fn mutant(sources: &[Vec<u8>], number: usize) -> Vec<u8> {
    let mut stream = Stream::new(SORT, number);
    let mut bytes = sources[number % sources.len()].clone();
    for _ in 0..1 + stream.below(3) {
        match stream.below(10) {
            0 => {
                let fields = size_fields(&bytes);
                if let Some(&(start, end)) = fields.get(stream.below(fields.len().max(1)))
                    && let Some(field) = bytes.get_mut(start..end)
                {
                    // Small, as large as is decoded, and larger.
                    let lie = *stream.pick(&[[0u8, 0], [0, 1], [1, 0], [4, 0], [0xff, 0xff]]);
                    for two in field.chunks_mut(2) {
                        two.copy_from_slice(&lie[..two.len()]);
                    }
                }
            }
            1 => {
                // A marker where none belongs.
                let at = stream.below(bytes.len() + 1);
                let marker = 0xc0 + stream.below(0x40) as u8;
                bytes.splice(at..at, [0xff, marker]);
            }
            _ => {
                let other: &Vec<u8> = stream.pick(sources);
                damage(&mut bytes, other, &mut stream);
            }
        }
    }
    if is_png(&bytes) && stream.below(4) > 0 {
        mend_checksums(&mut bytes);
    }
    bytes
}

/// Makes every chunk's checksum right again, so that damage reaches what lies behind it.
fn mend_checksums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(head) = png.get(at..at + 4) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at + 8 + length;
        let (Some(chunk), Some(_)) = (png.get(at + 4..end), png.get(end..end + 4)) else {
            return;
        };
        let checksum = crc32fast::hash(chunk).to_be_bytes();
        png[end..end + 4].copy_from_slice(&checksum);
        at = end + 4;
    }
}

/// A PNG of sixteen bits and four channels takes the most memory for its pixels.
#[test]
fn the_largest_pictures_keep_within_their_bounds() {
    for (side, allowed) in [(1024, 16 << 20), (4096, SHARED_BYTES as usize)] {
        assert!(side * side <= MAX_PIXELS);
        let mut png = Vec::new();
        let encoder =
            PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter);
        let pixels = vec![0x5a; (side * side * 8) as usize];
        let side = side as u32;
        encoder
            .write_image(&pixels, side, side, ExtendedColorType::Rgba16)
            .unwrap();
        drop(pixels);
        // A thread of its own, which keeps no buffer of another test.
        let decoded = std::thread::spawn(move || {
            peak_of(|| with_picture(&png, |picture| picture.plane(0)[0]).unwrap())
        });
        let (first, peak) = decoded.join().unwrap();
        // 90 at an opacity of 90 / 255 over white.
        assert_eq!(first, 197);
        assert!(peak <= allowed, "{side}: {peak}");
    }
}

/// A progressive JPEG of four full components, all of them grey, of so many pixels across and down: all codes are zeros.
fn progressive_cmyk(side: u16) -> Vec<u8> {
    let mut jpeg = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
    jpeg.extend([1; 64]);
    jpeg.extend(b"\xff\xc2\0\x14\x08");
    jpeg.extend([side, side].map(u16::to_be_bytes).concat());
    jpeg.extend(b"\x04\x01\x11\0\x02\x11\0\x03\x11\0\x04\x11\0");
    // One code each: a difference of 0, and 2^14 blocks or more without a coefficient.
    for [class, symbol] in [[0, 0], [0x10, 0xe0]] {
        jpeg.extend([0xff, 0xc4, 0, 20, class, 1]);
        jpeg.extend([0; 15]);
        jpeg.push(symbol);
    }
    let blocks = usize::from(side).div_ceil(8).pow(2);
    jpeg.extend(b"\xff\xda\0\x0e\x04\x01\0\x02\0\x03\0\x04\0\0\0\0");
    jpeg.resize(jpeg.len() + (4 * blocks).div_ceil(8), 0);
    for id in 1..=4 {
        jpeg.extend([0xff, 0xda, 0, 8, 1, id, 0, 1, 63, 0]);
        jpeg.resize(jpeg.len() + (blocks.div_ceil(1 << 14) * 15).div_ceil(8), 0);
    }
    jpeg.extend(b"\xff\xd9");
    jpeg
}

/// All coefficients of a progressive JPEG are in memory before any of its pixels.
#[test]
fn the_largest_progressive_jpeg_keeps_within_its_bounds() {
    for (side, allowed) in [(1024, 16 << 20), (4096, SHARED_BYTES as usize)] {
        let jpeg = progressive_cmyk(side);
        let (looked, looking) = peak_of(|| look(&jpeg).map(|seen| seen.width));
        assert_eq!(looked, Ok(side.into()));
        assert!(looking <= 16 << 20, "{side}: {looking} bytes to look at it");
        let decoded = std::thread::spawn(move || {
            peak_of(|| with_picture(&jpeg, |picture| picture.plane(0)[0]).unwrap())
        });
        let (first, peak) = decoded.join().unwrap();
        assert_eq!(first, 64);
        println!("progressive CMYK of {side} × {side}: {peak} bytes, {looking} to look at it");
        assert!(peak <= allowed, "{side}: {peak}");
    }
}

#[test]
fn damaged_images_are_decoded_or_refused() {
    let sources = sources();
    let panics = AtomicUsize::new(0);
    let seen = read_all(|number| {
        let bytes = mutant(&sources, number);
        let accepted = match decode(&bytes) {
            Ok(picture) => {
                let pixels = u64::from(picture.width) * u64::from(picture.height);
                assert!((1..=MAX_PIXELS).contains(&pixels));
                assert_eq!(picture.to_rgb().len() as u64, pixels * 3);
                true
            }
            Err(error) => {
                assert!(
                    matches!(
                        error.reason,
                        Refused::Empty | Refused::Truncated | Refused::Broken | Refused::TooLarge
                    ),
                    "{error:?}"
                );
                assert!(!error.detail.is_empty());
                if error.detail.contains("panicked") {
                    println!("input {number}: {error:?}");
                    panics.fetch_add(1, Ordering::Relaxed);
                }
                false
            }
        };
        let allowed = match claimed(&bytes) {
            // 16 MiB for a picture that a thread decodes beside others.
            pixels if pixels <= 1 << 20 => 16 << 20,
            _ => SHARED_BYTES as usize,
        };
        Verdict { accepted, allowed }
    });
    assert_eq!(panics.into_inner(), 0, "panics inside a decoder");
    assert!(
        seen.accepted > 200 && seen.refused > 2_000,
        "the test tests nothing: {seen:?}"
    );
}
