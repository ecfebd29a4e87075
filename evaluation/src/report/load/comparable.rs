//! Which evaluations may stand in one table.

use logodex_schemas::evaluation::{Evaluation, EvaluationRow};

use crate::report::load::model::Model;
use crate::report::wording::prefix;
use crate::settings::region_name;

/// What must agree before two evaluations stand in one table.
pub fn check_comparable(a: &Model, b: &Model) -> Result<(), String> {
    let (a, b) = (&a.evaluation, &b.evaluation);
    let differ = |what: &str, a: &str, b: &str| match a == b {
        true => Ok(()),
        false => Err(format!("{what} ({} and {})", prefix(a), prefix(b))),
    };
    let differ_number = |what: &str, a: u64, b: u64| match a == b {
        true => Ok(()),
        false => Err(format!("{what} ({a} and {b})")),
    };
    differ(
        "another dataset, by its manifest",
        &a.manifest_blake3,
        &b.manifest_blake3,
    )?;
    differ(
        "another split, by its CSV",
        &a.split_blake3,
        &b.split_blake3,
    )?;
    let first = |e: &Evaluation| e.first_region().map_or("no", region_name);
    if first(a) != first(b) {
        return Err(format!(
            "{} rows are its first, not {}; judge both models anew with --region {}",
            first(b),
            first(a),
            first(a)
        ));
    }
    differ_number("another seed of the episodes", a.seed, b.seed)?;
    differ_number(
        "another number of episodes",
        a.episodes.into(),
        b.episodes.into(),
    )?;
    differ_number(
        "another number of test brands",
        a.test_brands,
        b.test_brands,
    )?;
    differ_number("another number of test rows", a.test_rows, b.test_rows)
}

/// Adds floors not seen yet; an equal one is the same floor.
pub fn merge_floors(
    floors: &mut Vec<EvaluationRow>,
    more: Vec<EvaluationRow>,
) -> Result<(), Box<EvaluationRow>> {
    for row in more {
        let same = floors.iter().find(|known| {
            (&known.model, &known.protocol, known.shots, &known.metric)
                == (&row.model, &row.protocol, row.shots, &row.metric)
                && (known.region, &known.slice) == (row.region, &row.slice)
        });
        match same {
            Some(known) if *known == row => {}
            Some(_) => return Err(Box::new(row)),
            None => floors.push(row),
        }
    }
    Ok(())
}
