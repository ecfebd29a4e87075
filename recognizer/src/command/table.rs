//! Columns for a terminal.

use std::fmt::Write;

/// Lines of columns, each as wide as its widest cell, two spaces apart. Cells of `right` columns, by their places, are set to the
/// right.
pub fn table(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max()
    };
    let widths: Vec<usize> = (0..header.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            let _ = match right.contains(&column) {
                true => write!(text, "{cell:>width$}  "),
                false => write!(text, "{cell:<width$}  "),
            };
        }
        out += text.trim_end();
        out.push('\n');
    };
    line(&mut header.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

/// A number of things: `1 brand`, `2 brands`.
pub fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// A rate in percent, to two digits that tell something: `1.0 %`, `0.013 %`.
pub fn percent(rate: f64) -> String {
    let value = 100.0 * rate;
    match value {
        _ if value == 0.0 => "0 %".to_owned(),
        _ if value >= 10.0 => format!("{value:.0} %"),
        _ if value >= 1.0 => format!("{value:.1} %"),
        _ => {
            let digits = (1.0 - value.log10().floor()).clamp(2.0, 9.0) as usize;
            format!("{value:.digits$} %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            vec!["ä".to_owned(), "1.5".to_owned()],
            vec!["Nike".to_owned(), "10".to_owned()],
        ];
        let text = table(&["brand", "n"], &rows, &[1]);
        assert_eq!(text, "brand    n\nä      1.5\nNike    10\n");
    }

    #[test]
    fn rates_keep_two_digits() {
        let texts = [0.0, 0.5, 0.0123, 0.001, 0.000_123_4].map(percent);
        assert_eq!(texts, ["0 %", "50 %", "1.2 %", "0.10 %", "0.012 %"]);
    }
}
