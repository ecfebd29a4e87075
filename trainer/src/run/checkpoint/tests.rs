//! What is kept, what is deleted, and what a kill or a damaged file costs.

use logodex_schemas::train::BestBy;

use super::*;

/// The state after `epochs_done` epochs and `epoch_batches` batches.
fn state(epochs_done: u32, epoch_batches: u64, best_epoch: Option<u32>) -> RunState {
    RunState {
        header: run_header(),
        epochs_done,
        epoch_batches,
        epoch_loss_sum: 0.1 + 0.2,
        epoch_samples: 3,
        steps_done: u64::from(epochs_done) * 10 + epoch_batches,
        best_by: BestBy::default(),
        best_epoch,
        best_value: best_epoch.map(|_| 1.0 / 3.0),
        risen_epoch: best_epoch,
        risen_value: best_epoch.map(|_| 1.0 / 3.0),
        config_blake3: "c".into(),
        manifest_blake3: "m".into(),
        split_blake3: "s".into(),
        threads: Some(1),
        model_blake3: String::new(),
        optimizer_blake3: String::new(),
        seal: String::new(),
    }
}

fn tensors(value: f32) -> BTreeMap<String, Tensor> {
    BTreeMap::from([("weight".to_owned(), Tensor::from_slice(&[value]))])
}

fn publish_state(dir: &Path, state: &RunState, keep_every: u32) {
    let contents = Contents {
        state,
        history: &History::untrained(),
        model: tensors(state.steps_done as f32),
        optimizer: tensors(0.0),
    };
    publish(dir, &contents, keep_every).expect("published");
}

fn names(dir: &Path) -> Vec<String> {
    entries(dir).expect("listing")
}

fn link(dir: &Path, name: &str) -> PathBuf {
    fs::read_link(dir.join(name)).expect("a link")
}

/// A folder with one checkpoint after each of these states.
fn published(states: &[RunState], keep_every: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    for state in states {
        publish_state(dir.path(), state, keep_every);
    }
    dir
}

#[test]
fn the_newest_two_and_the_best_of_either_are_kept_and_nothing_else() {
    let best = [Some(0), Some(1), Some(1), Some(1), Some(4)];
    let states: Vec<RunState> = (1..=5)
        .zip(best)
        .map(|(done, best)| state(done, 0, best))
        .collect();
    let dir = published(&states[..4], 0);
    let kept = ["best", "epoch-002", "epoch-003", "epoch-004", "last"];
    assert_eq!(names(dir.path()), kept);
    assert_eq!(link(dir.path(), "last"), Path::new("epoch-004"));
    assert_eq!(link(dir.path(), "best"), Path::new("epoch-002"));
    let last = Checkpoint::open(&dir.path().join("last")).expect("last");
    assert_eq!(
        f32::try_from(&last.model().expect("model")["weight"]).expect("scalar"),
        40.0
    );

    // The fifth is best, but should it be damaged, the best of the fourth is still there.
    publish_state(dir.path(), &states[4], 0);
    let kept = ["best", "epoch-002", "epoch-004", "epoch-005", "last"];
    assert_eq!(names(dir.path()), kept);
}

#[test]
fn every_nth_epoch_is_kept_too_and_none_within_an_epoch() {
    let mut states = Vec::new();
    for done in 0..6 {
        states.push(state(done, 4, None));
        states.push(state(done + 1, 0, None));
    }
    let dir = published(&states, 2);
    let kept = [
        "epoch-002",
        "epoch-004",
        "epoch-005-batch-000004",
        "epoch-006",
        "last",
    ];
    assert_eq!(names(dir.path()), kept);
}

#[test]
fn a_number_is_read_back_to_the_bit() {
    let dir = published(&[state(1, 2, Some(0))], 0);
    let found = Checkpoint::open(&dir.path().join("last"))
        .expect("last")
        .state;
    assert_eq!(found.epoch_loss_sum.to_bits(), (0.1f64 + 0.2).to_bits());
    assert_eq!(
        found.best_value.map(f64::to_bits),
        Some((1.0f64 / 3.0).to_bits())
    );
}

#[test]
fn a_kill_between_the_rename_and_the_links_is_repaired() {
    let dir = published(&[state(1, 0, Some(0)), state(2, 0, Some(1))], 0);
    let dir = dir.path();
    // As if killed: the links still say the first, and the next is half written.
    point(dir, "last", "epoch-001").expect("link");
    point(dir, "best", "epoch-001").expect("link");
    fs::create_dir(dir.join(".writing-epoch-003")).expect("folder");
    fs::write(dir.join(".writing-epoch-003/model.safetensors"), b"half").expect("file");

    let found = repair(dir, 0).expect("repaired").expect("a checkpoint");
    assert_eq!(found.state.epochs_done, 2);
    assert_eq!(names(dir), ["best", "epoch-001", "epoch-002", "last"]);
    assert_eq!(link(dir, "best"), Path::new("epoch-002"));
}

