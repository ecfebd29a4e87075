//! Our pages in a browser: `tests/python/browse_report.py` turns the report's map in headless Chromium,
//! `browse_audit.py` decides on findings with the keyboard, `browse_served_audit.py` lets the page write what was decided.

use std::path::{Path, PathBuf};

use crate::house::python_readers::check;

/// `LOGODEX_CHROMIUM`, or a Chromium or Chrome in `PATH`.
fn chromium() -> PathBuf {
    if let Some(path) = std::env::var_os("LOGODEX_CHROMIUM") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "LOGODEX_CHROMIUM: no {}", path.display());
        return path;
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").expect("PATH");
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
        .expect("no Chromium found; install one or set LOGODEX_CHROMIUM")
}

/// The page renders, its map turns and shows pictures, nothing is an error and nothing comes from the network.
pub fn browse(report: &Path) {
    let said = check("browse_report", &[report, &chromium()]);
    assert!(said.contains("points"), "{said}");
}

/// Three families are decided on by keyboard: kept apart, renamed, dropped; the page's `overrides.toml` goes to `saved`.
pub fn audit(page: &Path, saved: &Path, decided: [&str; 3]) {
    let [apart, renamed, dropped] = decided.map(Path::new);
    let said = check(
        "browse_audit",
        &[page, &chromium(), saved, apart, renamed, dropped],
    );
    assert!(said.contains("findings"), "{said}");
}

/// A page that is served writes what is decided to `file`, sees what others write there, and shows pictures in full.
pub fn served_audit(url: &str, file: &Path) {
    let said = check("browse_served_audit", &[Path::new(url), &chromium(), file]);
    assert!(said.contains("pictures"), "{said}");
}
