//! Who may fill a directory, and what of an earlier build is used again.

use logodex_pixels::resize::Crop;
use logodex_schemas::dataset::{Counts, ShardEntry, SourceFormat};

use super::files::is_one_component;
use super::inspect::inspect;
use super::*;
use crate::build::built::shard_path;
use crate::build::render::{RenderedImage, RenderedRow};
use crate::build::shard_file::ShardFile;
use crate::read::stats::made;
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

fn shard(key: &str, bytes: &[u8]) -> Finished {
    Finished {
        key: key.to_owned(),
        file: ShardFile {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
            columns_blake3: String::new(),
        },
        images: vec![RenderedImage {
            format: SourceFormat::Jpeg,
            rows: vec![RenderedRow {
                crop: Crop {
                    x: 0,
                    y: 0,
                    width: 60,
                    height: 50,
                },
                crc32: 77,
            }],
        }],
    }
}

/// What a build leaves that was stopped after its first shard, of key `k`.
fn stopped() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let claim = Output::claim(dir.path()).unwrap();
    std::fs::write(claim.stage().join("shards/k.safetensors"), b"whole").unwrap();
    claim
        .journal()
        .unwrap()
        .note(&shard("k", b"whole"))
        .unwrap();
    drop(claim);
    dir
}

#[test]
fn a_finished_shard_is_used_again_only_whole_and_for_its_key() {
    let dir = stopped();
    let again = |key: &str| Output::claim(dir.path()).unwrap().reuse(key).is_some();
    assert!(again("k") && !again("other"));
    let staged = dir.path().join(".build/stage/shards/k.safetensors");
    std::fs::write(&staged, b"whalf").unwrap();
    assert!(!again("k"), "other bytes");
    // A kill cut the journal's last line, then it was found in place, under another name.
    std::fs::remove_file(&staged).unwrap();
    std::fs::create_dir_all(dir.path().join("shards")).unwrap();
    let in_place = dir.path().join("shards/00007.safetensors");
    std::fs::write(&in_place, b"whole").unwrap();
    let journal = dir.path().join(".build/shards.jsonl");
    let mut text = std::fs::read_to_string(&journal).unwrap();
    text.push_str("{\"key\":\"k\",\"first_sa");
    std::fs::write(&journal, text).unwrap();
    assert!(again("k"));
    std::fs::write(&in_place, b"whalf").unwrap();
    assert!(!again("k"), "what is in place is read, too");
}

#[test]
fn no_flipped_bit_of_the_journal_is_believed() {
    let dir = stopped();
    let journal = dir.path().join(".build/shards.jsonl");
    let whole = std::fs::read(&journal).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&journal, &flipped).unwrap();
        for found in read_journal(&journal) {
            assert_eq!(found, shard("k", b"whole"), "bit {bit}");
        }
    }
}

#[test]
fn shards_change_places_without_a_loss() {
    let manifest = |n: usize| Manifest {
        shards: (0..n)
            .map(|number| ShardEntry {
                path: shard_path(number),
                first_row: number as u64,
                first_image: number as u64,
                first_brand: 0,
                n_rows: 1,
                bytes: 1,
                blake3: String::new(),
                columns_blake3: String::new(),
            })
            .collect(),
        counts: Counts {
            rows: n as u64,
            ..Counts::default()
        },
        ..made::manifest()
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    // Each build has other shards before, between and after those that are used again, and two of the same bytes.
    for keys in [
        vec!["a", "b", "same-1", "c", "same-2"],
        vec!["new", "b", "a", "same-2", "c", "same-1"],
        vec!["same-1", "x", "same-2", "c", "new", "y", "a"],
        vec!["a"],
    ] {
        let mut claim = Output::claim(out).unwrap();
        let bytes = |key: &str| match key.starts_with("same") {
            true => b"the same".to_vec(),
            false => format!("shard {key}").into_bytes(),
        };
        let mut journal = claim.journal().unwrap();
        for key in &keys {
            if claim.reuse(key).is_none() {
                let staged = claim.stage().join(SHARDS).join(Finished::staged(key));
                std::fs::write(staged, bytes(key)).unwrap();
                journal.note(&shard(key, &bytes(key))).unwrap();
            }
        }
        for name in FILES {
            claim.write(name, b"").unwrap();
        }
        let finished: Vec<Finished> = keys.iter().map(|key| shard(key, &bytes(key))).collect();
        claim
            .publish(&manifest(keys.len()), &finished, &BTreeSet::new())
            .unwrap();
        drop(claim);
        for (number, key) in keys.iter().enumerate() {
            let found = std::fs::read(out.join(shard_path(number))).unwrap();
            assert_eq!(found, bytes(key), "{keys:?}: {number}");
        }
        assert_eq!(
            std::fs::read_dir(out.join(SHARDS)).unwrap().count(),
            keys.len()
        );
    }
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
    // What lies beside the folder of the categories is no part of the tree.
    std::fs::create_dir(raw.join("LogoDet-3K")).unwrap();
    inspect(&raw.join("x"), &raw).unwrap();
    refused(inspect(&raw.join("LogoDet-3K/x"), &raw), "never written");
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
