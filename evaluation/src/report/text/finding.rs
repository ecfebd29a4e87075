//! A finding: a sentence or two for people, with a mark where it is something to be wary of.

use serde::Serialize;

/// A sentence or two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is something to be wary of.
    pub warning: bool,
    /// The words.
    pub text: String,
}

/// Something to know.
pub(super) fn note(text: String) -> Finding {
    Finding {
        warning: false,
        text,
    }
}

/// Something to be wary of.
pub(super) fn warning(text: String) -> Finding {
    Finding {
        warning: true,
        text,
    }
}
