//! Of models: trained, resumed, judged, and carried to another machine.

mod cuda_kit;
mod evaluator;
mod history;
mod resume;
mod whole_line;
