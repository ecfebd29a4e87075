//! A split, read: which fold each brand of a dataset belongs to.

use std::path::Path;

use logodex_schemas::dataset::BrandRow;
use logodex_schemas::header::is_sealed;
use logodex_schemas::split::{Fold, SplitRow, split_header};

use crate::error::DatasetError;
use crate::files::{parse_csv, read};

const DRAW_AGAIN: &str = "draw the split again with `logodex-data split`";

/// An open split: the fold of every brand.
#[derive(Debug, Clone)]
pub struct Split {
    /// How it was drawn.
    pub info: logodex_schemas::split::Split,
    folds: Vec<Option<Fold>>,
}

impl Split {
    /// Reads `splits/<name>.json` and `.csv` below `dataset` and checks that they belong to this dataset.
    ///
    /// # Errors
    /// [`DatasetError::NotFound`], listing the splits that exist; [`DatasetError::Corrupt`] otherwise.
    pub fn open(
        dataset: &Path,
        name: &str,
        manifest_blake3: &str,
        brands: &[BrandRow],
    ) -> Result<Self, DatasetError> {
        let dir = dataset.join("splits");
        let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
        let json_path = dir.join(format!("{name}.json"));
        let csv_path = dir.join(format!("{name}.csv"));
        if !is_name || !(json_path.is_file() || csv_path.is_file()) {
            return Err(unknown_split(&dir, name));
        }
        let json = read(&json_path, DRAW_AGAIN)?;
        let info: logodex_schemas::split::Split = split_header()
            .parse(&json)
            .map_err(|e| DatasetError::corrupt(&json_path, e))?;
        if !is_sealed(&json) {
            return Err(DatasetError::corrupt(
                &json_path,
                format_args!("its seal is broken: it was changed or is damaged; {DRAW_AGAIN}"),
            ));
        }
        if info.name != name {
            return Err(DatasetError::corrupt(
                &json_path,
                format_args!("is the record of a split named {:?}", info.name),
            ));
        }
        if info.manifest_blake3 != manifest_blake3 {
            return Err(DatasetError::corrupt(
                &json_path,
                format_args!(
                    "was drawn for another dataset, or another build of this one; {DRAW_AGAIN}"
                ),
            ));
        }
        let csv = read(&csv_path, DRAW_AGAIN)?;
        if info.csv_blake3 != blake3::hash(&csv).to_hex().as_str() {
            return Err(DatasetError::corrupt(
                &csv_path,
                "does not match its BLAKE3 in the JSON file beside it: it was edited after it was drawn",
            ));
        }
        let rows: Vec<SplitRow> = parse_csv(&csv_path, &csv)?;
        // A brand of which every image was refused has no rows, and so no fold.
        let with_rows: Vec<&BrandRow> = brands.iter().filter(|brand| brand.n_rows > 0).collect();
        let same = |(row, brand): (&SplitRow, &&BrandRow)| {
            (row.index, &row.category, &row.brand) == (brand.index, &brand.category, &brand.brand)
        };
        let fits = rows.len() == with_rows.len() && rows.iter().zip(&with_rows).all(same);
        if !fits {
            return Err(DatasetError::corrupt(
                &csv_path,
                "does not list exactly the dataset's brands that have rows, in order",
            ));
        }
        let mut folds = vec![None; brands.len()];
        for row in rows {
            folds[row.index as usize] = Some(row.fold);
        }
        Ok(Self { info, folds })
    }

    /// The names of the splits of the dataset in `dir`, sorted.
    pub fn names(dir: &Path) -> Vec<String> {
        names(&dir.join("splits"))
    }

    /// The fold of each brand, by index; none for a brand without rows.
    pub fn folds(&self) -> &[Option<Fold>] {
        &self.folds
    }

    /// BLAKE3 of the split's CSV, hexadecimal: the split's identity.
    pub fn blake3(&self) -> &str {
        &self.info.csv_blake3
    }
}

fn unknown_split(dir: &Path, name: &str) -> DatasetError {
    let names = names(dir);
    let known = match names.is_empty() {
        true => "it has none; draw one with `logodex-data split`".to_owned(),
        false => format!("it has {}", names.join(", ")),
    };
    DatasetError::not_found(dir, format_args!("no split named {name:?}; {known}"))
}

/// The names of the splits in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_split = path.extension()? == "json";
            is_split.then(|| path.file_stem()?.to_str().map(str::to_owned))?
        })
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_brand_without_rows_is_in_no_fold() {
        let brand = |index: u32, n_rows| BrandRow {
            index,
            category: "Food".to_owned(),
            brand: format!("brand {index}"),
            key: format!("Food/brand {index}"),
            first_row: 0,
            n_rows,
            n_images: 3,
            n_objects: 3,
        };
        let brands = [brand(0, 3), brand(1, 0), brand(2, 3)];
        let open = |csv: &str| {
            let dir = tempfile::tempdir().expect("a folder");
            let splits = dir.path().join("splits");
            std::fs::create_dir(&splits).expect("a folder");
            let info = logodex_schemas::split::Split {
                header: split_header(),
                name: "s".to_owned(),
                seed: 1,
                test: 0.5,
                val: 0.0,
                manifest_blake3: "m".to_owned(),
                csv_blake3: blake3::hash(csv.as_bytes()).to_hex().to_string(),
                brands: BTreeMap::new(),
                images: BTreeMap::new(),
                categories: BTreeMap::new(),
                duplicates_across_folds: 0,
                seal: String::new(),
            };
            std::fs::write(splits.join("s.csv"), csv).expect("written");
            let json = logodex_schemas::header::seal(&info).expect("JSON");
            std::fs::write(splits.join("s.json"), json).expect("written");
            Split::open(dir.path(), "s", "m", &brands)
        };
        let header = "index,category,brand,fold\n0,Food,brand 0,train\n";
        let split = open(&format!("{header}2,Food,brand 2,test\n")).expect("a split");
        assert_eq!(split.folds(), [Some(Fold::Train), None, Some(Fold::Test)]);
        let missing = open(header).expect_err("a brand with rows is missing");
        assert!(missing.to_string().contains("that have rows"), "{missing}");
    }
}
