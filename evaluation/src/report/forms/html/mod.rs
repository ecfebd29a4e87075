//! The page: one file, nothing loaded from anywhere. Every text goes through the template's HTML escapes; only what is
//! drawn here is inserted as it is.

use anyhow::{Context, Result};
use logodex_program::page;
use logodex_schemas::evaluation::{ComparisonRow, Evaluation};
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

use crate::plot::Figure;
use crate::plot::colours::{hex, style_rules, variable};
use crate::protocols::paper::PAPER;
use crate::report::comparisons::is_headline;
use crate::report::figures::{Figures, tsne};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::pictures::confused_pairs::confused_pairs;
use crate::report::pictures::examples::triples;
use crate::report::pictures::picture::data_uri;
use crate::report::pictures::retrievals::retrievals;
use crate::report::text::commands::commands;
use crate::report::text::finding::Finding;
use crate::report::text::protocols::label;
use crate::report::text::seeds::{self, seed_lines};
use crate::report::text::tables::RegionTables;
use crate::report::text::thresholds::threshold_lines;
use crate::report::wording::{plain, prefix, signed, signed_interval, thousands};
use crate::settings::region_name;

const TEMPLATE: &str = include_str!("report.html.j2");
const PICTURES: &str = include_str!("pictures.html.j2");
/// What the report has beside the style that all our pages share.
const STYLE: &str = include_str!("report.css");

/// A figure as the template takes it.
#[derive(Serialize)]
struct Shown {
    caption: String,
    svg: String,
    legend: Vec<(String, String)>,
}

/// The learning curves of a run.
#[derive(Serialize)]
struct Learning {
    name: String,
    colour: String,
    facts: String,
    figures: Vec<Shown>,
}

/// Panels of one number of shots.
#[derive(Serialize)]
struct Shots {
    shots: u32,
    figures: Vec<Shown>,
}

/// The page over `inputs`.
///
/// # Errors
/// None is expected: the template is part of the program.
pub fn render(
    inputs: &Inputs,
    regions: &[RegionTables],
    figures: &Figures,
    comparisons: &[ComparisonRow],
    (answer, findings): (&[String], &[Finding]),
) -> Result<String> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.add_filter("prose", prose);
    env.add_filter("number", plain);
    env.add_filter("thousands", thousands);
    env.add_filter("trim_zero", |value: f64| format!("{value}"));
    env.add_template("report", TEMPLATE)
        .context("the report's template")?;
    env.add_template("pictures", PICTURES)
        .context("the report's template of pictures")?;
    let per_shots = |groups: &[(u32, Vec<Figure>)]| -> Result<Vec<Shots>> {
        let group = |(shots, figures): &(u32, Vec<Figure>)| {
            Ok(Shots {
                shots: *shots,
                figures: shown(figures)?,
            })
        };
        groups.iter().map(group).collect()
    };
    let mut learning = Vec::new();
    for (place, (model, figures)) in inputs.models.iter().zip(&figures.learning).enumerate() {
        if !figures.is_empty() {
            learning.push(Learning {
                name: model.name.clone(),
                colour: variable(place),
                facts: facts(model),
                figures: shown(figures)?,
            });
        }
    }
    let first = &inputs.models.first().context("no model")?.evaluation;
    let stats = inputs.stats.as_ref().map(|s| {
        context! {
            counts => s.stats.counts,
            side => s.stats.side,
            region => s.stats.region,
            categories => s.stats.categories,
            samples => data_uri("image/svg+xml", &s.samples_svg),
            long_tail => data_uri("image/svg+xml", &s.long_tail_svg),
        }
    });
    let legend: Vec<_> = inputs
        .models
        .iter()
        .enumerate()
        .map(|(i, m)| context! { name => m.name, colour => variable(i), dim => m.evaluation.embedding_dim })
        .collect();
    let context = context! {
        page_style => page::STYLE,
        colours => style_rules(),
        style => STYLE,
        evaluation => context! {
            split => first.split,
            seed => first.seed,
            episodes => first.episodes,
            test_brands => first.test_brands,
            test_rows => first.test_rows,
            manifest => prefix(&first.manifest_blake3),
            split_hash => prefix(&first.split_blake3),
        },
        stats,
        legend,
        regions,
        slice_figures => shown(&figures.slices)?,
        operating_curves => shown(&figures.operating_curves)?,
        too_few => too_few(first),
        configs => configs(inputs),
        headlines => headlines(comparisons),
        answer,
        findings,
        overview => shown(&figures.overview)?,
        differences => shown(&figures.differences)?,
        comparisons => compared(comparisons),
        thresholds => threshold_lines(inputs),
        seeds => seed_lines(inputs),
        seeds_text => seeds::TEXT,
        learning,
        f1_over_threshold => per_shots(&figures.f1_over_threshold)?,
        similarities => per_shots(&figures.similarities)?,
        triples => triples(inputs),
        retrievals => retrievals(inputs),
        confused_pairs => confused_pairs(inputs),
        confusion_matrices => shown(&figures.confusion_matrices)?,
        tsne => tsne::json(inputs),
        tsne_script => tsne::SCRIPT,
        tsne_script_hash => page::allowed(tsne::SCRIPT),
        tsne_figures => shown(&figures.tsne)?,
        commands => commands(inputs),
    };
    env.get_template("report")
        .and_then(|template| template.render(context))
        .context("the report's template")
}

