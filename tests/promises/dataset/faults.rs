//! What goes wrong while a dataset is built or after: kills, flipped bits, full disks, forbidden places. Nothing that
//! passes as a dataset may be anything but whole. `LOGODEX_TORTURE=1` (`make torture`) runs every fault at full length.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use logodex_dataset::Dataset;
use logodex_pipeline::read::check::check;

use crate::workspace::{Workspace, binary, contents};

/// How often: `quick` times in `make test`, `full` times in `make torture`.
fn times(quick: usize, full: usize) -> usize {
    match std::env::var_os("LOGODEX_TORTURE") {
        Some(_) => full,
        None => quick,
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
fn random(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn tree(brands: u32) -> Workspace {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        &format!("tree --out raw --brands {brands} --images-per-brand 6 --seed 3 --quirks"),
    );
    // A shard is seven rows: there are many.
    workspace.write("build.toml", "side = 224\nshard_mib = 1\n");
    workspace
}

const BUILD: &str = "build --raw raw --out dataset --config build.toml";

/// The build, begun.
fn begun(workspace: &Workspace) -> Child {
    binary("logodex-data")
        .args(BUILD.split(' '))
        .current_dir(workspace.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many shards there are whose file is finished: staged or in place.
fn shard_files(dataset: &Path) -> usize {
    let count = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let whole = |name: std::ffi::OsString| name.to_string_lossy().ends_with(".safetensors");
        entries.filter(|entry| whole(entry.file_name())).count()
    };
    count(&dataset.join(".build/stage/shards")) + count(&dataset.join("shards"))
}

#[test]
fn a_build_killed_at_any_moment_is_no_dataset_and_is_finished_by_the_next() {
    let workspace = tree(24);
    workspace.ok("logodex-data", &BUILD.replace("dataset", "whole"));
    let whole = contents(&workspace.path("whole"));
    let dataset = workspace.path("dataset");
    let n_shards = shard_files(&workspace.path("whole"));
    assert!(
        n_shards >= 8,
        "{n_shards} shards are too few to be killed between"
    );
    let began = Instant::now();
    workspace.ok("logodex-data", &BUILD.replace("dataset", "timed"));
    let duration = began.elapsed();

    let (mut finished, mut reused, mut kills) = (0, 0, 0);
    for i in 0..times(8, 50) as u64 {
        let _ = std::fs::remove_dir_all(&dataset);
        // Two kills in a row, then a build to the end: the first at any moment, the second after so many shards, for a
        // machine that is busy with other work moves every moment.
        for n in 0..2 {
            let mut child = begun(&workspace);
            if n == 0 {
                let at = (random(i) % 1000) as f64 / 1000.0;
                std::thread::sleep(duration.mul_f64(at));
            } else {
                let wanted = 1 + random(i) as usize % (n_shards / 2);
                while shard_files(&dataset) < wanted && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            if dataset.join("manifest.json").exists() {
                check(&dataset).expect("what passes as a dataset is whole");
            }
        }
        let before = shard_files(&dataset);
        let published = dataset.join("manifest.json").exists();
        let said = workspace.ok("logodex-data", BUILD);
        assert!(contents(&dataset) == whole, "after kill {i}: other bytes");
        if !published {
            let again = said
                .lines()
                .find(|line| line.contains("used again"))
                .map_or(0, |line| line.split(' ').next().unwrap().parse().unwrap());
            finished += before;
            reused += again;
        }
    }
    assert!(finished > 0, "no kill came after a finished shard");
    assert!(
        reused * 100 >= finished * 95,
        "{reused} of {finished} finished shards were used again after {kills} kills"
    );
    println!("{kills} kills: {reused} of {finished} finished shards used again");
}

#[test]
fn every_flipped_bit_is_found() {
    let workspace = tree(3);
    let split = "split --name s --seed 1 --dataset";
    for (n, config) in [
        "side = 32\nshard_mib = 1\nregion = \"both\"\n",
        "side = 64\nshard_mib = 1\nencoding = \"jpeg\"\n",
    ]
    .iter()
    .enumerate()
    {
        workspace.write("build.toml", config);
        let name = format!("dataset{n}");
        workspace.ok("logodex-data", &BUILD.replace("dataset", &name));
        workspace.ok("logodex-data", &format!("{split} {name}"));
        let dataset = workspace.path(&name);
        let files: Vec<(String, Vec<u8>)> = contents(&dataset).into_iter().collect();
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut rows_named = 0;
        for i in 0..times(60, 500) as u64 {
            // Half of the flips fall anywhere, half into a file drawn first, so that small files have their share.
            let mut at = random(i) as usize % total;
            let file = match i % 2 {
                0 => files
                    .iter()
                    .position(|(_, bytes)| {
                        let here = at < bytes.len();
                        at = at.saturating_sub(if here { 0 } else { bytes.len() });
                        here
                    })
                    .unwrap(),
                _ => random(at as u64) as usize % files.len(),
            };
            let (path, whole) = &files[file];
            if whole.is_empty() {
                continue;
            }
            let at = at % whole.len();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (random(i + 7) % 8);
            std::fs::write(dataset.join(path), &bytes).unwrap();
            assert!(
                check(&dataset).is_err(),
                "{path}: byte {at} of {}",
                whole.len()
            );
            if path.starts_with("shards/")
                && let Ok(open) = Dataset::open(&dataset)
            {
                // A reader finds what its rows are made of, and names shard and row.
                let errors: Vec<String> = (0..open.n_rows())
                    .filter_map(|row| open.pixels(row).err())
                    .map(|error| format!("{error:#}"))
                    .collect();
                for error in &errors {
                    assert!(error.contains(path) && error.contains("row "), "{error}");
                }
                rows_named += errors.len();
            }
            std::fs::write(dataset.join(path), whole).unwrap();
        }
        assert!(rows_named > 0, "no flip fell into a row");
        check(&dataset).expect("all bytes restored");
    }
}

#[test]
fn a_truncated_shard_is_an_error_for_every_reader() {
    let workspace = tree(2);
    workspace.write("build.toml", "side = 32\n");
    workspace.ok("logodex-data", BUILD);
    let shard = workspace.path("dataset/shards/00000.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    for length in [0, 7, 4096, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&shard, &bytes[..length]).unwrap();
        let error = workspace.fails(5, "logodex-data", "check dataset");
        assert!(error.contains("00000.safetensors"), "{error}");
        let error = workspace.fails(5, "logodex-data", "stats dataset --out stats");
        assert!(error.contains("00000.safetensors"), "{error}");
    }
}

/// Runs a shell command in the workspace; the program's path is `$DATA`.
fn shell(workspace: &Workspace, script: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .env("DATA", binary("logodex-data").get_program())
        .current_dir(workspace.path(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code(), stderr)
}

#[test]
fn a_file_that_cannot_be_written_whole_is_an_error_that_leaves_nothing() {
    let workspace = tree(8);
    // A limit on the length of files stands for the disk's end: the first shard that exceeds it cannot be written.
    workspace.write("small.toml", "side = 224\nshard_mib = 4\n");
    let (code, error) = shell(
        &workspace,
        "trap '' XFSZ; ulimit -f 1500; exec $DATA build --raw raw --out limited --config small.toml",
    );
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("cannot write") && error.contains("00000.safetensors"),
        "{error}"
    );
    assert!(!workspace.path("limited").exists(), "nothing is left");
}

#[test]
#[ignore = "takes a file system of its own: unshare -rm"]
fn a_disk_that_is_really_full_is_an_error_and_the_next_build_goes_on() {
    let workspace = tree(8);
    workspace.ok("logodex-data", &BUILD.replace("dataset", "whole"));
    let (code, error) = shell(
        &workspace,
        "unshare -rm bash -c 'mkdir full && mount -t tmpfs -o size=6m none full && \
         $DATA build --raw raw --out full/dataset --config build.toml; code=$?; \
         test ! -e full/dataset/manifest.json || code=77; ls full/dataset/.build/stage/shards >/dev/null || code=78; \
         mount -o remount,size=600m full && $DATA build --raw raw --out full/dataset --config build.toml >said || exit 79; \
         diff -r -x .build full/dataset whole >/dev/null || exit 80; grep -q \"used again\" said || exit 81; exit $code'",
    );
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("No space left") && error.contains("cannot write"),
        "{error}"
    );
}

#[test]
fn a_place_that_may_not_be_written_is_named() {
    let workspace = tree(2);
    for forbidden in ["/proc/dataset", "/sys/dataset"] {
        let error = workspace.fails(
            1,
            "logodex-data",
            &BUILD.replace("--out dataset", &format!("--out {forbidden}")),
        );
        assert!(error.contains(forbidden), "{error}");
    }
    // For a user who is not root, the mode of the folder decides; root needs a file system that is read-only.
    let (code, error) = shell(
        &workspace,
        "mkdir locked && chmod 555 locked; as=; [ $(id -u) != 0 ] || as='setpriv --reuid=65534 --clear-groups'; \
         chmod 755 . && cp $DATA data && $as ./data build --raw raw --out locked/dataset --config build.toml",
    );
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("locked/dataset"), "{error}");
    assert!(!workspace.path("locked/dataset").exists());
}

#[test]
fn of_two_builds_into_one_directory_one_is_refused() {
    let workspace = tree(24);
    let mut first = begun(&workspace);
    let lock = workspace.path("dataset/.build/lock");
    let began = Instant::now();
    while !lock.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = workspace.fails(2, "logodex-data", BUILD);
    assert!(error.contains("another build"), "{error}");
    assert!(first.wait().unwrap().success());
    workspace.ok("logodex-data", "check dataset");
}
