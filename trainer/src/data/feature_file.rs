//! What frozen stages give of every view of every picture, in a file beside the run.
//!
//! It is an ordinary safetensors file: `rows` I64 `[N]`, rising, and `output` `[N, views, …]`. Its metadata say what it was
//! made from, so that it is taken again only for the same, and the BLAKE3 of its numbers, so that no damage is trained on.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::torch::dtype_of;

/// What a file holds, all but the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Stages that are frozen, from the input on.
    pub level: u8,
    /// Of all that the numbers follow from, hexadecimal.
    pub made_from: String,
    /// Rising.
    pub rows: Vec<u64>,
    /// Of each row.
    pub views: u32,
    /// Of the numbers.
    pub kind: Kind,
    /// Of one view's output.
    pub shape: Vec<i64>,
}

/// A file that is whole.
#[derive(Debug)]
pub struct FeatureFile {
    layout: Layout,
    path: PathBuf,
    file: File,
    /// Byte of the first output.
    begins: u64,
}

/// A file that is being written, under a hidden name until it is whole.
#[derive(Debug)]
pub struct FeatureWriter {
    layout: Layout,
    path: PathBuf,
    hidden: PathBuf,
    file: BufWriter<File>,
    hash: blake3::Hasher,
    outputs: u64,
}

/// Bytes of the header's length, which come first.
const LENGTH: u64 = 8;

impl Layout {
    /// Sixteen hexadecimal digits that tell it from any other.
    ///
    /// # Errors
    /// Numbers of a kind that a file cannot hold.
    pub fn digest(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header(&unknown_hash())?);
        hasher.update(&self.row_bytes());
        Ok(hasher.finalize().to_hex()[..16].to_owned())
    }

    /// Bytes of one view's output.
    pub fn output_bytes(&self) -> usize {
        self.shape.iter().product::<i64>() as usize * self.kind.elt_size_in_bytes()
    }

    /// Bytes of the numbers of a file.
    fn bytes(&self) -> u64 {
        let rows = self.rows.len() as u64;
        rows * 8 + rows * u64::from(self.views) * self.output_bytes() as u64
    }

    /// The header with the BLAKE3 of the numbers, which has the same length whatever that is.
    fn header(&self, hash: &str) -> Result<Vec<u8>> {
        let (rows, end) = (self.rows.len() * 8, self.bytes());
        let shape: Vec<i64> = [self.rows.len() as i64, self.views.into()]
            .into_iter()
            .chain(self.shape.iter().copied())
            .collect();
        let json = json!({
            "__metadata__": {
                "blake3": hash,
                "frozen_stages": self.level.to_string(),
                "made_from": self.made_from,
            },
            "rows": {"dtype": "I64", "shape": [self.rows.len()], "data_offsets": [0, rows]},
            "output": {"dtype": dtype_of(self.kind)?, "shape": shape, "data_offsets": [rows, end]},
        });
        let mut header = json.to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok(header)
    }

    fn row_bytes(&self) -> Vec<u8> {
        self.rows.iter().flat_map(|row| row.to_le_bytes()).collect()
    }
}

impl FeatureFile {
    /// Opens a file that holds just this; none where there is no such file, where it holds something else, or where it is
    /// damaged.
    ///
    /// # Errors
    /// The disk.
    pub fn open(path: &Path, layout: Layout) -> Result<Option<Self>> {
        let read = || -> Result<Option<Self>> {
            if !path.exists() {
                return Ok(None);
            }
            let mut file = File::open(path)?;
            let expected = layout.header(&unknown_hash())?;
            let begins = LENGTH + expected.len() as u64;
            if file.metadata()?.len() != begins + layout.bytes() {
                return Ok(None);
            }
            let rows = layout.row_bytes();
            let mut start = vec![0; begins as usize + rows.len()];
            file.read_exact(&mut start)?;
            let mut hasher = blake3::Hasher::new();
            hasher.update(&rows).update_reader(&mut file)?;
            let hash = hasher.finalize().to_hex();
            let whole = [
                &(expected.len() as u64).to_le_bytes()[..],
                &layout.header(&hash)?,
                &rows,
            ];
            Ok((start == whole.concat()).then(|| Self {
                begins: begins + rows.len() as u64,
                layout: layout.clone(),
                path: path.to_owned(),
                file,
            }))
        };
        read().with_context(|| path.display().to_string())
    }

    /// What it holds.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The outputs of these views of these rows, one after the other, as bytes.
    ///
    /// # Errors
    /// A row or view that is not in it; the disk.
    pub fn read(&self, rows: &[u64], views: &[u32], into: &mut [u8]) -> Result<()> {
        let length = self.layout.output_bytes();
        ensure!(
            rows.len() == views.len() && into.len() == rows.len() * length,
            "{} rows, {} views and {} bytes do not go together",
            rows.len(),
            views.len(),
            into.len()
        );
        for ((row, view), into) in rows.iter().zip(views).zip(into.chunks_exact_mut(length)) {
            let Ok(place) = self.layout.rows.binary_search(row) else {
                bail!("{}: has no row {row}", self.path.display());
            };
            ensure!(
                *view < self.layout.views,
                "{}: has no view {view}",
                self.path.display()
            );
            let place = place as u64 * u64::from(self.layout.views) + u64::from(*view);
            self.file
                .read_exact_at(into, self.begins + place * length as u64)
                .with_context(|| self.path.display().to_string())?;
        }
        Ok(())
    }
}

