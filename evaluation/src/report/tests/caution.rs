//! What must be known before any number is believed stands in every form, and among the warnings first.

use logodex_schemas::dataset::Region;
use logodex_schemas::run::history::TrainedOn;

use super::made::model::{Made, made};
use super::write_report;

#[test]
fn brands_seen_in_training_weights_of_unknown_history_and_collapse_are_told() {
    let names = |brands: &[&str]| brands.iter().map(|b| (*b).to_owned()).collect();
    let leaky = Made {
        trained_on: TrainedOn {
            unknown: names(&["resnet18.pth (BLAKE3 0123456789ab)"]),
            test_brands: names(&["Honey Nut Cheerios", "999"]),
            val_brands: names(&["L'OCCITANE en Provence"]),
            ..TrainedOn::default()
        },
        ..made("leaky", 0.6, None)
    };
    let flat = Made {
        trained_on: TrainedOn {
            unknown: leaky.trained_on.unknown.clone(),
            ..TrainedOn::default()
        },
        collapsed: vec![Region::Object],
        ..made("flat", 0.3, None)
    };
    let written = write_report(&[leaky, flat, made("clean", 0.5, None)], false);
    for said in [
        "`leaky` was trained on 2 of the 30 test brands, so its numbers say nothing of brands never seen: `Honey Nut Cheerios` and `999`.",
        "`leaky` was trained on 1 validation brand,",
        "The embeddings of `flat` have collapsed",
        "Of unknown history: resnet18.pth (BLAKE3 0123456789ab), behind `leaky` and `flat`.",
    ] {
        assert!(
            written.markdown.contains(said),
            "{said}: {}",
            written.markdown
        );
    }
    assert!(!written.markdown.contains("`clean` was trained"));
    let caption = "rows. leaky was trained on 2 of the test brands.";
    assert!(written.latex.contains(caption), "{}", written.latex);
    for said in [
        "trained on 2 of the 30 test brands",
        "have collapsed",
        "Of unknown history",
    ] {
        assert!(written.html.contains(said), "{said}");
    }
    let first = |what: &str| written.markdown.find(what).unwrap();
    assert!(first("was trained on 2") < first("1-shot mAP"));
}
