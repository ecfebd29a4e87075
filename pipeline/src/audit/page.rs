//! Puts the audit, its contact sheets, the style and the scripts into one file that opens without a network.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logodex_program::page::{self, allowed, embedded};
use logodex_schemas::plan::audit::Audit;

use super::gallery::{ACROSS, TILE_PX};

const PAGE: &str = include_str!("page/audit.html");
/// What the audit has beside the style that all our pages share.
const STYLE: &str = include_str!("page/audit.css");
/// One script: what is decided, what is drawn, what is written when the page is served, what is typed and clicked.
const SCRIPTS: [&str; 5] = [
    include_str!("page/decisions.js"),
    include_str!("page/evidence.js"),
    include_str!("page/views.js"),
    include_str!("page/serve.js"),
    include_str!("page/audit.js"),
];

fn style() -> String {
    page::STYLE.to_owned() + STYLE
}

/// The page's Content-Security-Policy: nothing is loaded from anywhere, and of a page that is served only from where it came.
pub fn policy(served: bool) -> String {
    let (pictures, connect) = match served {
        true => ("'self' data: blob:", "; connect-src 'self'"),
        false => ("data: blob:", ""),
    };
    format!(
        "default-src 'none'; img-src {pictures}; style-src {}; script-src {}{connect}; base-uri 'none'; form-action 'none'",
        allowed(&style()),
        allowed(&SCRIPTS.concat())
    )
}

/// The page. `sheets` are JPEGs; `answers` is the file that a page that is served writes.
///
/// # Errors
/// None that a valid audit can cause.
pub fn html(audit: &Audit, sheets: &[Vec<u8>], answers: Option<&Path>) -> Result<String> {
    let sheets: Vec<String> = sheets.iter().map(|jpeg| STANDARD.encode(jpeg)).collect();
    let served = answers.map(|path| path.display().to_string());
    let parts = [
        ("policy", policy(served.is_some())),
        ("style", style()),
        ("tile", TILE_PX.to_string()),
        ("across", ACROSS.to_string()),
        ("audit", embedded(audit)?),
        ("sheets", embedded(&sheets)?),
        ("served", embedded(&served)?),
        ("script", SCRIPTS.concat()),
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