impl FeatureWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// The disk.
    pub fn create(path: &Path, layout: Layout) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // One name for each file, not a random one: what a kill leaves, the next writing of the file takes over.
        let hidden = path.with_file_name(format!(".{name}.writing"));
        let header = layout.header(&unknown_hash())?;
        let rows = layout.row_bytes();
        let begin = || -> std::io::Result<BufWriter<File>> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&hidden)?);
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            file.write_all(&rows)?;
            Ok(file)
        };
        let file = begin().with_context(|| path.display().to_string())?;
        let mut hash = blake3::Hasher::new();
        hash.update(&rows);
        Ok(Self {
            layout,
            path: path.to_owned(),
            hidden,
            file,
            hash,
            outputs: 0,
        })
    }

    /// Takes the next outputs, `[n, …]`: of the first row all views, then those of the second.
    ///
    /// # Errors
    /// The disk.
    ///
    /// # Panics
    /// Where they are of another kind or shape.
    pub fn push(&mut self, outputs: &Tensor) -> Result<()> {
        let outputs = outputs.to_device(Device::Cpu).contiguous();
        let size = outputs.size();
        assert_eq!(
            (outputs.kind(), &size[1..]),
            (self.layout.kind, &self.layout.shape[..])
        );
        let mut bytes = vec![0; size[0] as usize * self.layout.output_bytes()];
        outputs.copy_data_u8(&mut bytes, outputs.numel());
        self.hash.update(&bytes);
        self.outputs += size[0] as u64;
        self.file
            .write_all(&bytes)
            .with_context(|| self.path.display().to_string())
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// The disk; outputs are missing.
    pub fn finish(self) -> Result<FeatureFile> {
        let context = || self.path.display().to_string();
        let expected = self.layout.rows.len() as u64 * u64::from(self.layout.views);
        ensure!(
            self.outputs == expected,
            "{}: {} outputs instead of {expected}",
            context(),
            self.outputs
        );
        let header = self.layout.header(&self.hash.finalize().to_hex())?;
        let end = || -> std::io::Result<File> {
            let mut file = self.file.into_inner()?;
            file.seek(SeekFrom::Start(LENGTH))?;
            file.write_all(&header)?;
            file.sync_all()?;
            fs::rename(&self.hidden, &self.path)?;
            File::open(&self.path)
        };
        let file = end().with_context(|| self.path.display().to_string())?;
        Ok(FeatureFile {
            begins: LENGTH + header.len() as u64 + self.layout.rows.len() as u64 * 8,
            layout: self.layout,
            path: self.path,
            file,
        })
    }
}

/// As long as a hash.
fn unknown_hash() -> String {
    "0".repeat(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            level: 4,
            made_from: "5e".repeat(32),
            rows: vec![3, 7, 20],
            views: 2,
            kind: Kind::BFloat16,
            shape: vec![3, 1, 5],
        }
    }

    fn outputs() -> Tensor {
        let all = Tensor::arange(6 * 15, (Kind::Float, Device::Cpu));
        all.view([6, 3, 1, 5]).to_kind(Kind::BFloat16)
    }

    fn written(path: &Path) -> FeatureFile {
        let mut writer = FeatureWriter::create(path, layout()).unwrap();
        writer.push(&outputs().narrow(0, 0, 4)).unwrap();
        writer.push(&outputs().narrow(0, 4, 2)).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_by_row_and_view_also_by_any_reader_of_safetensors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.safetensors");
        let fresh = written(&path);
        let opened = FeatureFile::open(&path, layout()).unwrap().expect("whole");
        for file in [fresh, opened] {
            let mut bytes = vec![0; 2 * file.layout().output_bytes()];
            file.read(&[20, 3], &[1, 0], &mut bytes).unwrap();
            let read = Tensor::from_data_size(&bytes, &[2, 3, 1, 5], Kind::BFloat16);
            assert_eq!(read.get(0), outputs().get(5));
            assert_eq!(read.get(1), outputs().get(0));
            let told = file.read(&[4, 3], &[1, 0], &mut bytes).unwrap_err();
            assert!(told.to_string().contains("has no row 4"), "{told}");
            assert!(file.read(&[3, 3], &[2, 0], &mut bytes).is_err());
            assert!(file.read(&[3], &[0], &mut bytes).is_err());
        }
        let all = crate::torch::load_tensors(&path).unwrap();
        assert_eq!(all["rows"], Tensor::from_slice(&[3_i64, 7, 20]));
        assert_eq!(all["output"], outputs().view([3, 2, 3, 1, 5]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_origin_another_layout_or_any_damage_makes_it_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.safetensors");
        let open = |layout| FeatureFile::open(&path, layout).unwrap();
        assert!(open(layout()).is_none());
        written(&path);
        assert!(open(layout()).is_some());
        for other in [
            Layout {
                made_from: "5f".repeat(32),
                ..layout()
            },
            Layout {
                rows: vec![3, 7, 21],
                ..layout()
            },
            Layout {
                views: 3,
                ..layout()
            },
            Layout {
                shape: vec![1, 3, 5],
                ..layout()
            },
            Layout {
                kind: Kind::Half,
                ..layout()
            },
            Layout {
                level: 3,
                ..layout()
            },
        ] {
            assert!(open(other).is_none());
        }
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            assert!(open(layout()).is_none(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(open(layout()).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_file_without_all_its_outputs_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.safetensors");
        let mut writer = FeatureWriter::create(&path, layout()).unwrap();
        writer.push(&outputs().narrow(0, 0, 4)).unwrap();
        let told = writer.finish().unwrap_err().to_string();
        assert!(told.contains("4 outputs instead of 6"), "{told}");
        assert!(!path.exists());
        // What a kill left is taken over.
        written(&path);
    }
}
