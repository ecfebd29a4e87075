//! Small raw trees, written by hand, and the program run on them in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use logodex_pipeline::cli::{Cli, run};
use logodex_program::failure::exit_code;
use tempfile::TempDir;

/// A box: `xmin, ymin, xmax, ymax`.
pub type Box4 = [i64; 4];

/// A temporary folder with a raw tree in `raw`.
pub struct Tree {
    dir: TempDir,
}

/// Pixels that differ from seed to seed, `[height, width, 3]`.
pub fn pixels(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let wave = |a: u32, b: u32| {
        (128.0 + 100.0 * (f64::from(a) / 9.0 + f64::from(b * seed) / 17.0).sin()) as u8
    };
    (0..width * height)
        .flat_map(|i| {
            let (x, y) = (i % width, i / width);
            [wave(x, y), wave(y, x), wave(x + y, seed)]
        })
        .collect()
}

/// The same as a JPEG.
pub fn jpeg(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode(
            &pixels(width, height, seed),
            width,
            height,
            ExtendedColorType::Rgb8,
        )
        .expect("a JPEG");
    bytes
}

/// A VOC annotation.
pub fn xml(objects: &[(&str, Box4)]) -> String {
    let objects: String = objects
        .iter()
        .map(|(name, [x0, y0, x1, y1])| {
            let name = name.replace('&', "&amp;");
            format!(
                "\t<object>\n\t\t<name>{name}</name>\n\t\t<bndbox>\n\t\t\t<xmin>{x0}</xmin>\n\t\t\t<ymin>{y0}</ymin>\n\
                 \t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
            )
        })
        .collect();
    format!("<annotation>\n\t<folder>VOC2007</folder>\n{objects}</annotation>\n")
}

impl Tree {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Three categories with 4, 3 and 2 brands of 4 to 6 images, some with two objects; names as awkward as the real.
    pub fn usual() -> Self {
        let tree = Self::new();
        let brands = [
            ("Food", "76"),
            ("Food", "Bravo!,  Cucina Italiana"),
            ("Food", "L'OCCITANE"),
            ("Food", "7-Up"),
            ("Clothes", "Abercrombie & Fitch"),
            ("Clothes", "C-IN2"),
            ("Clothes", "\"quoted\""),
            ("Sports", "999"),
            ("Sports", "magic 8-ball"),
        ];
        for (b, (category, brand)) in (0u32..).zip(brands) {
            for n in 0..4 + b % 3 {
                let (width, height) = (90 + 7 * b, 70 + 3 * n);
                let mut objects = vec![(brand, [10, 12, 60, 50])];
                if n % 2 == 1 {
                    objects.push((brand, [0, 0, i64::from(width), 30]));
                }
                // Gaps in the numbers, and 10 after 9.
                tree.pair(
                    category,
                    brand,
                    8 + 2 * n,
                    &jpeg(width, height, 100 * b + n),
                    &xml(&objects),
                );
            }
        }
        tree
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }

    /// Writes an image and its annotation.
    pub fn pair(&self, category: &str, brand: &str, n: u32, jpeg: &[u8], xml: &str) {
        let stem = format!("raw/LogoDet-3K/{category}/{brand}/{n}");
        self.write(&format!("{stem}.jpg"), jpeg);
        self.write(&format!("{stem}.xml"), xml);
    }

    /// Runs `logodex-data`; `@` in front of an argument stands for the folder.
    pub fn run(&self, arguments: &str) -> anyhow::Result<String> {
        let arguments =
            arguments
                .split_whitespace()
                .map(|argument| match argument.strip_prefix('@') {
                    Some(path) => self.path(path).display().to_string(),
                    None => argument.to_owned(),
                });
        run(Cli::try_parse_from(
            std::iter::once("logodex-data".to_owned()).chain(arguments),
        )?)
    }

    pub fn ok(&self, arguments: &str) -> String {
        self.run(arguments)
            .unwrap_or_else(|error| panic!("{arguments}: {error:#}"))
    }

    /// The run must fail with this code; returns the error's text.
    pub fn fails(&self, code: u8, arguments: &str) -> String {
        let error = match self.run(arguments) {
            Ok(text) => panic!("{arguments}: succeeded: {text}"),
            Err(error) => error,
        };
        let text = format!("{error:#}");
        assert_eq!(exit_code(&error), code, "{arguments}: {text}");
        text
    }
}

/// Every file below a folder by relative path.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            // What makes the next build fast is no part of the dataset.
            if path.ends_with(".build") {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let relative = path.strip_prefix(root).expect("below the root");
                files.insert(
                    relative.to_string_lossy().into_owned(),
                    std::fs::read(&path).expect("a file"),
                );
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(dir, dir, &mut files);
    files
}
