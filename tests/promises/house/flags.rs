//! The book's page of flags is what the programs say of themselves.

use super::docs::Typed;
use crate::workspace::repository;

/// The page: every command with its arguments and flags, as `--help` shows them.
fn page() -> String {
    let mut page = "# Reference: every flag\n\nWhat each command says of its arguments and flags; `--help` says the same, with examples.\n".to_owned();
    for ((program, command), help) in &Typed::all().helps {
        if command.is_empty() {
            continue;
        }
        let headings = ["Arguments:\n", "Options:\n"];
        let begin = headings.iter().filter_map(|heading| help.find(heading));
        let own = &help[begin.min().unwrap()..];
        // The examples are in `--help` alone.
        let end = own.find("\n\nExample").unwrap_or(own.len());
        let own = own[..end].trim_end();
        page += &format!("\n## {program} {command}\n\n```text\n{own}\n```\n");
    }
    page
}

#[test]
fn the_page_of_flags_is_what_the_programs_say() {
    let path = repository().join("docs/src/flags.md");
    let page = page();
    if std::env::var_os("LOGODEX_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        there == page,
        "docs/src/flags.md is not what the programs say ({differs:?}): LOGODEX_WRITE_DOCS=1 cargo test --release --workspace --test promises flags"
    );
}
