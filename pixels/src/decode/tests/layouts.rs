//! JPEGs of every sampling and division into scans against Pillow (`tests/golden/layouts.py`), and what is refused.

use super::*;

/// Name and bytes of every case.
pub(super) fn layouts() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layouts");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".jpg")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 140);
    let read = |name: String| (name.clone(), layout(&name));
    names.into_iter().map(read).collect()
}

fn layout(name: &str) -> Vec<u8> {
    golden(&format!("layouts/{name}.jpg"))
}

/// Where a file's first segment of this kind begins.
fn segment(bytes: &[u8], marker: u8) -> usize {
    let found = bytes.windows(2).position(|two| two == [0xff, marker]);
    found.unwrap()
}

fn refused(bytes: &[u8]) -> DecodeError {
    let Err(error) = decode(bytes) else {
        panic!("{} bytes are decoded", bytes.len());
    };
    // The scan and the rendering agree.
    assert_eq!(look(bytes).unwrap_err(), error);
    error
}

#[test]
fn every_layout_is_decoded_to_pillows_pixels() {
    for (name, bytes) in layouts() {
        let picture = decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let pillow = decode(&golden(&format!("layouts/{name}.png"))).unwrap();
        assert_eq!(
            (picture.width, picture.height),
            (pillow.width, pillow.height)
        );
        let (mean, most) = difference(&picture.to_rgb(), &pillow.to_rgb());
        assert_eq!(most, 0, "{name}: mean {mean}");
        assert_eq!(
            look(&bytes).map(|seen| (seen.width, seen.height)),
            Ok((picture.width, picture.height)),
            "{name}"
        );
    }
}

/// A download cut short and filled up: zeros are codes, too, and there are more of them than the units need.
#[test]
fn a_zero_filled_tail_is_refused() {
    let (mut tried, mut reached_the_end) = (0, 0);
    for (_, bytes) in layouts() {
        let scan = segment(&bytes, 0xda) + 14;
        let cuts = (1..8).map(|i| scan + bytes.len().saturating_sub(scan + 24) * i / 8);
        for cut in cuts.filter(|&cut| cut + 24 < bytes.len()) {
            let filled = [&bytes[..cut], &[0; 4000]].concat();
            for end in [&[][..], &[0xff, 0xd9]] {
                let error = refused(&[&filled, end].concat());
                reached_the_end += usize::from(error.detail.contains("bytes follow"));
                tried += 1;
            }
        }
    }
    assert!(
        tried > 1_000 && reached_the_end > 100,
        "{reached_the_end} of {tried}"
    );
}

/// Filled up to the length that the file should have had.
#[test]
fn a_tail_of_zeros_as_long_as_what_is_missing_is_refused() {
    let (mut tried, mut kept) = (0, 0);
    for name in [
        "baseline_420",
        "baseline_444",
        "restarts_422",
        "progressive",
    ] {
        let bytes = golden(&format!("{name}.jpg"));
        let data = segment(&bytes, 0xda) + 14;
        for cut in (data..bytes.len() - 100).step_by(7) {
            let mut filled = bytes[..cut].to_vec();
            filled.resize(bytes.len(), 0);
            tried += 1;
            kept += usize::from(decode(&filled).is_ok());
        }
    }
    assert!(tried > 1_000 && kept == 0, "{kept} of {tried}");
}

#[test]
fn a_whole_picture_without_an_end_marker_is_kept_only_where_nothing_follows() {
    for (name, bytes) in layouts() {
        let open = &bytes[..bytes.len() - 2];
        assert!(decode(open).unwrap() == decode(&bytes).unwrap(), "{name}");
        for fill in [&[0][..], &[0; 100], b"<html>"] {
            let error = refused(&[open, fill].concat());
            assert_eq!(error.reason, Refused::Truncated, "{name}: {error:?}");
        }
        // Behind the end marker anything may follow.
        decode(&[&bytes, &[0; 100][..]].concat()).unwrap();
    }
}

#[test]
fn fill_bytes_and_a_little_padding_before_the_end_marker_are_allowed() {
    let bytes = golden("baseline_420.jpg");
    let (data, end) = bytes.split_at(bytes.len() - 2);
    let whole = decode(&bytes).unwrap();
    for between in [&[0xff; 40][..], &[0, 0, 0]] {
        assert!(decode(&[data, between, end].concat()).unwrap() == whole);
    }
    let error = refused(&[data, &[0; 40], end].concat());
    assert_eq!(error.reason, Refused::Truncated);
}

#[test]
fn restart_markers_come_in_order() {
    for name in ["2x2.restarts", "grey.progressive"] {
        let bytes = layout(name);
        let markers: Vec<usize> = (segment(&bytes, 0xda)..bytes.len() - 1)
            .filter(|&at| bytes[at] == 0xff && (0xd0..=0xd7).contains(&bytes[at + 1]))
            .collect();
        assert!(markers.len() > 3, "{name}");
        for at in markers {
            let mut damaged = bytes.clone();
            damaged[at + 1] = 0xd0 + (damaged[at + 1] + 1) % 8;
            let error = refused(&damaged);
            assert_eq!(error.reason, Refused::Broken);
            assert!(error.detail.contains("restart marker"), "{error:?}");
        }
    }
}

#[test]
fn components_out_of_the_frames_order_are_refused() {
    let mut bytes = layout("2x2.one");
    let scan = segment(&bytes, 0xda);
    bytes.swap(scan + 7, scan + 9);
    assert!(refused(&bytes).detail.contains("order"));
    // Of scans of one component each the order is free.
    let bytes = layout("1x1.separate");
    assert!(decode(&bytes).is_ok());
}

#[test]
fn a_scan_behind_the_last_is_refused() {
    for name in ["2x2.separate", "2x2.progressive"] {
        let bytes = layout(name);
        let last = bytes.windows(2).rposition(|two| two == [0xff, 0xda]);
        let again = &bytes[last.unwrap()..];
        let doubled = [&bytes[..bytes.len() - 2], again].concat();
        let error = refused(&doubled);
        assert_eq!(error.reason, Refused::Broken, "{name}: {error:?}");
    }
}

#[test]
fn other_processes_are_named() {
    for (marker, name) in [
        (0xc3, "lossless"),
        (0xc5, "hierarchical"),
        (0xc9, "arithmetic"),
        (0xca, "arithmetic"),
        (0xcb, "lossless JPEG with arithmetic"),
        (0xf7, "JPEG-LS"),
    ] {
        let mut bytes = layout("2x2.one");
        let frame = segment(&bytes, 0xc0);
        bytes[frame + 1] = marker;
        let error = refused(&bytes);
        assert_eq!(error.reason, Refused::Broken);
        assert!(error.detail.contains(name), "{error:?}");
    }
}

#[test]
fn what_libjpeg_does_not_decode_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut Vec<u8>, usize)| {
        let mut bytes = layout("1x1.one");
        let frame = segment(&bytes, 0xc0);
        change(&mut bytes, frame);
        refused(&bytes).detail
    };
    let fractional = with(&|bytes, frame| (bytes[frame + 11], bytes[frame + 14]) = (0x31, 0x21));
    assert!(fractional.contains("2 × 1 beside 3 × 1"), "{fractional}");
    let large = with(&|bytes, frame| (bytes[frame + 11], bytes[frame + 14]) = (0x42, 0x42));
    assert!(large.contains("17 blocks"), "{large}");
    let table = with(&|bytes, frame| bytes[frame + 12] = 3);
    assert!(table.contains("quantisation table"), "{table}");
    let two = with(&|bytes, frame| bytes[frame + 9] = 2);
    assert!(two.contains("2 components"), "{two}");
}
