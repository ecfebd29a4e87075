//! A change, as the statements of one transaction.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, ensure};
use postgres::Transaction;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{Json, ToSql, Type};

use super::address::Address;
use super::failure::told;
use super::read::{Stored, vector_type};
use super::tables;
use crate::gallery::contents::{Contents, Edit, brands};

/// Whether every embedding that is added has the length of the gallery's.
///
/// # Errors
/// One has not.
pub(super) fn check_lengths(at: &Address, current: &Contents, edits: &[Edit]) -> Result<()> {
    let mut dim = current.model.embedding_dim as usize;
    for edit in edits {
        match edit {
            Edit::Begin { model, .. } => dim = model.embedding_dim as usize,
            Edit::Add { picture, embedding } => ensure!(
                embedding.len() == dim,
                "{at}: an embedding of {:?} has {} numbers, and the gallery's have {dim}; nothing was changed",
                picture.brand,
                embedding.len()
            ),
            Edit::Rename { .. }
            | Edit::Remove { .. }
            | Edit::Calibrate(_)
            | Edit::CalibrateScenes(_) => {}
        }
    }
    Ok(())
}

/// Changes the tables from `current` to `next`, which is [`Contents::after`] the edits.
pub(super) fn apply<'a>(
    transaction: &mut Transaction<'_>,
    at: &Address,
    current: &'a Contents,
    edits: &'a [Edit],
    next: &Contents,
) -> Result<()> {
    // What was before the last new beginning is gone.
    let begin = edits
        .iter()
        .rposition(|edit| matches!(edit, Edit::Begin { .. }));
    let edits = match begin {
        None => edits,
        Some(begin) => {
            begin_anew(transaction, at, next)?;
            &edits[begin + 1..]
        }
    };
    let run = |transaction: &mut Transaction<'_>, query: &str, values: &[&(dyn ToSql + Sync)]| {
        transaction.execute(query, values).map_err(|e| told(at, &e))
    };
    let mut touched = BTreeSet::new();
    let mut renamed = Vec::new();
    for edit in edits {
        match edit {
            Edit::Rename { from, to } => {
                touched.extend([from.as_str(), to.as_str()]);
                renamed.extend([from.as_str(), to.as_str()]);
            }
            Edit::Remove { brand, .. } => {
                touched.insert(brand.as_str());
            }
            Edit::Add { picture, .. } => {
                touched.insert(picture.brand.as_str());
            }
            Edit::Calibrate(_) | Edit::CalibrateScenes(_) | Edit::Begin { .. } => {}
        }
    }
    if !renamed.is_empty() {
        // Brands that become one keep the order in which a gallery lists them.
        let query = "UPDATE picture p SET place = n.place FROM (
            SELECT brand, place AS old, (SELECT max(place) FROM picture) + row_number() OVER (ORDER BY brand, place) AS place
            FROM picture WHERE brand = ANY($1)) n
            WHERE p.brand = n.brand AND p.place = n.old";
        run(transaction, query, &[&renamed])?;
    }
    // Those that may be there: a part of one of these is counted.
    let mut files: BTreeSet<&str> = match begin {
        Some(_) => BTreeSet::new(),
        None => current.pictures.iter().map(|p| p.blake3.as_str()).collect(),
    };
    let mut rest = edits;
    while let Some(edit) = rest.first() {
        let adds = rest
            .iter()
            .take_while(|edit| matches!(edit, Edit::Add { .. }))
            .count();
        if adds > 0 {
            add(transaction, at, &mut files, &rest[..adds], next)?;
            rest = &rest[adds..];
            continue;
        }
        match edit {
            Edit::Rename { from, to } => {
                run(
                    transaction,
                    "UPDATE picture SET brand = $2 WHERE brand = $1",
                    &[from, to],
                )?;
            }
            Edit::Remove {
                brand,
                blake3: None,
            } => {
                run(
                    transaction,
                    "DELETE FROM picture WHERE brand = $1",
                    &[brand],
                )?;
            }
            Edit::Remove {
                brand,
                blake3: Some(blake3),
            } => {
                let query = "DELETE FROM picture WHERE brand = $1 AND blake3 = $2";
                run(transaction, query, &[brand, blake3])?;
            }
            Edit::Calibrate(calibration) => {
                let query = "UPDATE gallery SET calibration = $1";
                run(transaction, query, &[&calibration.as_ref().map(Json)])?;
            }
            Edit::CalibrateScenes(calibration) => {
                tables::add_scene_calibration(transaction, at)?;
                let query = "UPDATE gallery SET scene_calibration = $1";
                run(transaction, query, &[&calibration.as_ref().map(Json)])?;
            }
            Edit::Add { .. } | Edit::Begin { .. } => {}
        }
        rest = &rest[1..];
    }
    write_brands(transaction, at, &touched, next)
}

