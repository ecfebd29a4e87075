//! The learning curves of a run, as the report shows them.

use crate::learning_curves;
use crate::plot::Figure;
use crate::plot::figure::slug;
use crate::report::load::model::Model;

/// Loss, MAP@R, F1 and threshold over the epochs; empty for a model that was not trained.
pub fn learning(model: &Model, place: usize) -> Vec<Figure> {
    let Some(training) = &model.training else {
        return Vec::new();
    };
    let schedule = &training.config.schedule;
    let curves = learning_curves::draw(&model.name, &training.epochs, schedule, place);
    curves
        .into_iter()
        .filter(|figure| figure.name != "lr")
        .map(|figure| Figure {
            name: format!("{}-{}", figure.name, slug(&model.name)),
            ..figure
        })
        .collect()
}
