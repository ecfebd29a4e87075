//! Where code lies: files import each other in one direction, none is long, and no folder is crowded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::import_rules::sources;
use crate::workspace::{Workspace, repository};

/// A module, by its names from the crate's root.
type Module = Vec<String>;

/// What each file imports.
type Imports = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// A crate's modules and what they name, tests left out.
#[derive(Default)]
struct Modules {
    src: PathBuf,
    /// The file of each, relative to `src`.
    files: BTreeMap<Module, PathBuf>,
    /// The paths in each that may lead to another.
    paths: Vec<(Module, Vec<String>)>,
}

impl Modules {
    /// Those of a crate whose root is this file of `src`.
    fn of(src: &Path, root: &str) -> Self {
        let mut modules = Self {
            src: src.to_owned(),
            ..Self::default()
        };
        modules.read(PathBuf::from(root), vec![]);
        modules
    }

    fn read(&mut self, file: PathBuf, module: Module) {
        let text = std::fs::read_to_string(self.src.join(&file)).unwrap();
        self.files.insert(module.clone(), file.clone());
        self.see(&file, &module, text.parse().unwrap());
    }

    fn see(&mut self, file: &Path, module: &Module, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let words: Vec<String> = tokens.iter().map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let next = |from: usize, ends: &[&str]| {
            let end = words[from..].iter().position(|w| ends.contains(w));
            end.map_or(words.len(), |end| from + end)
        };
        let mut at = 0;
        while at < words.len() {
            match words[at..] {
                ["#", "[]", ..] if tokens[at + 1].to_string().replace(' ', "") == "[cfg(test)]" => {
                    at = next(at, &["{}", ";"]);
                }
                // `pub(in path)` imports nothing.
                ["pub", "()", ..] => at += 1,
                ["mod", name, ";", ..] => {
                    let child = [&module[..], &[name.to_owned()]].concat();
                    let mut place: PathBuf = child.iter().collect();
                    place.set_extension("rs");
                    if !self.src.join(&place).exists() {
                        place = place.with_extension("").join("mod.rs");
                    }
                    self.paths.push((module.clone(), child_path(name)));
                    self.read(place, child);
                    at += 2;
                }
                ["mod", name, "{}", ..] => {
                    let child = [&module[..], &[name.to_owned()]].concat();
                    self.files.insert(child.clone(), file.to_owned());
                    self.see(file, &child, inside(&tokens[at + 2]));
                    at += 2;
                }
                ["use", first, ..] if first != "<" => {
                    let end = next(at, &[";"]);
                    let mut paths = vec![];
                    spread(&tokens[at + 1..end], &[], &mut paths);
                    let paths = paths.into_iter().map(|path| (module.clone(), path));
                    self.paths.extend(paths);
                    at = end;
                }
                ["crate" | "self" | "super", ":", ":", ..] if at == 0 || words[at - 1] != "$" => {
                    let mut path = vec![words[at].to_owned()];
                    while let [":", ":", name, ..] = words[at + 1..] {
                        path.push(name.to_owned());
                        at += 3;
                    }
                    self.paths.push((module.clone(), path));
                }
                ["{}" | "()" | "[]", ..] => self.see(file, module, inside(&tokens[at])),
                _ => {}
            }
            at += 1;
        }
    }

    /// The file that a path leads to, if it is one of the crate's.
    fn target(&self, module: &Module, path: &[String]) -> Option<&PathBuf> {
        let mut here = module.clone();
        for (i, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => here.clear(),
                "self" => {}
                "super" => {
                    here.pop();
                }
                name => {
                    here.push(name.to_owned());
                    if !self.files.contains_key(&here) {
                        here.pop();
                        if i == 0 {
                            return None;
                        }
                        break;
                    }
                }
            }
        }
        self.files.get(&here)
    }

    fn imports(&self) -> Imports {
        let mut all: Imports = self
            .files
            .values()
            .map(|f| (f.clone(), BTreeSet::new()))
            .collect();
        for (module, path) in &self.paths {
            let from = &self.files[module];
            if let Some(to) = self.target(module, path).filter(|to| *to != from) {
                all.entry(from.clone()).or_default().insert(to.clone());
            }
        }
        all
    }
}

/// A name or a sign; of what stands in brackets, the brackets.
fn word(token: &TokenTree) -> String {
    match token {
        TokenTree::Group(group) => match group.delimiter() {
            Delimiter::Brace => "{}".to_owned(),
            Delimiter::Parenthesis => "()".to_owned(),
            _ => "[]".to_owned(),
        },
        other => other.to_string(),
    }
}

fn inside(token: &TokenTree) -> TokenStream {
    match token {
        TokenTree::Group(group) => group.stream(),
        _ => TokenStream::new(),
    }
}

