// Writes small datasets by the schemas alone, for tests and for the examples of the documentation, which include this
// file (so it has no `//!`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use logodex_dataset::shard::{Stored, header};
use logodex_schemas::dataset::{
    AnnotationsEntry, BrandRow, BuildConfig, Counts, Encoding, FileEntry, ImageRow, Manifest,
    ShardEntry, manifest_header,
};
use logodex_schemas::header::seal;
use logodex_schemas::split::{Fold, Split, SplitRow, split_header};

/// Rows per shard: small, so that a dataset has several.
pub const SHARD_ROWS: usize = 16;

/// Ten brands of four rows of 32 pixels: six for training, two for validation, two for the test, in the split `s`.
pub fn small() -> tempfile::TempDir {
    use Fold::{Test, Train, Val};
    let dir = tempfile::tempdir().expect("temporary directory");
    let folds = [
        Train, Train, Val, Train, Train, Val, Test, Train, Train, Test,
    ];
    let brands = folds.map(|fold| (4, fold));
    let raw = |brand, row| picture(32, brand, row);
    write(dir.path(), 32, &brands, Encoding::Raw, &raw);
    dir
}

/// Picture of a row: its brand's colour with a pattern of its own.
pub fn picture(side: usize, brand: usize, row: usize) -> Vec<u8> {
    (0..side * side * 3)
        .map(|i| ((brand * 53 + i % 3 * 31) ^ (i * (row + 3) % 41)) as u8)
        .collect()
}

/// A dataset with the split `s`: one brand per entry, its number of rows and its fold. Two rows share a source image.
/// `stored` gives a row's bytes by its brand and number.
pub fn write(
    dataset: &Path,
    side: usize,
    brands: &[(usize, Fold)],
    encoding: Encoding,
    stored: &dyn Fn(usize, usize) -> Vec<u8>,
) {
    fs::create_dir_all(dataset.join("shards")).expect("shards/");
    fs::create_dir_all(dataset.join("splits")).expect("splits/");
    let owner: Vec<usize> = brands
        .iter()
        .enumerate()
        .flat_map(|(brand, (n, _))| std::iter::repeat_n(brand, *n))
        .collect();
    let shards: Vec<ShardEntry> = owner
        .chunks(SHARD_ROWS)
        .enumerate()
        .map(|(number, owners)| {
            let first = number * SHARD_ROWS;
            let rows: Vec<Vec<u8>> = (0..owners.len())
                .map(|i| stored(owners[i], first + i))
                .collect();
            let (file, columns) = shard(side, encoding, owners, &rows);
            let path = format!("shards/{number:05}.safetensors");
            fs::write(dataset.join(&path), &file).expect("shard");
            ShardEntry {
                path,
                first_row: first as u64,
                first_image: first as u64 / 2,
                first_brand: owners[0] as u32,
                n_rows: owners.len() as u64,
                bytes: file.len() as u64,
                blake3: hash(&file),
                columns_blake3: hash(&file[columns..]),
            }
        })
        .collect();

    let mut first_row = 0;
    let rows: Vec<BrandRow> = brands
        .iter()
        .enumerate()
        .map(|(index, (n, _))| {
            let row = BrandRow {
                index: index as u32,
                category: "Food".into(),
                brand: format!("brand {index:02}"),
                key: format!("Food/brand {index:02}"),
                first_row,
                n_rows: *n as u64,
                n_images: n.div_ceil(2) as u64,
                n_objects: *n as u64,
            };
            first_row += *n as u64;
            row
        })
        .collect();
    let brands_csv = csv(&rows);
    // The content of an image is told by its brand and number alone, whatever is stored of it.
    let images = owner.chunks(2).enumerate().map(|(image, owners)| ImageRow {
        image: image as u64,
        blake3: hash(format!("image {image} of brand {}", owners[0]).as_bytes()),
    });
    let images_csv = csv(&images.collect::<Vec<_>>());
    let files = [("brands.csv", brands_csv), ("images.csv", images_csv)].map(|(name, bytes)| {
        fs::write(dataset.join(name), &bytes).expect(name);
        let entry = FileEntry {
            bytes: bytes.len() as u64,
            blake3: hash(&bytes),
        };
        (name.to_owned(), entry)
    });
    let manifest = Manifest {
        header: manifest_header(),
        created_by: "test".into(),
        config: BuildConfig {
            side: side as u32,
            ..BuildConfig::default()
        },
        decoder: "none".into(),
        resizer: "none".into(),
        counts: Counts {
            brands: brands.len() as u64,
            rows: owner.len() as u64,
            ..Counts::default()
        },
        shards,
        files: BTreeMap::from(files),
        annotations: AnnotationsEntry::default(),
        encoding,
        encoder: None,
        seal: String::new(),
    };
    let manifest = seal(&manifest).expect("JSON");
    fs::write(dataset.join("manifest.json"), &manifest).expect("manifest.json");
    let folds: Vec<Fold> = brands.iter().map(|(_, fold)| *fold).collect();
    write_split(dataset, "s", &folds, &hash(&manifest));
}

/// A split of the first brands of a dataset, an entry of `folds` for each.
pub fn write_split(dataset: &Path, name: &str, folds: &[Fold], manifest_blake3: &str) {
    let rows: Vec<SplitRow> = folds
        .iter()
        .enumerate()
        .map(|(index, fold)| SplitRow {
            index: index as u32,
            category: "Food".into(),
            brand: format!("brand {index:02}"),
            fold: *fold,
        })
        .collect();
    let csv = csv(&rows);
    let split = Split {
        header: split_header(),
        name: name.into(),
        seed: 1,
        test: 0.2,
        val: 0.25,
        manifest_blake3: manifest_blake3.into(),
        csv_blake3: hash(&csv),
        brands: BTreeMap::new(),
        images: BTreeMap::new(),
        categories: BTreeMap::new(),
        duplicates_across_folds: 0,
        seal: String::new(),
    };
    let dir = dataset.join("splits");
    fs::write(dir.join(format!("{name}.csv")), csv).expect("split");
    let json = seal(&split).expect("JSON");
    fs::write(dir.join(format!("{name}.json")), json).expect("split");
}

/// A shard, and where its columns begin.
fn shard(side: usize, encoding: Encoding, owners: &[usize], rows: &[Vec<u8>]) -> (Vec<u8>, usize) {
    let n = rows.len();
    let length = rows.iter().map(Vec::len).sum::<usize>();
    let blob = length.next_multiple_of(8);
    let stored = match encoding {
        Encoding::Jpeg => Stored::Jpeg { blob: blob as u64 },
        _ => Stored::Raw { side: side as u32 },
    };
    let (mut file, _) = header(n as u64, stored);
    file.extend(rows.concat());
    if encoding == Encoding::Jpeg {
        file.resize(file.len() + blob - length, 0);
    }
    let columns = file.len();
    if encoding == Encoding::Jpeg {
        for i in 0..=n {
            let offset: usize = rows[..i].iter().map(Vec::len).sum();
            file.extend((offset as u64).to_le_bytes());
        }
    }
    file.extend(
        rows.iter()
            .flat_map(|row| crc32fast::hash(row).to_le_bytes()),
    );
    let mut column = |of: &dyn Fn(usize) -> i64| {
        file.extend((0..n).flat_map(|i| of(i).to_le_bytes()));
    };
    column(&|i| (owners[i] - owners[0]) as i64);
    column(&|i| i as i64);
    column(&|i| i as i64 / 2);
    column(&|_| -1);
    (file, columns)
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn csv<T: serde::Serialize>(rows: &[T]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("a CSV row");
    }
    writer.into_inner().expect("in memory")
}
