//! What reaches the network: the same from the shards and from the device, and refused early where it cannot be.

use std::fs;

use logodex_dataset::{Dataset, DatasetError};
use logodex_schemas::dataset::{Encoding, Manifest};
use logodex_schemas::header::seal;
use logodex_schemas::split::Fold;
use logodex_trainer::data::batch::BatchPlan;
use logodex_trainer::data::loader::{Resident, Source, load};
use tch::{Device, Tensor};

use crate::support::{TINY, Workspace, picture, run};

/// Classes over P×K batches: 2 brands of 4 pictures.
fn pk() -> String {
    TINY.replace(
        "kind = \"triplet\"\nmargin = 1.0",
        "kind = \"norm_softmax\"\ntemperature = 0.05",
    )
    .replace(
        "batch = 8",
        "batch = 8\nsampler = \"pk\"\nimages_per_brand = 4",
    )
}

fn plans() -> Vec<BatchPlan> {
    let rows = [
        vec![3, 38, 17, 3],
        vec![16, 15, 0, 1],
        vec![8, 9, 21, 22],
        vec![30, 31, 32, 33],
        vec![5, 4],
    ];
    let plan = |rows: Vec<u64>| BatchPlan {
        keys: rows.clone(),
        views: Vec::new(),
        targets: Vec::new(),
        roles: 1,
        rows,
    };
    rows.into_iter().map(plan).collect()
}

#[test]
fn batches_from_the_shards_and_from_the_device_are_the_same_bytes() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    let rows = plans().into_iter().flat_map(|plan| plan.rows).collect();
    let resident = Resident::load(&dataset, rows, Device::Cpu).expect("read");
    let mut passes = Vec::new();
    for source in [Source::Host(&dataset), Source::Device(&resident)] {
        std::thread::scope(|scope| {
            let mut batches = Vec::new();
            for batch in load(scope, source, plans(), Device::Cpu) {
                let batch = batch.expect("a batch");
                // A copy: the buffer is used again.
                let pixels = Vec::<u8>::try_from(batch.input.flatten(0, -1)).expect("bytes");
                batches.push((batch.plan, pixels));
            }
            passes.push(batches);
        });
    }
    assert_eq!(passes[0], passes[1]);
    for ((plan, pixels), expected) in passes[0].iter().zip(plans()) {
        assert_eq!(*plan, expected);
        let pictures = plan.rows.iter();
        let pictures = pictures.flat_map(|&row| picture(32, row as usize / 4, row as usize));
        assert_eq!(*pixels, pictures.collect::<Vec<u8>>());
    }
}

#[test]
fn batches_that_are_still_held_are_not_overwritten() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    std::thread::scope(|scope| {
        let batches: Vec<_> = load(scope, Source::Host(&dataset), plans(), Device::Cpu)
            .map(|batch| batch.expect("a batch"))
            .collect();
        for batch in batches {
            let row = batch.plan.rows[0] as usize;
            let expected = Tensor::from_slice(&picture(32, row / 4, row));
            assert_eq!(batch.input.get(0).flatten(0, -1), expected, "{row}");
        }
    });
}

#[test]
fn a_flipped_bit_is_found_when_pictures_are_put_on_the_device() {
    let w = Workspace::small();
    let path = w.dataset.join("shards/00000.safetensors");
    let mut bytes = fs::read(&path).expect("shard");
    let pixels = picture(32, 0, 2);
    let found = bytes.windows(pixels.len()).position(|part| part == pixels);
    bytes[found.expect("row 2") + 7] ^= 1;
    fs::write(&path, bytes).expect("shard");
    let dataset = Dataset::open(&w.dataset).expect("opens");
    Resident::load(&dataset, vec![0, 1, 3], Device::Cpu).expect("the others are whole");
    let error = Resident::load(&dataset, vec![0, 1, 2], Device::Cpu).expect_err("row 2");
    let corrupt = error.downcast_ref::<DatasetError>();
    assert!(
        matches!(corrupt, Some(DatasetError::Corrupt { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("row 2"), "{error}");
}

#[test]
fn a_run_is_the_same_with_its_pictures_on_the_device() {
    let w = Workspace::small();
    let text = pk().replace("epochs = 3", "epochs = 1").replace(
        "unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]",
        "",
    );
    for (run_name, residency) in [("host", "host"), ("device", "device")] {
        let text = text.replace(
            "threads = 1",
            &format!("threads = 1\nresidency = {residency:?}"),
        );
        let config = w.config(&format!("{run_name}.toml"), &text);
        let (code, stderr) = run(&mut w.fit(&config, run_name));
        assert_eq!(code, 0, "{stderr}");
        // Six training brands with two crops of each of two source images.
        assert!(
            stderr.contains("6 of 6 training brands")
                && stderr.contains("in the 0 brands with too few crops"),
            "{stderr}"
        );
    }
    let model = |run: &str| fs::read(w.path(run).join("checkpoints/last/model.safetensors"));
    assert!(model("host").expect("model") == model("device").expect("model"));
}

#[test]
fn short_brands_are_counted_and_told_once() {
    use Fold::{Train, Val};
    // Two rows share a source image: of the brands' four rows and fewer, two images and fewer; of the six, four.
    let w = Workspace::new(
        32,
        &[
            (4, Train),
            (2, Train),
            (1, Train),
            (6, Train),
            (4, Val),
            (4, Val),
        ],
    );
    let text = pk().replace("epochs = 3", "epochs = 2");
    let config = w.config("pk.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stderr.matches("3 of 4 training brands").count(),
        1,
        "{stderr}"
    );
    assert!(
        stderr.contains("in the 2 brands with too few crops"),
        "{stderr}"
    );
}

#[test]
fn more_brands_in_a_batch_than_there_are_is_found_before_a_shard_is_opened() {
    let w = Workspace::small();
    fs::remove_dir_all(w.dataset.join("shards")).expect("removed");
    let text = pk().replace("batch = 8", "batch = 28");
    let config = w.config("pk.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 2, "{stderr}");
    for part in [
        "data.batch = 28",
        "data.images_per_brand = 4",
        "7 different",
        "6 training",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(!w.path("run").exists());
}

#[test]
fn jpeg_shards_on_the_device_are_refused_before_a_shard_is_opened() {
    let w = Workspace::small();
    let path = w.dataset.join("manifest.json");
    let text = fs::read(&path).expect("manifest");
    let mut manifest: Manifest = serde_json::from_slice(&text).expect("JSON");
    manifest.encoding = Encoding::Jpeg;
    let bytes = seal(&manifest).expect("sealed");
    fs::write(&path, &bytes).expect("manifest");
    w.write_split(
        "s",
        &[Fold::Train; 10],
        blake3::hash(&bytes).to_hex().as_str(),
    );
    fs::remove_dir_all(w.dataset.join("shards")).expect("removed");
    let text = TINY.replace("threads = 1", "threads = 1\nresidency = \"device\"");
    let config = w.config("device.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("runtime.residency"), "{stderr}");
    assert!(stderr.contains("JPEG"), "{stderr}");
}