fn child_path(name: &str) -> Vec<String> {
    vec!["self".to_owned(), name.to_owned()]
}

/// The paths of a `use`: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn spread(tokens: &[TokenTree], before: &[String], paths: &mut Vec<Vec<String>>) {
    for branch in tokens.split(|t| word(t) == ",") {
        let end = branch.iter().position(|t| word(t) == "as");
        let branch = &branch[..end.unwrap_or(branch.len())];
        let names = branch.iter().filter(|t| matches!(t, TokenTree::Ident(_)));
        let path: Vec<String> = before.iter().cloned().chain(names.map(word)).collect();
        match branch.last() {
            Some(group @ TokenTree::Group(_)) => {
                let branches: Vec<TokenTree> = inside(group).into_iter().collect();
                spread(&branches, &path, paths);
            }
            _ => paths.push(path),
        }
    }
}

/// A circle, its first file again at its end, if there is one.
fn circle(imports: &Imports) -> Option<Vec<PathBuf>> {
    let mut left = imports.clone();
    loop {
        let before = left.len();
        // What imports nothing that is left is in no circle.
        let held: BTreeSet<PathBuf> = left.keys().cloned().collect();
        left.retain(|_, to| !to.is_disjoint(&held));
        if left.len() == before {
            break;
        }
    }
    let mut walk = vec![left.keys().next()?.clone()];
    loop {
        let next = left[walk.last()?]
            .iter()
            .find(|to| left.contains_key(*to))?;
        let met = walk.iter().position(|file| file == next);
        walk.push(next.clone());
        if let Some(start) = met {
            return Some(walk.split_off(start));
        }
    }
}

/// The folders of the workspace's crates.
fn crates() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository()).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.join("Cargo.toml").exists());
    all.sort();
    assert!(all.len() > 10, "{all:?}");
    all
}

#[test]
fn files_import_each_other_in_one_direction() {
    let mut circles = vec![];
    for folder in crates() {
        let src = folder.join("src");
        for root in ["lib.rs", "main.rs"]
            .into_iter()
            .filter(|root| src.join(root).exists())
        {
            if let Some(files) = circle(&Modules::of(&src, root).imports()) {
                circles.push((src.clone(), files));
            }
        }
    }
    assert!(
        circles.is_empty(),
        "move what both ends share to a file that imports neither: {circles:#?}"
    );
}

#[test]
fn a_circle_of_imports_is_found() {
    let found = |files: &[(&str, &str)]| {
        let work = Workspace::new();
        for (name, text) in files {
            std::fs::create_dir_all(work.path(name).parent().unwrap()).unwrap();
            std::fs::write(work.path(name), text).unwrap();
        }
        let circle = circle(&Modules::of(&work.path(""), "lib.rs").imports());
        circle.map(|files| files.iter().map(|f| f.display().to_string()).collect())
    };
    let lib = ("lib.rs", "mod a; pub(crate) mod b;");
    // A path within a macro's arguments is one, a word in a comment or a string is none, and tests may look back.
    let a = "use crate::{b::{self as other, B}}; #[cfg(test)] mod tests { use crate::c::C; }";
    let b = "pub mod c { fn f() { /* crate::a */ g!(\"crate::a\", crate::a::A); } }";
    let files: Option<Vec<String>> = found(&[lib, ("a.rs", a), ("b.rs", b)]);
    assert_eq!(files.unwrap(), ["a.rs", "b.rs", "a.rs"]);
    let b = b.replace("crate::a::A", "std::a::A");
    assert_eq!(found(&[lib, ("a.rs", a), ("b.rs", &b)]), None);
    // A child that imports from its parent.
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; #[cfg(test)] mod tests; pub struct A;"),
        ("a/b.rs", "use super::A;"),
        ("a/tests.rs", "use super::A;"),
    ];
    assert_eq!(found(&files).unwrap(), ["a/b.rs", "a/mod.rs", "a/b.rs"]);
    assert_eq!(
        found(&[files[0], (files[1].0, "#[cfg(test)] mod tests;"), files[3]]),
        None
    );
}

#[test]
fn no_file_is_long_and_no_folder_crowded() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut found = vec![];
    for folder in crates() {
        let mut files = vec![];
        sources(&folder, &mut files);
        for file in files {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            if lines > 400 {
                found.push(format!("{}: {lines} lines", file.display()));
            }
            *folders
                .entry(file.parent().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| *files > 12) {
        found.push(format!("{}: {files} files", folder.display()));
    }
    assert!(
        found.is_empty(),
        "at most 400 lines a file and 12 files a folder: {found:#?}"
    );
}
