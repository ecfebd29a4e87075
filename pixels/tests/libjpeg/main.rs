//! Our decoder beside libjpeg on damaged JPEGs, both ways: what we decode libjpeg decodes to the same pixels without a
//! warning that matters, and what libjpeg decodes without one we decode, or refuse for a reason that the book names.
//!
//! Damage comes from a fixed stream, so that a finding can be repeated by its number. `make torture` tries
//! [`MUTANTS`], or `LOGODEX_MUTANTS`, against libjpeg itself, by a small C program; every test run has the corpus: one
//! minimal file for each way in which the two agree or differ, and what libjpeg made of it. `LOGODEX_WRITE_CORPUS=1` beside
//! `make torture` writes it anew.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use logodex_pixels::{DecodeError, Format, Picture, decode, look, pixel_hash, with_reduced};

mod mutate;

/// Mutants that are tried unless told otherwise.
const MUTANTS: usize = 1_000_000;

/// The most files of the corpus.
const MOST_FILES: usize = 150;

/// Warnings of libjpeg that do not keep a file from being whole: a little padding, no end marker where nothing follows, and
/// numbers that mean nothing to a decoder.
const HARMLESS: [&str; 5] = [
    "extraneous bytes before marker",
    "Premature end of JPEG file",
    "unknown JFIF revision number",
    "Unknown Adobe color transform code",
    "Invalid SOS parameters for sequential JPEG",
];

/// Words of our reasons for refusing what libjpeg decodes without a warning ("Odd input" in the book).
const DOCUMENTED: [&str; 12] = [
    "bytes follow",
    "the image ends before all",
    "arithmetic coding",
    "not in its Huffman table",
    "more than 64 coefficients",
    "a coefficient lies behind its band",
    "coded twice",
    "do not follow one another",
    "a scan follows when all is coded",
    "table is malformed",
    "a Huffman table has",
    "in the frame's order",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn jpegs_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "jpg") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// What libjpeg makes of a file.
#[derive(Debug)]
enum Theirs {
    /// A picture, and what it warned of.
    Decoded(Picture, String),
    Refused(String),
    /// Too large to be compared, or with coefficients beyond all bounds.
    Beyond,
}

/// The process that has libjpeg.
struct Libjpeg {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

impl Libjpeg {
    /// Compiles it.
    fn compile() -> PathBuf {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("libjpeg");
        let compiled = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .arg(folder().join("libjpeg/libjpeg.c"))
            .arg("-ljpeg")
            .status();
        let compiled = compiled.is_ok_and(|status| status.success());
        assert!(
            compiled,
            "this needs cc and libjpeg's headers: apt install gcc libjpeg-dev"
        );
        program
    }

    fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().map(BufWriter::new),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Theirs {
        let to = self.to.as_mut().unwrap();
        to.write_all(&(bytes.len() as u32).to_le_bytes()).unwrap();
        to.write_all(bytes).unwrap();
        to.flush().unwrap();
        let [verdict, width, height, length] = [(); 4].map(|()| {
            let mut number = [0; 4];
            self.from.read_exact(&mut number).unwrap();
            u32::from_le_bytes(number)
        });
        let mut read = |n: u32| {
            let mut bytes = vec![0; n as usize];
            self.from.read_exact(&mut bytes).unwrap();
            bytes
        };
        let message = String::from_utf8(read(length)).unwrap();
        match verdict {
            2 => Theirs::Refused(message),
            3 => Theirs::Beyond,
            _ => {
                let rgb = read(width * height * 3);
                let picture = Picture::from_rgb(Format::Jpeg, width, height, &rgb);
                Theirs::Decoded(picture, message)
            }
        }
    }
}

impl Drop for Libjpeg {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.wait();
    }
}

fn largest_difference(a: &Picture, b: &Picture) -> Option<u8> {
    if (a.width, a.height) != (b.width, b.height) {
        return None;
    }
    let pairs = (0..3).flat_map(|color| a.plane(color).iter().zip(b.plane(color)));
    pairs.map(|(a, b)| a.abs_diff(*b)).max()
}

