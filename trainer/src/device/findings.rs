//! Collects the checks of `selfcheck`, each told as it is judged.

use logodex_program::output::print;
use logodex_schemas::device::Check;

/// The checks so far.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    pub(super) notes: Vec<String>,
    tolerance: f64,
}

impl Findings {
    pub(super) fn new(tolerance: f64) -> Self {
        Self {
            checks: Vec::new(),
            notes: Vec::new(),
            tolerance,
        }
    }

    /// Judges a number that may be `most` at most. One that is not finite fails.
    pub(super) fn at_most(&mut self, name: &str, measured: f64, most: f64, detail: &str) {
        self.within(name, measured, None, Some(most), detail);
    }

    /// Judges a number between two bounds, both included.
    pub(super) fn within(
        &mut self,
        name: &str,
        measured: f64,
        least: Option<f64>,
        most: Option<f64>,
        detail: &str,
    ) {
        let most = most.map(|most| most * self.tolerance);
        let ok = measured.is_finite()
            && least.is_none_or(|least| measured >= least)
            && most.is_none_or(|most| measured <= most);
        let bounds = match (least, most) {
            (None, None) => String::new(),
            (None, Some(most)) => format!("at most {most:.1e}"),
            (Some(least), None) => format!("at least {least:.1e}"),
            (Some(least), Some(most)) => format!("{least:.1e} to {most:.1e}"),
        };
        let verdict = if ok { "ok  " } else { "FAIL" };
        print(format_args!(
            "{verdict}  {name:<44} {measured:>9.2e}  {bounds:<20}  {detail}\n"
        ));
        self.checks.push(Check {
            name: name.to_owned(),
            measured: measured.is_finite().then_some(measured),
            least,
            most,
            ok,
            detail: detail.to_owned(),
        });
    }

    /// Tells what was left out.
    pub(super) fn note(&mut self, note: String) {
        print(format_args!("note: {note}\n"));
        self.notes.push(note);
    }

    /// The names of the checks that failed.
    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|check| !check.ok);
        failed.map(|check| check.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_finite_or_out_of_its_bounds_fails() {
        let mut findings = Findings::new(1.0);
        findings.at_most("nan", f64::NAN, 1.0, "");
        findings.at_most("above", 1.1, 1.0, "");
        findings.within("below", 0.1, Some(0.2), Some(1.0), "");
        findings.within("infinite", f64::INFINITY, Some(0.2), None, "");
        findings.within("right", 0.5, Some(0.2), Some(1.0), "");
        assert_eq!(findings.failed(), ["nan", "above", "below", "infinite"]);
        let mut strict = Findings::new(0.0);
        strict.at_most("equal", 0.0, 1.0, "");
        strict.at_most("nearly", 1e-12, 1.0, "");
        assert_eq!(strict.failed(), ["nearly"]);
    }
}
