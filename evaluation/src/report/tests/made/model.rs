//! Made-up models.

use logodex_schemas::dataset::Region;
use logodex_schemas::run::history::TrainedOn;

/// Awkward on purpose.
pub const BRANDS: [&str; 6] = [
    "Abercrombie & Fitch",
    "L'OCCITANE en Provence",
    "Bravo!,  Cucina Italiana",
    "<script>alert(\"x\")</script>",
    "999",
    "Honey Nut Cheerios",
];
/// A made-up model: how good it is, and how it came about.
pub struct Made {
    pub name: &'static str,
    pub quality: f64,
    pub epochs: Option<u32>,
    pub transferred: bool,
    pub trained_on: TrainedOn,
    pub collapsed: Vec<Region>,
}

pub fn made(name: &'static str, quality: f64, epochs: Option<u32>) -> Made {
    Made {
        name,
        quality,
        epochs,
        transferred: true,
        trained_on: TrainedOn::default(),
        collapsed: Vec::new(),
    }
}

pub fn demo() -> Vec<Made> {
    vec![
        made("norm_softmax", 0.62, Some(12)),
        made("contrastive", 0.55, Some(20)),
        made("triplet", 0.47, Some(20)),
        made("baseline_untrained", 0.30, Some(0)),
        made("baseline_features", 0.57, Some(0)),
        made("baseline_projection", 0.5, Some(0)),
    ]
}