#[test]
fn damage_to_any_file_of_the_newest_falls_back_to_the_one_before_with_its_best() {
    let states = [
        state(1, 0, Some(0)),
        state(2, 0, Some(0)),
        state(3, 0, Some(2)),
    ];
    for file in [MODEL_FILE, OPTIMIZER_FILE, STATE_FILE] {
        for damage in ["cut", "flipped", "gone"] {
            let dir = published(&states, 0);
            let dir = dir.path();
            let path = dir.join("epoch-003").join(file);
            let mut bytes = fs::read(&path).expect("read");
            match damage {
                "cut" => bytes.truncate(bytes.len() / 2),
                "flipped" => *bytes.last_mut().expect("bytes") ^= 1,
                _ => fs::remove_file(&path).expect("removed"),
            }
            if damage != "gone" {
                fs::write(&path, bytes).expect("written");
            }
            let (found, damaged) = newest(dir).expect("one is whole");
            assert_eq!(found.expect("one").state.epochs_done, 2, "{file} {damage}");
            assert_eq!(damaged, ["epoch-003"], "{file} {damage}");
            repair(dir, 0).expect("repaired");
            assert_eq!(names(dir), ["best", "epoch-001", "epoch-002", "last"]);
            assert_eq!(link(dir, "best"), Path::new("epoch-001"));
        }
    }
}

#[test]
fn no_byte_of_a_state_changes_unseen() {
    let dir = published(&[state(1, 0, Some(0))], 0);
    let path = dir.path().join("last").join(STATE_FILE);
    let whole = fs::read(&path).expect("read");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let error = parse(&bytes).expect_err("damaged");
        let another_version = error.chain().any(|cause| cause.is::<FormatError>());
        // Only where the key `seal` itself is hit does the file look like one of an older version.
        let seal = whole.windows(6).position(|w| w == b"\"seal\"").expect("it");
        assert!(
            !another_version || (seal..seal + 6).contains(&at),
            "byte {at}"
        );
    }
}

#[test]
fn a_checkpoint_of_another_version_is_no_damaged_one() {
    let dir = published(&[state(1, 0, None)], 0);
    let path = dir.path().join("epoch-001").join(STATE_FILE);
    let text = fs::read_to_string(&path).expect("read");
    let other = serde_json::from_str::<serde_json::Value>(&text).map(|mut value| {
        value["version"] = 1.into();
        value.as_object_mut().expect("object").remove("seal");
        value.to_string()
    });
    fs::write(&path, other.expect("JSON")).expect("written");
    let message = format!("{:#}", newest(dir.path()).expect_err("version 1"));
    assert!(message.contains("version 1"), "{message}");
}

#[test]
fn when_all_are_damaged_it_is_said_and_nothing_is_deleted() {
    let dir = published(&[state(1, 0, None), state(2, 0, None)], 0);
    for name in ["epoch-001", "epoch-002"] {
        fs::write(dir.path().join(name).join(MODEL_FILE), b"").expect("emptied");
    }
    let message = format!("{:#}", repair(dir.path(), 0).expect_err("damaged"));
    assert!(
        message.contains("every checkpoint is damaged (epoch-002, epoch-001)"),
        "{message}"
    );
    assert_eq!(names(dir.path()), ["epoch-001", "epoch-002", "last"]);
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let dir = published(&[state(1, 0, Some(0))], 0);
    // A kind that safetensors has not stands for a disk that refuses.
    let state = state(2, 0, Some(1));
    let contents = Contents {
        state: &state,
        history: &History::untrained(),
        model: BTreeMap::from([(
            "strange".to_owned(),
            Tensor::from_slice(&[0.0f32]).to_kind(tch::Kind::ComplexFloat),
        )]),
        optimizer: tensors(0.0),
    };
    let error = publish(dir.path(), &contents, 0).expect_err("no such kind in safetensors");
    let message = format!("{error:#}");
    assert!(message.contains("epoch-002") && message.contains("one before is whole"));
    assert_eq!(names(dir.path()), ["best", "epoch-001", "last"]);
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_tensor_and_file_and_the_history_goes_with_the_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let state = state(1, 0, None);
    let contents = Contents {
        state: &state,
        history: &History::unknown("weights.pth"),
        model: tensors(f32::NAN),
        optimizer: tensors(f32::INFINITY),
    };
    publish(dir.path(), &contents, 0).expect("published");
    let checkpoint = Checkpoint::open(&dir.path().join("last")).expect("a checkpoint");
    assert_eq!(checkpoint.history().expect("a history"), *contents.history);
    for (loaded, file) in [
        (checkpoint.model(), MODEL_FILE),
        (checkpoint.optimizer(), OPTIMIZER_FILE),
    ] {
        let told = format!("{:#}", loaded.expect_err("not finite"));
        assert!(
            told.contains(file) && told.contains("weight holds numbers that are not finite"),
            "{told}"
        );
    }
}

#[test]
fn no_checkpoint_is_none() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let absent = newest(&dir.path().join("absent")).expect("listing");
    assert!(absent.0.is_none() && absent.1.is_empty());
    assert!(repair(dir.path(), 0).expect("listing").is_none());
}
