//! Made-up pictures, retrievals, confusions and t-SNE views.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    Choice, Confusion, ConfusionRow, EmbeddingMap, MapPoint, Neighbour, RowPicture, ShownRetrieval,
};
use rand::Rng;

use super::model::{BRANDS, Made};
use logodex_schemas::random::stream;

/// A row's picture, written.
fn shown(dir: &Path, row: u64) -> RowPicture {
    let path = format!("pictures/row-{row}.jpg");
    fs::write(dir.join(&path), jpeg(row % 9)).unwrap();
    RowPicture {
        row,
        brand: BRANDS[(row % 6) as usize].to_owned(),
        picture: path,
    }
}

pub fn retrievals(dir: &Path, made: &Made) -> Vec<ShownRetrieval> {
    [Choice::Best, Choice::Worst, Choice::Random]
        .into_iter()
        .flat_map(|choice| (0..2u64).map(move |i| (choice, i)))
        .map(|(choice, i)| ShownRetrieval {
            choice,
            query: shown(dir, 300 + i),
            positives: 7,
            map: made.quality,
            found: (0..6u64)
                .map(|n| Neighbour {
                    picture: shown(dir, 300 + i + 6 * n + n / 3),
                    similarity: 0.9 - 0.1 * n as f64,
                })
                .collect(),
        })
        .collect()
}

pub fn confusions(dir: &Path) -> Vec<Confusion> {
    (0..5u64)
        .map(|i| Confusion {
            queries: 7 - i as u32,
            of: 12,
            query: shown(dir, 400 + i),
            found: Neighbour {
                picture: shown(dir, 403 + i),
                similarity: 0.8,
            },
        })
        .collect()
}

pub fn confusion() -> Vec<ConfusionRow> {
    let pairs = (0..6u32).flat_map(|a| (0..6u32).map(move |b| (a, b)));
    pairs
        .filter(|(a, b)| a == b || (a + b) % 3 == 0)
        .map(|(a, b)| ConfusionRow {
            region: Region::Object,
            brand: a,
            brand_name: BRANDS[a as usize].to_owned(),
            nearest: b,
            nearest_name: BRANDS[b as usize].to_owned(),
            queries: if a == b { 9 } else { 1 + b },
        })
        .collect()
}

pub fn tsne(dir: &Path, made: &Made) -> EmbeddingMap {
    let point = |i: u64| {
        let brand = i / 10;
        let mut rng = stream(11, made.name, &[i]);
        let mut near = |centre: f64| 9.0 * centre + rng.random_range(-3.0..3.0);
        MapPoint {
            picture: shown(dir, 600 + brand + 6 * (i % 10)),
            at: [
                near((brand as f64).cos()),
                near((brand as f64).sin()),
                near(brand as f64 / 3.0 - 1.0),
            ],
        }
    };
    EmbeddingMap {
        perplexity: 19.0,
        kl_divergence: 0.412,
        trustworthiness: 0.93,
        points: (0..60).map(point).collect(),
    }
}

/// A picture that differs by number.
pub fn jpeg(number: u64) -> Vec<u8> {
    let n = number as u32;
    let picture = RgbImage::from_fn(64, 64, |x, y| {
        let ring = (x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2)) / (90 + 30 * n) % 2;
        let (a, b) = ((40 * n + 2 * x) as u8, (255 - 20 * n) as u8);
        if ring == 0 {
            Rgb([a, b, 90])
        } else {
            Rgb([240, (3 * y) as u8, b])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}
