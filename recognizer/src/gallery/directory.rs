//! A gallery in a directory: a generation of files, and `gallery.json`, which says which.
//!
//! A change writes the next generation beside the one before, syncs it, and switches by renaming one file; then the old one
//! goes. So a kill at any moment leaves one of the two whole, a reader keeps what it has mapped, and who changes the gallery
//! holds a lock from reading to switching: two writers wait for each other, and neither's change is lost.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use logodex_program::durable::{entries, sync_dir, write_whole};
use logodex_program::{corrupt, usage};
use logodex_schemas::dataset::FileEntry;
use logodex_schemas::gallery::{GalleryManifest, GalleryPicture, gallery_header};
use logodex_schemas::header::{is_sealed, seal};
use memmap2::Mmap;
use safetensors::tensor::SafeTensors;

use super::contents::{Contents, Edit, brands};
use super::matrix::{Matrix, Tensor, dtype};

/// The file that is the gallery.
pub const MANIFEST: &str = "gallery.json";
/// Folder of the generations.
const GENERATIONS: &str = "generations";
/// Held by who changes the gallery.
const LOCK: &str = "lock";
/// Folder of the model that the embeddings are of, named by its fingerprint.
const MODELS: &str = "models";
/// Folder of pictures that the gallery keeps, named by their hashes.
const KEPT: &str = "pictures";
/// A generation's files.
const EMBEDDINGS: &str = "embeddings.safetensors";
const PICTURES: &str = "pictures.jsonl";
/// How often a reader begins anew because writers were faster.
const TRIES: usize = 100;

