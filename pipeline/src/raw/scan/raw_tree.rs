//! Raw trees for tests. Scanning and consolidation never look inside a picture, so one is here a line of text that
//! says what a decoder would see.

use std::fs;
use std::path::Path;

use super::{Scan, scan_with};
use logodex_pixels::decode::{DecodeError, Seen};

/// A raw tree in a temporary folder.
pub struct RawTree(tempfile::TempDir);

impl RawTree {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The folder of the categories.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and its folders.
    pub fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, bytes).expect("a file");
        self
    }

    /// `<path>.jpg` that shows a picture, and `<path>.xml` with an object of each name.
    pub fn pair(&self, path: &str, picture: u32, names: &[&str]) -> &Self {
        self.encoded(path, picture, "", names)
    }

    /// As [`Self::pair`], with other bytes for another encoding of the same picture.
    pub fn encoded(&self, path: &str, picture: u32, encoding: &str, names: &[&str]) -> &Self {
        self.file(
            &format!("{path}.jpg"),
            format!("picture {picture};{encoding}"),
        );
        self.file(&format!("{path}.xml"), xml(names))
    }

    /// What a scan finds.
    pub fn scan(&self) -> Scan {
        scan_with(self.root(), &look, &|_, _| {}).expect("a scan")
    }
}

/// An annotation with an object of each name.
pub fn xml(names: &[&str]) -> String {
    let objects: String = names
        .iter()
        .map(|n| {
            let name = n.replace('&', "&amp;");
            format!(
                "\t<object>\n\t\t<name>{name}</name>\n\t\t<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>\
                 <ymax>9</ymax></bndbox>\n\t</object>\n"
            )
        })
        .collect();
    format!("<annotation>\n{objects}</annotation>\n")
}

/// What a look at such a picture finds. An empty file is refused, as a real one would be.
pub fn look(bytes: &[u8]) -> Result<Seen, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError {
            reason: logodex_pixels::Refused::Empty,
            detail: "the file has no bytes".to_owned(),
        });
    }
    let text = String::from_utf8_lossy(bytes);
    let picture = text.split(';').next().unwrap_or_default();
    let hash = blake3::hash(picture.as_bytes());
    Ok(Seen {
        width: 100,
        height: 100,
        phash: u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i])),
        quality: None,
    })
}

/// Hash of what a decoder would see, or none for what it would refuse.
pub fn pixel_hash(scan: &Scan, sample: usize) -> anyhow::Result<Option<blake3::Hash>> {
    let text = fs::read_to_string(scan.root.join(&scan.samples[sample].image))?;
    let picture = text.split_once(';').map(|(picture, _)| picture);
    Ok(picture.map(|picture| blake3::hash(picture.as_bytes())))
}
