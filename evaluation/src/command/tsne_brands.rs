//! `--map-brands`: the brands of the t-SNE view, by name.

use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_schemas::split::Fold;

use crate::settings::TsneBrands;
use crate::tsne::view::{MAX_BRANDS, MIN_BRANDS};

/// Names suggested for one that is not known.
const SUGGESTED: usize = 3;

/// The test brands of those names, a line of CSV.
///
/// # Errors
/// [`Failure::Usage`] for a name that is no test brand of the split, with the nearest that are; for one named twice; for
/// too few or too many.
pub fn tsne_brands(names: &str, dataset: &Dataset, split: &Split) -> Result<TsneBrands, Failure> {
    let refused = |reason: String| Err(Failure::Usage(format!("--map-brands: {reason}")));
    let mut line = csv::ReaderBuilder::new();
    let mut line = line.has_headers(false).from_reader(names.as_bytes());
    let line = line.records().next().and_then(Result::ok);
    let names = line.unwrap_or_default();
    let test = dataset.fold(split, Fold::Test);
    let mut chosen = Vec::new();
    for name in &names {
        let Some(brand) = test.iter().find(|b| b.brand == name) else {
            let known = dataset.brands().iter().any(|b| b.brand == name);
            let what = match known {
                true => format!("is no test brand of split {:?}", split.info.name),
                false => "is not in the dataset".to_owned(),
            };
            let typed = name.to_lowercase();
            let far = |b: &str| strsim::damerau_levenshtein(&typed, &b.to_lowercase());
            let mut nearest: Vec<&str> = test.iter().map(|b| b.brand.as_str()).collect();
            nearest.sort_by_key(|b| (far(b), *b));
            nearest.truncate(SUGGESTED);
            return refused(format!(
                "brand {name:?} {what}; the nearest test brands are {nearest:?}"
            ));
        };
        if chosen.contains(&brand.index) {
            return refused(format!("brand {name:?} is named twice"));
        }
        chosen.push(brand.index);
    }
    match (MIN_BRANDS..=MAX_BRANDS).contains(&chosen.len()) {
        true => Ok(TsneBrands::Chosen(chosen)),
        false => refused(format!(
            "a map shows {MIN_BRANDS} to {MAX_BRANDS} brands, not {}",
            chosen.len()
        )),
    }
}
