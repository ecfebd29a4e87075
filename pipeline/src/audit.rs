//! Shows a person what the rules decide about a raw tree: a page to look at and to answer on, and the plan that it is of.
//!
//! [`findings`] asks the questions, the riskiest first, each with its evidence; [`page`] draws them. The page hands back
//! an `overrides.toml`, which `plan`, `build` and a later audit obey; served by [`serve`], it writes it itself.

mod finding;
mod findings;
mod gallery;
mod markdown;
mod page;
pub mod serve;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_dataset::Dataset;
use logodex_inference::Model;
use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::audit::AuditBrand;
use logodex_schemas::plan::{ConsolidationPlan, Overrides};
use logodex_schemas::split::Fold;

use crate::build::output::inspect::lies_in_raw;
use crate::plan::{consolidate, review, summary};
use crate::raw::scan::scan_closely;
use crate::serialise::json_bytes;
use crate::split;
use logodex_program::durable::write_whole;
use logodex_program::failure::usage;
use logodex_program::output::print;
use logodex_program::progress::StageProgress;
use serve::address;
use serve::answers::Answers;

/// What `logodex-data audit` is asked for.
#[derive(Debug)]
pub struct AuditOptions {
    /// The raw tree.
    pub raw: PathBuf,
    /// The directory to write.
    pub out: PathBuf,
    /// The configuration of the build, and where it was read.
    pub config: (BuildConfig, Option<PathBuf>),
    /// The answers there are, and where they were read.
    pub overrides: (Overrides, Option<PathBuf>),
    /// An exported model that is asked what looks alike.
    pub model: Option<PathBuf>,
    /// Where the page is to be served, if it is.
    pub serve: Option<SocketAddr>,
    /// A dataset of the tree, and a split of it: what look-alikes in several folds would leak.
    pub split: Option<(PathBuf, String)>,
}

impl AuditOptions {
    /// The file of answers: as it was read, or to be.
    fn answers(&self) -> PathBuf {
        let given = self.overrides.1.clone();
        given.unwrap_or_else(|| self.out.join(ANSWERS))
    }
}

/// The file of answers in the directory of an audit.
pub const ANSWERS: &str = "overrides.toml";

/// Writes `audit.html`, `audit.json`, `audit.md` and `plan.json`, and with a model `seen.csv`; returns a summary and the commands that follow, to print.
/// If the page is to be served, prints the summary, serves it until a signal ends it, and returns the commands.
///
/// An earlier `plan.json` of another content is kept under another name.
///
/// # Errors
/// Usage: an `out` or answers to be written in the raw tree, nothing to scan, overrides that cannot be applied, an address
/// that cannot be listened on, no such model or split. Corrupt: a damaged dataset or split. Otherwise the disk.
pub fn audit(options: &AuditOptions) -> anyhow::Result<String> {
    let (raw, out) = (&options.raw, &options.out);
    let answers = options.answers();
    let served = options.serve.map(|_| answers.as_path());
    for written in [Some(out.as_path()), served].into_iter().flatten() {
        if lies_in_raw(written, raw) {
            return Err(usage(format!(
                "{} lies in the raw tree, which is never written",
                written.display()
            )));
        }
    }
    // Before all that takes time.
    let listener = options.serve.map(address::listen).transpose()?;
    let (config, overrides) = (&options.config.0, &options.overrides.0);
    let folds = match &options.split {
        Some((dataset, name)) => folds(dataset, name)?,
        None => BTreeMap::new(),
    };
    let model = options
        .model
        .as_deref()
        .map(|path| Model::open(path, 0))
        .transpose()?;
    let scan = scan_closely(raw)?;
    let stage = StageProgress::new("plan");
    let plan = consolidate::propose(&scan, config, overrides)?;
    stage.set(plan.summary.images, plan.summary.images);
    drop(stage);
    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot make the directory", out.display()))?;
    let plan_path = out.join("plan.json");
    let earlier = crate::config::reviewed_plan(&plan_path).ok();
    let changed = earlier.map(|earlier| review::differences(&earlier, &plan));
    let stage = StageProgress::new("page");
    let asked = findings::Asked {
        changed,
        folds: &folds,
        model: model.as_ref(),
        min_object_px: config.min_object_px,
    };
    let findings::Found {
        audit,
        gallery,
        seen,
    } = findings::find(&scan, &plan, asked)?;
    let sheets = gallery.sheets()?;

    let kept = keep_earlier(&plan_path, &plan)?;
    write_whole(&plan_path, &json_bytes(&plan)?)?;
    write_whole(&out.join("audit.json"), &json_bytes(&audit)?)?;
    if let Some(seen) = &seen {
        write_whole(&out.join("seen.csv"), seen)?;
    }
    write_whole(&out.join("audit.md"), markdown::text(&audit).as_bytes())?;
    write_whole(
        &out.join("audit.html"),
        page::html(&audit, &sheets, None)?.as_bytes(),
    )?;
    let findings = audit.findings.len() as u64;
    stage.set(findings, findings);
    drop(stage);
    let mut said = summary::summarize(&plan).trim_end().to_owned();
    if let Some(kept) = kept {
        said += &format!("\nthe plan that was there is kept: {}", kept.display());
    }
    if let Some((_, name)) = &options.split {
        let known = |brand: &&AuditBrand| {
            folds.contains_key(&format!("{}/{}", brand.category, brand.brand))
        };
        let without = audit.brands.len() - audit.brands.iter().filter(known).count();
        said += &match without {
            0 => format!("\nevery brand has its fold in the split {name}"),
            n => format!(
                "\n{n} brands are in no fold of the split {name}: what they share with others is not known to leak"
            ),
        };
    }
    let open = audit.findings.iter().filter(|f| !f.answered).count();
    said += &format!(
        "\n{open} findings to decide on, {} answers in force\n",
        answers_in(overrides)
    );
    let Some(listener) = listener else {
        return Ok(said + &what_follows(options));
    };
    print(format_args!("{said}\n"));
    let page = serve::Page {
        html: page::html(&audit, &sheets, served)?,
        policy: page::policy(true),
        pictures: audit
            .pictures
            .iter()
            .map(|p| scan.root.join(&p.image))
            .collect(),
        answers: Answers::new(answers, scan),
    };
    serve::serve(listener, page)?;
    Ok(what_follows(options))
}

