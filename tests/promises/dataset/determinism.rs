//! Same input, config and seed: the same bytes, at any thread count, directory order and path.

use std::path::Path;
use std::process::Command;

use crate::workspace::{Workspace, contents};

/// Copies a tree, creating its files in another order.
fn copy_backwards(from: &Path, to: &Path) {
    let mut entries: Vec<_> = std::fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    std::fs::create_dir_all(to).unwrap();
    for path in entries.iter().rev() {
        let target = to.join(path.file_name().unwrap());
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            copy_backwards(path, &target);
        } else if kind.is_file() {
            std::fs::copy(path, target).unwrap();
        } else {
            // Links and pipes are copied as what they are.
            let copied = Command::new("cp").arg("-a").arg(path).arg(&target).status();
            assert!(copied.unwrap().success(), "{}", target.display());
        }
    }
}

#[test]
fn a_dataset_is_the_same_bytes_whatever_the_threads_the_order_and_the_place() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 6 --images-per-brand 6 --seed 11 --quirks --defects",
    );
    copy_backwards(
        &workspace.path("raw/LogoDet-3K"),
        &workspace.path("elsewhere/deeper/LogoDet-3K"),
    );
    for region in ["image", "object"] {
        workspace.write(
            "build.toml",
            &format!("side = 48\nregion = \"{region}\"\nshard_mib = 1\n"),
        );
        let one = format!("one-{region}");
        let two = format!("place/of/two-{region}");
        std::fs::create_dir_all(workspace.path("place/of")).unwrap();
        workspace.ok(
            "logodex-data",
            &format!("build --raw raw --out {one} --config build.toml --threads 1"),
        );
        workspace.ok(
            "logodex-data",
            &format!(
                "build --raw elsewhere/deeper/LogoDet-3K --out {two} --config build.toml --threads 2"
            ),
        );
        for dataset in [&one, &two] {
            workspace.ok(
                "logodex-data",
                &format!("split --dataset {dataset} --name s --seed 7"),
            );
        }
        let (one, two) = (
            contents(&workspace.path(&one)),
            contents(&workspace.path(&two)),
        );
        assert!(one.contains_key("manifest.json") && one.contains_key("splits/s.csv"));
        assert_eq!(
            one.keys().collect::<Vec<_>>(),
            two.keys().collect::<Vec<_>>()
        );
        let different: Vec<_> = one.keys().filter(|path| one[*path] != two[*path]).collect();
        assert!(different.is_empty(), "{region}: {different:?}");
    }
}
