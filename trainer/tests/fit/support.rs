//! A dataset written from the schemas alone, and the real binary run on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use logodex_schemas::dataset::Encoding;
use logodex_schemas::random::derive;
use logodex_schemas::split::Fold;
use safetensors::tensor::Dtype;

pub use tiny::picture;

#[path = "../../../dataset/tests/reader/tiny.rs"]
#[allow(dead_code)] // the reader's own tests use the rest
mod tiny;

/// A dataset in a temporary directory, with the split `s`.
pub struct Workspace {
    pub dir: tempfile::TempDir,
    pub dataset: PathBuf,
}

impl Workspace {
    /// One brand per entry: its number of rows and its fold. Two rows share a source image.
    pub fn new(side: usize, brands: &[(usize, Fold)]) -> Self {
        Self::of(side, brands, &|brand, row| picture(side, brand, row))
    }

    /// As [`Self::new`], of pictures that show noise and nothing of their brand: nobody is perfect on them.
    pub fn of_noise(side: usize, brands: &[(usize, Fold)]) -> Self {
        Self::of(side, brands, &|brand, row| {
            let pixel = |i| derive(brand as u64, "noise", &[row as u64, i]) as u8;
            (0..(side * side * 3) as u64).map(pixel).collect()
        })
    }

    fn of(side: usize, brands: &[(usize, Fold)], stored: &dyn Fn(usize, usize) -> Vec<u8>) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let dataset = dir.path().join("data");
        tiny::write(&dataset, side, brands, Encoding::Raw, stored);
        Self { dir, dataset }
    }

    /// Brands for training and validation with 4 rows each and two for the test.
    pub fn small() -> Self {
        use Fold::{Test, Train, Val};
        let folds = [
            Train, Train, Val, Train, Train, Val, Test, Train, Train, Test,
        ];
        Self::new(32, &folds.map(|fold| (4, fold)))
    }

    pub fn write_split(&self, name: &str, folds: &[Fold], manifest_blake3: &str) {
        tiny::write_split(&self.dataset, name, folds, manifest_blake3);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a configuration and returns its path.
    pub fn config(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("configuration");
        path
    }

    /// `logodex-train fit` on the split `s`.
    pub fn fit(&self, config: &Path, run: &str) -> Command {
        let mut command = train();
        command
            .args(["fit", "--split", "s"])
            .arg("--dataset")
            .arg(&self.dataset)
            .arg("--config")
            .arg(config)
            .arg("--run")
            .arg(self.path(run));
        command
    }
}

/// The real binary.
pub fn train() -> Command {
    Command::new(env!("CARGO_BIN_EXE_logodex-train"))
}

/// Runs to the end; returns exit code and standard error.
pub fn run(command: &mut Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    (status.code().unwrap_or(-1), stderr)
}

/// Lines of a run's `metrics.jsonl` of this kind.
pub fn lines(run: &Path, kind: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["kind"] == kind)
        .collect()
}

/// A tensor file of a run's checkpoint: every fp32 tensor by name.
pub fn tensors(checkpoint: &Path, file: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(checkpoint.join(file)).expect("tensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    file.tensors()
        .into_iter()
        .filter(|(_, view)| view.dtype() == Dtype::F32)
        .map(|(name, view)| {
            let numbers = view.data().chunks_exact(4);
            let numbers = numbers.map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
            (name, numbers.collect())
        })
        .collect()
}

/// Everything of a run that must be equal: its newest checkpoint, its pictures, and its metrics but for the speed.
#[derive(PartialEq)]
pub struct Outcome {
    files: BTreeMap<String, Vec<u8>>,
    metrics: Vec<serde_json::Value>,
}

pub fn outcome(run: &Path) -> Outcome {
    let mut files = BTreeMap::new();
    for folder in ["checkpoints/last", "figures"] {
        for entry in fs::read_dir(run.join(folder)).expect(folder) {
            let path = entry.expect(folder).path();
            let name = path.file_name().expect("a name").to_string_lossy();
            files.insert(format!("{folder}/{name}"), fs::read(&path).expect("a file"));
        }
    }
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let metrics = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if let Some(object) = line.as_object_mut() {
            object.remove("images_per_sec");
        }
        line
    });
    Outcome {
        files,
        metrics: metrics.collect(),
    }
}

