//! A folder of a test's own, and what is run in it.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::client::Server;
use crate::model;

/// A folder with a model and, beside it, a gallery that a server begins.
pub struct Room {
    pub dir: TempDir,
    pub gallery: PathBuf,
    pub model: PathBuf,
}

impl Room {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            model: model::write(dir.path()),
            gallery: dir.path().join("gallery"),
            dir,
        }
    }

    /// A server of the gallery that names from a similarity of 0.7 on.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let model = self.model.to_str().unwrap();
        let all = [&["--model", model, "--threshold", "0.7"], arguments].concat();
        Server::start(&self.gallery, &all)
    }

    pub fn logodex(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_logodex"));
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
