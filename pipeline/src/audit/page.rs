//! Puts the audit, its contact sheets, the style and the scripts into one file that opens without a network.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logodex_schemas::plan::audit::Audit;
use sha2::{Digest, Sha256};

use super::gallery::{ACROSS, TILE_PX};

const PAGE: &str = include_str!("page/audit.html");
const STYLE: &str = include_str!("page/audit.css");
/// One script: what is decided, what is drawn, what is typed and clicked.
const SCRIPTS: [&str; 3] = [
    include_str!("page/decisions.js"),
    include_str!("page/views.js"),
    include_str!("page/audit.js"),
];

/// The page. `sheets` are JPEGs.
///
/// # Errors
/// None that a valid audit can cause.
pub fn html(audit: &Audit, sheets: &[Vec<u8>]) -> Result<String> {
    let script = SCRIPTS.concat();
    let hash = format!(
        "'sha256-{}'",
        STANDARD.encode(Sha256::digest(script.as_bytes()))
    );
    let sheets: Vec<String> = sheets.iter().map(|jpeg| STANDARD.encode(jpeg)).collect();
    let parts = [
        ("script_hash", hash),
        ("style", STYLE.to_owned()),
        ("tile", TILE_PX.to_string()),
        ("across", ACROSS.to_string()),
        ("audit", embedded(audit)?),
        ("sheets", embedded(&sheets)?),
        ("script", script),
    ];
    // Cut at the placeholders, so that nothing that is put in is searched for them.
    let mut page = String::new();
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page += before;
        page += parts
            .iter()
            .find(|part| part.0 == name)
            .map_or("", |part| &part.1);
        rest = after;
    }
    Ok(page + rest)
}

/// JSON that may stand in a script element: `<` cannot end it.
fn embedded(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}