/// Fails naming what differs.
pub fn assert_same(expected: &Path, found: &Path) {
    let (expected, found) = (outcome(expected), outcome(found));
    assert_eq!(expected.metrics, found.metrics);
    let names = |o: &Outcome| o.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&found));
    for (name, bytes) in &expected.files {
        assert!(*bytes == found.files[name], "{name} differs");
    }
}

/// A run of [`FULL`] left alone, in a workspace that several tests share, and its configuration.
pub fn left_alone() -> &'static (Workspace, PathBuf) {
    static SHARED: OnceLock<(Workspace, PathBuf)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let w = Workspace::small();
        let config = w.config("full.toml", FULL);
        let (code, stderr) = run(&mut w.fit(&config, "alone"));
        assert_eq!(code, 0, "{stderr}");
        (w, config)
    })
}

/// Waits until `ready`, then `after` more; false when the process ended first.
fn wait(child: &mut Child, ready: impl Fn() -> bool, after: Duration) -> bool {
    let mut since: Option<Instant> = None;
    loop {
        if since.is_none() && ready() {
            since = Some(Instant::now());
        }
        if since.is_some_and(|s| s.elapsed() >= after) {
            return true;
        }
        if child.try_wait().expect("child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs the command and sends it the signal once `ready`, then `after` more; returns how it ended. Where the machine is so
/// busy that the command ends well before, `run` is put back as it was and all is tried again.
pub fn caught(
    signal: &str,
    command: &mut Command,
    run: &Path,
    ready: &dyn Fn() -> bool,
    after: Duration,
) -> Output {
    let before = run.with_extension("before");
    copy(run, &before);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    for _ in 0..20 {
        let mut child = command.spawn().expect("the binary starts");
        if wait(&mut child, ready, after) {
            let pid = child.id().to_string();
            let sent = Command::new("kill").args(["-s", signal, &pid]).status();
            assert!(sent.expect("kill").success());
        }
        let output = child.wait_with_output().expect("waited for");
        if !output.status.success() {
            return output;
        }
        copy(&before, run);
    }
    panic!("twenty runs ended before the signal came");
}

/// Kills the command as [`caught`] catches it.
pub fn kill(command: &mut Command, run: &Path, ready: &dyn Fn() -> bool, after: Duration) {
    let output = caught("KILL", command, run, ready, after);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), None, "{stderr}");
}

/// Makes `to` a copy of a run's directory, or of its absence. Checkpoints, which nobody writes into, are linked.
fn copy(from: &Path, to: &Path) {
    let script = "rm -rf \"$2\" && test ! -e \"$1\" || { cp -al \"$1\" \"$2\" && cd \"$1\" && \
         find . -path ./checkpoints -prune -o -type f -exec cp --remove-destination {} \"$2\"/{} ';'; }";
    let mut shell = Command::new("sh");
    let copied = shell.args(["-c", script, "sh"]).args([from, to]).status();
    assert!(copied.expect("sh").success());
}

/// A network of a few seconds: momentum, BatchNorm, dropout, augmentation and an unfreeze take part.
pub const TINY: &str = r#"
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
lr = 1e-2
[schedule]
epochs = 3
freeze = 2
unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]
[data]
batch = 8
[augment]
[runtime]
device = "cpu"
threads = 1
"#;

/// Every kind of state that must survive a kill: beside those of [`TINY`] an average, gradients of several batches, the last
/// of them incomplete, and a checkpoint after every step.
pub const FULL: &str = r#"
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
lr = 1e-2
clip_norm = 1.0
accumulate = 2
[schedule]
epochs = 3
freeze = 2
unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]
[data]
batch = 8
[augment]
[ema]
decay = 0.9
[checkpoint]
every_steps = 1
[runtime]
device = "cpu"
threads = 1
"#;
