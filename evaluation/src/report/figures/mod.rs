//! The figures of the report, a family a file. A model has the same colour in all of them.

pub mod confusion_matrix;
pub mod differences;
pub mod f1_over_threshold;
pub mod learning;
pub mod operating_curves;
pub mod overview;
pub mod similarities;
pub mod slices;
pub mod tsne;

use logodex_schemas::evaluation::ComparisonRow;

use crate::plot::Figure;
use crate::report::load::inputs::Inputs;
use crate::report::text::tables::RegionTables;
use confusion_matrix::confusion_matrices;
use differences::differences;
use f1_over_threshold::f1_over_threshold;
use learning::learning;
use operating_curves::operating_curves;
use overview::overview;
use similarities::similarities;
use slices::slices;

/// The figures of a report, by their places on the page.
#[derive(Debug)]
pub struct Figures {
    /// [`overview()`].
    pub overview: Vec<Figure>,
    /// [`differences()`].
    pub differences: Vec<Figure>,
    /// [`f1_over_threshold()`] of each number of shots.
    pub f1_over_threshold: Vec<(u32, Vec<Figure>)>,
    /// [`operating_curves()`].
    pub operating_curves: Vec<Figure>,
    /// [`slices()`].
    pub slices: Vec<Figure>,
    /// [`learning()`] of each model.
    pub learning: Vec<Vec<Figure>>,
    /// [`similarities()`] of each number of shots.
    pub similarities: Vec<(u32, Vec<Figure>)>,
    /// [`confusion_matrices`].
    pub confusion_matrices: Vec<Figure>,
    /// [`tsne::figures`].
    pub tsne: Vec<Figure>,
}

impl Figures {
    /// All of them over `inputs`.
    pub fn new(inputs: &Inputs, regions: &[RegionTables], comparisons: &[ComparisonRow]) -> Self {
        let per_shots = |draw: fn(&Inputs, u32) -> Vec<Figure>| {
            let shots = inputs.shots().into_iter();
            let groups = shots.map(|shots| (shots, draw(inputs, shots)));
            groups.filter(|(_, figures)| !figures.is_empty()).collect()
        };
        let models = inputs.models.iter().enumerate();
        let tables = regions.first().map_or(&[][..], |first| &first.slices);
        Self {
            overview: overview(inputs),
            differences: differences(inputs, comparisons),
            f1_over_threshold: per_shots(f1_over_threshold),
            operating_curves: operating_curves(inputs),
            slices: slices(inputs, tables),
            learning: models
                .map(|(place, model)| learning(model, place))
                .collect(),
            similarities: per_shots(similarities),
            confusion_matrices: confusion_matrices(inputs),
            tsne: tsne::figures(inputs),
        }
    }

    /// Each figure, in the order of the page.
    pub fn all(&self) -> Vec<&Figure> {
        let thresholds = self.f1_over_threshold.iter().flat_map(|(_, group)| group);
        let similarities = self.similarities.iter().flat_map(|(_, group)| group);
        let pictures = self.confusion_matrices.iter().chain(&self.tsne);
        let first = self
            .overview
            .iter()
            .chain(&self.differences)
            .chain(thresholds);
        let middle = self.operating_curves.iter().chain(&self.slices);
        let learning = self.learning.iter().flatten();
        first
            .chain(middle)
            .chain(learning)
            .chain(similarities)
            .chain(pictures)
            .collect()
    }
}
