//! Writes and reads `catalog.parquet`, a row per sample: the only door to polars.

use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{CatalogRow, SourceFormat};
use polars::prelude::{
    Column, DataFrame, NamedFrom, ParquetCompression, ParquetReader, ParquetWriter, SerReader,
    Series,
};

/// Rows per row group. A constant, so that the bytes depend on the rows alone.
const ROW_GROUP: usize = 1 << 16;

/// The rows as a Parquet file: zstd, columns named, typed and ordered as [`CatalogRow`]'s fields. The same rows give
/// the same bytes.
///
/// # Errors
/// Only what polars reports.
pub fn catalog_bytes(rows: &[CatalogRow]) -> anyhow::Result<Vec<u8>> {
    fn u64s(name: &str, rows: &[CatalogRow], of: impl Fn(&CatalogRow) -> u64) -> Column {
        let values: Vec<u64> = rows.iter().map(of).collect();
        Series::new(name.into(), values).into()
    }
    fn u32s(name: &str, rows: &[CatalogRow], of: impl Fn(&CatalogRow) -> u32) -> Column {
        let values: Vec<u32> = rows.iter().map(of).collect();
        Series::new(name.into(), values).into()
    }
    fn texts<'a>(
        name: &str,
        rows: &'a [CatalogRow],
        of: impl Fn(&'a CatalogRow) -> &'a str,
    ) -> Column {
        let values: Vec<&str> = rows.iter().map(of).collect();
        Series::new(name.into(), values).into()
    }
    let objects: Vec<Option<u32>> = rows.iter().map(|row| row.object).collect();
    let names: Vec<Option<&str>> = rows.iter().map(|row| row.name.as_deref()).collect();
    let formats: Vec<&str> = rows.iter().map(|row| row.source_format.name()).collect();
    let columns: Vec<Column> = vec![
        u64s("row", rows, |row| row.row),
        u32s("brand_index", rows, |row| row.brand_index),
        texts("category", rows, |row| &row.category),
        texts("brand", rows, |row| &row.brand),
        u64s("image", rows, |row| row.image),
        Series::new("object".into(), objects).into(),
        texts("raw_image", rows, |row| &row.raw_image),
        texts("raw_annotation", rows, |row| &row.raw_annotation),
        texts("annotation", rows, |row| &row.annotation),
        Series::new("name".into(), names).into(),
        u32s("width", rows, |row| row.width),
        u32s("height", rows, |row| row.height),
        Series::new("source_format".into(), formats).into(),
        u32s("x", rows, |row| row.x),
        u32s("y", rows, |row| row.y),
        u32s("region_width", rows, |row| row.region_width),
        u32s("region_height", rows, |row| row.region_height),
        texts("blake3", rows, |row| &row.blake3),
        u32s("shard", rows, |row| row.shard),
        u32s("position", rows, |row| row.position),
    ];
    let mut frame = DataFrame::new(rows.len(), columns)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(ROW_GROUP))
        .set_parallel(false)
        .finish(&mut frame)
        .context("catalog.parquet cannot be encoded")?;
    Ok(bytes)
}

/// Reads a dataset's `catalog.parquet`.
///
/// # Errors
/// A file that cannot be read, is no Parquet, or lacks a column of [`CatalogRow`] in its type.
pub fn read_catalog(path: &Path) -> anyhow::Result<Vec<CatalogRow>> {
    let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
    parse_catalog(path, bytes)
}

/// As [`read_catalog`], of bytes that were read already; `path` is for the error.
///
/// # Errors
/// Bytes that are no Parquet, or lack a column of [`CatalogRow`] in its type.
pub fn parse_catalog(path: &Path, bytes: Vec<u8>) -> anyhow::Result<Vec<CatalogRow>> {
    let frame = ParquetReader::new(std::io::Cursor::new(bytes))
        .set_rechunk(true)
        .finish()
        .with_context(|| format!("{} is not a readable Parquet file", path.display()))?;
    rows_of(&frame).with_context(|| format!("{} is not a catalog", path.display()))
}

