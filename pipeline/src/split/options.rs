//! Holds what a split is asked to be, and accepts only what means something.

use logodex_program::failure::usage;

/// What `split` is asked to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOptions {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Fraction of all brands for test, 0 ≤ f ≤ 1; 1 leaves nothing to train on, for a dataset that only judges.
    pub test: f64,
    /// Fraction of the remaining brands for validation, 0 ≤ f < 1.
    pub val: f64,
    /// Draw it even if pictures of two folds are the same or look the same.
    pub allow_duplicates: bool,
}

impl SplitOptions {
    /// Accepts options that mean something.
    ///
    /// # Errors
    /// Usage, naming the option.
    pub fn validate(&self) -> anyhow::Result<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            return Err(usage(format!(
                "--name {:?}: use letters, digits, _ and - only",
                self.name
            )));
        }
        // `<name>.csv`, and what it is called while it is written.
        if self.name.len() > 200 {
            return Err(usage(format!(
                "--name: {} characters; 200 are the most",
                self.name.len()
            )));
        }
        if !(0.0..=1.0).contains(&self.test) {
            return Err(usage(format!(
                "--test {}: it must be at least 0 and at most 1",
                self.test
            )));
        }
        if !(0.0..1.0).contains(&self.val) {
            return Err(usage(format!(
                "--val {}: it must be at least 0 and below 1",
                self.val
            )));
        }
        Ok(())
    }
}
