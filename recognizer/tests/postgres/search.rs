//! A gallery in a database is the gallery that a directory would be, and answers as it does.

use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::contents::Edit;
use logodex_recognizer::gallery::postgres::Postgres;
use logodex_recognizer::gallery::postgres::index::IndexAsked;
use logodex_recognizer::gallery::postgres::search::How;
use logodex_recognizer::gallery::store::Store;
use logodex_schemas::gallery::{
    Candidate, GalleryCalibration, Numbers, SceneCalibration, Strangers, Tiling,
};
use logodex_schemas::random::stream;
use rand::Rng;

use crate::galleries::{DIM, add, assert_equal, edit, embedding, model};
use crate::server::Server;

const NAMES: [&str; 7] = ["ACME", "Zebra", "acme", "ärger", "a b", "Ω", "\"q\" '; --"];

/// A change at random, of names that gather, part and become one.
fn random_edits(rng: &mut impl Rng, seed: &mut u64) -> Vec<Edit> {
    let mut edits = Vec::new();
    for _ in 0..rng.random_range(1..4) {
        let name = |rng: &mut dyn FnMut(usize) -> usize| NAMES[rng(NAMES.len())].to_owned();
        let mut below = |n: usize| rng.random_range(0..n);
        let calibration = GalleryCalibration {
            strangers: Strangers::Enrolled,
            enrolled: *seed,
            pictures: 3,
            brands: None,
            best: vec![0.123_456_79, 0.1, 1e-8],
        };
        edits.push(match below(10) {
            0..=4 => {
                // Every other one a file that is there already, or another's embedding.
                *seed += below(2) as u64;
                add(&name(&mut below), *seed, *seed / 2)
            }
            5 => Edit::Rename {
                from: name(&mut below),
                to: name(&mut below),
            },
            6 => Edit::Remove {
                brand: name(&mut below),
                blake3: None,
            },
            7 => Edit::Remove {
                brand: name(&mut below),
                blake3: Some(crate::galleries::picture("", *seed).blake3),
            },
            8 => Edit::Calibrate((below(2) == 0).then_some(calibration)),
            _ => Edit::CalibrateScenes((below(2) == 0).then(|| SceneCalibration {
                tiling: Tiling::default(),
                windows: 151,
                scenes: calibration,
            })),
        });
    }
    edits
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn any_changes_make_of_a_database_what_they_make_of_a_directory() {
    let server = Server::start();
    for numbers in [Numbers::F32, Numbers::F16] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("gallery");
        let url = server.database(&format!("random_{numbers:?}").to_lowercase());
        let stores = [
            Store::at(place.to_str().unwrap()).unwrap(),
            Store::at(&url).unwrap(),
        ];
        let mut rng = stream(14, "changes", &[]);
        let mut seed = 0;
        for step in 0..60 {
            let mut edits = random_edits(&mut rng, &mut seed);
            if step == 40 {
                // Another model, with vectors of another length.
                edits.insert(0, add("gone", 900, 900));
                edits = vec![
                    edits.remove(0),
                    Edit::Begin {
                        model: model(DIM),
                        numbers,
                    },
                ];
                edits.extend((0..9).map(|i| add(NAMES[i % 7], 1_000 + i as u64, i as u64 / 2)));
            }
            for store in &stores {
                edit(store, numbers, edits.clone()).unwrap();
            }
            // What is remembered, and what another program reads.
            let local = Gallery::open(place.to_str().unwrap()).unwrap();
            assert_equal(&local, &Gallery::open(&url).unwrap());
            let database = Postgres::new(&url).unwrap();
            assert_eq!(database.generation().unwrap(), Some(step + 1));
            let searched = database.searched().unwrap().unwrap();
            assert_eq!(searched.enrolled() as usize, local.brands().len());
            assert_eq!(searched.shots(), local.shots());
            assert_eq!(searched.calibration(), local.calibration());
            let asked: Vec<Vec<f32>> = (0..6).map(|i| embedding(i, DIM)).collect();
            let asked: Vec<&[f32]> = asked.iter().map(Vec::as_slice).collect();
            for k in [1, 3, 20] {
                assert_same(
                    &searched.search(&asked, k, How::Exact).unwrap(),
                    &local.search(&asked, k),
                );
            }
        }
    }
}

