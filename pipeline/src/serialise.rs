//! Serialises rows as CSV, and values as JSON or JSON lines: the same values, the same bytes.
//!
//! ```
//! use logodex_pipeline::serialise::csv_bytes;
//! use logodex_schemas::dataset::BrandIndexRow;
//!
//! let rows = [BrandIndexRow { brand: "76".to_owned(), index: 0 }];
//! assert_eq!(csv_bytes(&rows)?, b"\"brand\",\"index\"\n\"76\",0\n");
//! # anyhow::Ok(())
//! ```

use serde::Serialize;
use serde_json::Value;

/// Rows as CSV with a header line. Texts are always quoted and numbers never, so that a reader that honours quotes
/// takes the brand `"76"` for the text that it is; the csv crate's quote styles look at values and would not quote it.
///
/// # Errors
/// A row that is no flat record.
pub fn csv_bytes<T: Serialize>(rows: &[T]) -> anyhow::Result<Vec<u8>> {
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::new();
    for row in rows {
        let Value::Object(record) = serde_json::to_value(row)? else {
            anyhow::bail!("a row of a table is a record");
        };
        if text.is_empty() {
            text += &line(record.keys().map(|key| quoted(key)).collect());
        }
        let cells: anyhow::Result<Vec<String>> = record
            .values()
            .map(|value| match value {
                Value::String(text) => Ok(quoted(text)),
                Value::Number(number) => Ok(number.to_string()),
                other => Err(anyhow::anyhow!("{other} is no cell of a table")),
            })
            .collect();
        text += &line(cells?);
    }
    Ok(text.into_bytes())
}

/// A value as indented JSON, closed by a newline.
///
/// # Errors
/// None in practice.
pub fn json_bytes<T: Serialize>(value: &T) -> anyhow::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Values as JSON lines.
///
/// # Errors
/// None in practice.
pub fn jsonl_bytes<T: Serialize>(values: &[T]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use logodex_schemas::dataset::BrandIndexRow;

    use super::*;

    #[test]
    fn texts_are_quoted_numbers_are_not_and_all_comes_back() {
        let rows: Vec<BrandIndexRow> = (0..)
            .zip([
                "76",
                "Bravo!,  Cucina Italiana",
                "say \"hi\"",
                "é\nü",
                "1e5",
            ])
            .map(|(index, brand)| BrandIndexRow {
                brand: brand.to_owned(),
                index,
            })
            .collect();
        let bytes = csv_bytes(&rows).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(
            text.starts_with("\"brand\",\"index\"\n\"76\",0\n"),
            "{text}"
        );
        assert!(text.ends_with("\"1e5\",4\n"), "{text}");
        let read: Vec<BrandIndexRow> = csv::Reader::from_reader(bytes.as_slice())
            .deserialize()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read, rows);
    }
}
