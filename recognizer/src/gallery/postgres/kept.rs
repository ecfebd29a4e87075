//! Files that a gallery in a database keeps: its model, and pictures. They are rows of `kept`, with a copy in this user's cache.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use logodex_program::usage;

use super::database::{Postgres, live, take_lock};
use super::failure::told;
use super::tables;

/// The longest file that a row takes, bytes.
const LONGEST: u64 = 1_000_000_000;
const MODELS: &str = "models/";
const PICTURES: &str = "pictures/";

impl Postgres {
    /// The model that is kept of this fingerprint, in the cache; none where none is kept, or the server says so.
    pub fn model(&self, fingerprint: &str) -> Option<PathBuf> {
        self.kept(&format!("{MODELS}{fingerprint}.onnx"))
    }

    /// Keeps a model's file beside those that are kept already.
    ///
    /// # Errors
    /// The file cannot be read or is longer than a row may be; the server.
    pub fn add_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        let length = std::fs::metadata(path)
            .with_context(|| path.display().to_string())?
            .len();
        let at = self.address();
        if length > LONGEST {
            return Err(usage(format!(
                "{}: a file of {length} bytes is more than a row of {at} takes ({LONGEST})",
                path.display()
            )));
        }
        self.keep(&format!("{MODELS}{fingerprint}.onnx"), || {
            std::fs::read(path).with_context(|| path.display().to_string())
        })
    }

    /// Keeps a model's file, and lets those of other fingerprints go.
    ///
    /// # Errors
    /// As [`Self::add_model`].
    pub fn keep_model(&self, path: &Path, fingerprint: &str) -> Result<()> {
        self.add_model(path, fingerprint)?;
        let at = self.address();
        let name = format!("{MODELS}{fingerprint}.onnx");
        let mut connected = self.connected()?;
        let query = format!(
            "DELETE FROM {}.kept WHERE starts_with(name, $1) AND name <> $2",
            at.quoted_schema()
        );
        live(&mut connected)?
            .execute(&query, &[&MODELS, &name])
            .map_err(|e| told(at, &e))?;
        Ok(())
    }

    /// Keeps a picture's file, named by its hash. Returns the path by which it is enrolled.
    ///
    /// # Errors
    /// The server.
    pub fn keep_picture(&self, bytes: &[u8]) -> Result<PathBuf> {
        let name = format!("{PICTURES}{}", blake3::hash(bytes).to_hex());
        self.keep(&name, || Ok(bytes.to_vec()))?;
        Ok(PathBuf::from(name))
    }

    /// Where a picture lies that was enrolled from this path: in the cache, if the gallery keeps it.
    pub fn picture(&self, path: &str) -> PathBuf {
        let kept = path
            .starts_with(PICTURES)
            .then(|| self.kept(path))
            .flatten();
        kept.unwrap_or_else(|| PathBuf::from(path))
    }

    fn keep(&self, name: &str, read: impl FnOnce() -> Result<Vec<u8>>) -> Result<()> {
        let at = self.address();
        let mut connected = self.connected()?;
        let mut transaction = live(&mut connected)?
            .transaction()
            .map_err(|e| told(at, &e))?;
        take_lock(&mut transaction, at)?;
        tables::create_kept(&mut transaction, at)?;
        let schema = at.quoted_schema();
        let there = format!("SELECT FROM {schema}.kept WHERE name = $1");
        let there = transaction
            .query(&there, &[&name])
            .map_err(|e| told(at, &e))?;
        if there.is_empty() {
            let bytes = read()?;
            let hash = blake3::hash(&bytes).to_hex().to_string();
            let query =
                format!("INSERT INTO {schema}.kept (name, blake3, bytes) VALUES ($1, $2, $3)");
            let written = transaction.execute(&query, &[&name, &hash, &bytes]);
            written.map_err(|e| told(at, &e))?;
        }
        transaction.commit().map_err(|e| told(at, &e))
    }

    /// A kept file's copy in the cache, fetched if it is not there or is not what is kept.
    fn kept(&self, name: &str) -> Option<PathBuf> {
        let fetched = self.fetch(name);
        fetched
            .inspect_err(|error| tracing::warn!("{name} cannot be fetched: {error:#}"))
            .ok()
            .flatten()
    }

    fn fetch(&self, name: &str) -> Result<Option<PathBuf>> {
        let at = self.address();
        let mut connected = self.connected()?;
        let client = live(&mut connected)?;
        let schema = at.quoted_schema();
        let there = client.query_one(
            "SELECT to_regclass($1) IS NOT NULL",
            &[&format!("{schema}.kept")],
        );
        if !there
            .and_then(|row| row.try_get::<_, bool>(0))
            .map_err(|e| told(at, &e))?
        {
            return Ok(None);
        }
        let query = format!("SELECT blake3 FROM {schema}.kept WHERE name = $1");
        let row = client
            .query_opt(&query, &[&name])
            .map_err(|e| told(at, &e))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let hash: String = row.try_get(0).map_err(|e| told(at, &e))?;
        let plain = |c: char| c.is_ascii_hexdigit();
        ensure!(
            hash.len() == 64 && hash.chars().all(plain),
            "{at}: {hash:?} is no BLAKE3"
        );
        let folder = cache();
        // A model's file is opened by its ending.
        let ending = Path::new(name)
            .extension()
            .map(|ending| format!(".{}", ending.to_string_lossy()));
        let path = folder.join(format!("{hash}{}", ending.unwrap_or_default()));
        let is = |bytes: &[u8]| blake3::hash(bytes).to_hex().as_str() == hash;
        if std::fs::read(&path).is_ok_and(|bytes| is(&bytes)) {
            return Ok(Some(path));
        }
        let query = format!("SELECT bytes FROM {schema}.kept WHERE name = $1 AND blake3 = $2");
        let row = client
            .query_opt(&query, &[&name, &hash])
            .map_err(|e| told(at, &e))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let bytes: &[u8] = row.try_get(0).map_err(|e| told(at, &e))?;
        ensure!(is(bytes), "{at}: its bytes are not those that were kept");
        let write = || -> Result<()> {
            std::fs::create_dir_all(&folder)?;
            let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&folder)?;
            file.write_all(bytes)?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Some(path))
    }
}

/// The folder of copies: this user's cache, or the system's temporary folder where there is none.
fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("logodex")
}
