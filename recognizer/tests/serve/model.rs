//! A model in 400 kB: pixels less their mean, projected at random, brought to length one. Pictures that look alike are near.

use std::path::{Path, PathBuf};

use logodex_schemas::dataset::{Encoding, Fit, Region};
use logodex_schemas::header::seal;
use logodex_schemas::onnx::{
    Distance, INPUT, METADATA_KEY, ModelMetadata, OUTPUT, Precision, Preprocessing, fingerprint,
    model_header,
};
use logodex_schemas::run::history::History;
use logodex_schemas::train::{Arch, Head, Pooling};

/// Side of its squares, pixels.
pub const SIDE: u32 = 32;
/// Numbers per embedding.
pub const DIM: u32 = 32;

/// A field of a protocol-buffers message that has a length.
fn field(number: u64, value: &[u8]) -> Vec<u8> {
    let mut all = varint(number << 3 | 2);
    all.extend(varint(value.len() as u64));
    all.extend_from_slice(value);
    all
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A node with one attribute that is a whole number.
fn node(op: &str, inputs: &[&str], output: &str, attribute: Option<(&str, u64)>) -> Vec<u8> {
    let mut all: Vec<u8> = inputs
        .iter()
        .flat_map(|name| field(1, name.as_bytes()))
        .collect();
    all.extend(field(2, output.as_bytes()));
    all.extend(field(4, op.as_bytes()));
    if let Some((name, value)) = attribute {
        let attribute = [field(1, name.as_bytes()), number(3, value), number(20, 2)];
        all.extend(field(5, &attribute.concat()));
    }
    field(1, &all)
}

/// A constant tensor of kind 1 (f32) or 7 (i64).
fn constant(name: &str, kind: u64, dims: &[u64], raw: &[u8]) -> Vec<u8> {
    let mut all: Vec<u8> = dims.iter().flat_map(|n| number(1, *n)).collect();
    all.extend(number(2, kind));
    all.extend(field(8, name.as_bytes()));
    all.extend(field(9, raw));
    field(5, &all)
}

/// An input (11) or output (12); a dimension of 0 is free.
fn outlet(place: u64, name: &str, kind: u64, dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims
        .iter()
        .flat_map(|n| {
            field(
                1,
                &if *n == 0 {
                    field(2, b"N")
                } else {
                    number(1, *n)
                },
            )
        })
        .collect();
    let tensor = [number(1, kind), field(2, &dims)].concat();
    let all = [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat();
    field(place, &all)
}

/// Numbers that look random, from 0 to 1.
pub fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    })
}

fn graph() -> Vec<u8> {
    let pixels = u64::from(SIDE * SIDE * 3);
    let weights: Vec<u8> = noise(5)
        .take((pixels * u64::from(DIM)) as usize)
        .flat_map(|x| (x - 0.5).to_le_bytes())
        .collect();
    let flat: Vec<u8> = [-1i64, pixels as i64]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let side = u64::from(SIDE);
    [
        node("Cast", &[INPUT], "floats", Some(("to", 1))),
        node("Sub", &["floats", "mean"], "centred", None),
        node("Reshape", &["centred", "flat"], "rows", None),
        node("MatMul", &["rows", "weights"], "projected", None),
        node("LpNormalization", &["projected"], OUTPUT, Some(("axis", 1))),
        field(2, b"test"),
        constant("mean", 1, &[1], &124.0f32.to_le_bytes()),
        constant("flat", 7, &[2], &flat),
        constant("weights", 1, &[pixels, u64::from(DIM)], &weights),
        outlet(11, INPUT, 2, &[0, side, side, 3]),
        outlet(12, OUTPUT, 1, &[0, u64::from(DIM)]),
    ]
    .concat()
}

