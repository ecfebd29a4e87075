//! Where ONNX Runtime lies: programs that run an exported model open it when they start, and none is linked to it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::failure::usage;

/// The variable that names another library than the built-in one.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where `make setup` of the source tree that this program was built in puts it.
const BUILT_IN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../third_party/onnxruntime/lib/libonnxruntime.so"
);

/// The library: what [`VARIABLE`] names, else `libonnxruntime.so` beside the program, else the one that `make setup` fetched.
///
/// # Errors
/// [`crate::Failure::Usage`] where there is none, with where it was looked for.
pub fn library() -> Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let program = std::env::current_exe().ok();
    find(
        named.map(PathBuf::from),
        program.as_deref().and_then(Path::parent),
        Path::new(BUILT_IN),
    )
}

fn find(named: Option<PathBuf>, beside: Option<&Path>, built_in: &Path) -> Result<PathBuf> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path),
            false => Err(usage(format!(
                "{VARIABLE} is {}, where there is no file; name a libonnxruntime.so, or unset it to use the one that `make setup` fetches",
                path.display()
            ))),
        };
    }
    let beside = beside.map(|dir| dir.join("libonnxruntime.so"));
    let places = [beside, Some(built_in.to_owned())];
    let found = places.iter().flatten().find(|path| path.is_file());
    found.cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().flatten().map(|p| p.display().to_string()).collect();
        usage(format!(
            "ONNX Runtime is not there (looked for {}); run `make setup`, or name a libonnxruntime.so in {VARIABLE}",
            looked.join(" and ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_wins_then_what_lies_beside_and_a_missing_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (named, built_in) = (file("mine.so"), file("built/libonnxruntime.so"));
        let bin = dir.path().join("bin");
        let find = |named: Option<&Path>| {
            let told = super::find(named.map(Path::to_owned), Some(&bin), &built_in);
            told.map_err(|e| e.to_string())
        };
        assert_eq!(find(Some(&named)), Ok(named.clone()));
        assert_eq!(find(None), Ok(built_in.clone()));
        let beside = file("bin/libonnxruntime.so");
        assert_eq!(find(None), Ok(beside.clone()));

        let missing = dir.path().join("missing.so");
        let told = find(Some(&missing)).unwrap_err();
        assert!(
            told.contains("missing.so") && told.contains(VARIABLE),
            "{told}"
        );
        std::fs::remove_file(&beside).unwrap();
        std::fs::remove_file(&built_in).unwrap();
        let told = find(None).unwrap_err();
        assert!(
            told.contains("make setup") && told.contains("built/lib"),
            "{told}"
        );
    }
}
