//! The page: one file, nothing loaded from anywhere. Every text goes through the template's HTML escapes; only what is
//! drawn here is inserted as it is.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logodex_schemas::evaluation::{ComparisonRow, Evaluation};
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

use crate::protocols::paper::PAPER;
use crate::report::figures::{Figure, Figures};
use crate::report::findings::Finding;
use crate::report::load::{Inputs, Model, prefix};
use crate::report::plot::{DARK, PALETTE, hex};
use crate::report::table::OfRegion;
use crate::report::{
    commands, confusion, examples, is_headline, map, plain, protocols, retrievals, signed,
    signed_interval, table,
};
use crate::settings::region_name;

const TEMPLATE: &str = include_str!("report.html.j2");
const PICTURES: &str = include_str!("pictures.html.j2");
const PICTURES_STYLE: &str = include_str!("pictures.css");

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
    regions: &[OfRegion],
    figures: &Figures,
    comparisons: &[ComparisonRow],
    findings: &[Finding],
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
        colours => colours(),
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
        curves => shown(&figures.curves)?,
        too_few => too_few(first),
        configs => configs(inputs),
        headlines => headlines(comparisons),
        findings,
        overview => shown(&figures.overview)?,
        differences => shown(&figures.differences)?,
        comparisons => compared(comparisons),
        thresholds => table::threshold_lines(inputs),
        learning,
        threshold_curves => per_shots(&figures.threshold_curves)?,
        similarities => per_shots(&figures.similarities)?,
        triples => examples::triples(inputs),
        pictures_style => PICTURES_STYLE,
        retrievals => retrievals::of_models(inputs),
        confusions => confusion::of_models(inputs),
        matrices => shown(&figures.matrices)?,
        map => map::json(inputs),
        map_script => map::SCRIPT,
        map_script_hash => map::script_hash(),
        map_figures => shown(&figures.maps)?,
        commands => commands::commands(inputs),
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

/// The style sheet's variable of a model's colour.
pub(super) fn variable(place: usize) -> String {
    format!("var(--c{})", place % PALETTE.len())
}

/// Style rules that give each colour of the drawings its value on a light and on a dark page.
fn colours() -> String {
    let palette = PALETTE
        .iter()
        .enumerate()
        .map(|(i, (light, dark))| (format!("c{i}"), *light, *dark));
    let plain = DARK.iter().zip(["ink", "muted", "grid"]);
    let all: Vec<_> = palette
        .chain(plain.map(|((light, dark), name)| (name.to_owned(), *light, *dark)))
        .collect();
    let join = |rule: &dyn Fn(&(String, plotters::style::RGBColor, &str)) -> String| -> String {
        all.iter().map(rule).collect()
    };
    format!(
        ":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{}",
        join(&|(name, light, _)| format!("--{name}:{};", hex(*light))),
        join(&|(name, _, dark)| format!("--{name}:{dark};")),
        join(&|(name, light, _)| {
            let hex = hex(*light);
            format!(
                "svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}\n"
            )
        }),
    )
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
        metric => protocols::label(&c.metric),
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

/// `158,654`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_things_are_written_right() {
        assert_eq!(
            data_uri("image/png", b"fooba"),
            "data:image/png;base64,Zm9vYmE="
        );
        assert_eq!(
            [7, 999, 1000, 158_654].map(thousands),
            ["7", "999", "1,000", "158,654"]
        );
        assert_eq!(
            prose("`a<b` & c").to_string(),
            "<code>a&lt;b</code> &amp; c"
        );
    }
}
