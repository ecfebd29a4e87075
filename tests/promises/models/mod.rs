//! Of models: trained, resumed, judged, and carried to another machine.

mod cuda_kit;
mod evaluator;
mod export;
mod history;
mod recognise;
mod resume;
mod same_pixels;
mod seen;
mod serving;
mod whole_line;
