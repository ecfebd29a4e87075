//! Our pages in a browser, where one is found: `tests/python/browse_report.py` turns the report's map in headless Chromium,
//! `browse_audit.py` decides on findings with the keyboard.

use std::path::{Path, PathBuf};

use crate::house::python_readers::check;

/// `LOGODEX_CHROMIUM`, which must be there if it is set, or a Chromium or Chrome in `PATH`.
fn chromium() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LOGODEX_CHROMIUM") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "LOGODEX_CHROMIUM: no {}", path.display());
        return Some(path);
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// The page renders, its map turns and shows pictures, nothing is an error and nothing comes from the network.
pub fn browse(report: &Path) {
    let Some(chromium) = chromium() else {
        println!(
            "not looked at in a browser: no Chromium found; install one or set LOGODEX_CHROMIUM"
        );
        return;
    };
    let said = check("browse_report", &[report, &chromium]);
    assert!(said.contains("points"), "{said}");
}

/// Three families are decided on by keyboard: kept apart, renamed, dropped; the page's `overrides.toml` goes to `saved`.
/// False where there is no browser.
pub fn audit(page: &Path, saved: &Path, [apart, renamed, dropped]: [&str; 3]) -> bool {
    let Some(chromium) = chromium() else {
        println!(
            "not decided in a browser: no Chromium found; install one or set LOGODEX_CHROMIUM"
        );
        return false;
    };
    let names = [apart, renamed, dropped].map(Path::new);
    let said = check(
        "browse_audit",
        &[page, &chromium, saved, names[0], names[1], names[2]],
    );
    assert!(said.contains("findings"), "{said}");
    true
}
