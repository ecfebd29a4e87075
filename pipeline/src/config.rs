//! Reads and validates what a person writes, before any data is touched: `--config`, `--overrides`, `--plan`.

use std::path::Path;

use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::{ConsolidationPlan, Overrides, plan_header};
use serde::de::DeserializeOwned;

use logodex_program::failure::usage;

/// Reads `--config`; without one, every key has its default.
///
/// # Errors
/// Usage: a missing file, broken TOML, an unknown key, a value out of range. Names the file and the key.
pub fn build_config(path: Option<&Path>) -> anyhow::Result<BuildConfig> {
    let Some(path) = path else {
        return Ok(BuildConfig::default());
    };
    let config: BuildConfig = toml_file(path)?;
    match config.invalid() {
        Some(problem) => Err(usage(format!("{}: {problem}", path.display()))),
        None => Ok(config),
    }
}

/// Reads `--overrides`; without one there are none.
///
/// # Errors
/// Usage: a missing file, broken TOML, an unknown key.
pub fn overrides(path: Option<&Path>) -> anyhow::Result<Overrides> {
    path.map_or_else(|| Ok(Overrides::default()), toml_file)
}

/// As [`overrides`], of the text of such a file.
///
/// # Errors
/// Broken TOML, an unknown key; says where.
pub fn overrides_in(text: &str) -> Result<Overrides, String> {
    toml_text(text)
}

/// Reads a reviewed plan.
///
/// # Errors
/// Usage: a missing file, broken JSON, another kind of file or version.
pub fn reviewed_plan(path: &Path) -> anyhow::Result<ConsolidationPlan> {
    plan_header()
        .parse(&read(path)?)
        .map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn toml_file<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| usage(format!("{}: the file is not UTF-8", path.display())))?;
    toml_text(&text).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn toml_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use logodex_schemas::dataset::Region;

    use super::*;
    use logodex_program::failure::exit_code;

    fn error_of(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("build.toml");
        std::fs::write(&path, text).unwrap();
        let error = build_config(Some(&path)).unwrap_err();
        assert_eq!(exit_code(&error), 2, "{error:#}");
        let text = format!("{error:#}");
        assert!(text.contains("build.toml"), "{text}");
        text
    }

    #[test]
    fn a_wrong_key_or_value_is_named_with_its_file() {
        assert!(error_of("sides = 64\n").contains("sides"));
        assert!(error_of("[consolidate]\nsufix_families = true\n").contains("sufix_families"));
        assert!(error_of("side = 4\n").contains("side"));
        assert!(error_of("context = nan\n").contains("context"));
        assert!(error_of("context = 2.5\n").contains("context"));
        assert!(error_of("shard_mib = 0\n").contains("shard_mib"));
        assert!(error_of("jpeg_quality = 0\n").contains("jpeg_quality"));
        assert!(error_of("side = \"big\"\n").contains("side"));
        assert!(error_of("region = \"box\"\n").contains("box"));
        let missing = build_config(Some(Path::new("absent.toml"))).unwrap_err();
        assert_eq!(exit_code(&missing), 2);
    }

    #[test]
    fn the_committed_configurations_are_valid() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let full = build_config(Some(&dir.join("logodet3k.toml"))).unwrap();
        assert_eq!(
            full,
            BuildConfig::default(),
            "the documented file states the defaults"
        );
        for (name, side) in [("demo.toml", 128), ("demo_generated.toml", 64)] {
            let demo = build_config(Some(&dir.join(name))).unwrap();
            assert_eq!(
                (demo.side, demo.region, demo.context),
                (side, Region::Both, 0.1)
            );
        }
    }

    #[test]
    fn a_plan_of_another_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        std::fs::write(&path, r#"{"format":"logodex-plan","version":9}"#).unwrap();
        let error = reviewed_plan(&path).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(format!("{error:#}").contains("version 9"), "{error:#}");
    }
}
