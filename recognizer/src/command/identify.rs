//! `logodex identify`: what pictures show, or that nobody knows.

use std::path::PathBuf;

use anyhow::Result;
use logodex_program::durable::write_whole;
use logodex_program::output::{print, say};
use logodex_schemas::gallery::{Identified, NotIdentified, Verdict};

use super::database::asked::Asked;
use super::inputs::{Embedded, Failures, Input, Inputs, Taken, embed};
use super::opened::{GalleryArgs, ThresholdArgs};
use super::table::table;
use crate::gallery::snapshot::judge;
use crate::scenes::command::{SceneArgs, scenes_command};
use crate::sheet::{Entry, sheet};
use crate::threshold::Threshold;

/// What is typed after `identify`.
#[derive(Debug, clap::Args)]
pub struct IdentifyArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    threshold: ThresholdArgs,
    /// How many brands to tell of each picture.
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// A JSON line per picture, in the order given.
    #[arg(long)]
    json: bool,
    /// Write a page with the pictures, what they are taken for, and the enrolled pictures nearest to them.
    #[arg(long, value_name = "OUT.html", conflicts_with = "tiles")]
    show: Option<PathBuf>,
    #[command(flatten)]
    scenes: SceneArgs,
    /// Of a gallery at postgres://…: search by its index (`logodex index`), which may miss a brand.
    #[arg(long)]
    approximate: bool,
}

/// `logodex identify`.
///
/// # Errors
/// As [`Asked::open`] and [`Asked::threshold`]; the server; pictures that could not be judged, when the others were.
pub fn identify_command(args: &IdentifyArgs) -> Result<()> {
    let inputs = args.inputs.find()?;
    let whole = args.show.is_some() || args.scenes.asked();
    let (asked, model) = Asked::open(&args.gallery, inputs.len(), whole, args.approximate)?;
    let k = usize::from(args.top);
    if let (true, Asked::Loaded(gallery)) = (args.scenes.asked(), &asked) {
        let (opened, how) = ((gallery, &model), (k, args.json));
        return scenes_command(&args.scenes, inputs, opened, &args.threshold, how);
    }
    let threshold = asked.threshold(&args.threshold, &model)?;
    if let Some(caution) = &threshold.caution {
        tracing::warn!("{caution}");
    }
    let taken = embed(&model, inputs, args.show.is_some())?;
    let judged = judge_all(&asked, &threshold, k, &taken)?;
    if args.json {
        tell_json(&judged)?;
    } else {
        let truths: Vec<Option<&str>> = taken
            .iter()
            .map(|(input, _)| input.brand.as_deref())
            .collect();
        tell_table(asked.brands(), &threshold, &judged, &truths);
    }
    if let (Some(out), Asked::Loaded(gallery)) = (&args.show, &asked) {
        let entries = taken
            .iter()
            .zip(&judged)
            .filter_map(|((_, embedded), judged)| {
                let embedded = embedded.as_ref().ok()?;
                Some(Entry {
                    square: &embedded.square,
                    embedding: &embedded.embedding,
                    identified: judged.as_ref().ok()?,
                })
            });
        let page = sheet(
            gallery,
            model.metadata(),
            &threshold,
            &entries.collect::<Vec<_>>(),
        )?;
        write_whole(out, page.as_bytes())?;
        say(format_args!("{}: look at it in a browser\n", out.display()));
    }
    let failures = Failures {
        failed: judged.iter().filter(|judged| judged.is_err()).count(),
        all: judged.len(),
    };
    failures.end("judged")
}

/// What each picture shows.
fn judge_all(
    asked: &Asked,
    threshold: &Threshold,
    k: usize,
    taken: &[Taken<Embedded>],
) -> Result<Vec<Result<Identified, NotIdentified>>> {
    let embedded = taken
        .iter()
        .filter_map(|(_, embedded)| embedded.as_ref().ok());
    let queries: Vec<&[f32]> = embedded
        .map(|embedded| embedded.embedding.as_slice())
        .collect();
    let mut found = asked.search(&queries, k)?.into_iter();
    let judged = |(input, embedded): &Taken<Embedded>| match embedded {
        Ok(_) => {
            let top = found.next().unwrap_or_default();
            Ok(judge(&input.name, top, threshold))
        }
        Err(error) => Err(not_identified(input, error)),
    };
    Ok(taken.iter().map(judged).collect())
}

fn not_identified(input: &Input, error: &anyhow::Error) -> NotIdentified {
    NotIdentified {
        file: input.name.clone(),
        error: format!("{error:#}"),
    }
}

fn tell_json(judged: &[Result<Identified, NotIdentified>]) -> Result<()> {
    for one in judged {
        let line = match one {
            Ok(identified) => serde_json::to_string(identified)?,
            Err(failed) => {
                say(format_args!("{}: {}\n", failed.file, failed.error));
                serde_json::to_string(failed)?
            }
        };
        print(format_args!("{line}\n"));
    }
    Ok(())
}

fn tell_table(
    brands: usize,
    threshold: &Threshold,
    judged: &[Result<Identified, NotIdentified>],
    truths: &[Option<&str>],
) {
    let told = truths.iter().any(Option::is_some);
    let mut rows = Vec::new();
    for (one, truth) in judged.iter().zip(truths) {
        let identified = match one {
            Ok(identified) => identified,
            Err(failed) => {
                say(format_args!("{}: {}\n", failed.file, failed.error));
                continue;
            }
        };
        let candidate = |place: usize| {
            identified.top.get(place).map_or_else(
                || "–".to_owned(),
                |candidate| format!("{} {:.3}", candidate.brand, candidate.similarity),
            )
        };
        let verdict = match identified.verdict {
            Verdict::Known => identified.brand.clone().unwrap_or_default(),
            Verdict::Unknown => "unknown".to_owned(),
        };
        let similarity = identified
            .similarity
            .map(|similarity| format!("{similarity:.3}"));
        let mut row = vec![
            identified.file.clone(),
            verdict,
            similarity.unwrap_or_else(|| "–".to_owned()),
            candidate(0),
            candidate(1),
        ];
        if told {
            row.insert(1, truth.unwrap_or("–").to_owned());
        }
        rows.push(row);
    }
    // Where a list says what its pictures show, that stands beside what they are taken for.
    match told {
        true => {
            let header = [
                "picture",
                "shows",
                "verdict",
                "similarity",
                "nearest",
                "next",
            ];
            print(table(&header, &rows, &[3]));
        }
        false => {
            let header = ["picture", "verdict", "similarity", "nearest", "next"];
            print(table(&header, &rows, &[2]));
        }
    }
    print(format_args!("{}\n", threshold.explained(brands)));
}
