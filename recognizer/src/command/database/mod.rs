//! What a gallery in a database has beyond one in a directory: `logodex copy` and `index`.

pub mod asked;

use anyhow::Result;
use logodex_program::output::print;
use logodex_program::usage;

use super::table::count;
use crate::copy::copy;
use crate::gallery::postgres::index::IndexAsked;
use crate::gallery::snapshot::Gallery;
use crate::gallery::store::Store;

/// What is typed after `copy`.
#[derive(Debug, clap::Args)]
pub struct CopyArgs {
    /// The gallery: a directory, or postgres://…
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// Where it is copied to: a directory or postgres://… that holds no gallery yet.
    #[arg(long, value_name = "GALLERY")]
    to: String,
}

/// What is typed after `index`.
#[derive(Debug, clap::Args)]
pub struct IndexArgs {
    /// The gallery: postgres://…
    #[arg(long, value_name = "URL")]
    gallery: String,
    /// The share of the ten nearest brands that a search should find: it is made as wide as that takes.
    #[arg(long, default_value_t = 0.99, value_name = "SHARE")]
    recall: f64,
    /// Links per vector: more find more, and take more memory and time.
    #[arg(long, default_value_t = 16, value_name = "M", value_parser = clap::value_parser!(u32).range(2..=100))]
    m: u32,
    /// Candidates that are kept while a vector is linked, at least twice the links.
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=1000))]
    ef_construction: u32,
    /// The most of the server's memory that the index is built in, MiB; less is taken where less does. 100,000 vectors of 128
    /// numbers take 150.
    #[arg(long, default_value_t = 2048, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    memory: u32,
    /// Let the index go.
    #[arg(long)]
    drop: bool,
}

/// `logodex copy`.
///
/// # Errors
/// As [`Gallery::open`] and [`copy`].
pub fn copy_command(args: &CopyArgs) -> Result<()> {
    let to = Store::at(&args.to)?;
    let copied = copy(&Gallery::open(&args.gallery)?, &to)?;
    print(format_args!(
        "{to}: {} of {}\n",
        count(copied.pictures.len(), "picture"),
        count(copied.prototypes.len(), "brand")
    ));
    Ok(())
}

/// `logodex index`.
///
/// # Errors
/// A gallery in a directory; as [`crate::gallery::postgres::Postgres::build_index`].
pub fn index_command(args: &IndexArgs) -> Result<()> {
    let Store::Postgres(database) = Store::at(&args.gallery)? else {
        return Err(usage(format!(
            "{}: a directory is searched exactly, in milliseconds, and has no index; one is built for a gallery at postgres://…",
            args.gallery
        )));
    };
    if args.drop {
        database.drop_index()?;
        print(format_args!(
            "{}: it has no index now\n",
            database.address()
        ));
        return Ok(());
    }
    if !(args.recall > 0.0 && args.recall <= 1.0) {
        return Err(usage(format!(
            "--recall {}: it must lie between 0 and 1",
            args.recall
        )));
    }
    if args.ef_construction < 2 * args.m {
        return Err(usage(format!(
            "--ef-construction {}: it must be twice --m {} at least",
            args.ef_construction, args.m
        )));
    }
    let built = database.build_index(IndexAsked {
        recall: args.recall,
        m: args.m,
        ef_construction: args.ef_construction,
        memory: args.memory,
    })?;
    let index = &built.index;
    print(format_args!(
        "{}: built in {:.1} s; a search that keeps {} candidates finds {:.1} % of the {} nearest brands in {:.2} ms, comparing all takes {:.2} ms (medians of {} queries)\n",
        database.address(),
        built.building.as_secs_f64(),
        index.ef_search,
        100.0 * index.recall,
        index.k,
        1e3 * built.approximate.as_secs_f64(),
        1e3 * built.exact.as_secs_f64(),
        index.queries,
    ));
    if !built.fits {
        tracing::warn!(
            "{}: --memory {} MiB did not do for all of it, which makes building many times slower; the server's machine may have more",
            database.address(),
            args.memory
        );
    }
    if index.recall < args.recall {
        tracing::warn!(
            "{}: the widest search finds {:.3} of what is nearest, not {}; a larger --m and --ef-construction find more",
            database.address(),
            index.recall,
            args.recall
        );
    }
    Ok(())
}
