//! Lies of files in the format of before torch 1.6.

use super::*;

/// The magic number and the version, then what the numbers are like.
fn beginning(version: i64, little_endian: bool) -> Vec<u8> {
    let mut file = LEGACY.to_vec();
    file.push(b'.');
    file.extend(Pickle::new().int(version).op(b".").0);
    let truth: &[u8] = if little_endian { b"\x88" } else { b"\x89" };
    let system = Pickle::new().op(b"}").text("protocol_version").int(1001);
    let system = system.op(b"s").text("little_endian").op(truth).op(b"s.");
    file.extend(system.0);
    file
}

/// A whole file: the state dict, then the keys of its storages, then each storage with the number that it says it has.
fn file(state: &Pickle, keys: &[&str], storages: &[(i64, &[u8])]) -> Vec<u8> {
    let mut file = beginning(1001, true);
    file.extend(&state.0);
    let list = keys
        .iter()
        .fold(Pickle::new().op(b"]("), |p, key| p.text(key));
    file.extend(list.op(b"e.").0);
    for (numel, bytes) in storages {
        file.extend(numel.to_le_bytes());
        file.extend(*bytes);
    }
    file
}

/// A tensor `w` of 2 × 2.
fn state() -> Pickle {
    Pickle::dict(|p| p.tensor("w", 4, 0, &[2, 2], &[2, 1]))
}

#[test]
fn the_file_that_the_lies_are_made_from_is_read() {
    let numbers: Vec<u8> = [1.5_f32, 2.0, -3.0, 0.25]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let read = read(&file(&state(), &["0"], &[(4, &numbers)])).unwrap();
    let expected = Tensor::from_slice(&[1.5_f32, 2.0, -3.0, 0.25]).view([2, 2]);
    assert_eq!(read["w"], expected);
}

#[test]
fn storages_that_are_not_what_was_described_are_refused() {
    let refused = |keys: &[&str], storages: &[(i64, &[u8])], part: &str| {
        refused(&file(&state(), keys, storages), part);
    };
    let four = (4, &NUMBERS[..]);
    refused(&["0"], &[(3, &NUMBERS)], "has 3 numbers instead of 4");
    refused(&["0"], &[(i64::MIN, &NUMBERS)], "numbers instead of 4");
    refused(
        &["0"],
        &[(4, &NUMBERS[..15])],
        "storage 0: the file ends too early",
    );
    refused(&["0"], &[], "storage 0: the file ends too early");
    refused(&[], &[], "tensor w: its storage is not among");
    refused(&["1"], &[four], "storage 1: no tensor is described in it");
    refused(&["0", "0"], &[four, four], "storage 0: it comes twice");
    refused(
        &["0"],
        &[four, four],
        "24 bytes come after its last storage",
    );
    refused(&["\n"], &[four], "storage \\n");
}

#[test]
fn descriptions_are_judged_as_in_the_other_format() {
    for (numel, offset, part) in [
        (4, 1, "tensor w: its size"),
        (1 << 40, 0, "the file ends too early"),
        (i64::MAX, 0, "no sensible length"),
    ] {
        let state = Pickle::dict(|p| p.tensor("w", numel, offset, &[4], &[1]));
        refused(&file(&state, &["0"], &[(numel, &NUMBERS)]), part);
    }
    let two_ways = Pickle::dict(|p| {
        p.tensor("v", 4, 0, &[2], &[1])
            .tensor("w", 400, 0, &[400], &[1])
    });
    refused(&file(&two_ways, &["0"], &[(4, &NUMBERS)]), "in two ways");
    let calls = Pickle::new().op(b"cos\nsystem\n(").text("touch pwned");
    refused(&file(&calls.op(b"tR."), &[], &[]), "os.system");
    // A storage that was a view of another, which torch no longer writes.
    let tensor = Pickle::new()
        .op(b"(")
        .text("storage")
        .op(b"ctorch\nFloatStorage\n")
        .text("0")
        .text("cpu")
        .int(4);
    let view = tensor.clone().ints(&[1, 2]).op(b"tQ.");
    refused(&file(&view, &[], &[]), "odd storage");
    refused(
        &file(&tensor.op(b"NtQ."), &[], &[]),
        "no dictionary of tensors",
    );
}

#[test]
fn another_version_or_byte_order_is_refused() {
    let with = |mut beginning: Vec<u8>| {
        beginning.extend(state().0);
        beginning
    };
    refused(&with(beginning(1002, true)), "1002");
    refused(&with(beginning(1001, false)), "little-endian");
    let mut no_order = beginning(1001, true);
    no_order.truncate(LEGACY.len() + 1 + Pickle::new().int(1001).op(b".").0.len());
    no_order.extend(Pickle::new().op(b"N.").0);
    refused(&no_order, "little-endian");
}

#[test]
fn a_file_from_torch_is_refused_wherever_it_is_cut_and_no_changed_byte_makes_it_panic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/legacy.pth");
    let whole = std::fs::read(path).unwrap();
    let honest = read(&whole).unwrap();
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    refused(&longer, "1 bytes come after");
    // The format has no checksum: a changed number is another number. Names, shapes and the rest are judged.
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..whole.len() {
        for value in [whole[at] ^ 1, whole[at] ^ 0x80, 0, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            match read(&changed) {
                Ok(tensors) => {
                    assert_eq!(tensors.len(), honest.len(), "byte {at}");
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 0 && refused > accepted, "{accepted} {refused}");
}
