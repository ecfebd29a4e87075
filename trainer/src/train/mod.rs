//! Training and its parts: [`fit`](fn@fit) begins or continues a run, `epoch` is the loop, a [`Learner`] is what
//! learns; `validate` judges it after each epoch, [`embed`] turns pictures into embeddings.

pub mod embed;
mod epoch;
mod fit;
mod learner;
mod validate;

pub use fit::{Existing, fit};
pub use learner::Learner;
