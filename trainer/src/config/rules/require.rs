//! Says what most rules say: the key, its value and what it must be.

/// `ok` is judged by the caller; a value that is no finite number never is.
pub(super) fn require(key: &str, value: f64, ok: bool, rule: &str) -> Result<(), String> {
    match ok && value.is_finite() {
        true => Ok(()),
        false => Err(format!("{key} = {value} must be {rule}")),
    }
}