/// Another model: its vectors may have another length.
fn begin_anew(transaction: &mut Transaction<'_>, at: &Address, next: &Contents) -> Result<()> {
    // Who reads has locked the row's table: tables do not go while they are read.
    transaction
        .batch_execute("LOCK TABLE gallery IN ACCESS EXCLUSIVE MODE")
        .map_err(|e| told(at, &e))?;
    let model = &next.model;
    tables::create_vectors(transaction, at, model.embedding_dim, next.numbers)?;
    tables::add_scene_calibration(transaction, at)?;
    let query = "UPDATE gallery SET fingerprint = $1, run = $2, embedding_dim = $3, numbers = $4,
        calibration = NULL, scene_calibration = NULL, index = NULL";
    let dim = model.embedding_dim as i32;
    transaction
        .execute(
            query,
            &[&model.fingerprint, &model.run, &dim, &Json(next.numbers)],
        )
        .map_err(|e| told(at, &e))?;
    Ok(())
}

/// Adds pictures. A part of a file that is there already is so because it was asked for: it is counted.
fn add<'a>(
    transaction: &mut Transaction<'_>,
    at: &Address,
    files: &mut BTreeSet<&'a str>,
    edits: &'a [Edit],
    next: &Contents,
) -> Result<()> {
    let mut rows = Vec::with_capacity(edits.len());
    for edit in edits {
        if let Edit::Add { picture, embedding } = edit {
            rows.push((picture, embedding));
        }
    }
    let mut repetitions: HashMap<(&str, [u32; 4]), i32> = HashMap::new();
    let mut repetition = Vec::with_capacity(rows.len());
    for (picture, _) in &rows {
        let key = (picture.blake3.as_str(), picture.crop);
        let this = match repetitions.get(&key) {
            Some(before) => before + 1,
            None if files.contains(key.0) => {
                let query = "SELECT coalesce(max(repetition) + 1, 0) FROM picture WHERE blake3 = $1 AND crop = $2";
                let found = transaction.query_one(query, &[&key.0, &signed(&picture.crop)]);
                found
                    .and_then(|row| row.try_get(0))
                    .map_err(|e| told(at, &e))?
            }
            None => 0,
        };
        repetitions.insert(key, this);
        repetition.push(this);
    }
    files.extend(rows.iter().map(|(picture, _)| picture.blake3.as_str()));
    let last: i64 = transaction
        .query_one("SELECT coalesce(max(place), 0) FROM picture", &[])
        .and_then(|row| row.try_get(0))
        .map_err(|e| told(at, &e))?;
    let vector = vector_type(transaction, at, next.numbers)?;
    let types = [
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::INT4_ARRAY,
        Type::INT4,
        Type::INT4_ARRAY,
        Type::TEXT,
        Type::JSONB,
        vector,
    ];
    let mut copy = || -> Result<(), postgres::Error> {
        let into = "COPY picture (brand, place, blake3, crop, repetition, box, phash, source, embedding) FROM STDIN (FORMAT binary)";
        let mut writer = BinaryCopyInWriter::new(transaction.copy_in(into)?, &types);
        let mut place = last;
        for ((picture, embedding), repetition) in rows.iter().zip(&repetition) {
            place += 1;
            writer.write(&[
                &picture.brand,
                &place,
                &picture.blake3,
                &signed(&picture.crop),
                repetition,
                &picture.bbox.as_ref().map(signed),
                &picture.phash,
                &Json(&picture.source),
                Stored::new(embedding, next.numbers).as_sql(),
            ])?;
        }
        writer.finish()?;
        Ok(())
    };
    copy().map_err(|e| told(at, &e))
}

/// Writes the rows of the brands whose pictures changed.
fn write_brands(
    transaction: &mut Transaction<'_>,
    at: &Address,
    touched: &BTreeSet<&str>,
    next: &Contents,
) -> Result<()> {
    if touched.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = touched.iter().copied().collect();
    transaction
        .execute("DELETE FROM brand WHERE name = ANY($1)", &[&names])
        .map_err(|e| told(at, &e))?;
    let types = [
        Type::TEXT,
        Type::INT4,
        vector_type(transaction, at, next.numbers)?,
    ];
    let mut copy = || -> Result<(), postgres::Error> {
        let into = "COPY brand (name, pictures, prototype) FROM STDIN (FORMAT binary)";
        let mut writer = BinaryCopyInWriter::new(transaction.copy_in(into)?, &types);
        for (place, brand) in brands(&next.pictures).iter().enumerate() {
            if touched.contains(brand.name.as_str()) {
                let pictures = brand.pictures.len() as i32;
                let prototype = Stored::new(&next.prototypes.row(place), next.numbers);
                writer.write(&[&brand.name, &pictures, prototype.as_sql()])?;
            }
        }
        writer.finish()?;
        Ok(())
    };
    copy().map_err(|e| told(at, &e))
}

/// Pixels as SQL has them.
fn signed(values: &[u32; 4]) -> Vec<i32> {
    values
        .iter()
        .map(|&value| i32::try_from(value).unwrap_or(i32::MAX))
        .collect()
}
