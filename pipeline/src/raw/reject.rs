//! A line about a file that is refused: as `rejects.jsonl` has it, and as a person reads it.

use logodex_schemas::dataset::{Reject, RejectReason};

/// The refusal of a whole file.
pub fn of_file(path: &str, reason: RejectReason, detail: String) -> Reject {
    Reject {
        path: path.to_owned(),
        object: None,
        reason,
        detail,
    }
}

/// The name of a reason, as `rejects.jsonl` spells it.
pub fn reason_name(reason: RejectReason) -> String {
    let reason = serde_json::to_value(reason).unwrap_or_default();
    reason.as_str().unwrap_or("?").to_owned()
}

/// A line about a refusal, for a person: path, object, reason and detail.
pub fn describe(reject: &Reject) -> String {
    let object = reject
        .object
        .map_or(String::new(), |object| format!(", object {object}"));
    format!(
        "{}{object}: {}: {}",
        reject.path,
        reason_name(reject.reason),
        reject.detail
    )
}
