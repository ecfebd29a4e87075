//! `logodex identify --tiles` and `--detector`: which logos a scene holds, and where.

use std::path::PathBuf;

use anyhow::Result;
use logodex_inference::Model;
use logodex_program::output::{print, say};
use logodex_program::progress::ImageProgress;
use logodex_program::usage;
use logodex_schemas::gallery::{NotIdentified, Scene, Tiling, Verdict};

use super::detector::{Detector, SIDE};
use super::look::{Look, look};
use super::threshold::SceneThresholds;
use crate::command::inputs::{Failures, Taken};
use crate::command::opened::ThresholdArgs;
use crate::command::table::table;
use crate::gallery::snapshot::Gallery;

/// Through which windows pictures are looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct TilingArgs {
    /// Look at each picture through overlapping windows of several sizes: what reaches the threshold is a logo, and where it lies.
    #[arg(long)]
    pub tiles: bool,
    /// With --tiles: sides of the windows, as parts of the picture's shorter side [default: 1,0.7,0.5,0.35,0.25].
    #[arg(long, requires = "tiles", value_name = "PART,…", value_delimiter = ',')]
    tile_sides: Option<Vec<f64>>,
    /// With --tiles: how far one window lies from the next, as a part of its side; a half of it takes four times as long.
    #[arg(long, requires = "tiles", default_value_t = 0.5, value_name = "PART")]
    tile_step: f64,
}

/// Where logos are looked for in a picture; without any of these, the whole picture or the box given is the logo.
#[derive(Debug, Clone, clap::Args)]
pub struct SceneArgs {
    #[command(flatten)]
    tiling: TilingArgs,
    /// Take the boxes of a detector: any ONNX file with outputs `boxes` and `scores` for pictures of numbers from 0 to 1.
    #[arg(long, value_name = "DETECTOR.onnx", conflicts_with_all = ["show", "tiles"])]
    detector: Option<PathBuf>,
    /// With --detector: the least score of a box.
    #[arg(
        long,
        requires = "detector",
        default_value_t = 0.3,
        value_name = "SCORE"
    )]
    detector_score: f32,
    /// With --detector: the most boxes of a picture, those of the highest scores.
    #[arg(long, requires = "detector", default_value_t = 100, value_name = "N")]
    detector_boxes: usize,
    /// With --detector: the side at which a picture is shown to one that takes any, pixels.
    #[arg(long, requires = "detector", default_value_t = SIDE, value_name = "PX", value_parser = clap::value_parser!(u32).range(32..=4096))]
    detector_side: u32,
}

impl SceneArgs {
    /// Whether parts of pictures are asked for.
    pub fn asked(&self) -> bool {
        self.tiling.tiles || self.detector.is_some()
    }
}

impl TilingArgs {
    /// The windows.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] for parts that are none.
    pub fn tiling(&self) -> Result<Tiling> {
        let mut tiling = Tiling {
            step: self.tile_step,
            ..Tiling::default()
        };
        if let Some(sides) = &self.tile_sides {
            tiling.sides.clone_from(sides);
        }
        let part = |x: &f64| *x >= 0.02 && *x <= 1.0;
        if !tiling.sides.iter().all(part) || !part(&tiling.step) {
            return Err(usage(
                "--tile-sides and --tile-step: parts must lie between 0.02 and 1",
            ));
        }
        Ok(tiling)
    }
}

/// What each picture holds, and where.
///
/// # Errors
/// As [`ThresholdArgs::of`]; a detector that cannot be used; pictures that could not be looked at, when the others were.
pub fn scenes_command(
    args: &SceneArgs,
    inputs: Vec<Taken<()>>,
    (gallery, model): (&Gallery, &Model),
    threshold: &ThresholdArgs,
    (k, json): (usize, bool),
) -> Result<()> {
    let threads = logodex_program::threads::bounded(0);
    let detector = args
        .detector
        .as_ref()
        .map(|path| Detector::open(path, args.detector_side, threads))
        .transpose()?;
    let how = match &detector {
        Some(detector) => Look::Detector {
            detector,
            least: args.detector_score,
            most: args.detector_boxes,
        },
        None => Look::Tiles(args.tiling.tiling()?),
    };
    let tiling = match &how {
        Look::Tiles(tiling) => Some(tiling),
        Look::Detector { .. } => None,
    };
    let thresholds = match threshold.given()? {
        Some(similarity) => SceneThresholds::given(gallery, similarity),
        None => SceneThresholds::calibrated(gallery, model.metadata(), threshold.far, tiling)?,
    };
    if let Some((input, _)) = inputs.iter().find(|(input, _)| input.bbox.is_some()) {
        return Err(usage(format!(
            "{}: the list says where its logo is; --tiles and --detector look for logos in whole pictures",
            input.name
        )));
    }
    let all = inputs.len();
    let mut failed = 0;
    let mut rows = Vec::new();
    // Of the scene that is looked at most.
    let mut windows = 1;
    let mut progress = ImageProgress::start("looking", all as u64, 0);
    for (input, found) in inputs {
        let seen = found.and_then(|()| {
            let bytes = std::fs::read(&input.path)?;
            look((&input.name, &bytes), &how, model, gallery, &thresholds, k)
        });
        progress.advance(1, None);
        if let (Ok(scene), Some(_)) = (&seen, tiling) {
            windows = windows.max(scene.looked_at as usize);
        }
        match seen {
            Ok(scene) if json => print(format_args!("{}\n", serde_json::to_string(&scene)?)),
            Ok(scene) => rows.extend(table_rows(&scene)),
            Err(error) => {
                failed += 1;
                let failure = NotIdentified {
                    file: input.name,
                    error: format!("{error:#}"),
                };
                say(format_args!("{}: {}\n", failure.file, failure.error));
                if json {
                    print(format_args!("{}\n", serde_json::to_string(&failure)?));
                }
            }
        }
    }
    progress.finish();
    if !json {
        let header = ["picture", "box", "verdict", "similarity", "from", "nearest"];
        print(table(&header, &rows, &[3, 4]));
        print(match tiling {
            Some(_) => format!("{}\n", thresholds.explained(windows)),
            None => format!(
                "{}; each box by itself\n",
                thresholds.over(1).explained(gallery.brands().len())
            ),
        });
    }
    if let Some(caution) = thresholds.over(windows).caution {
        tracing::warn!("{caution}");
    }
    Failures { failed, all }.end("looked at")
}

/// A line for each box, or one that says that there is none.
fn table_rows(scene: &Scene) -> Vec<Vec<String>> {
    let file = &scene.best.file;
    let nearest = |top: &[logodex_schemas::gallery::Candidate]| {
        top.first().map_or_else(
            || "–".to_owned(),
            |best| format!("{} {:.3}", best.brand, best.similarity),
        )
    };
    let from = format!("{:.3}", scene.best.threshold);
    if scene.boxes.is_empty() {
        let none = ["–", "unknown", "–"].map(str::to_owned);
        let mut row = vec![file.clone()];
        row.extend(none);
        row.push(from);
        row.push(nearest(&scene.best.top));
        return vec![row];
    }
    scene
        .boxes
        .iter()
        .map(|found| {
            let [x0, y0, x1, y1] = found.bbox;
            vec![
                file.clone(),
                format!("{x0},{y0},{x1},{y1}"),
                match found.verdict {
                    Verdict::Known => found.brand.clone().unwrap_or_default(),
                    Verdict::Unknown => "unknown".to_owned(),
                },
                found
                    .similarity
                    .map_or_else(|| "–".to_owned(), |s| format!("{s:.3}")),
                from.clone(),
                nearest(&found.top),
            ]
        })
        .collect()
}