fn rows_of(frame: &DataFrame) -> anyhow::Result<Vec<CatalogRow>> {
    let u64s = |name: &str| -> anyhow::Result<Vec<Option<u64>>> {
        Ok(frame.column(name)?.u64()?.iter().collect())
    };
    let u32s = |name: &str| -> anyhow::Result<Vec<Option<u32>>> {
        Ok(frame.column(name)?.u32()?.iter().collect())
    };
    let texts = |name: &str| -> anyhow::Result<Vec<Option<String>>> {
        let column = frame.column(name)?;
        Ok(column
            .str()?
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect())
    };
    let (row, image) = (u64s("row")?, u64s("image")?);
    let (brand_index, object) = (u32s("brand_index")?, u32s("object")?);
    let (width, height, x, y) = (u32s("width")?, u32s("height")?, u32s("x")?, u32s("y")?);
    let (region_width, region_height) = (u32s("region_width")?, u32s("region_height")?);
    let (shard, position) = (u32s("shard")?, u32s("position")?);
    let (mut category, mut brand) = (texts("category")?, texts("brand")?);
    let (mut raw_image, mut raw_annotation) = (texts("raw_image")?, texts("raw_annotation")?);
    let formats = texts("source_format")?;
    let (mut annotation, mut name, mut blake3) =
        (texts("annotation")?, texts("name")?, texts("blake3")?);
    (0..frame.height())
        .map(|i| {
            let missing = || anyhow::anyhow!("row {i} has an empty cell");
            let text = |column: &mut Vec<Option<String>>| column[i].take().ok_or_else(missing);
            Ok(CatalogRow {
                row: row[i].ok_or_else(missing)?,
                brand_index: brand_index[i].ok_or_else(missing)?,
                category: text(&mut category)?,
                brand: text(&mut brand)?,
                image: image[i].ok_or_else(missing)?,
                object: object[i],
                raw_image: text(&mut raw_image)?,
                raw_annotation: text(&mut raw_annotation)?,
                annotation: text(&mut annotation)?,
                name: name[i].take(),
                width: width[i].ok_or_else(missing)?,
                height: height[i].ok_or_else(missing)?,
                source_format: formats[i]
                    .as_deref()
                    .and_then(SourceFormat::of_name)
                    .ok_or_else(|| anyhow::anyhow!("row {i} has an unknown source_format"))?,
                x: x[i].ok_or_else(missing)?,
                y: y[i].ok_or_else(missing)?,
                region_width: region_width[i].ok_or_else(missing)?,
                region_height: region_height[i].ok_or_else(missing)?,
                blake3: text(&mut blake3)?,
                shard: shard[i].ok_or_else(missing)?,
                position: position[i].ok_or_else(missing)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: u32) -> CatalogRow {
        CatalogRow {
            row: u64::from(i),
            brand_index: i / 3,
            category: "Food".to_owned(),
            brand: ["76", "Bravo!,  Cucina Italiana", "L'OCCITANE"][i as usize % 3].to_owned(),
            image: u64::from(i / 2),
            object: i.is_multiple_of(2).then_some(i),
            raw_image: format!("Food/76/{i}.jpg"),
            raw_annotation: format!("Food/76/{i}.xml"),
            annotation: format!("annotations/Food/76/{i}.xml"),
            name: (!i.is_multiple_of(4)).then(|| "76".to_owned()),
            width: 500,
            height: 375 + i,
            source_format: SourceFormat::ALL[i as usize % SourceFormat::ALL.len()],
            x: i,
            y: 2 * i,
            region_width: 10,
            region_height: 20,
            blake3: blake3::hash(&i.to_le_bytes()).to_hex().to_string(),
            shard: i / 100,
            position: i % 100,
        }
    }

    #[test]
    fn rows_come_back_as_they_were_and_twice_the_same_bytes() {
        let rows: Vec<CatalogRow> = (0..1000).map(row).collect();
        let bytes = catalog_bytes(&rows).unwrap();
        assert_eq!(bytes, catalog_bytes(&rows).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.parquet");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read_catalog(&path).unwrap(), rows);
    }

    #[test]
    fn columns_are_named_and_ordered_as_the_schema_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.parquet");
        std::fs::write(&path, catalog_bytes(&[row(1)]).unwrap()).unwrap();
        let frame = ParquetReader::new(std::fs::File::open(&path).unwrap())
            .finish()
            .unwrap();
        let found: Vec<String> = frame
            .get_column_names()
            .iter()
            .map(|name| name.to_string())
            .collect();
        let serde_json::Value::Object(fields) = serde_json::to_value(row(1)).unwrap() else {
            panic!("a row is an object")
        };
        assert_eq!(found, fields.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_is_no_parquet_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.parquet");
        std::fs::write(&path, b"row,brand\n").unwrap();
        let error = format!("{:#}", read_catalog(&path).unwrap_err());
        assert!(error.contains("catalog.parquet"), "{error}");
    }
}
