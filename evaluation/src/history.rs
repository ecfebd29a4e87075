//! What a model was trained on, and whether that meets the brands that it is judged on.
//!
//! A brand was trained on when any of its source images is, byte for byte, an image of a brand trained on: images tell a
//! brand in another build, in another split and under another name. All images of a brand count, also those that a run
//! left out, since what must be unseen is the brand.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use logodex_dataset::{Dataset, Split};
use logodex_schemas::dataset::BrandRow;
use logodex_schemas::run::history::{HISTORY_KEY, History, TrainedOn, Training, history_header};
use logodex_schemas::split::Fold;

/// Hexadecimal digits of an image in a history.
const DIGITS: usize = 16;
/// The longest header that a safetensors file may have, bytes.
const MAX_HEADER: u64 = 100_000_000;

/// The history that a safetensors file carries; none where it carries none, or is no safetensors file.
///
/// # Errors
/// The file cannot be read, or its history is damaged or of another version.
pub fn read(path: &Path) -> Result<Option<History>> {
    let header = header(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let Ok(header) = serde_json::from_slice::<serde_json::Value>(&header) else {
        return Ok(None);
    };
    let Some(json) = header["__metadata__"][HISTORY_KEY].as_str() else {
        return Ok(None);
    };
    let parsed = history_header()
        .parse::<History>(json.as_bytes())
        .map_err(|error| anyhow!("{error}"))
        .and_then(|history| images(&history).map(|_| history));
    let parsed = parsed.with_context(|| {
        format!(
            "{}: what it was trained on ({HISTORY_KEY} in its metadata) cannot be read",
            path.display()
        )
    });
    parsed.map(Some)
}

/// The header of a safetensors file; of another file nothing, or something that is no JSON.
fn header(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    let mut header = Vec::new();
    if file.read_exact(&mut length).is_ok() {
        let length = u64::from_le_bytes(length);
        if length <= MAX_HEADER {
            file.take(length).read_to_end(&mut header)?;
        }
    }
    Ok(header)
}

/// The history of several embedding files together. Those that carry none are of a tool that nothing is known of.
///
/// # Errors
/// As [`read`].
pub fn of_embeddings(files: &[impl AsRef<Path>]) -> Result<History> {
    let mut all = History::untrained();
    for file in files {
        let own = read(file.as_ref())?
            .unwrap_or_else(|| History::unknown("embeddings that carry no history"));
        let seen = images(&all)?.into_iter().chain(images(&own)?);
        all.images = written(&seen.collect());
        push_new(&mut all.trainings, own.trainings);
        push_new(&mut all.unknown, own.unknown);
    }
    Ok(all)
}

fn push_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// Adds a training on these brands of a dataset. What is there already changes nothing, so that a run that is resumed adds
/// its own once.
///
/// # Errors
/// A damaged dataset, or a damaged history.
pub fn add_training(
    history: &mut History,
    dataset: &Dataset,
    split: &Split,
    brands: &[&BrandRow],
) -> Result<()> {
    let training = Training {
        manifest_blake3: dataset.manifest_blake3().to_owned(),
        split: split.info.name.clone(),
        split_blake3: split.blake3().to_owned(),
        brands: brands.len() as u64,
    };
    match contents(dataset)? {
        Some(contents) => {
            let mut all = images(history)?;
            for brand in brands {
                all.extend(of_brand(dataset, &contents, brand)?);
            }
            history.images = written(&all);
        }
        None => push_new(&mut history.unknown, vec![unlisted(dataset)]),
    }
    push_new(&mut history.trainings, vec![training]);
    Ok(())
}

/// How a dataset that an earlier version built is named among what is not known.
fn unlisted(dataset: &Dataset) -> String {
    format!(
        "dataset {:.12}, which was built without images.csv",
        dataset.manifest_blake3()
    )
}

/// The brands among `brands` that were trained on.
///
/// # Errors
/// As [`add_training`].
pub fn seen<'b>(
    history: &History,
    dataset: &Dataset,
    brands: &[&'b BrandRow],
) -> Result<Vec<&'b BrandRow>> {
    let trained = images(history)?;
    let Some(contents) = contents(dataset)?.filter(|_| !trained.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    for brand in brands {
        let own = of_brand(dataset, &contents, brand)?;
        if own.iter().any(|image| trained.contains(image)) {
            seen.push(*brand);
        }
    }
    Ok(seen)
}

/// What a history says of the brands that a split judges on.
///
/// # Errors
/// As [`add_training`].
pub fn trained_on(history: &History, dataset: &Dataset, split: &Split) -> Result<TrainedOn> {
    let names = |fold: Fold| -> Result<Vec<String>> {
        let seen = seen(history, dataset, &dataset.fold(split, fold))?;
        Ok(seen.iter().map(|brand| brand.brand.clone()).collect())
    };
    let mut unknown = history.unknown.clone();
    let is_another = |training: &Training| training.manifest_blake3 != dataset.manifest_blake3();
    if history.trainings.iter().any(is_another) && contents(dataset)?.is_none() {
        push_new(&mut unknown, vec![unlisted(dataset)]);
    }
    Ok(TrainedOn {
        trainings: history.trainings.clone(),
        unknown,
        test_brands: names(Fold::Test)?,
        val_brands: names(Fold::Val)?,
    })
}

/// What a person must know of it before the numbers; nothing where it met no brand that is judged on.
pub fn warnings(trained_on: &TrainedOn, dataset: &Dataset, split: &Split) -> Vec<String> {
    let mut all = Vec::new();
    for (fold, seen, meaning) in [
        (
            Fold::Test,
            &trained_on.test_brands,
            "the numbers say nothing of brands never seen",
        ),
        (
            Fold::Val,
            &trained_on.val_brands,
            "thresholds chosen on them are too strict or too loose for brands never seen",
        ),
    ] {
        if !seen.is_empty() {
            let judged = dataset.fold(split, fold);
            all.push(format!(
                "{} of {} {} brands were trained on, so {meaning}: {}",
                seen.len(),
                judged.iter().filter(|b| b.n_rows > 0).count(),
                fold.name(),
                seen.join(", ")
            ));
        }
    }
    all
}

/// The first digits of each source image's BLAKE3, by its number; none where the dataset does not list them.
fn contents(dataset: &Dataset) -> Result<Option<Vec<u64>>> {
    let Some(images) = dataset.tables().images()? else {
        return Ok(None);
    };
    let key = |row: &logodex_schemas::dataset::ImageRow| number(&row.blake3[..DIGITS]);
    images.iter().map(key).collect::<Result<_>>().map(Some)
}

fn of_brand(dataset: &Dataset, contents: &[u64], brand: &BrandRow) -> Result<BTreeSet<u64>> {
    let rows = brand.first_row..brand.first_row + brand.n_rows;
    let content = |row| {
        let image = dataset.image_of(row);
        let listed = usize::try_from(image).ok().and_then(|i| contents.get(i));
        listed.copied().with_context(|| {
            let list = dataset.dir().join("images.csv");
            format!("{}: does not list image {image}", list.display())
        })
    };
    rows.map(content).collect()
}

fn number(digits: &str) -> Result<u64> {
    u64::from_str_radix(digits, 16).with_context(|| format!("{digits:?} is no hexadecimal number"))
}

fn images(history: &History) -> Result<BTreeSet<u64>> {
    let text = &history.images;
    if !text.is_ascii() || !text.len().is_multiple_of(DIGITS) {
        bail!("its images are no list of {DIGITS} digits each");
    }
    (0..text.len())
        .step_by(DIGITS)
        .map(|at| number(&text[at..at + DIGITS]))
        .collect()
}

fn written(images: &BTreeSet<u64>) -> String {
    images.iter().map(|image| format!("{image:016x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, metadata: Option<&str>) -> std::path::PathBuf {
        let metadata = metadata.map(|json| [(HISTORY_KEY.to_owned(), json.to_owned())].into());
        let path = dir.join(name);
        let none: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
        std::fs::write(&path, safetensors::serialize(none, metadata).unwrap()).unwrap();
        path
    }

    #[test]
    fn a_history_is_read_from_the_file_that_carries_it_and_a_damaged_one_is_no_missing_one() {
        let dir = tempfile::tempdir().unwrap();
        let history = History {
            unknown: vec!["resnet18.pth".to_owned()],
            images: written(&[7, u64::MAX].into()),
            ..History::untrained()
        };
        let json = serde_json::to_string(&history).unwrap();
        let good = file(dir.path(), "good", Some(&json));
        assert_eq!(read(&good).unwrap(), Some(history.clone()));
        assert_eq!(read(&file(dir.path(), "none", None)).unwrap(), None);
        let pth = dir.path().join("resnet18.pth");
        for bytes in [
            &b"PK\x03\x04 and so on"[..],
            b"",
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
        ] {
            std::fs::write(&pth, bytes).unwrap();
            assert_eq!(read(&pth).unwrap(), None);
        }
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("ffff", "fff"),
            ("ffff", "zzzz"),
        ] {
            let bad = file(dir.path(), "bad", Some(&json.replacen(from, to, 1)));
            let told = format!("{:#}", read(&bad).unwrap_err());
            assert!(told.contains("bad: what it was trained on"), "{told}");
        }
        assert!(read(&dir.path().join("nowhere")).is_err());

        // Together: nothing twice, and a file without history is named.
        let other = History {
            images: written(&[7, 9].into()),
            ..History::untrained()
        };
        let other = file(
            dir.path(),
            "other",
            Some(&serde_json::to_string(&other).unwrap()),
        );
        let all = of_embeddings(&[&good, &good, &other]).unwrap();
        assert_eq!(images(&all).unwrap(), [7, 9, u64::MAX].into());
        assert_eq!(all.unknown, history.unknown);
        let all = of_embeddings(&[&other, &pth]).unwrap();
        assert_eq!(all.unknown, ["embeddings that carry no history"]);
    }
}
