//! What cannot be exported is refused before anything is written.

use super::*;

#[test]
fn what_cannot_be_exported_leaves_nothing() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 3 --images-per-brand 4 --seed 3",
    );
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    workspace.ok("logodex-data", "split --dataset dataset --name s --seed 1");
    std::fs::create_dir(workspace.path("empty")).unwrap();
    let names = || {
        let entries = std::fs::read_dir(workspace.path(".")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<BTreeSet<_>>()
    };
    let before = names();
    let refused = |code: i32, arguments: &str, says: &str| {
        let error = workspace.fails(code, "logodex-data", &format!("export dataset {arguments}"));
        assert!(error.contains(says), "{arguments}: {error}");
        assert_eq!(names(), before, "{arguments}: nothing is left");
    };
    refused(2, "--to folders --raw raw --out x", "--split");
    refused(2, "--to folders --split s --out x", "--raw");
    refused(2, "--to coco --out x", "--raw");
    refused(2, "--to webdataset --split none --out x", "no such split");
    refused(2, "--to webdataset --split ../s --out x", "no such split");
    refused(2, "--to webdataset --out raw", "not empty");
    refused(2, "--to webdataset --out build.toml", "build.toml");
    refused(2, "--to webdataset --out dataset/x", "never written");
    refused(
        2,
        "--to coco --raw raw --out raw/LogoDet-3K/x",
        "never written",
    );
    refused(2, "--to coco --raw none --out x", "no such folder");

    let said = workspace.ok(
        "logodex-data",
        "export dataset --to coco --raw raw --out x --dry-run",
    );
    assert!(said.contains("would export 12 images"), "{said}");
    assert_eq!(names(), before);

    let row = &catalog(&workspace.path("dataset"))[7];
    let image = workspace.path("raw/LogoDet-3K").join(&row.raw_image);
    let whole = std::fs::read(&image).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&image, &changed).unwrap();
    refused(
        1,
        "--to folders --split s --raw raw --out x",
        &row.raw_image,
    );
    refused(1, "--to coco --raw raw --out x", &row.raw_image);
    std::fs::write(&image, &whole).unwrap();

    let annotation = workspace.path("dataset").join(&row.annotation);
    let text = std::fs::read_to_string(&annotation).unwrap();
    std::fs::write(
        &annotation,
        text.replacen("</index>", "</index><index>0</index>", 1),
    )
    .unwrap();
    refused(5, "--to coco --raw raw --out x", "annotations");
    std::fs::write(&annotation, text).unwrap();

    // What a killed export left is taken away, and an empty directory is filled.
    std::fs::create_dir_all(workspace.path(".empty.export/images")).unwrap();
    std::fs::write(workspace.path(".empty.export/images/half.jpg"), b"half").unwrap();
    workspace.ok(
        "logodex-data",
        "export dataset --to coco --raw raw --out empty",
    );
    assert_eq!(names(), before);
    assert_eq!(contents(&workspace.path("empty/images")).len(), 12);
    workspace.ok("logodex-data", "check dataset");

    // A symbolic link stands for what it points to; to nothing, it is refused.
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(workspace.path(to), workspace.path(name)).unwrap()
    };
    std::fs::create_dir(workspace.path("real")).unwrap();
    link("real", "link");
    link("nowhere", "dangling");
    let before = names();
    let export = "export dataset --to coco --raw raw --out";
    let error = workspace.fails(2, "logodex-data", &format!("{export} dangling"));
    assert!(error.contains("symbolic link"), "{error}");
    let long = "x".repeat(250);
    let error = workspace.fails(2, "logodex-data", &format!("{export} {long}"));
    assert!(error.contains("247 bytes"), "{error}");
    workspace.ok("logodex-data", &format!("{export} link"));
    assert_eq!(names(), before);
    assert!(workspace.path("link").is_symlink());
    assert_eq!(contents(&workspace.path("real/images")).len(), 12);
}

#[test]
fn a_mount_point_is_refused_before_anything_is_written() {
    let shared = quirky();
    let workspace = Workspace::new();
    let script = format!(
        "mkdir out && unshare -rm bash -c 'mount -t tmpfs none out && \
         {} export {} --to webdataset --out out; code=$?; ls -A out . >left; mkdir out/x && \
         {} export {} --to webdataset --out out/x/new >/dev/null || exit 79; exit $code'; code=$?; cat left; exit $code",
        binary("logodex-data").get_program().display(),
        shared.path("dataset").display(),
        binary("logodex-data").get_program().display(),
        shared.path("dataset").display(),
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(workspace.path(""))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unshare failed") || error.contains("permission denied") {
        // No file system can be made here; the unit test of `is_mount_point` stands for it.
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("is a mount point"), "{error}");
    let left = String::from_utf8_lossy(&output.stdout);
    assert_eq!(left, ".:\nleft\nout\n\nout:\n", "nothing was written");
}
