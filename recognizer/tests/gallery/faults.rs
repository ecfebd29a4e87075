//! Kills at any moment, and writers at once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use logodex_recognizer::Gallery;

use crate::made::{gallery, picture};

/// Names the gallery, and from which number on pictures are enrolled.
const TOLD: &str = "LOGODEX_TEST_WRITER";

/// No test of its own: what the others start, to kill it. It enrols pictures one by one, and says the number of each that is.
#[test]
fn a_writer_that_is_told_where() {
    let Ok(told) = std::env::var(TOLD) else {
        return;
    };
    let (first, rest) = told.split_once(' ').unwrap();
    let (many, dir) = rest.split_once(' ').unwrap();
    let first: u64 = first.parse().unwrap();
    for n in first..first + many.parse::<u64>().unwrap() {
        let enrolled = gallery(Path::new(dir))
            .enrol(vec![picture(&format!("brand {n:06}"), n, [1.0; 3])], true);
        assert_eq!(enrolled.unwrap().added, 1);
        logodex_program::output::print(format_args!("enrolled {n}\n"));
    }
}

fn writer(dir: &Path, first: u64, many: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults::a_writer_that_is_told_where",
            "--nocapture",
        ])
        .env(TOLD, format!("{first} {many} {}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers that a writer says, one after the other, until it ends.
fn said(writer: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line| line.split("enrolled ").nth(1)?.parse().ok())
}

fn enrolled(dir: &Path) -> BTreeSet<u64> {
    let gallery = Gallery::open(dir.to_str().unwrap()).unwrap();
    let brands = gallery.brands().iter();
    brands
        .map(|brand| brand.name[6..].parse().unwrap())
        .collect()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_told_and_leaves_a_whole_gallery() {
    let kills = match std::env::var_os("LOGODEX_TORTURE") {
        Some(_) => 400,
        None => 60,
    };
    let dir = tempfile::tempdir().unwrap();
    gallery(dir.path())
        .enrol(vec![picture("brand 000000", 0, [1.0; 3])], true)
        .unwrap();
    let mut told = BTreeSet::from([0]);
    for kill in 0..kills {
        let first = told.last().unwrap() + 2;
        let mut child = writer(dir.path(), first, 1_000_000);
        // From before it has opened anything to the middle of some change.
        let wait = Duration::from_micros(400 * (kill % 50));
        let mut says = said(&mut child);
        if kill % 5 != 0 {
            told.extend(says.next());
        }
        std::thread::sleep(wait);
        child.kill().unwrap();
        told.extend(says);
        child.wait().unwrap();
        let found = enrolled(dir.path());
        let missing: Vec<_> = told.difference(&found).collect();
        assert!(
            missing.is_empty(),
            "kill {kill}: {missing:?} were enrolled and are gone"
        );
        // What was published as the writer was killed was not told any more.
        told.extend(found);
    }
    assert!(
        told.len() as u64 > kills / 2,
        "{} enrolled: the kills came too early",
        told.len()
    );
    // Nothing is left of the dead but what the next change takes away.
    gallery(dir.path())
        .enrol(vec![picture("brand 999999", 999_999, [1.0; 3])], true)
        .unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path().join("generations"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn two_writers_at_once_and_a_reader_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (1..=40, 1_001..=1_040);
    // Neither finds a gallery: one of them begins it.
    let mut writers = [writer(dir.path(), 1, 40), writer(dir.path(), 1_001, 40)];
    let mut seen = BTreeSet::new();
    while writers
        .iter_mut()
        .any(|writer| writer.try_wait().unwrap().is_none())
    {
        if dir.path().join("gallery.json").exists() {
            let found = enrolled(dir.path());
            assert!(seen.is_subset(&found), "what was there is gone");
            seen = found;
        }
    }
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
        assert_eq!(said(writer).count(), 40);
    }
    assert_eq!(enrolled(dir.path()), a.chain(b).collect());
}
