//! Some test brands laid out in three dimensions by t-SNE (the paper's Figure 10).

pub mod layout;
pub mod view;
