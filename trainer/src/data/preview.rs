//! `logodex-train preview`: draws a sheet of what the network will see, by the very functions that training calls.

mod canvas;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use logodex_dataset::{Dataset, Tables};
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use logodex_schemas::train::{DeviceChoice, SamplerKind, TrainConfig};
use tch::{Device, Kind, Tensor};

use crate::augment;
use crate::config;
use crate::data::batch::{BatchPlan, Samples};
use crate::torch;
use canvas::{Canvas, Color, Style};

/// What to draw.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  logodex-train preview --dataset data/logodet3k --split paper \\\n    --config trainer/configs/triplet.toml --out sheet.png"
)]
pub struct PreviewArgs {
    /// Dataset directory.
    #[arg(long)]
    dataset: PathBuf,
    /// Name of a split.
    #[arg(long)]
    split: String,
    /// The experiment.
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Picture to write.
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
    /// 0-based epoch.
    #[arg(long, default_value_t = 0)]
    epoch: u64,
    /// Batches from its beginning.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    batches: u16,
}

/// Side of a picture on the sheet, pixels.
const TILE: usize = 112;
/// Between a picture as stored and as augmented.
const SEAM: usize = 4;
/// From one cell to the next.
const CELL: (usize, usize) = (2 * TILE + SEAM + 28, TILE + 36);
const MARGIN: usize = 32;
/// Lines of a batch that are drawn.
const LINES: usize = 8;
/// Pictures of a line that are drawn.
const COLUMNS: usize = 6;
/// The last section: so many pictures in so many epochs.
const AGAIN: (usize, usize) = (4, 8);

const INK: Color = [28, 33, 45];
const MUTED: Color = [112, 119, 134];
const CARD: Color = [242, 243, 246];
const SAME: Color = [22, 122, 72];
const OTHER: Color = [186, 64, 24];
/// Draws the sheet.
///
/// # Errors
/// A slip in what was typed or configured ([`Failure::Usage`]); a damaged dataset; the disk.
pub fn preview_command(args: &PreviewArgs) -> Result<()> {
    if args.out.extension().is_none_or(|e| e != "png") {
        let out = args.out.display();
        return Err(Failure::Usage(format!("--out {out}: the sheet is a .png")).into());
    }
    let (config, _) = config::read(&args.config)?;
    // Drawn on the CPU; another libtorch than the program's is refused here, as by every command that computes.
    torch::select_device(DeviceChoice::Cpu)?;
    let tables = Tables::open(&args.dataset)?;
    let split = tables.split(&args.split)?;
    logodex_sampling::check_brands(&tables, &split, &config)?;
    let dataset = Dataset::map(tables)?;
    let (train, _) = logodex_sampling::folds(&dataset, &split, &config)?;
    let samples = Samples::draw(&config, &train, args.epoch);
    let mut plans = samples.batches(config.data.batch as usize);
    if plans.is_empty() {
        let split = &args.split;
        return Err(Failure::Usage(format!("split {split:?}: nothing to train on")).into());
    }
    let n_batches = plans.len();
    plans.truncate(usize::from(args.batches));

    let sheet = Sheet {
        config: &config,
        dataset: &dataset,
        epoch: args.epoch,
    };
    let tables: Vec<Table> = plans.iter().map(|plan| sheet.table(plan)).collect();
    let title = format!(
        "{}: epoch {} of {}, {n_batches} batches of {} pictures",
        args.config.display(),
        args.epoch,
        config.schedule.epochs,
        plans[0].rows.len()
    );
    let canvas = sheet.draw(&title, &tables, &plans[0])?;
    let png = canvas.png().context("the sheet cannot be encoded")?;
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    write_whole(&args.out, &png)?;
    print(format_args!(
        "{}: {} batches drawn\n",
        args.out.display(),
        plans.len()
    ));
    Ok(())
}

/// A picture of a batch.
#[derive(Debug, Clone, Copy)]
struct Cell {
    row: u64,
    key: u64,
}

/// A batch, laid out.
struct Table {
    heads: Vec<&'static str>,
    lines: Vec<Vec<Cell>>,
    /// Of each line.
    verdicts: Vec<Option<(&'static str, Color)>>,
    /// Lines of the batch, those not drawn too.
    n_lines: usize,
}

struct Sheet<'a> {
    config: &'a TrainConfig,
    dataset: &'a Dataset,
    epoch: u64,
}