fn shown(figures: &[Figure]) -> Result<Vec<Shown>> {
    let svg = |figure: &Figure| {
        let legend = figure.legend.iter();
        Ok(Shown {
            svg: figure.panel.svg()?,
            caption: figure.caption.clone(),
            legend: legend
                .map(|(colour, name)| (hex(*colour), name.clone()))
                .collect(),
        })
    };
    figures.iter().map(svg).collect()
}

/// What distinguishes a run's training, in a line.
fn facts(model: &Model) -> String {
    let Some(training) = &model.training else {
        return String::new();
    };
    let config = &training.config;
    let mut facts = vec![
        name(&config.model.arch),
        format!("{} head", name(&config.model.head)),
        name(&config.loss),
        format!(
            "{} at {}",
            name(&config.optimizer.kind),
            config.optimizer.lr
        ),
        format!("batch {}", config.data.batch),
        format!("{} epochs", training.epochs.len()),
    ];
    let mut freeze = format!("freeze {}", config.schedule.freeze);
    for unfreeze in &config.schedule.unfreeze {
        freeze += &format!(" → {} at epoch {}", unfreeze.freeze, unfreeze.epoch);
    }
    if config.schedule.freeze > 0 {
        facts.push(freeze);
    }
    facts.join(" · ")
}

/// A choice of the configuration as the TOML file spells it: the string it is, or its `kind`.
fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(value) => value["kind"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::new(),
    }
}

/// The brands that a protocol could not ask about.
fn too_few(evaluation: &Evaluation) -> Vec<minijinja::Value> {
    let named = evaluation
        .too_few
        .iter()
        .filter(|few| !few.brands.is_empty());
    named
        .map(|few| {
            context! {
                region => region_name(few.region),
                protocol => few.protocol,
                shots => few.shots,
                count => few.brands.len(),
                brands => few.brands.join(", "),
            }
        })
        .collect()
}

/// `config.toml` of every run.
fn configs(inputs: &Inputs) -> Vec<minijinja::Value> {
    let models = inputs.models.iter();
    models
        .filter_map(|model| Some(context! { name => model.name, text => model.config.as_ref()? }))
        .collect()
}

fn headlines(comparisons: &[ComparisonRow]) -> Vec<minijinja::Value> {
    let rows = comparisons
        .iter()
        .filter(|c| is_headline(c) && c.protocol != PAPER);
    rows.map(difference).collect()
}

fn compared(comparisons: &[ComparisonRow]) -> Vec<minijinja::Value> {
    comparisons
        .iter()
        .filter(|c| c.protocol == PAPER)
        .map(difference)
        .collect()
}

fn difference(c: &ComparisonRow) -> minijinja::Value {
    context! {
        model => c.model,
        reference => c.reference,
        protocol => c.protocol,
        shots => c.shots,
        metric => label(&c.metric),
        difference => signed(c.difference),
        interval => signed_interval(c),
        standing => if c.ci_low > 0.0 { "above" } else if c.ci_high < 0.0 { "below" } else { "" },
    }
}

/// Escapes prose, sets what stands between backticks as code and keeps intervals on one line.
fn prose(text: &str) -> minijinja::Value {
    let mut html = String::new();
    for (i, part) in text.split('`').enumerate() {
        let part = minijinja::HtmlEscape(part).to_string();
        match i % 2 {
            0 => {
                html += &part
                    .replace(", −", ",\u{a0}−")
                    .replace(", +", ",\u{a0}+")
                    .replace(" [", "\u{a0}[")
            }
            _ => html += &format!("<code>{part}</code>"),
        }
    }
    minijinja::Value::from_safe_string(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_prose_are_code() {
        assert_eq!(
            prose("`a<b` & c").to_string(),
            "<code>a&lt;b</code> &amp; c"
        );
    }
}
