//! Which pictures are meant: files, folders, globs, or a list with boxes; and what a model makes of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use logodex_inference::Model;
use logodex_inference::picture::{Square, square};
use logodex_program::progress::ImageProgress;
use logodex_program::{output, usage};
use logodex_schemas::gallery::PictureSource;
use rayon::prelude::*;
use serde::Deserialize;
use walkdir::WalkDir;

use crate::gallery::enrol::NewPicture;

/// Pictures that are decoded at once, before the model sees them: what they hold is bounded by it.
const TOGETHER: usize = 128;
/// What a folder's pictures are called; in a folder, other files are passed over.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "gif", "webp"];

/// The pictures, as typed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Inputs {
    /// Pictures: files, folders (searched to their bottom for .jpg, .jpeg, .png, .gif and .webp), or globs in quotes.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A CSV that lists pictures: a column `file` (relative to the list's folder); where only a part is meant x0, y0, x1, y1
    /// (the logo's box, pixels); for enrolling several brands `brand`.
    #[arg(long, value_name = "FILE.csv")]
    pub list: Option<PathBuf>,
}

/// A picture that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// As a person knows it.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The part that is meant, `[x0, y0, x1, y1)`, pixels; none for all of it.
    pub bbox: Option<[u32; 4]>,
    /// Its brand, where the list says so.
    pub brand: Option<String>,
}

/// A picture that was meant and what became of it.
pub type Taken<T> = (Input, Result<T>);

/// A picture as a model sees it.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// What was shown.
    pub square: Square,
    /// Its embedding, of length one, `[D]`.
    pub embedding: Vec<f32>,
}

#[derive(Debug, Deserialize)]
struct Line {
    file: PathBuf,
    x0: Option<u32>,
    y0: Option<u32>,
    x1: Option<u32>,
    y1: Option<u32>,
    #[serde(default)]
    brand: Option<String>,
}

impl Inputs {
    /// The pictures, each once, in the order typed and within a folder by name. Where something typed is no picture, its
    /// reason comes in its place.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] where nothing is typed, or the list is none.
    pub fn find(&self) -> Result<Vec<Taken<()>>> {
        if self.files.is_empty() && self.list.is_none() {
            return Err(usage(
                "no picture is given: name files, folders or globs, or --list FILE.csv",
            ));
        }
        let mut all = Vec::new();
        for typed in &self.files {
            match expand(typed) {
                Ok(paths) => all.extend(paths.into_iter().map(|path| (whole(path), Ok(())))),
                Err(error) => all.push((whole(typed.clone()), Err(error))),
            }
        }
        if let Some(list) = &self.list {
            let listed =
                read_list(list).map_err(|error| usage(format!("{}: {error:#}", list.display())))?;
            all.extend(listed.into_iter().map(|input| (input, Ok(()))));
        }
        Ok(all)
    }
}

fn whole(path: PathBuf) -> Input {
    Input {
        name: path.display().to_string(),
        path,
        bbox: None,
        brand: None,
    }
}

/// A file itself, a folder's pictures, or what a glob finds.
fn expand(typed: &Path) -> Result<Vec<PathBuf>> {
    if typed.is_dir() {
        let mut found = Vec::new();
        for entry in WalkDir::new(typed).follow_links(true).sort_by_file_name() {
            let entry = entry?;
            let extension = entry.path().extension().and_then(|e| e.to_str());
            let is_picture = extension
                .is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)));
            if is_picture && entry.file_type().is_file() {
                found.push(entry.into_path());
            }
        }
        if found.is_empty() {
            bail!("the folder holds no picture (.jpg, .jpeg, .png, .gif or .webp)");
        }
        return Ok(found);
    }
    let is_glob = typed.to_str().filter(|text| text.contains(['*', '?', '[']));
    match is_glob.filter(|_| !typed.exists()) {
        None => Ok(vec![typed.to_owned()]),
        Some(pattern) => {
            let mut found = Vec::new();
            for path in glob::glob(pattern).context("it is no glob")? {
                let path = path?;
                match path.is_dir() {
                    true => found.extend(expand(&path)?),
                    false => found.push(path),
                }
            }
            if found.is_empty() {
                bail!("no file is called so");
            }
            Ok(found)
        }
    }
}

fn read_list(list: &Path) -> Result<Vec<Input>> {
    let folder = list.parent().unwrap_or(Path::new(""));
    let mut inputs = Vec::new();
    for (line, read) in (2..).zip(csv::Reader::from_path(list)?.into_deserialize::<Line>()) {
        let read = read?;
        let bbox = match (read.x0, read.y0, read.x1, read.y1) {
            (Some(x0), Some(y0), Some(x1), Some(y1)) => Some([x0, y0, x1, y1]),
            (None, None, None, None) => None,
            _ => bail!("line {line}: a box is x0, y0, x1 and y1, all or none"),
        };
        let boxed = bbox.map(|[x0, y0, x1, y1]| format!(" [{x0},{y0},{x1},{y1}]"));
        inputs.push(Input {
            name: format!("{}{}", read.file.display(), boxed.unwrap_or_default()),
            path: folder.join(read.file),
            bbox,
            brand: read.brand.filter(|brand| !brand.is_empty()),
        });
    }
    if inputs.is_empty() {
        bail!("it lists no picture");
    }
    Ok(inputs)
}

