//! The forms of a report: one offline page, Markdown, LaTeX and CSV, over the same tables, findings and figures.

pub mod csv;
pub mod html;
pub mod latex;
pub mod markdown;