/// Writes it into a folder.
pub fn write(folder: &Path) -> PathBuf {
    let opset = field(8, &[field(1, b""), number(2, 17)].concat());
    let bare = [number(1, 8), opset, field(2, b"a test"), field(7, &graph())].concat();
    let metadata = ModelMetadata {
        header: model_header(),
        created_by: "a test".to_owned(),
        run: "random".to_owned(),
        epochs_done: 0,
        model_blake3: String::new(),
        manifest_blake3: String::new(),
        arch: Arch::Resnet18,
        pooling: Pooling::Average,
        head: Head::Linear,
        preprocessing: Preprocessing {
            side: SIDE,
            fit: Fit::Squash,
            region: Region::Object,
            context: 0.0,
            encoding: Encoding::Raw,
            jpeg_quality: 90,
            decoder: logodex_pixels::decoder_version(),
            resizer: logodex_pixels::resizer_version(),
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        embedding_dim: DIM,
        distance: Distance::Cosine,
        precision: Precision::Fp32,
        agreement: None,
        calibration: None,
        history: History::unknown("weights of a test"),
        fingerprint: fingerprint(&bare).unwrap(),
        seal: String::new(),
    };
    let json = seal(&metadata).unwrap();
    let entry = [field(1, METADATA_KEY.as_bytes()), field(2, &json)].concat();
    let path = folder.join("model.onnx");
    std::fs::write(&path, [bare, field(14, &entry)].concat()).unwrap();
    path
}

/// A JPEG of 96 × 96 pixels: patches of a brand's colours, of which `variant` changes some.
pub fn picture(brand: u64, variant: u64) -> Vec<u8> {
    logodex_pixels::encode(&pixels(brand, variant, 96), 96, 92).unwrap()
}

/// `[side, side, 3]`.
pub fn pixels(brand: u64, variant: u64, side: usize) -> Vec<u8> {
    let own: Vec<f32> = noise(brand + 1000).take(64 * 3).collect();
    let other: Vec<f32> = noise(brand * 31 + variant + 77_000).take(64 * 4).collect();
    let mut rgb = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let patch = y * 8 / side * 8 + x * 8 / side;
            // A fifth of the patches is the variant's.
            let changed = variant > 0 && other[64 * 3 + patch] < 0.2;
            let colors = if changed { &other } else { &own };
            rgb.extend(colors[patch * 3..][..3].iter().map(|c| (c * 255.0) as u8));
        }
    }
    rgb
}

/// How a detector gives what it finds.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// `boxes` [N, 4] and `scores` [N], for a picture `[3, H, W]` of numbers.
    Apart,
    /// `boxes` [1, N, 4] and `scores` [1, N, 2], for a picture `[1, 3, side, side]` of numbers.
    Classes(u64),
    /// One output [1, N, 6], for a picture `[1, side, side, 3]` of bytes.
    Together(u64),
}

/// Writes a detector that finds the same boxes with the same scores in every picture.
pub fn write_detector(folder: &Path, form: Form, found: &[([f32; 4], f32)]) -> PathBuf {
    let n = found.len() as u64;
    let bytes = |rows: Vec<Vec<f32>>| -> Vec<u8> {
        rows.concat().iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    let boxes = bytes(found.iter().map(|(b, _)| b.to_vec()).collect());
    let scores = bytes(found.iter().map(|(_, s)| vec![*s]).collect());
    // Of two classes the better one counts.
    let classes = bytes(found.iter().map(|(_, s)| vec![*s / 2.0, *s]).collect());
    let rows = bytes(
        found
            .iter()
            .map(|(b, s)| [&b[..], &[*s, 7.0]].concat())
            .collect(),
    );
    let same = |from: &str, to: &str| node("Identity", &[from], to, None);
    let graph = match form {
        Form::Apart => [
            same("b", "boxes"),
            same("s", "scores"),
            field(2, b"test"),
            constant("b", 1, &[n, 4], &boxes),
            constant("s", 1, &[n], &scores),
            outlet(11, "image", 1, &[3, 0, 0]),
            outlet(12, "boxes", 1, &[0, 4]),
            outlet(12, "scores", 1, &[0]),
        ]
        .concat(),
        Form::Classes(side) => [
            same("b", "pred_boxes"),
            same("s", "confidence"),
            field(2, b"test"),
            constant("b", 1, &[1, n, 4], &boxes),
            constant("s", 1, &[1, n, 2], &classes),
            outlet(11, "image", 1, &[1, 3, side, side]),
            outlet(12, "confidence", 1, &[1, 0, 2]),
            outlet(12, "pred_boxes", 1, &[1, 0, 4]),
        ]
        .concat(),
        Form::Together(side) => [
            same("r", "output0"),
            field(2, b"test"),
            constant("r", 1, &[1, n, 6], &rows),
            outlet(11, "image", 2, &[1, side, side, 3]),
            outlet(12, "output0", 1, &[1, 0, 6]),
        ]
        .concat(),
    };
    let opset = field(8, &[field(1, b""), number(2, 17)].concat());
    let path = folder.join("detector.onnx");
    std::fs::write(&path, [number(1, 8), opset, field(7, &graph)].concat()).unwrap();
    path
}