impl Sheet<'_> {
    /// A line is a triplet, a pair, a brand of a P×K batch, or just some pictures.
    fn table(&self, plan: &BatchPlan) -> Table {
        let cell = |i: usize| Cell {
            row: plan.rows[i],
            key: plan.keys[i],
        };
        let n_samples = plan.rows.len() / plan.roles;
        let sampler = self.config.sampler();
        let mut lines: Vec<Vec<Cell>> = match sampler {
            SamplerKind::Triplets | SamplerKind::Pairs => (0..n_samples)
                .map(|i| (0..plan.roles).map(|r| cell(r * n_samples + i)).collect())
                .collect(),
            SamplerKind::Pk | SamplerKind::Images => {
                let width = match sampler {
                    SamplerKind::Pk => self.config.data.images_per_brand as usize,
                    _ => 4,
                };
                let cells: Vec<Cell> = (0..n_samples).map(cell).collect();
                cells.chunks(width).map(<[Cell]>::to_vec).collect()
            }
        };
        let n_lines = lines.len();
        lines.truncate(LINES);
        let (heads, verdicts) = match sampler {
            SamplerKind::Triplets => (vec!["anchor", "positive", "negative"], vec![None; n_lines]),
            SamplerKind::Pairs => {
                let verdict = |same: &i64| match same {
                    1 => Some(("same brand", SAME)),
                    _ => Some(("other brand", OTHER)),
                };
                let verdicts = plan.targets.iter().map(verdict).collect();
                (vec!["first", "second"], verdicts)
            }
            SamplerKind::Pk | SamplerKind::Images => (Vec::new(), vec![None; n_lines]),
        };
        Table {
            heads,
            lines,
            verdicts,
            n_lines,
        }
    }

    /// The sheet: each batch, then pictures of the first over several epochs.
    fn draw(&self, title: &str, tables: &[Table], first: &BatchPlan) -> Result<Canvas> {
        let columns = tables.iter().flat_map(|t| &t.lines).map(Vec::len).max();
        let columns = columns.unwrap_or(0).min(COLUMNS);
        let verdict_room = 120;
        let again = (AGAIN.1 + 1) * (TILE + 12) + 48;
        let width = (columns * CELL.0 + verdict_room).max(again) + 2 * MARGIN;
        let of_table = |t: &Table| 92 + t.lines.len() * CELL.1;
        let n_again = AGAIN.0.min(first.rows.len());
        let height = 120 + tables.iter().map(of_table).sum::<usize>() + 32 + n_again * (TILE + 40);
        let mut canvas = Canvas::new(width, height);
        let room = width - 2 * MARGIN;
        canvas.text((MARGIN, 28), title, Style::Title, INK, room);
        canvas.text((MARGIN, 62), &self.subtitle(), Style::Plain, MUTED, room);

        let mut y = 104;
        for (number, table) in tables.iter().enumerate() {
            let hidden = match (table.n_lines - table.lines.len(), table.lines.first()) {
                (0, _) => String::new(),
                (n, _) => format!(", the first {} of {} lines", LINES, n + LINES),
            };
            let head = format!("Batch {number}{hidden}");
            canvas.text((MARGIN, y), &head, Style::Strong, INK, room);
            for (column, head) in table.heads.iter().take(columns).enumerate() {
                let x = MARGIN + column * CELL.0 + 16;
                canvas.text((x, y + 30), head, Style::Plain, MUTED, CELL.0);
            }
            y += if table.heads.is_empty() { 34 } else { 56 };
            for (line, verdict) in table.lines.iter().zip(&table.verdicts) {
                let line = &line[..line.len().min(columns)];
                self.draw_line(&mut canvas, y, line)?;
                if let Some((text, color)) = verdict {
                    let x = MARGIN + line.len() * CELL.0;
                    canvas.text(
                        (x, y + TILE / 2 + 12),
                        text,
                        Style::Strong,
                        *color,
                        verdict_room,
                    );
                }
                y += CELL.1;
            }
            y += 36;
        }
        self.draw_again(&mut canvas, y, first)?;
        Ok(canvas)
    }

    fn subtitle(&self) -> String {
        let drawn = match self.config.augment {
            Some(_) => "left as stored, right as augmented in this epoch",
            None => "left as stored, right the same: the configuration augments nothing",
        };
        let sampler = match self.config.sampler() {
            SamplerKind::Triplets => "triplets".to_owned(),
            SamplerKind::Pairs => "pairs".to_owned(),
            SamplerKind::Images => "each picture once".to_owned(),
            SamplerKind::Pk => {
                let per_brand = self.config.data.images_per_brand;
                let brands = self.config.data.batch / per_brand;
                format!("{brands} brands x {per_brand} pictures")
            }
        };
        format!("{sampler}; {drawn}; a colour is a brand")
    }

    /// Cells with their brands' names, stored and augmented side by side.
    fn draw_line(&self, canvas: &mut Canvas, y: usize, line: &[Cell]) -> Result<()> {
        let rows: Vec<u64> = line.iter().map(|cell| cell.row).collect();
        let keys: Vec<u64> = line.iter().map(|cell| cell.key).collect();
        let stored = self.stored(&rows)?;
        let seen = self.seen(&stored, &keys, self.epoch)?;
        for (i, cell) in line.iter().enumerate() {
            let x = MARGIN + i * CELL.0;
            let brand = self.dataset.brand_of(cell.row) as usize;
            let size = (CELL.0 - 8, CELL.1 - 8);
            canvas.fill((x, y), size, CARD);
            canvas.fill((x, y), (4, size.1), color_of(brand));
            let name = &self.dataset.brands()[brand].brand;
            let room = CELL.0 - 28;
            canvas.text((x + 12, y + 4), name, Style::Plain, INK, room);
            let (side, bytes) = (self.dataset.side_px(), self.dataset.row_bytes());
            for (place, pixels) in [&stored, &seen].into_iter().enumerate() {
                let at = (x + 12 + place * (TILE + SEAM), y + 24);
                let one = &pixels[i * bytes..(i + 1) * bytes];
                canvas.picture(at, one, side, TILE);
            }
        }
        Ok(())
    }

    /// Some pictures as stored and in this and the next epochs: what augmentation does to one picture.
    fn draw_again(&self, canvas: &mut Canvas, y: usize, plan: &BatchPlan) -> Result<()> {
        let (pictures, epochs) = AGAIN;
        let n_samples = plan.rows.len() / plan.roles;
        let step = (n_samples / pictures).max(1);
        let head = "The same pictures, epoch after epoch";
        canvas.text((MARGIN, y), head, Style::Strong, INK, 600);
        let (side, bytes) = (self.dataset.side_px(), self.dataset.row_bytes());
        let column = |i: usize| MARGIN + i * (TILE + 12) + if i > 0 { 16 } else { 0 };
        let chosen = (0..n_samples).step_by(step).take(pictures);
        for (line, i) in chosen.enumerate() {
            let y = y + 32 + line * (TILE + 40);
            let brand = self.dataset.brand_of(plan.rows[i]) as usize;
            let name = &self.dataset.brands()[brand].brand;
            let stored = self.stored(&plan.rows[i..=i])?;
            canvas.text((column(0), y), name, Style::Plain, INK, TILE + 16);
            canvas.picture((column(0), y + 20), &stored, side, TILE);
            for next in 0..epochs {
                let epoch = self.epoch + next as u64;
                let seen = self.seen(&stored, &plan.keys[i..=i], epoch)?;
                let x = column(next + 1);
                let text = format!("epoch {epoch}");
                canvas.text((x, y), &text, Style::Plain, MUTED, TILE);
                canvas.picture((x, y + 20), &seen[..bytes], side, TILE);
            }
        }
        Ok(())
    }

    /// The rows' pixels.
    fn stored(&self, rows: &[u64]) -> Result<Vec<u8>> {
        let mut pixels = vec![0; rows.len() * self.dataset.row_bytes()];
        self.dataset.gather(rows, &mut pixels)?;
        Ok(pixels)
    }

    /// What the network is given for these pixels, back in bytes.
    fn seen(&self, stored: &[u8], keys: &[u64], epoch: u64) -> Result<Vec<u8>> {
        let side_px = self.dataset.side_px();
        let shape = [keys.len() as i64, side_px as i64, side_px as i64, 3];
        let images = Tensor::from_slice(stored).view(shape);
        let drawn = self
            .config
            .augment
            .as_ref()
            .map(|config| augment::draw(config, side_px, self.config.seed, epoch, keys));
        let input = augment::prepare(&images, drawn.as_ref());
        let bytes = augment::to_bytes(&input).to_device(Device::Cpu);
        Ok(Vec::<u8>::try_from(
            bytes.to_kind(Kind::Uint8).flatten(0, -1),
        )?)
    }
}

/// A hue per brand; those of neighbouring numbers lie far apart (the golden section of the circle).
fn color_of(brand: usize) -> Color {
    let sixths = (brand as f64 * 0.618_033_988_75).fract() * 6.0;
    [5.0, 3.0, 1.0].map(|corner| {
        let k = (sixths + corner) % 6.0;
        (215.0 - 185.0 * k.min(4.0 - k).clamp(0.0, 1.0)) as u8
    })
}
