//! Lies that a `.pth` file may tell. What honest ones hold is tested against files of torch in `tests/golden/pth.rs`.

use std::io::{Cursor, Write};
use std::path::Path;

use zip::write::{FileOptions, ZipWriter};

use super::*;

mod legacy_format;

/// A pickle, put together opcode by opcode.
#[derive(Clone)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(vec![0x80, 2])
    }

    fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        let length = (text.len() as u32).to_le_bytes();
        self.op(b"X").op(&length).op(text.as_bytes())
    }

    /// LONG1 of 8 bytes.
    fn int(self, n: i64) -> Self {
        self.op(&[0x8a, 8]).op(&n.to_le_bytes())
    }

    fn ints(self, numbers: &[i64]) -> Self {
        let tuple = numbers.iter().fold(self.op(b"("), |p, n| p.int(*n));
        tuple.op(b"t")
    }

    fn storage(self, key: &str, numel: i64) -> Self {
        self.op(b"(")
            .text("storage")
            .op(b"ctorch\nFloatStorage\n")
            .text(key)
            .text("cpu")
            .int(numel)
            .op(b"tQ")
    }

    /// The name and the tensor, a view of storage `0`.
    fn tensor(self, name: &str, numel: i64, offset: i64, size: &[i64], stride: &[i64]) -> Self {
        self.text(name)
            .op(b"ctorch._utils\n_rebuild_tensor_v2\n(")
            .storage("0", numel)
            .int(offset)
            .ints(size)
            .ints(stride)
            .op(b"\x89ccollections\nOrderedDict\n)Rt")
            .op(b"R")
    }

    /// A dictionary of what `items` pushes.
    fn dict(items: impl FnOnce(Self) -> Self) -> Self {
        items(Self::new().op(b"}(")).op(b"u.")
    }
}

fn archive(pickle: &Pickle, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = FileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", &pickle.0[..])].iter().chain(entries) {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read(file: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    load(Cursor::new(file))
}

#[track_caller]
fn refused(file: &[u8], part: &str) {
    let message = format!("{:#}", read(file).unwrap_err());
    assert!(message.contains(part), "{message}");
}

/// Four numbers as `data/0`.
const NUMBERS: [u8; 16] = [0; 16];

fn one(numel: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
    let pickle = Pickle::dict(|p| p.tensor("w", numel, offset, size, stride));
    archive(&pickle, &[("a/data/0", &NUMBERS)])
}

#[test]
fn the_file_that_the_lies_are_made_from_is_read() {
    let tensors = read(&one(4, 0, &[2, 2], &[2, 1])).unwrap();
    assert_eq!(tensors["w"].size(), [2, 2]);
    assert_eq!(read(&one(4, 4, &[0, 3], &[1, 1])).unwrap()["w"].numel(), 0);
}

#[test]
fn a_view_that_leaves_its_storage_is_refused() {
    for (offset, size, stride) in [
        (1, vec![2, 2], vec![2, 1]),
        (0, vec![4], vec![2]),
        (-1, vec![1], vec![1]),
        (0, vec![2], vec![-1]),
        (0, vec![-2, -2], vec![1, 1]),
        (0, vec![i64::MAX, i64::MAX], vec![1, 1]),
        (0, vec![i64::MAX], vec![i64::MAX]),
        (i64::MAX, vec![2], vec![1]),
        (5, vec![0], vec![1]),
        (0, vec![2, 2], vec![1]),
    ] {
        refused(&one(4, offset, &size, &stride), "tensor w: its size");
    }
    let flat = vec![1; 9];
    refused(&one(4, 0, &flat, &flat), "9 dimensions");
}

#[test]
fn a_huge_expanded_shape_takes_no_memory() {
    let tensors = read(&one(4, 0, &[1 << 40], &[0])).unwrap();
    assert_eq!(tensors["w"].size(), [1 << 40]);
}

#[test]
fn a_storage_of_another_length_is_refused() {
    refused(&one(5, 0, &[2], &[1]), "has 16 bytes instead of 20");
    refused(&one(3, 0, &[2], &[1]), "more than 12 bytes");
    refused(&one(1 << 40, 0, &[2], &[1]), "longer than the file");
    refused(&one(i64::MAX, 0, &[2], &[1]), "no sensible length");
    refused(&one(-1, 0, &[0], &[1]), "tensor w");
    let pickle = Pickle::dict(|p| p.tensor("w", 4, 0, &[4], &[1]));
    refused(&archive(&pickle, &[]), "a/data/0");
}

#[test]
fn a_storage_described_in_two_ways_is_refused() {
    let pickle = Pickle::dict(|p| {
        p.tensor("v", 4, 0, &[2], &[1])
            .tensor("w", 400, 0, &[400], &[1])
    });
    refused(&archive(&pickle, &[("a/data/0", &NUMBERS)]), "in two ways");
}

