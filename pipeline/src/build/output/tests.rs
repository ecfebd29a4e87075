//! Who may fill a directory, and what of an earlier build is used again.

use super::files::is_one_component;
use super::inspect::inspect;
use super::*;
use crate::build::rendered::Outcome;
use logodex_program::failure::exit_code;

fn refused(result: anyhow::Result<impl Sized>, says: &str) {
    let Err(error) = result else {
        panic!("not refused: {says}")
    };
    assert_eq!(exit_code(&error), 2, "{error:#}");
    assert!(format!("{error:#}").contains(says), "{error:#}");
}

#[test]
fn only_an_absent_an_empty_and_an_unfinished_directory_may_be_filled() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    std::fs::create_dir(&raw).unwrap();
    let out = dir.path().join("a/b");
    inspect(&out, &raw).unwrap();
    assert!(!out.exists(), "looking makes nothing");
    drop(Output::claim(&out).unwrap());
    assert!(!out.exists(), "a failed build leaves nothing");

    std::fs::create_dir_all(&out).unwrap();
    drop(Output::claim(&out).unwrap());
    assert_eq!(
        std::fs::read_dir(&out).unwrap().count(),
        0,
        "and keeps the directory that it found"
    );

    // As a killed build leaves it.
    std::fs::create_dir_all(out.join(".build/stage/shards")).unwrap();
    std::fs::write(out.join(".build/stage/shards/00000.tmp"), b"half").unwrap();
    std::fs::write(out.join(".build/stage/brands.csv"), b"half").unwrap();
    inspect(&out, &raw).unwrap();
    let claim = Output::claim(&out).unwrap();
    assert!(!out.join(".build/stage/brands.csv").exists());
    refused(inspect(&out, &raw), "another build");
    refused(Output::claim(&out), "another build");
    drop(claim);

    std::fs::write(out.join("thesis.tex"), b"").unwrap();
    refused(inspect(&out, &raw), "thesis.tex");
    std::fs::create_dir_all(out.join(WORK)).unwrap();
    refused(Output::claim(&out), "thesis.tex");
    assert!(out.join("thesis.tex").exists());
    refused(inspect(&out.join("thesis.tex"), &raw), "thesis.tex");
}

#[test]
fn a_finished_shard_is_used_again_only_whole_and_for_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = "shards/00000.safetensors";
    let claim = Output::claim(dir.path()).unwrap();
    let shard = Finished {
        key: "k".to_owned(),
        first_sample: 0,
        entry: ShardEntry {
            path: path.to_owned(),
            first_row: 0,
            n_rows: 1,
            bytes: 5,
            blake3: blake3::hash(b"whole").to_hex().to_string(),
        },
        outcome: Outcome::default(),
    };
    std::fs::write(claim.stage().join(path), b"whole").unwrap();
    claim.journal().unwrap().note(&shard).unwrap();
    drop(claim);
    let again = |key: &str| {
        Output::claim(dir.path())
            .unwrap()
            .reuse(path, key)
            .is_some()
    };
    assert!(again("k") && !again("other"));
    let staged = dir.path().join(".build/stage").join(path);
    std::fs::write(&staged, b"whalf").unwrap();
    assert!(!again("k"), "other bytes");
    // A kill cut the journal's last line, then it was found in place.
    std::fs::remove_file(&staged).unwrap();
    std::fs::create_dir_all(dir.path().join("shards")).unwrap();
    std::fs::write(dir.path().join(path), b"whole").unwrap();
    let journal = dir.path().join(".build/shards.jsonl");
    let mut text = std::fs::read_to_string(&journal).unwrap();
    text.push_str("{\"key\":\"k\",\"first_sa");
    std::fs::write(&journal, text).unwrap();
    assert!(again("k"));
}

#[test]
fn the_raw_tree_is_no_place_for_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    std::fs::create_dir_all(raw.join("Food")).unwrap();
    refused(inspect(&raw, &raw), "never written");
    refused(inspect(&raw.join("x/y"), &raw), "never written");
    refused(inspect(&raw.join("Food/../x"), &raw), "never written");
    std::os::unix::fs::symlink(&raw, dir.path().join("link")).unwrap();
    refused(inspect(&dir.path().join("link/x"), &raw), "never written");
    inspect(&dir.path().join("raw2"), &raw).unwrap();
}

#[test]
fn names_that_are_paths_are_told() {
    for good in ["76", "Bravo!,  Cucina Italiana", "L'OCCITANE", "..a", "a.b"] {
        assert!(is_one_component(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "/a", "a/", "a\0b"] {
        assert!(!is_one_component(bad), "{bad}");
    }
}