/// A directory that is a gallery, or may become one.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// That at `path`, whether it is there or not.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The generation that is published; none where there is no gallery.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn generation(&self) -> Result<Option<u64>> {
        Ok(self.manifest()?.map(|manifest| manifest.generation))
    }

    /// What is published; none where there is no gallery.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Corrupt`] for files that are not those that were written, another error where they cannot
    /// be read.
    pub fn load(&self) -> Result<Option<Contents>> {
        for _ in 0..TRIES {
            let Some(manifest) = self.manifest()? else {
                return Ok(None);
            };
            match self.read(&manifest) {
                Ok(contents) => return Ok(Some(contents)),
                // Its files went because a writer was faster: there is a newer generation.
                Err(error) => {
                    if self.generation()? == Some(manifest.generation) {
                        return Err(error);
                    }
                }
            }
        }
        bail!(
            "{}: it is changed faster than it can be read",
            self.path.display()
        )
    }

    /// Makes changes that `decide` on what is published at the time, none where there is no gallery yet, which then begins with
    /// the contents given. Nobody else changes the gallery meanwhile. Returns what is published then: without edits, what was.
    ///
    /// # Errors
    /// Those of `decide`, of [`Self::load`], or the disk's; what was published is then there still.
    pub fn edit(
        &self,
        begin: Option<Contents>,
        decide: impl FnOnce(&Contents) -> Result<Vec<Edit>>,
    ) -> Result<Contents> {
        let found = self.path.join(MANIFEST).exists();
        if !found && begin.is_none() {
            return Err(self.missing());
        }
        std::fs::create_dir_all(self.path.join(GENERATIONS))
            .with_context(|| format!("{}: cannot be made", self.path.display()))?;
        let _lock = self.lock()?;
        let current = match (self.load()?, begin) {
            (Some(current), _) | (None, Some(current)) => current,
            (None, None) => return Err(self.missing()),
        };
        let edits = decide(&current)?;
        if edits.is_empty() && current.generation > 0 {
            return Ok(current);
        }
        let next = current.after(edits);
        self.publish(&next)?;
        self.load()?
            .with_context(|| self.path.display().to_string())
    }

    /// The model that is kept of this fingerprint, if one is.
    pub fn model(&self, fingerprint: &str) -> Option<PathBuf> {
        let path = self.path.join(MODELS).join(format!("{fingerprint}.onnx"));
        path.is_file().then_some(path)
    }

    /// Keeps a model's file beside those that are kept already.
    ///
    /// # Errors
    /// It cannot be read, or the directory not be written.
    pub fn add_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        if self.model(fingerprint).is_some() {
            return Ok(());
        }
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        self.keep(MODELS, &format!("{fingerprint}.onnx"), &bytes)
    }

    /// Keeps a model's file, and lets the others go.
    ///
    /// # Errors
    /// As [`Self::add_model`].
    pub fn keep_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        self.add_model(path, fingerprint)?;
        let name = format!("{fingerprint}.onnx");
        let models = self.path.join(MODELS);
        for other in entries(&models)? {
            if other != name {
                // What stays is of no use, and no harm.
                let _ = std::fs::remove_file(models.join(other));
            }
        }
        Ok(())
    }

    /// Keeps a picture's file, named by its hash. Returns its path below the directory.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn keep_picture(&self, bytes: &[u8]) -> Result<PathBuf> {
        let name = blake3::hash(bytes).to_hex().to_string();
        if !self.path.join(KEPT).join(&name).is_file() {
            self.keep(KEPT, &name, bytes)?;
        }
        Ok(Path::new(KEPT).join(name))
    }

    /// Writes a file whole, of a name that tells its content. Two that write it at once may do so in any order, so each has a
    /// hidden name of its own.
    fn keep(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.path.join(folder);
        let write = || -> Result<()> {
            std::fs::create_dir_all(&folder)?;
            // Readable by whom the umask lets, as other files are.
            let mut file = tempfile::Builder::new()
                .prefix(".")
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(&folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(folder.join(name))?;
            sync_dir(&folder)
        };
        write().with_context(|| format!("{}: cannot be written", folder.join(name).display()))
    }

    fn missing(&self) -> anyhow::Error {
        usage(format!(
            "{}: there is no gallery ({MANIFEST} is missing); `logodex enrol --gallery {} --model MODEL.onnx --brand NAME FILE…` begins one",
            self.path.display(),
            self.path.display()
        ))
    }

    fn lock(&self) -> Result<File> {
        let path = self.path.join(LOCK);
        // Open to write, because NFS locks no other file.
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        if lock.try_lock().is_err() {
            tracing::info!(
                "{}: another program is changing it; waiting",
                self.path.display()
            );
            lock.lock()
                .with_context(|| format!("{}: cannot be locked", path.display()))?;
        }
        Ok(lock)
    }

    fn manifest(&self) -> Result<Option<GalleryManifest>> {
        let path = self.path.join(MANIFEST);
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let parsed = gallery_header().parse::<GalleryManifest>(&json);
        let manifest = parsed.map_err(|e| corrupt(format!("{}: {e}", path.display())))?;
        if !is_sealed(&json) {
            return Err(corrupt(format!(
                "{}: it is damaged or was edited (its seal does not fit)",
                path.display()
            )));
        }
        Ok(Some(manifest))
    }

    fn generation_dir(&self, generation: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(generation.to_string())
    }

    fn read(&self, manifest: &GalleryManifest) -> Result<Contents> {
        let dir = self.generation_dir(manifest.generation);
        let open = |name: &str| -> Result<Mmap> {
            let path = dir.join(name);
            let wrong = |what: &str| corrupt(format!("{}: {what}", path.display()));
            let entry = manifest.files.get(name);
            let entry = entry.ok_or_else(|| wrong("gallery.json does not list it"))?;
            let file = File::open(&path).map_err(|e| wrong(&e.to_string()))?;
            if file.metadata()?.len() != entry.bytes {
                return Err(wrong("it has another length than gallery.json says"));
            }
            // SAFETY: read-only, of a file that nobody writes once it is published; its length was checked. Were another
            // process to truncate it, reading would raise SIGBUS, not give a wrong value.
            let map = unsafe { Mmap::map(&file) }.map_err(|e| wrong(&e.to_string()))?;
            if blake3::Hasher::new()
                .update_rayon(&map)
                .finalize()
                .to_hex()
                .as_str()
                != entry.blake3
            {
                return Err(wrong("its bytes are not those that were written"));
            }
            Ok(map)
        };
        let map = Arc::new(open(EMBEDDINGS)?);
        let pictures = open(PICTURES)?
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<Vec<GalleryPicture>, _>>()
            .map_err(|e| corrupt(format!("{}: {e}", dir.join(PICTURES).display())))?;
        let dim = manifest.model.embedding_dim as usize;
        let matrix = |name: &str| -> Result<Matrix> {
            let file = SafeTensors::deserialize(&map)?;
            let tensor = file.tensor(name)?;
            let expected = dtype(manifest.numbers);
            ensure!(
                tensor.dtype() == expected && tensor.shape().get(1) == Some(&dim),
                "`{name}` is {:?} {:?}, expected {expected:?} [N, {dim}]",
                tensor.dtype(),
                tensor.shape()
            );
            // Where it lies in the mapping, which outlives the view.
            let begin = tensor.data().as_ptr() as usize - map.as_ptr() as usize;
            let part = begin..begin + tensor.data().len();
            Matrix::mapped(dim, &map, part, manifest.numbers).context("it is not aligned")
        };
        let wrong =
            |e: anyhow::Error| corrupt(format!("{}: {e:#}", dir.join(EMBEDDINGS).display()));
        let contents = Contents {
            generation: manifest.generation,
            model: manifest.model.clone(),
            numbers: manifest.numbers,
            embeddings: matrix("embeddings").map_err(wrong)?,
            prototypes: matrix("prototypes").map_err(wrong)?,
            calibration: manifest.calibration.clone(),
            scene_calibration: manifest.scene_calibration.clone(),
            pictures,
        };
        let n = contents.pictures.len();
        let counted = (n as u64, brands(&contents.pictures).len() as u64);
        let sorted = contents.pictures.is_sorted_by(|a, b| a.brand <= b.brand);
        if contents.embeddings.len() != n
            || contents.prototypes.len() as u64 != counted.1
            || (manifest.pictures, manifest.brands) != counted
            || !sorted
        {
            return Err(corrupt(format!(
                "{}: its files contradict each other",
                dir.display()
            )));
        }
        Ok(contents)
    }

    fn publish(&self, contents: &Contents) -> Result<()> {
        let generations = self.path.join(GENERATIONS);
        let dir = self.generation_dir(contents.generation);
        // Of a writer that was killed.
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
        let write = || -> Result<GalleryManifest> {
            std::fs::create_dir_all(&dir)?;
            let path = dir.join(EMBEDDINGS);
            let tensor = |name: &'static str, matrix| {
                (
                    name,
                    Tensor {
                        matrix,
                        numbers: contents.numbers,
                    },
                )
            };
            let tensors = [
                tensor("embeddings", &contents.embeddings),
                tensor("prototypes", &contents.prototypes),
            ];
            safetensors::serialize_to_file(tensors, None, &path)?;
            let mut lines = Vec::new();
            for picture in &contents.pictures {
                serde_json::to_writer(&mut lines, picture)?;
                lines.push(b'\n');
            }
            File::create(dir.join(PICTURES))?.write_all(&lines)?;
            let entry = |name: &str| -> Result<(String, FileEntry)> {
                let path = dir.join(name);
                let file = File::open(&path)?;
                file.sync_all()?;
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(&file)?;
                let entry = FileEntry {
                    bytes: file.metadata()?.len(),
                    blake3: hasher.finalize().to_hex().to_string(),
                };
                Ok((name.to_owned(), entry))
            };
            let files = [entry(EMBEDDINGS)?, entry(PICTURES)?].into();
            sync_dir(&dir)?;
            sync_dir(&generations)?;
            Ok(GalleryManifest {
                header: gallery_header(),
                created_by: format!("logodex {}", env!("CARGO_PKG_VERSION")),
                generation: contents.generation,
                model: contents.model.clone(),
                numbers: contents.numbers,
                brands: contents.prototypes.len() as u64,
                pictures: contents.pictures.len() as u64,
                files,
                calibration: contents.calibration.clone(),
                scene_calibration: contents.scene_calibration.clone(),
                seal: String::new(),
            })
        };
        let published = write()
            .with_context(|| format!("{}: cannot write", dir.display()))
            .and_then(|manifest| write_whole(&self.path.join(MANIFEST), &seal(&manifest)?));
        if let Err(error) = published {
            // Unless the switch itself was made, what was prepared is of no use.
            if self.generation().ok().flatten() != Some(contents.generation) {
                let _ = std::fs::remove_dir_all(&dir);
            }
            return Err(error);
        }
        let keep = contents.generation.to_string();
        for name in entries(&generations)? {
            if name != keep {
                // What stays is taken away by the next change.
                let _ = std::fs::remove_dir_all(generations.join(name));
            }
        }
        Ok(())
    }
}
