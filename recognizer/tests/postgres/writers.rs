//! Who writes at once, and who is killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::contents::Edit;
use logodex_recognizer::gallery::store::Store;
use logodex_schemas::gallery::{GalleryCalibration, Numbers, Strangers};

use crate::galleries::{add, assert_equal, edit, model, new_picture};
use crate::server::Server;

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn of_writers_at_once_none_loses_anything_and_each_picture_is_enrolled_once() {
    let server = Server::start();
    let url = server.database("writers");
    const WRITERS: u64 = 5;
    const EACH: u64 = 6;
    let writer = |own: u64| {
        // All begin the gallery at once.
        edit(
            &Store::at(&url).unwrap(),
            Numbers::F32,
            vec![add("first", 1_000 + own, own)],
        )
        .unwrap();
        let mut refused = 0;
        for i in 0..EACH {
            let gallery = Gallery::open(&url).unwrap();
            // One of its own, and one that everybody enrols.
            let pictures = vec![
                new_picture(&format!("own {own}"), 100 * own + i),
                new_picture("shared", 10_000 + i),
            ];
            refused += gallery.enrol(pictures, false).unwrap().duplicates.len() as u64;
        }
        refused
    };
    let refused: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|own| scope.spawn(move || writer(own)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum()
    });
    assert_eq!(refused, (WRITERS - 1) * EACH);
    let gallery = Gallery::open(&url).unwrap();
    assert_eq!(gallery.generation(), WRITERS + WRITERS * EACH);
    assert_eq!(
        gallery.pictures().len() as u64,
        WRITERS + WRITERS * EACH + EACH
    );
    assert_eq!(gallery.brand("shared").unwrap().pictures.len() as u64, EACH);
    for own in 0..WRITERS {
        assert_eq!(
            gallery.brand(&format!("own {own}")).unwrap().pictures.len() as u64,
            EACH
        );
    }

    // Whoever writes without asking for the lock is refused by the table itself.
    let twice = "INSERT INTO logodex.picture SELECT 'first', 999999, blake3, crop, repetition, box, phash, source, embedding
        FROM logodex.picture LIMIT 1";
    let error = server.admin("writers").execute(twice, &[]).unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().constraint(),
        Some("enrolled_once")
    );
    // A reader that has a snapshot keeps it; asked for a newer one, it gets it.
    assert!(gallery.newer().unwrap().is_none());
    let other = Gallery::open(&url)
        .unwrap()
        .rename("own 0", "renamed", false)
        .unwrap();
    assert!(gallery.brand("own 0").is_some());
    assert_equal(&gallery.newer().unwrap().unwrap(), &other);
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn a_kill_in_the_middle_of_a_copy_leaves_nothing_and_the_next_one_is_whole() {
    let server = Server::start();
    let url = server.database("killed");
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("gallery").to_str().unwrap().to_owned();
    let mut edits: Vec<Edit> = (0..30_000)
        .map(|i| add(&format!("brand {}", i / 3), i, i))
        .collect();
    edits.push(Edit::Calibrate(Some(GalleryCalibration {
        strangers: Strangers::Enrolled,
        enrolled: 10_000,
        pictures: 30_000,
        brands: Some(10_000),
        best: vec![0.5, 0.25],
    })));
    edit(&Store::at(&place).unwrap(), Numbers::F32, edits).unwrap();
    let copy = |from: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logodex"));
        command.args(["copy", "--gallery", from, "--to", to]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let rows = || {
        let mut admin = server.admin("killed");
        let made = admin
            .query_one("SELECT to_regclass('logodex.picture') IS NOT NULL", &[])
            .unwrap();
        match made.get(0) {
            false => 0,
            true => admin
                .query_one("SELECT count(*) FROM logodex.picture", &[])
                .unwrap()
                .get::<_, i64>(0),
        }
    };
    // Killed as soon as the server has begun to take the rows, and then a bit later each time.
    let mut middle = 0;
    for delay in [0, 20, 60, 150] {
        let mut child = copy(&place, &url).spawn().unwrap();
        let began = Instant::now();
        let copying =
            "SELECT EXISTS (SELECT FROM pg_stat_progress_copy WHERE tuples_processed > 0)";
        let mut admin = server.admin("killed");
        while !admin.query_one(copying, &[]).unwrap().get::<_, bool>(0) {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before it was seen to copy"
            );
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it does not copy"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        // The server takes its connection back when it notices.
        let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'logodex'";
        while admin.query_one(others, &[]).unwrap().get::<_, i64>(0) > 0 {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "its transaction does not end"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        match rows() {
            0 => middle += 1,
            all => {
                // It had committed before the kill came.
                assert_eq!(all, 30_000);
                admin.batch_execute("DROP SCHEMA logodex CASCADE").unwrap();
            }
        }
    }
    assert!(middle > 0, "no kill came in the middle");
    let copied = copy(&place, &url).output().unwrap();
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    let local = Gallery::open(&place).unwrap();
    assert_equal(&local, &Gallery::open(&url).unwrap());
    // Not onto another gallery; and back again.
    let again = copy(&place, &url).output().unwrap();
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(
        again.status.code() == Some(2) && told.contains("there is a gallery already"),
        "{told}"
    );
    let back = dir.path().join("back").to_str().unwrap().to_owned();
    assert!(copy(&url, &back).status().unwrap().success());
    assert_equal(&local, &Gallery::open(&back).unwrap());
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn another_model_may_have_longer_vectors_and_who_reads_meanwhile_sees_one_of_the_two() {
    let server = Server::start();
    let url = server.database("models");
    let store = Store::at(&url).unwrap();
    edit(
        &store,
        Numbers::F32,
        (0..50).map(|i| add("before", i, i)).collect(),
    )
    .unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut dims = Vec::new();
            let began = Instant::now();
            while dims.last() != Some(&40) && began.elapsed() < Duration::from_secs(60) {
                let seen = Store::at(&url).unwrap().load().unwrap().unwrap();
                assert_eq!(
                    seen.embeddings.shape(),
                    [50, seen.model.embedding_dim as usize]
                );
                dims.push(seen.model.embedding_dim);
            }
            dims
        });
        for dim in [30, 36, 33, 40] {
            let mut edits = vec![Edit::Begin {
                model: model(dim),
                numbers: Numbers::F16,
            }];
            edits.extend((0..50).map(|i| Edit::Add {
                picture: crate::galleries::picture("after", i),
                embedding: crate::galleries::embedding(i, dim),
            }));
            store.edit(None, |_| Ok(edits)).unwrap();
        }
        let dims = reader.join().unwrap();
        assert_eq!(dims.last(), Some(&40));
    });
    // An embedding of another length is refused, and nothing is changed.
    let edits = vec![Edit::Add {
        picture: crate::galleries::picture("after", 99),
        embedding: vec![1.0; 39],
    }];
    let told = store.edit(None, |_| Ok(edits)).unwrap_err().to_string();
    assert!(
        told.contains("has 39 numbers, and the gallery's have 40"),
        "{told}"
    );
    assert_eq!(Gallery::open(&url).unwrap().pictures().len(), 50);
}
