//! How numbers, hashes and names are written, the same in every form of the report.

use logodex_schemas::evaluation::ComparisonRow;

/// A signed number with a true minus.
pub fn signed(value: f64) -> String {
    format!("{value:+.3}").replace('-', "−")
}

/// A number to three places with a true minus.
pub fn plain(value: f64) -> String {
    format!("{value:.3}").replace('-', "−")
}

/// `[low, high]` of signed numbers.
pub fn signed_interval(row: &ComparisonRow) -> String {
    format!("[{}, {}]", signed(row.ci_low), signed(row.ci_high))
}

/// `158,654`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The first characters of a hash, enough to tell two apart by eye.
pub fn prefix(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A name between backticks.
pub fn code(name: &str) -> String {
    format!("`{}`", name.replace('`', "'"))
}

/// The ending of a word that counts so many.
pub fn plural(n: u32) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// `a, b and c`.
pub fn enumerate(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [7, 999, 1000, 158_654].map(thousands),
            ["7", "999", "1,000", "158,654"]
        );
    }
}
