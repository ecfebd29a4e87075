//! `logodex verify`: do two pictures show one brand?

use std::path::PathBuf;

use anyhow::Result;
use logodex_embeddings::similarity::product;
use logodex_inference::Model;
use logodex_program::output::print;
use logodex_program::usage;
use serde::Serialize;

use super::inputs::{Inputs, embed};
use super::opened::open_model;
use super::table::percent;
use crate::gallery::snapshot::Gallery;
use crate::threshold::{Threshold, of_model};

/// What is typed after `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The model, as `logodex-train export` writes it.
    #[arg(long, value_name = "MODEL.onnx", required_unless_present = "gallery")]
    model: Option<PathBuf>,
    /// A gallery, whose model is taken.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    gallery: Option<String>,
    /// A picture.
    a: PathBuf,
    /// Another.
    b: PathBuf,
    /// The share of pairs of different brands that may be taken for one.
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    far: f64,
    /// A similarity, instead of a rate: two pictures show one brand from it on.
    #[arg(
        long,
        conflicts_with = "far",
        value_name = "SIMILARITY",
        allow_negative_numbers = true
    )]
    threshold: Option<f64>,
    /// Threads, 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Answer with a JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    a: String,
    b: String,
    same: bool,
    similarity: f32,
    threshold: f64,
    false_accept_rate: Option<f64>,
}

/// `logodex verify`.
///
/// # Errors
/// A model or a picture that cannot be used; a model without calibration where no threshold is typed.
pub fn verify_command(args: &VerifyArgs) -> Result<()> {
    let model = open(args)?;
    let threshold = threshold(args, &model)?;
    if let Some(caution) = &threshold.caution {
        tracing::warn!("{caution}");
    }
    let inputs = Inputs {
        files: vec![args.a.clone(), args.b.clone()],
        list: None,
    };
    let found = inputs.find()?;
    if found.len() != 2 {
        return Err(usage(format!(
            "two pictures are compared, and {} and {} are {}",
            args.a.display(),
            args.b.display(),
            found.len()
        )));
    }
    let mut embeddings = Vec::new();
    for (input, embedded) in embed(&model, found, false)? {
        let named = embedded.map_err(|error| error.context(input.name.clone()))?;
        embeddings.push((input.name, named.embedding));
    }
    let [(a, of_a), (b, of_b)] = &embeddings[..] else {
        unreachable!("two pictures, two embeddings")
    };
    let similarity = product(of_a, of_b);
    let same = threshold.accepts(similarity);
    if args.json {
        let line = Line {
            a: a.clone(),
            b: b.clone(),
            same,
            similarity,
            threshold: threshold.similarity,
            false_accept_rate: threshold.rate,
        };
        print(format_args!("{}\n", serde_json::to_string(&line)?));
        return Ok(());
    }
    let verdict = match same {
        true => "one brand",
        false => "different brands, or unknown",
    };
    let rate = threshold.rate.map(|rate| {
        format!(
            ", which takes {} of pairs of different brands for one (by {})",
            percent(rate),
            threshold.basis
        )
    });
    print(format_args!(
        "{verdict}: similarity {similarity:.3}; one brand from {:.3} on{}\n",
        threshold.similarity,
        rate.unwrap_or_default()
    ));
    Ok(())
}

fn open(args: &VerifyArgs) -> Result<Model> {
    match (&args.model, &args.gallery) {
        (Some(path), _) => open_model(path, args.threads),
        (None, Some(place)) => {
            let gallery = Gallery::open(place)?;
            let own = gallery.store().model(&gallery.model().fingerprint);
            let own = own.ok_or_else(|| {
                usage(format!(
                    "{}: it keeps no model; give --model MODEL.onnx",
                    gallery.store()
                ))
            })?;
            open_model(&own, args.threads)
        }
        (None, None) => Err(usage("give --model MODEL.onnx or --gallery DIR")),
    }
}

/// That of one brand enrolled with one picture: what a pair is.
fn threshold(args: &VerifyArgs, model: &Model) -> Result<Threshold> {
    if let Some(similarity) = args.threshold {
        return Ok(Threshold::given(similarity));
    }
    crate::threshold::check_rate(args.far)?;
    let calibration = model.metadata().calibration.as_ref();
    let found = calibration.and_then(|c| of_model(c, 1, 1, args.far));
    found.ok_or_else(|| {
        usage("the model is not calibrated, so nothing says from which similarity on two pictures show one brand: give --threshold")
    })
}
