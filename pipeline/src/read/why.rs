//! `logodex-data why`: one image's story from its raw path to its rows, or why it has none; or a brand's. All is read
//! from the dataset, so that it can be asked where the raw tree is not.

use std::collections::BTreeSet;
use std::path::Path;

use crate::raw::name::nfc;
use crate::raw::reject::describe;
use logodex_program::failure::usage;
use records::{Records, stem_path};

mod records;
mod story;

/// Names suggested where nothing is found.
const SUGGESTED: usize = 3;

/// Tells the story of `what`: a raw path (its extension and all that comes before its category may be left out), an
/// annotation of the dataset, `row N` or `N`, or a brand or folder, alone or as `<Category>/<brand>`.
///
/// # Errors
/// Usage: no dataset at this path; nothing of that name, with the three nearest names. Corrupt: a damaged dataset.
pub fn why(root: &Path, what: &str) -> anyhow::Result<String> {
    let records = Records::read(root)?;
    let what = what.trim().trim_end_matches('/');
    let brands = story::of_brand(&records, what);
    let row: Option<u64> = what
        .strip_prefix("row ")
        .unwrap_or(what)
        .trim()
        .parse()
        .ok();
    if let Some(text) = brands {
        // `76` and `999` are brands.
        let also = row.filter(|row| *row < records.rows.len() as u64);
        let also = also.map_or(String::new(), |row| {
            format!("\nthere is a row of that number, too: ask for \"row {row}\"")
        });
        return Ok(text + &also);
    }
    if let Some(row) = row {
        let Some(row) = records.rows.get(row as usize) else {
            return Err(usage(format!(
                "row {row}: {} has the rows 0 to {}",
                root.display(),
                records.rows.len().saturating_sub(1)
            )));
        };
        return Ok(story::of_image(&records, stem_path(&row.raw_image)).unwrap_or_default());
    }
    let found = image_paths(&records, what)
        .iter()
        .find_map(|path| story::of_image(&records, &records.as_spelled(path)));
    // What is refused need not be an image: a link to a folder, say.
    let refused = || {
        let of_it = records.rejects.iter().filter(|r| nfc(&r.path) == nfc(what));
        let lines: Vec<String> = of_it.map(|r| format!("refused: {}", describe(r))).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    found.or_else(refused).ok_or_else(|| {
        usage(format!(
            "{what:?}: {} knows no image and no brand of that name; the nearest are {}",
            root.display(),
            nearest(&records, what).join(", ")
        ))
    })
}

/// What a path can mean, as `<Category>/<folder>/<stem>`: the raw image itself, or the image of an annotation.
fn image_paths(records: &Records, what: &str) -> Vec<String> {
    let parts: Vec<&str> = what
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let [.., category, folder, file] = parts.as_slice() else {
        return Vec::new();
    };
    let whole = format!("{category}/{folder}/{file}");
    let is_annotation = parts.len() > 3 && parts[parts.len() - 4] == "annotations";
    let mut paths = Vec::new();
    if is_annotation {
        paths.extend(records.raw_of_annotation(category, folder, stem_path(file)));
    } else {
        // A stem may hold a dot: the name as it was typed may lack its extension.
        paths.extend([stem_path(&whole).to_owned(), whole]);
    }
    paths
}

/// The names that resemble what was asked for most: images of the same folder if there is one, else brands and folders.
fn nearest(records: &Records, what: &str) -> Vec<String> {
    let folder = image_paths(records, what).first().map(|path| {
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        format!("{folder}/")
    });
    let mut names: BTreeSet<String> = BTreeSet::new();
    if let Some(folder) = &folder {
        names.extend(
            records
                .stems
                .iter()
                .filter(|stem| stem.starts_with(folder))
                .cloned(),
        );
    }
    let typed = if names.is_empty() {
        for (category, name) in records.names() {
            // As it was asked for: with its category or without.
            names.insert(if what.contains('/') {
                format!("{category}/{name}")
            } else {
                name.to_owned()
            });
        }
        folder.as_deref().map_or(what, |f| f.trim_end_matches('/'))
    } else {
        stem_path(what)
    };
    let typed = typed.to_lowercase();
    let mut ranked: Vec<(usize, String)> = names
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&typed, &name.to_lowercase()),
                name,
            )
        })
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(SUGGESTED)
        .map(|(_, name)| name)
        .collect()
}
