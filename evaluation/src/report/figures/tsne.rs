//! The t-SNE view: embeddings in three dimensions (the paper's Figure 10), as data of the page that can be turned, and
//! drawn from one side.

use std::collections::BTreeMap;

use logodex_program::page;
use logodex_schemas::evaluation::EmbeddingMap;
use serde::Serialize;

use crate::plot::colours::hex;
use crate::plot::figure::slug;
use crate::plot::{Axis, Figure, Mark, Panel, RGBColor};
use crate::report::load::inputs::Inputs;
use crate::report::pictures::picture::jpeg_uri;
use crate::report::wording::plain;

/// The program of the view.
pub const SCRIPT: &str = include_str!("tsne.js");

/// How far the view is turned at first, in radians: about the vertical axis, then about the horizontal one. As in
/// tsne.js.
const YAW: f64 = 0.6;
const PITCH: f64 = 0.35;

/// Colours of brands, told apart on light and dark pages.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0x1F, 0x83, 0xC4),
    RGBColor(0xE0, 0x6C, 0x0C),
    RGBColor(0x14, 0x9E, 0x78),
    RGBColor(0xC2, 0x4E, 0x9A),
    RGBColor(0xB5, 0x8A, 0x00),
    RGBColor(0x6A, 0x5A, 0xCD),
    RGBColor(0xC8, 0x32, 0x32),
    RGBColor(0x5E, 0x8C, 0x31),
    RGBColor(0x2A, 0xA8, 0xB8),
    RGBColor(0x8C, 0x6D, 0x5A),
];

/// What the view draws.
#[derive(Debug, Serialize)]
struct View<'a> {
    /// Picture of each row that is a point of any model.
    pictures: BTreeMap<u64, String>,
    models: Vec<ModelView<'a>>,
}

/// The embeddings of one model.
#[derive(Debug, Serialize)]
struct ModelView<'a> {
    name: &'a str,
    note: String,
    brands: Vec<Brand<'a>>,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Brand<'a> {
    name: &'a str,
    colour: String,
}

#[derive(Debug, Serialize)]
struct Point {
    row: u64,
    brand: usize,
    /// Within the unit ball.
    at: [f64; 3],
}

/// The embeddings that are shown, by model; empty when no model has any.
fn embeddings(inputs: &Inputs) -> impl Iterator<Item = (&str, &EmbeddingMap)> {
    let models = inputs.models.iter();
    models.filter_map(|model| Some((model.name.as_str(), model.evaluation.map.as_ref()?)))
}

/// The data of the view as JSON that may stand in a `<script>` element; none when no model has embeddings to show.
pub fn json(inputs: &Inputs) -> Option<String> {
    let mut view = View {
        pictures: BTreeMap::new(),
        models: Vec::new(),
    };
    for (name, shown) in embeddings(inputs) {
        for point in &shown.points {
            let row = point.picture.row;
            let picture = || jpeg_uri(inputs, row);
            view.pictures.entry(row).or_insert_with(picture);
        }
        let brands = brands(shown);
        let points = shown
            .points
            .iter()
            .zip(unit(shown))
            .map(|(point, at)| Point {
                row: point.picture.row,
                brand: place(&brands, &point.picture.brand),
                at,
            });
        view.models.push(ModelView {
            name,
            note: note(shown),
            points: points.collect(),
            brands: brands
                .iter()
                .enumerate()
                .map(|(i, name)| Brand {
                    name,
                    colour: hex(COLOURS[i % COLOURS.len()]),
                })
                .collect(),
        });
    }
    if view.models.is_empty() {
        return None;
    }
    page::embedded(&view).ok()
}

/// How much three dimensions keep.
fn note(shown: &EmbeddingMap) -> String {
    format!(
        "perplexity {:.0}, Kullback–Leibler divergence {}, trustworthiness {}",
        shown.perplexity,
        plain(shown.kl_divergence),
        plain(shown.trustworthiness)
    )
}

/// Each model's embeddings from the view's first side.
pub fn figures(inputs: &Inputs) -> Vec<Figure> {
    embeddings(inputs)
        .map(|(name, shown)| figure(name, shown))
        .collect()
}

fn figure(name: &str, shown: &EmbeddingMap) -> Figure {
    let brands = brands(shown);
    let mut seen: Vec<([f64; 3], usize)> = shown
        .points
        .iter()
        .zip(unit(shown))
        .map(|(point, at)| (turned(at), place(&brands, &point.picture.brand)))
        .collect();
    // What is nearer is drawn later.
    seen.sort_by(|a, b| a.0[2].total_cmp(&b.0[2]));
    let dots = seen
        .into_iter()
        .map(|([x, y, _], brand)| Mark::Dot(x, y, COLOURS[brand % COLOURS.len()]));
    let legend = brands
        .iter()
        .enumerate()
        .map(|(i, name)| (COLOURS[i % COLOURS.len()], (*name).to_owned()));
    let plain_axis = || Axis {
        low: -1.05,
        high: 1.05,
        ticks: vec![],
    };
    let title = format!(
        "{name}: t-SNE of {} brands in three dimensions, from one side",
        brands.len()
    );
    Figure {
        name: format!("tsne-{}", slug(name)),
        legend: legend.collect(),
        caption: name.to_owned(),
        panel: Panel {
            width: 350,
            height: 330,
            left: 12,
            x: plain_axis(),
            y: plain_axis(),
            x_title: String::new(),
            rules_at_y: false,
            marks: dots.collect(),
            description: title.clone(),
        },
        title,
    }
}

/// The brands in the order of the points.
fn brands(shown: &EmbeddingMap) -> Vec<&str> {
    let mut brands: Vec<&str> = Vec::new();
    for point in &shown.points {
        if !brands.contains(&point.picture.brand.as_str()) {
            brands.push(&point.picture.brand);
        }
    }
    brands
}

fn place(brands: &[&str], brand: &str) -> usize {
    brands.iter().position(|b| *b == brand).unwrap_or_default()
}

/// The points, the farthest from the centre at distance 1.
fn unit(shown: &EmbeddingMap) -> Vec<[f64; 3]> {
    let length = |at: &[f64; 3]| at.iter().map(|v| v * v).sum::<f64>().sqrt();
    let longest = shown
        .points
        .iter()
        .map(|p| length(&p.at))
        .fold(0.0, f64::max);
    let scale = if longest > 0.0 { 1.0 / longest } else { 1.0 };
    let scaled = shown.points.iter().map(|point| point.at.map(|v| v * scale));
    scaled.collect()
}

/// A point seen from the view's first side: right, up, towards the eye.
fn turned([x, y, z]: [f64; 3]) -> [f64; 3] {
    let (x, z) = (x * YAW.cos() + z * YAW.sin(), z * YAW.cos() - x * YAW.sin());
    let (y, z) = (
        y * PITCH.cos() - z * PITCH.sin(),
        y * PITCH.sin() + z * PITCH.cos(),
    );
    [x, y, z]
}