/// Embeds every picture, in their order; one that cannot be used has the reason in its place. `show` keeps what was shown.
///
/// # Errors
/// What ends all: the model fails.
pub fn embed(model: &Model, inputs: Vec<Taken<()>>, show: bool) -> Result<Vec<Taken<Embedded>>> {
    let mut progress = ImageProgress::start("embedding", inputs.len() as u64, 0);
    let how = &model.metadata().preprocessing;
    let mut all = Vec::with_capacity(inputs.len());
    let mut rest = inputs.into_iter();
    loop {
        let batch: Vec<Taken<()>> = rest.by_ref().take(TOGETHER).collect();
        if batch.is_empty() {
            break;
        }
        let n = batch.len() as u64;
        let seen: Vec<Taken<Square>> = batch
            .into_par_iter()
            .map(|(input, found)| {
                let seen = found.and_then(|()| {
                    let bytes = std::fs::read(&input.path)?;
                    Ok(square(&bytes, input.bbox, how)?)
                });
                (input, seen)
            })
            .collect();
        let pixels: Vec<u8> = seen
            .iter()
            .filter_map(|(_, seen)| seen.as_ref().ok())
            .flat_map(|square| square.pixels.iter().copied())
            .collect();
        let embeddings = model.embed(&pixels)?;
        let mut embeddings = embeddings.chunks_exact(model.dim());
        for (input, seen) in seen {
            let embedded = seen.and_then(|mut square| {
                if !show {
                    square.pixels = Vec::new();
                }
                let embedding = embeddings
                    .next()
                    .context("a picture without an embedding")?;
                Ok(Embedded {
                    square,
                    embedding: embedding.to_vec(),
                })
            });
            all.push((input, embedded));
        }
        progress.advance(n, None);
    }
    progress.finish();
    Ok(all)
}

impl Input {
    /// To be enrolled as `brand`; from a path below the gallery where it is `kept` there.
    ///
    /// # Errors
    /// A path that is not UTF-8, and so cannot be noted.
    pub fn enrolled(&self, brand: &str, embedded: Embedded, kept: bool) -> Result<NewPicture> {
        let path = match kept {
            true => self.path.clone(),
            false => std::path::absolute(&self.path)?,
        };
        let path = path.to_str().context(
            "its path is not UTF-8, and the gallery notes it: give the file another name",
        )?;
        let source = PictureSource::File {
            path: path.to_owned(),
        };
        let Embedded { square, embedding } = embedded;
        Ok(NewPicture::new(
            brand, source, self.bbox, &square, embedding,
        ))
    }
}

/// Says what could not be used, a line each, and gives the others.
pub fn tell_failures<T>(taken: Vec<Taken<T>>) -> (Vec<(Input, T)>, Failures) {
    let all = taken.len();
    let mut good = Vec::new();
    for (input, result) in taken {
        match result {
            Ok(value) => good.push((input, value)),
            Err(error) => output::say(format_args!("{}: {error:#}\n", input.name)),
        }
    }
    let failures = Failures {
        failed: all - good.len(),
        all,
    };
    (good, failures)
}

/// How many pictures could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Those that could not.
    pub failed: usize,
    /// Of so many.
    pub all: usize,
}

impl Failures {
    /// Nothing, if all could be used; else the error that the command ends with when it has done the rest.
    ///
    /// # Errors
    /// Some could not.
    pub fn end(self, what: &str) -> Result<()> {
        match self.failed {
            0 => Ok(()),
            failed => Err(anyhow!(
                "{failed} of {} pictures could not be {what}; the others were",
                self.all
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(taken: &[Taken<()>]) -> Vec<String> {
        let name = |(input, found): &Taken<()>| match found {
            Ok(()) => input
                .path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            Err(error) => format!("{error:#}"),
        };
        taken.iter().map(name).collect()
    }

    #[test]
    fn files_folders_and_globs_are_found_in_order_and_what_is_none_keeps_its_place() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.jpg", "a.PNG", "sub/c.webp", "notes.txt", "[x].gif"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let find = |typed: &[&str]| {
            let files = typed.iter().map(|name| dir.path().join(name)).collect();
            names(&Inputs { files, list: None }.find().unwrap())
        };
        assert_eq!(find(&["."]), ["[x].gif", "a.PNG", "b.jpg", "c.webp"]);
        assert_eq!(find(&["*.jpg", "[x].gif"]), ["b.jpg", "[x].gif"]);
        assert_eq!(find(&["s*"]), ["c.webp"]);
        assert_eq!(find(&["missing.jpg"]), ["missing.jpg"]);
        let told = find(&["empty", "*.bmp", "b.jpg"]);
        assert!(
            told[0].contains("holds no picture") && told[1].contains("no file"),
            "{told:?}"
        );
        assert_eq!(told[2], "b.jpg");
        assert!(Inputs::default().find().is_err());
    }

    #[test]
    fn a_list_names_parts_and_brands_beside_itself() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list.csv");
        let read = |text: &str| {
            std::fs::write(&list, text).unwrap();
            let inputs = Inputs {
                files: vec![],
                list: Some(list.clone()),
            };
            inputs.find().map_err(|error| format!("{error:#}"))
        };
        let found = read("brand,file,x0,y0,x1,y1\nNike,a.jpg,1,2,30,40\n,b.jpg,,,,\n").unwrap();
        assert_eq!(found[0].0.bbox, Some([1, 2, 30, 40]));
        assert_eq!(found[0].0.brand.as_deref(), Some("Nike"));
        assert_eq!(found[0].0.path, dir.path().join("a.jpg"));
        assert_eq!((found[1].0.bbox, &found[1].0.brand), (None, &None));
        assert_eq!(read("file\nc.png\n").unwrap()[0].0.name, "c.png");
        for (text, reason) in [
            ("file,x0,y0,x1,y1\na.jpg,1,2,,\n", "line 2: a box"),
            ("file\n", "lists no picture"),
            ("path\na.jpg\n", "file"),
            ("file,x0,y0,x1,y1\na.jpg,-1,2,3,4\n", "field 1"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains("list.csv") && told.contains(reason), "{told}");
        }
    }
}