fn assert_same(a: &[Vec<Candidate>], b: &[Vec<Candidate>]) {
    assert_eq!(a, b);
    let bits = |all: &[Vec<Candidate>]| -> Vec<u32> {
        all.iter()
            .flatten()
            .map(|c| c.similarity.to_bits())
            .collect()
    };
    assert_eq!(bits(a), bits(b));
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn the_server_finds_exactly_what_the_kernel_finds_ties_included_and_an_index_tells_its_recall() {
    let server = Server::start();
    for numbers in [Numbers::F32, Numbers::F16] {
        let url = server.database(&format!("search_{numbers:?}").to_lowercase());
        let store = Store::at(&url).unwrap();
        let database = Postgres::new(&url).unwrap();
        let asked = IndexAsked {
            recall: 0.99,
            m: 16,
            ef_construction: 64,
            memory: 256,
        };
        let told = database.build_index(asked).unwrap_err().to_string();
        assert!(told.contains("there is no gallery"), "{told}");
        edit(&store, numbers, vec![]).unwrap();
        let told = database.build_index(asked).unwrap_err().to_string();
        assert!(told.contains("nothing is enrolled"), "{told}");
        // Forty brands share one vector: more ties than a first answer holds.
        let edits = (0..2_000u64).map(|i| {
            let vector = if i % 50 == 7 { 7 } else { i };
            add(&format!("brand {:04}", i * 7_919 % 2_000), i, vector)
        });
        edit(&store, numbers, edits.collect()).unwrap();

        let local = Gallery::open(&url).unwrap();
        let searched = database.searched().unwrap().unwrap();
        let queries: Vec<Vec<f32>> = (0..50)
            .map(|i| embedding(if i < 25 { i } else { i + 9_000 }, DIM))
            .collect();
        let mut queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
        let nan = [f32::NAN; DIM];
        queries.push(&nan);
        let exact = local.search(&queries, 10);
        assert!(
            exact[7]
                .iter()
                .all(|c| c.similarity == exact[7][0].similarity)
        );
        assert_same(&searched.search(&queries, 10, How::Exact).unwrap(), &exact);
        assert_same(
            &searched.search(&queries, 3_000, How::Exact).unwrap(),
            &local.search(&queries, 3_000),
        );

        let told = searched
            .search(&queries, 10, How::Approximate)
            .unwrap_err()
            .to_string();
        assert!(told.contains("logodex index"), "{told}");
        let built = database.build_index(asked).unwrap();
        assert!(
            built.index.recall >= 0.99 && built.index.queries == 200 && built.fits,
            "{built:?}"
        );
        let searched = database.searched().unwrap().unwrap();
        assert_eq!(searched.index(), Some(&built.index));
        // By a connection that ends, with which the server notes what it did.
        let other = Postgres::new(&url).unwrap().searched().unwrap().unwrap();
        let found = other.search(&queries, 10, How::Approximate).unwrap();
        drop(other);
        let mut missed = 0;
        for (found, exact) in found.iter().zip(&exact) {
            assert_eq!(found.len(), exact.len());
            let last = exact.last().map_or(0.0, |c| c.similarity);
            missed += found.iter().filter(|c| c.similarity < last).count();
        }
        assert!(missed <= 25, "{missed} of 500 were missed");
        // What is exact stays so, and the index is used.
        assert_same(&searched.search(&queries, 10, How::Exact).unwrap(), &exact);
        let name = format!("search_{numbers:?}").to_lowercase();
        let used =
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'brand_prototype'";
        let mut admin = server.admin(&name);
        let began = std::time::Instant::now();
        while admin.query_one(used, &[]).unwrap().get::<_, i64>(0) == 0 {
            assert!(began.elapsed().as_secs() < 20, "the index was not used");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        // It follows what is enrolled later.
        edit(&store, numbers, vec![add("late", 5_000, 5_000)]).unwrap();
        let late = embedding(5_000, DIM);
        let found = searched.search(&[&late], 1, How::Approximate).unwrap();
        assert_eq!(found[0][0].brand, "late");
        database.drop_index().unwrap();
        assert_eq!(database.searched().unwrap().unwrap().index(), None);
    }
}
