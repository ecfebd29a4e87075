//! The documentation holds: links lead somewhere, command lines are ones that the programs take, no command is left out of
//! the Reference, and the README stays short.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::workspace::{binary, repository};

const PROGRAMS: [&str; 5] = [
    "logodex",
    "logodex-data",
    "logodex-eval",
    "logodex-fixtures",
    "logodex-train",
];

/// A page, by its path in the repository.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(repository().join(path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// The lines outside fenced blocks, and the fenced blocks with their languages.
    fn prose_and_blocks(&self) -> (String, Vec<(String, String)>) {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        let mut open: Option<(String, String)> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => open = Some((language.to_owned(), String::new())),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some((_, block))) => *block += &format!("{line}\n"),
                (None, None) => prose += &format!("{line}\n"),
            }
        }
        assert!(open.is_none(), "{}: an open block", self.path.display());
        (prose, blocks)
    }

    /// The prose without its `code`, and the code.
    fn text_and_code(&self) -> (String, Vec<String>) {
        let (prose, _) = self.prose_and_blocks();
        let pieces: Vec<&str> = prose.split('`').collect();
        let paired = pieces.len() % 2 == 1;
        assert!(
            paired,
            "{}: a backtick without its pair",
            self.path.display()
        );
        let text = pieces.iter().step_by(2).copied().collect();
        let code = pieces.iter().skip(1).step_by(2);
        (text, code.map(|&piece| piece.to_owned()).collect())
    }

    /// What the links and pictures point at, the web left out.
    fn links(&self) -> Vec<String> {
        let (text, _) = self.text_and_code();
        text.split("](")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .filter(|target| !target.starts_with("https://") && !target.starts_with("http://"))
            .collect()
    }

    /// The anchors of its headings, as GitHub and mdBook name them.
    fn anchors(&self) -> BTreeSet<String> {
        let (prose, _) = self.prose_and_blocks();
        prose
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| {
                let heading = line.trim_start_matches('#').trim().to_lowercase();
                let kept = heading.chars().filter_map(|c| match c {
                    ' ' => Some('-'),
                    _ if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                    _ => None,
                });
                kept.collect()
            })
            .collect()
    }

    /// The command lines of ours, split into words: those of `sh` blocks and of `code` with more than one word.
    fn commands(&self) -> Vec<Vec<String>> {
        let (_, blocks) = self.prose_and_blocks();
        let (_, code) = self.text_and_code();
        let scripts = blocks.iter().filter(|(language, _)| language == "sh");
        let lines = scripts.flat_map(|(_, script)| {
            let joined = script.replace("\\\n", " ");
            joined.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines
            .chain(code.into_iter().filter(|code| code.contains(' ')))
            .map(|line| {
                let words = line.split_whitespace().take_while(|w| !w.starts_with('#'));
                words.map(str::to_owned).collect::<Vec<_>>()
            })
            .filter(|words| {
                let first = words.first().map_or("", String::as_str);
                first == "make" || first == "logodex" || first.starts_with("logodex-")
            })
            .collect()
    }
}

/// The links of a page that lead nowhere.
fn broken_links(page: &Page) -> Vec<String> {
    let folder = page.path.parent().expect("a page has a folder");
    let in_the_book = page.path.starts_with("docs/src");
    let leads_somewhere = |link: &String| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => page.path.clone(),
            _ => folder.join(file),
        };
        // What lies outside the book is not there once the book is made.
        let reachable = !in_the_book || !file.starts_with("..");
        let exists = file.is_empty() || repository().join(&target).exists();
        let heading = || match file {
            "" => page.anchors().contains(anchor),
            _ => Page::read(&target).anchors().contains(anchor),
        };
        reachable && exists && (anchor.is_empty() || heading())
    };
    let mut links = page.links();
    links.retain(|link| !leads_somewhere(link));
    links
}

/// What can be typed: the help of every command, by program and subcommand, and the Makefile.
pub(super) struct Typed {
    pub(super) helps: BTreeMap<(String, String), String>,
    makefile: String,
}

impl Typed {
    /// Every program's, asked once for all tests.
    pub(super) fn all() -> &'static Self {
        static ALL: OnceLock<Typed> = OnceLock::new();
        ALL.get_or_init(|| Self::ask(&PROGRAMS))
    }

    /// Asks `programs` for their help.
    fn ask(programs: &[&str]) -> Self {
        let mut helps = BTreeMap::new();
        for &program in programs {
            let own = help(&[program]);
            let commands = own.split("Commands:\n").nth(1).expect("it has commands");
            // A command's line is indented by two; the lines that go on with its description by more.
            for line in commands.lines().take_while(|line| !line.is_empty()) {
                let name = line.trim_start().split(' ').next().expect("a word");
                if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                    helps.insert(
                        (program.to_owned(), name.to_owned()),
                        help(&[program, name]),
                    );
                }
            }
            helps.insert((program.to_owned(), String::new()), own);
        }
        let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
        Self { helps, makefile }
    }

    /// The targets that `make help` lists.
    fn targets(&self) -> BTreeSet<&str> {
        let described = self.makefile.lines().filter(|line| line.contains(": "));
        described
            .filter(|line| line.contains("## "))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect()
    }

    /// What is wrong with a command line, if anything.
    fn slip(&self, words: &[String]) -> Option<String> {
        let wrong = if words[0] == "make" {
            self.slip_of_make(&words[1..])
        } else {
            self.slip_of_program(&words[0], &words[1..])
        };
        let missing = || words[1..].iter().find(|word| !lies_here(word)).cloned();
        wrong
            .or_else(missing)
            .map(|what| format!("{what} in `{}`", words.join(" ")))
    }

    fn slip_of_make(&self, words: &[String]) -> Option<String> {
        words.iter().find_map(|word| match word.split_once('=') {
            Some((variable, _)) if self.makefile.contains(&format!("$({variable})")) => None,
            None if self.targets().contains(word.as_str()) => None,
            _ => Some(word.clone()),
        })
    }

    fn slip_of_program(&self, program: &str, words: &[String]) -> Option<String> {
        let named = words.first().filter(|word| !word.starts_with('-'));
        let key = (program.to_owned(), named.cloned().unwrap_or_default());
        let Some(help) = self.helps.get(&key) else {
            return Some(format!("{program} {}", key.1));
        };
        let known: BTreeSet<&str> = help
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .collect();
        let flags = words.iter().filter(|word| word.starts_with("--"));
        flags
            .map(|word| word.split('=').next().expect("a word has a beginning"))
            .find(|flag| !known.contains(flag))
            .map(str::to_owned)
    }
}

