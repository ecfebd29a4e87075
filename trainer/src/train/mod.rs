//! Training and its parts: [`fit`](fn@fit) begins or continues a run, `epoch` is the loop, a [`Learner`] is what
//! learns; `validate` judges it after each epoch, [`embed`] turns pictures into embeddings; `history`
//! says what the weights learnt from.

mod cached_features;
pub mod embed;
mod epoch;
mod fit;
mod history;
mod learner;
mod published;
mod validate;

pub use fit::{Existing, fit};
pub use learner::Learner;