/// Says what is wrong, if anything is.
fn finding(bytes: &[u8], ours: &Result<Picture, DecodeError>, theirs: &Theirs) -> Option<String> {
    let size = |picture: &Picture| (picture.width, picture.height);
    let seen = look(bytes).map(|seen| (seen.width, seen.height));
    if seen != ours.as_ref().map(size).map_err(Clone::clone) {
        return Some(format!("look: {seen:?}"));
    }
    let reduced = with_reduced(bytes, 2, size);
    if reduced != seen {
        return Some(format!("reduced: {reduced:?}"));
    }
    match (ours, theirs) {
        (Err(error), _) if error.detail.contains("panicked") => Some("panic".to_owned()),
        (Ok(_), Theirs::Refused(why)) => Some(format!("decoded, refused by libjpeg: {why}")),
        (Ok(ours), Theirs::Decoded(theirs, warnings)) => {
            let matters = |warning: &&str| !HARMLESS.iter().any(|words| warning.contains(words));
            if let Some(warning) = warnings.split("; ").filter(|w| !w.is_empty()).find(matters) {
                return Some(format!("decoded, libjpeg warns: {warning}"));
            }
            match largest_difference(ours, theirs) {
                Some(0 | 1) => None,
                difference => Some(format!("other pixels: {difference:?}")),
            }
        }
        (Err(error), Theirs::Decoded(_, warnings)) if warnings.is_empty() => {
            let documented = DOCUMENTED.iter().any(|words| error.detail.contains(words));
            (!documented).then(|| format!("refused, decoded by libjpeg: {}", error.detail))
        }
        _ => None,
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// In which way the two agree or differ.
fn kind(bytes: &[u8], libjpeg: &mut Libjpeg) -> String {
    let theirs = libjpeg.decode(bytes);
    if matches!(theirs, Theirs::Beyond) {
        return "None. beyond".to_owned();
    }
    let ours = decode(bytes);
    let found = finding(bytes, &ours, &theirs);
    let ours = match ours {
        Ok(picture) => format!("{:?}", picture.format),
        Err(error) => error.detail,
    };
    let theirs = match theirs {
        Theirs::Decoded(_, warnings) => format!("decoded, {warnings}"),
        Theirs::Refused(why) => why,
        Theirs::Beyond => "beyond".to_owned(),
    };
    without_digits(&format!("{found:?}. ours: {ours}. libjpeg: {theirs}"))
}

/// As short as it gets by leaving bytes out, of the same kind.
fn minimal(mut bytes: Vec<u8>, kind_of: &str, libjpeg: &mut Libjpeg) -> Vec<u8> {
    let mut piece = bytes.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < bytes.len() {
            let mut shorter = bytes.clone();
            shorter.drain(at..(at + piece).min(bytes.len()));
            match kind(&shorter, libjpeg) == kind_of {
                true => bytes = shorter,
                false => at += piece,
            }
        }
        piece /= 2;
    }
    bytes
}

#[test]
#[ignore = "minutes, and needs cc and libjpeg's headers: make torture"]
fn mutants_are_decoded_as_libjpeg_decodes_them() {
    let mut sources = jpegs_in(&folder().join("golden"));
    sources.retain(|_, bytes| bytes.starts_with(&[0xff, 0xd8]));
    sources.extend(jpegs_in(&folder().join("golden/layouts")));
    let sources: Vec<Vec<u8>> = sources.into_values().collect();
    assert!(sources.len() > 140);
    let mutants = std::env::var("LOGODEX_MUTANTS").map_or(MUTANTS, |n| n.parse().unwrap());
    let program = Libjpeg::compile();
    // By kind: the first mutant, and how many there are.
    let kinds: Mutex<BTreeMap<String, (usize, usize)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (sources, program, kinds) = (&sources, &program, &kinds);
            scope.spawn(move || {
                let mut libjpeg = Libjpeg::start(program);
                for number in (thread..mutants).step_by(threads) {
                    let found = kind(&mutate::mutant(sources, number), &mut libjpeg);
                    let mut kinds = kinds.lock().unwrap();
                    let (first, n) = kinds.entry(found).or_insert((number, 0));
                    (*first, *n) = ((*first).min(number), *n + 1);
                }
            });
        }
    });
    let kinds = kinds.into_inner().unwrap();
    let of = |begin: &str| {
        let found = kinds.iter().filter(|(kind, _)| kind.starts_with(begin));
        found.map(|(_, (_, n))| n).sum::<usize>()
    };
    let decoded = of("None. ours: Jpeg");
    println!(
        "{mutants} damaged JPEGs, {decoded} decoded, {} kinds",
        kinds.len()
    );
    let mut libjpeg = Libjpeg::start(&program);
    if std::env::var_os("LOGODEX_WRITE_CORPUS").is_some() {
        write_corpus(&sources, &kinds, &mut libjpeg);
    }
    let findings: Vec<_> = kinds
        .iter()
        .filter(|(kind, _)| kind.starts_with("Some"))
        .collect();
    for (kind, (first, n)) in &findings {
        println!("{n} × {kind}");
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{first}.jpg"));
        let bytes = minimal(mutate::mutant(&sources, *first), kind, &mut libjpeg);
        std::fs::write(&file, bytes).unwrap();
        println!("  the first is {first}: {}", file.display());
    }
    assert!(findings.is_empty(), "{} kinds of findings", findings.len());
    assert!(decoded > mutants / 20, "the test tests nothing");
}

