//! The harness: a temporary folder and the three binaries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// A binary of ours, built beside this test.
pub fn binary(name: &str) -> Command {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>")
        .join(name);
    assert!(
        path.exists(),
        "{} is not built: run `make test`, or `cargo build --release --bins` first",
        path.display()
    );
    Command::new(path)
}

/// A folder of its own for one test, removed with it.
pub struct Workspace {
    dir: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("logodex-").tempdir();
        Self {
            dir: dir.expect("a temporary folder"),
        }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Runs a binary in the folder: arguments are split at spaces.
    pub fn run(&self, name: &str, arguments: &str) -> Output {
        binary(name)
            .args(arguments.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .expect("the binary starts")
    }

    /// As `run`, and it must succeed: returns stdout.
    pub fn ok(&self, name: &str, arguments: &str) -> String {
        let output = self.run(name, arguments);
        assert!(
            output.status.success(),
            "{name} {arguments}\nexit {:?}\n{}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("stdout is UTF-8")
    }

    /// As `run`, and it must fail with this exit code: returns stderr, which must hold one error and no panic.
    pub fn fails(&self, code: i32, name: &str, arguments: &str) -> String {
        let output = self.run(name, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name} {arguments}\n{}{stderr}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(!stderr.contains("panicked at"), "{stderr}");
        assert_eq!(
            stderr
                .lines()
                .filter(|line| line.starts_with("error"))
                .count(),
            1,
            "one error, once: {stderr}"
        );
        stderr
    }

    pub fn write(&self, relative: &str, text: &str) {
        std::fs::write(self.path(relative), text).expect("the file is written");
    }
}

/// Starts a training into `run` and kills it once `ready`. Where the machine is so busy that the training ends first, it is
/// tried again from nothing.
pub fn kill(run: &Path, train: &mut Command, ready: &dyn Fn() -> bool) {
    for _ in 0..20 {
        let _ = std::fs::remove_dir_all(run);
        let mut child = train.spawn().expect("the binary starts");
        while !ready() && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("SIGKILL");
        let status = child.wait().expect("a child");
        match status.code() {
            None => return,
            Some(code) => assert_eq!(code, 0, "it failed before it was killed"),
        }
    }
    panic!("twenty trainings ended before they could be killed");
}

/// A small dataset of learnable brands at 32 px with a split `s`, built once for all tests that only read it.
pub fn small_dataset() -> &'static Workspace {
    static SHARED: OnceLock<Workspace> = OnceLock::new();
    SHARED.get_or_init(|| {
        let workspace = Workspace::new();
        workspace.ok(
            "logodex-fixtures",
            "tree --out raw --brands 24 --images-per-brand 8 --seed 5",
        );
        workspace.write("small.toml", "side = 32\nregion = \"object\"\n");
        workspace.ok(
            "logodex-data",
            "build --raw raw --out dataset --config small.toml",
        );
        workspace.ok(
            "logodex-data",
            "split --dataset dataset --name s --seed 1 --test 0.3 --val 0.3",
        );
        workspace
    })
}

/// `trainer/configs/tiny.toml`, as committed.
pub fn tiny_config() -> PathBuf {
    repository().join("trainer/configs/tiny.toml")
}

/// Every file below a folder with its bytes, by relative path. Links are not followed and pipes not opened.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            // What makes the next build fast is no part of the dataset.
            if path.ends_with(".build") {
                continue;
            }
            let kind = path.symlink_metadata().expect("it is there").file_type();
            if kind.is_dir() {
                walk(root, &path, files);
            } else {
                let relative = path.strip_prefix(root).expect("below the root");
                let bytes = if kind.is_file() {
                    std::fs::read(&path).expect("a readable file")
                } else {
                    let target = std::fs::read_link(&path).unwrap_or_default();
                    format!("{kind:?} {}", target.display()).into_bytes()
                };
                files.insert(relative.to_string_lossy().into_owned(), bytes);
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(dir, dir, &mut files);
    files
}