fn help(words: &[&str]) -> String {
    let output = binary(words[0])
        .args(&words[1..])
        .arg("--help")
        .env_remove("COLUMNS")
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{words:?} --help");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// Whether a word is no path into the repository, or one to something that is there.
fn lies_here(word: &str) -> bool {
    let rooms = [
        "examples/",
        "fixtures/",
        "pipeline/",
        "recognizer/",
        "scripts/",
        "trainer/",
    ];
    if !rooms.iter().any(|room| word.starts_with(room)) || word.contains('…') {
        return true;
    }
    // Of a pattern, the folder.
    let path = match word.split_once('*') {
        Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
        None => word,
    };
    repository().join(path).exists()
}

/// Every page: the three at the root and those of the book.
fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md"]
        .map(PathBuf::from)
        .to_vec();
    for entry in std::fs::read_dir(repository().join("docs/src")).unwrap() {
        let name = entry.unwrap().file_name();
        if Path::new(&name).extension().is_some_and(|e| e == "md") {
            paths.push(Path::new("docs/src").join(name));
        }
    }
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let broken = broken_links(&page);
        assert!(broken.is_empty(), "{}: {broken:?}", page.path.display());
    }
}

#[test]
fn the_summary_lists_every_page_of_the_book() {
    let summary = Page::read(Path::new("docs/src/SUMMARY.md"));
    let listed: BTreeSet<PathBuf> = summary
        .links()
        .iter()
        .map(|link| Path::new("docs/src").join(link))
        .collect();
    let there = pages().into_iter().map(|page| page.path);
    let there = there.filter(|path| path.starts_with("docs/src") && !path.ends_with("SUMMARY.md"));
    assert_eq!(there.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn every_command_line_is_one_that_the_programs_take() {
    let typed = Typed::all();
    let mut checked = 0;
    for page in pages() {
        for words in page.commands() {
            let slip = typed.slip(&words);
            assert!(slip.is_none(), "{}: {slip:?}", page.path.display());
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} command lines were found");
}

#[test]
fn the_reference_lists_every_command_and_every_target() {
    let typed = Typed::all();
    let (_, code) = Page::read(Path::new("docs/src/reference.md")).text_and_code();
    let listed: BTreeSet<&str> = code.iter().map(String::as_str).collect();
    let commands = typed
        .helps
        .keys()
        .filter(|(_, command)| !command.is_empty());
    let commands = commands.map(|(program, command)| format!("{program} {command}"));
    let targets = typed.targets().into_iter().map(|t| format!("make {t}"));
    let absent: Vec<String> = commands
        .chain(targets)
        .filter(|command| !listed.contains(command.as_str()))
        .collect();
    assert!(absent.is_empty(), "docs/src/reference.md lacks {absent:?}");
}

#[test]
fn the_readme_stays_short() {
    let lines = Page::read(Path::new("README.md")).text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines, 150 at most");
}

#[test]
fn slips_are_found() {
    let page = Page {
        path: PathBuf::from("docs/src/planted.md"),
        text: "\
# A heading, `marked`
[good](dataset.md#splits) [here](#a-heading-marked) [the web](https://example.org/absent.md)
[no page](absent.md) [no heading](dataset.md#absent) [none here](#absent) [outside](../../README.md)
`logodex-data check --fast DIR` and `logodex-data check DIR`
```sh
# a comment
logodex-data biuld --raw a --out b
logodex-data build --raw a --out b --config pipeline/configs/demo.toml   # good
logodex-data build --raw a --out b \\
  --threds 2
logodex-data build --raw a --out b --config pipeline/configs/absent.toml
make dataset RAW=a
make datasets
make dataset ROW=a
```
"
        .to_owned(),
    };
    assert_eq!(
        broken_links(&page),
        [
            "absent.md",
            "dataset.md#absent",
            "#absent",
            "../../README.md"
        ]
    );
    let typed = Typed::ask(&["logodex-data"]);
    let commands = page.commands();
    let slips: Vec<String> = commands.iter().filter_map(|c| typed.slip(c)).collect();
    let found: Vec<&str> = slips
        .iter()
        .map(|slip| slip.split_once(" in `").expect("it quotes the line").0)
        .collect();
    assert_eq!(
        found,
        [
            "logodex-data biuld",
            "--threds",
            "pipeline/configs/absent.toml",
            "datasets",
            "ROW=a",
            "--fast",
        ]
    );
    assert_eq!(commands.len(), 9);
}