/// One minimal file of each of the most frequent kinds, and what libjpeg made of it.
fn write_corpus(
    sources: &[Vec<u8>],
    kinds: &BTreeMap<String, (usize, usize)>,
    libjpeg: &mut Libjpeg,
) {
    let corpus = folder().join("libjpeg/corpus");
    for name in jpegs_in(&corpus).keys() {
        std::fs::remove_file(corpus.join(format!("{name}.jpg"))).unwrap();
    }
    let mut frequent: Vec<_> = kinds.iter().collect();
    frequent.sort_by_key(|(_, (_, n))| std::cmp::Reverse(*n));
    let mut table = csv::Writer::from_path(corpus.join("outcomes.csv")).unwrap();
    table.write_record(["file", "ours", "libjpeg"]).unwrap();
    for (kind, (first, _)) in frequent.into_iter().take(MOST_FILES) {
        let bytes = minimal(mutate::mutant(sources, *first), kind, libjpeg);
        let ours = match decode(&bytes) {
            Ok(_) => "decoded".to_owned(),
            Err(error) => error.detail,
        };
        let theirs = match libjpeg.decode(&bytes) {
            Theirs::Decoded(picture, warnings) => format!("{} {warnings}", hash(&picture)),
            Theirs::Refused(why) => format!("refused {why}"),
            Theirs::Beyond => continue,
        };
        std::fs::write(corpus.join(format!("{first}.jpg")), bytes).unwrap();
        let name = first.to_string();
        table.write_record([&name, &ours, &theirs]).unwrap();
    }
    table.flush().unwrap();
}

/// As [`pixel_hash`].
fn hash(picture: &Picture) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&picture.width.to_le_bytes());
    hasher.update(&picture.height.to_le_bytes());
    for color in 0..3 {
        hasher.update(picture.plane(color));
    }
    hasher.finalize().to_hex().to_string()
}

#[test]
fn the_corpus_comes_out_as_it_did_beside_libjpeg() {
    let corpus = folder().join("libjpeg/corpus");
    let mut files = jpegs_in(&corpus);
    let mut table = csv::Reader::from_path(corpus.join("outcomes.csv")).unwrap();
    let (mut decoded, mut refused) = (0, 0);
    for record in table.records() {
        let record = record.unwrap();
        let [name, ours, theirs] = [0, 1, 2].map(|i| &record[i]);
        let bytes = files
            .remove(name)
            .unwrap_or_else(|| panic!("there is no {name}.jpg"));
        let found = decode(&bytes);
        assert_eq!(look(&bytes).map(drop), found.clone().map(drop), "{name}");
        match found {
            Ok(_) => {
                assert_eq!(ours, "decoded", "{name}");
                let hash = pixel_hash(&bytes).unwrap().to_hex();
                assert!(
                    theirs.starts_with(hash.as_str()),
                    "{name}: other pixels than libjpeg's"
                );
                decoded += 1;
            }
            Err(error) => {
                assert_eq!(error.detail, ours, "{name}");
                refused += 1;
            }
        }
    }
    assert!(files.is_empty(), "without an outcome: {:?}", files.keys());
    assert!(
        decoded > 10 && refused > 40,
        "{decoded} decoded, {refused} refused"
    );
}