#[test]
fn a_pickle_that_calls_anything_else_is_refused_by_its_name() {
    let call = |global: &str| {
        Pickle::new()
            .op(format!("c{global}\n(").as_bytes())
            .text("touch pwned")
            .op(b"tR.")
    };
    for (global, name) in [
        ("os\nsystem", "os.system"),
        ("posix\nsystem", "posix.system"),
        ("builtins\neval", "builtins.eval"),
        ("torch\nload", "torch.load"),
        ("torch._utils\n_rebuild_qtensor", "_rebuild_qtensor"),
        ("torch\nQUInt8Storage", "torch.QUInt8Storage"),
        ("torchvision.models.resnet\nResNet", "ResNet"),
    ] {
        refused(&archive(&call(global), &[]), name);
    }
    // Known names, called with what does not belong to them.
    refused(&archive(&call("collections\nOrderedDict"), &[]), "odd call");
    refused(
        &archive(&call("torch._utils\n_rebuild_tensor_v2"), &[]),
        "odd call",
    );
}

#[test]
fn a_broken_or_foreign_pickle_is_refused() {
    let whole = Pickle::dict(|p| p.tensor("w", 4, 0, &[4], &[1]));
    let file = |pickle: &Pickle| archive(pickle, &[("a/data/0", &NUMBERS)]);
    for (pickle, part) in [
        (Pickle(vec![0x80, 4]), "protocol 2"),
        (Pickle(Vec::new()), "ends too early"),
        (Pickle::new().op(b"."), "stack is empty"),
        (Pickle::new().op(b"N."), "no dictionary of tensors"),
        (Pickle::new().op(b"\x93"), "opcode 0x93"),
        (Pickle::new().op(b"}(NNu."), "keys are no names"),
        (Pickle::new().op(b"}(Nu."), "without a value"),
        (Pickle::new().op(b"}t."), "no mark"),
        (Pickle::new().op(b"}(0."), "opcode 0x30"),
        (Pickle::new().op(b"}NN(s."), "below a mark"),
        (Pickle::new().op(b"h\x07."), "never stored"),
        (Pickle::new().op(b"X\xff\xff\xff\xff"), "4294967295 bytes"),
        (Pickle::new().op(b"\x8a\x09"), "9 bytes"),
        (Pickle::new().op(b"NN\x86b."), "stack is empty"),
        (Pickle::new().op(b"NNb."), "attributes"),
        (Pickle::new().op(b"NNa."), "no list"),
        (Pickle::new().op(b"NQ."), "tuple belongs"),
        (Pickle::new().op(b")Q."), "odd storage"),
        (Pickle::new().op(b"cos"), "without an end"),
        (Pickle(vec![b'N'; 2 << 20]), "more than 1048576 bytes"),
    ] {
        refused(&file(&pickle), part);
    }
    // A dictionary that holds itself is nothing to walk into.
    let own = Pickle::new().op(b"}q\x00(").text("w").op(b"h\x00u.");
    refused(&file(&own), "more than a state dict (w)");
    for length in 0..whole.0.len() {
        let cut = Pickle(whole.0[..length].to_vec());
        assert!(read(&file(&cut)).is_err(), "{length}");
    }
}

#[test]
fn a_million_nested_tuples_do_not_exhaust_the_stack() {
    let mut pickle = Pickle::new().op(b"N");
    pickle.0.resize((1 << 20) - 1, 0x85);
    refused(&archive(&pickle.op(b"."), &[]), "no dictionary of tensors");
}

#[test]
fn a_broken_or_foreign_archive_is_refused() {
    let good = one(4, 0, &[4], &[1]);
    for length in 4..good.len() {
        assert!(read(&good[..length]).is_err(), "{length}");
    }
    let pickle = Pickle::dict(|p| p.tensor("w", 4, 0, &[4], &[1]));
    let big = [("a/byteorder", &b"big"[..]), ("a/data/0", &NUMBERS)];
    refused(&archive(&pickle, &big), "little-endian");
    let mut other_name = good.clone();
    for at in 0..other_name.len() - 10 {
        if &other_name[at..at + 10] == b"a/data.pkl" {
            other_name[at..at + 10].copy_from_slice(b"a/code.pkl");
        }
    }
    refused(&other_name, "no data.pkl");
}

#[test]
fn no_changed_byte_of_a_file_from_torch_makes_it_panic_or_another_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/odd.pth");
    let whole = std::fs::read(path).unwrap();
    let honest = read(&whole).unwrap();
    for at in 4..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        // Padding and the archive's notes to itself do not matter; the rest has a checksum.
        if let Ok(read) = read(&changed) {
            assert_eq!(read, honest, "byte {at}");
        }
    }
}

#[test]
fn no_changed_byte_of_a_pickle_makes_it_panic() {
    let whole = Pickle::dict(|p| {
        p.tensor("w", 4, 1, &[3, 1], &[1, 1])
            .tensor("v", 4, 0, &[], &[])
    });
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..whole.0.len() {
        for value in 0..=u8::MAX {
            let mut changed = whole.clone();
            changed.0[at] = value;
            match pickle::state_dict(&changed.0) {
                Ok(described) => {
                    for description in described.values() {
                        let _ = check(description);
                    }
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 0 && refused > accepted, "{accepted} {refused}");
}