/// The fold of each brand `<Category>/<brand>` of a dataset in a split of it.
fn folds(dataset: &Path, name: &str) -> anyhow::Result<BTreeMap<String, Fold>> {
    let dataset = Dataset::open(dataset)?;
    let folds = split::folds(&dataset, name)?;
    let brands = dataset.brands().iter();
    let of = brands.filter_map(|brand| {
        let key = format!("{}/{}", brand.category, brand.brand);
        Some((key, *folds.get(&brand.index)?))
    });
    Ok(of.collect())
}

fn answers_in(overrides: &Overrides) -> usize {
    let Overrides {
        merge,
        keep_apart,
        rename,
        drop,
        accept,
    } = overrides;
    merge.len() + keep_apart.len() + rename.len() + drop.len() + accept.len()
}

/// Renames a plan that would be overwritten by another: a person may have reviewed it.
fn keep_earlier(path: &Path, plan: &ConsolidationPlan) -> anyhow::Result<Option<PathBuf>> {
    let Ok(earlier) = std::fs::read(path) else {
        return Ok(None);
    };
    if earlier == json_bytes(plan)? {
        return Ok(None);
    }
    let hash = blake3::hash(&earlier).to_hex();
    let kept = path.with_file_name(format!("plan-{}.json", &hash[..8]));
    std::fs::rename(path, &kept)
        .with_context(|| format!("cannot rename {} to {}", path.display(), kept.display()))?;
    Ok(Some(kept))
}

fn what_follows(options: &AuditOptions) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string();
        let plain = |c: char| c.is_alphanumeric() || "/._-+=".contains(c);
        match text.chars().all(plain) {
            true => text,
            false => format!("'{}'", text.replace('\'', "'\\''")),
        }
    };
    let program = std::env::args_os()
        .next()
        .map_or_else(|| "logodex-data".into(), PathBuf::from);
    let config = options.config.1.as_deref();
    let config = config.map_or(String::new(), |path| format!(" --config {}", quoted(path)));
    let answers = quoted(&options.answers());
    let (program, raw) = (quoted(&program), quoted(&options.raw));
    let (out, plan) = (quoted(&options.out), quoted(&options.out.join("plan.json")));
    let decide = match options.serve {
        None => format!(
            "Open {}, decide, and save what it hands back as {answers}. Then:",
            quoted(&options.out.join("audit.html"))
        ),
        Some(_) => format!("What was decided is in {answers} once it was written. Then:"),
    };
    format!(
        "
{decide}
  {program} audit --raw {raw} --out {out}{config} --overrides {answers}
  {program} build --raw {raw} --out DATASET{config} --plan {plan}
  {program} check DATASET"
    )
}

#[cfg(test)]
mod tests;
