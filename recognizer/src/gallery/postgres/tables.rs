//! The tables of a gallery: how they are made, and which version of them this program reads.
//!
//! `gallery` is one row; its columns `kind` and `version` are there in every version. `brand` has a prototype per brand,
//! `picture` an embedding per picture; within a brand pictures are in the order of `place`. `kept` holds files. Names sort as
//! bytes, as they do in a directory.

use anyhow::Result;
use logodex_program::{corrupt, usage};
use logodex_schemas::gallery::{GalleryCalibration, GalleryModel, Numbers, SceneCalibration};
use postgres::GenericClient;
use postgres::types::{Json, ToSql, Type};

use super::address::Address;
use super::failure::{no_extension, told};
use crate::gallery::contents::Contents;

/// Version of the tables.
const VERSION: i32 = 1;
const KIND: &str = "logodex-gallery";
/// Numbers of 32 bits that a row can have without being moved out of its page, which makes a search read it twice.
const IN_PAGE: u32 = 1_500;
/// The most that pgvector takes.
const LONGEST: u32 = 16_000;

/// The row of `gallery`.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) generation: u64,
    /// Another one after every change.
    pub(super) state: String,
    pub(super) model: GalleryModel,
    pub(super) numbers: Numbers,
    pub(super) calibration: Option<GalleryCalibration>,
    pub(super) scene_calibration: Option<SceneCalibration>,
}

/// Makes unqualified names in this transaction those of the gallery and of pgvector.
pub(super) fn enter(client: &mut impl GenericClient, at: &Address) -> Result<()> {
    let query = "SELECT set_config('search_path', $1 || coalesce((
            SELECT ', ' || quote_ident(nspname) FROM pg_catalog.pg_extension e
            JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector'), ''), true),
        pg_catalog.has_schema_privilege($2, 'USAGE')";
    let quoted = at.quoted_schema();
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&quoted, Type::TEXT), (&at.schema, Type::TEXT)];
    let rows = client.query_typed(query, &values);
    let may: bool = rows
        .and_then(|rows| rows[0].try_get(1))
        .map_err(|e| told(at, &e))?;
    match may {
        true => Ok(()),
        // A path leaves out what may not be entered, without a word.
        false => Err(usage(format!(
            "{at}: permission denied for schema {:?}; who owns it can grant its use (GRANT USAGE ON SCHEMA)",
            at.schema
        ))),
    }
}

/// Whether there are tables, seen outside of any transaction or within one.
pub(super) fn exist(client: &mut impl GenericClient, at: &Address) -> Result<bool> {
    let found = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'gallery')";
    let rows = client.query_typed(found, &[(&at.schema, Type::TEXT)]);
    rows.and_then(|rows| rows[0].try_get(0))
        .map_err(|e| told(at, &e))
}

/// Reads the row of `gallery`, within a transaction that has entered.
pub(super) fn head(client: &mut impl GenericClient, at: &Address) -> Result<Head> {
    let foreign = || {
        usage(format!(
            "{at}: the tables of schema {:?} are no gallery's; name another schema: ?schema=NAME at the end of the URL",
            at.schema
        ))
    };
    let columns = "SELECT count(*) FROM pg_catalog.pg_attribute
        WHERE attrelid = 'gallery'::regclass AND attname IN ('kind', 'version')";
    let columns: i64 = client
        .query_one(columns, &[])
        .and_then(|row| row.try_get(0))
        .map_err(|e| told(at, &e))?;
    if columns != 2 {
        return Err(foreign());
    }
    let named = client
        .query_opt("SELECT kind::text, version::int FROM gallery", &[])
        .map_err(|e| told(at, &e))?;
    let Some(named) = named else {
        return Err(corrupt(format!("{at}: its table `gallery` has no row")));
    };
    let kind: Option<String> = named.try_get(0).map_err(|e| told(at, &e))?;
    if kind.as_deref() != Some(KIND) {
        return Err(foreign());
    }
    let version = named.try_get(1).map_err(|e| told(at, &e))?;
    check_version(at, version)?;
    let all =
        "SELECT generation, state::text, fingerprint, run, embedding_dim, numbers, calibration,
        nullif(to_jsonb(gallery)->'scene_calibration', 'null') FROM gallery";
    let row = client.query_one(all, &[]).map_err(|e| told(at, &e))?;
    let read = || -> Result<Head, postgres::Error> {
        Ok(Head {
            generation: row.try_get::<_, i64>(0)? as u64,
            state: row.try_get(1)?,
            model: GalleryModel {
                fingerprint: row.try_get(2)?,
                run: row.try_get(3)?,
                embedding_dim: row.try_get::<_, i32>(4)? as u32,
            },
            numbers: row.try_get::<_, Json<Numbers>>(5)?.0,
            calibration: row.try_get::<_, Option<Json<_>>>(6)?.map(|json| json.0),
            scene_calibration: row.try_get::<_, Option<Json<_>>>(7)?.map(|json| json.0),
        })
    };
    read().map_err(|e| told(at, &e))
}

/// Makes the column for what was found out of scenes, which the first galleries have not.
pub(super) fn add_scene_calibration(client: &mut impl GenericClient, at: &Address) -> Result<()> {
    let there = "SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'gallery'::regclass AND attname = 'scene_calibration'";
    let there = client.query(there, &[]).map_err(|e| told(at, &e))?;
    if there.is_empty() {
        client
            .batch_execute("ALTER TABLE gallery ADD COLUMN scene_calibration jsonb")
            .map_err(|e| told(at, &e))?;
    }
    Ok(())
}

/// # Errors
/// [`logodex_program::Failure::Corrupt`], as for a directory of another version.
fn check_version(at: &Address, version: i32) -> Result<()> {
    match version {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(corrupt(format!(
            "{at}: its tables are of version {newer}, this program reads version {VERSION}: use a newer logodex"
        ))),
        other => Err(corrupt(format!(
            "{at}: its tables are of version {other}, which no program wrote"
        ))),
    }
}

/// Makes the tables of an empty gallery, within a transaction. pgvector is made known to the database, if it is not.
pub(super) fn create(
    client: &mut impl GenericClient,
    at: &Address,
    begin: &Contents,
) -> Result<()> {
    let known = client.query(
        "SELECT FROM pg_catalog.pg_extension WHERE extname = 'vector'",
        &[],
    );
    if known.map_err(|e| told(at, &e))?.is_empty() {
        client
            .batch_execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
            .map_err(|e| no_extension(at, &e))?;
    }
    create_kept(client, at)?;
    enter(client, at)?;
    let tables = "
        CREATE TABLE gallery (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            kind text NOT NULL,
            version int NOT NULL,
            created_by text NOT NULL,
            generation bigint NOT NULL,
            state uuid NOT NULL,
            fingerprint text NOT NULL,
            run text NOT NULL,
            embedding_dim int NOT NULL,
            numbers jsonb NOT NULL,
            calibration jsonb,
            scene_calibration jsonb,
            index jsonb
        )";
    client.batch_execute(tables).map_err(|e| told(at, &e))?;
    let row = "INSERT INTO gallery (kind, version, created_by, generation, state, fingerprint, run, embedding_dim, numbers)
        VALUES ($1, $2, $3, 0, gen_random_uuid(), $4, $5, $6, $7)";
    client
        .execute(
            row,
            &[
                &KIND,
                &VERSION,
                &concat!("logodex ", env!("CARGO_PKG_VERSION")),
                &begin.model.fingerprint,
                &begin.model.run,
                &(begin.model.embedding_dim as i32),
                &Json(begin.numbers),
            ],
        )
        .map_err(|e| told(at, &e))?;
    create_vectors(client, at, begin.model.embedding_dim, begin.numbers)
}

/// Makes the schema with the table of files, if they are not there.
pub(super) fn create_kept(client: &mut impl GenericClient, at: &Address) -> Result<()> {
    let schema = at.quoted_schema();
    let there = client
        .query_one(
            "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.kept') IS NOT NULL",
            &[&schema],
        )
        .and_then(|row| Ok((row.try_get::<_, bool>(0)?, row.try_get::<_, bool>(1)?)))
        .map_err(|e| told(at, &e))?;
    // Asked before, because who may not make a schema may use one.
    if !there.0 {
        let make = format!("CREATE SCHEMA {schema}");
        client.batch_execute(&make).map_err(|e| told(at, &e))?;
    }
    if !there.1 {
        let make = format!(
            "CREATE TABLE {schema}.kept (name text PRIMARY KEY, blake3 text NOT NULL, bytes bytea NOT NULL);
            ALTER TABLE {schema}.kept ALTER COLUMN bytes SET STORAGE EXTERNAL"
        );
        client.batch_execute(&make).map_err(|e| told(at, &e))?;
    }
    Ok(())
}

/// Makes the tables of brands and pictures, anew if they are there.
pub(super) fn create_vectors(
    client: &mut impl GenericClient,
    at: &Address,
    dim: u32,
    numbers: Numbers,
) -> Result<()> {
    if dim > LONGEST {
        return Err(usage(format!(
            "{at}: pgvector holds vectors of {LONGEST} numbers at most, and the model's embeddings have {dim}: keep this gallery in a directory"
        )));
    }
    let (vector, bytes) = match numbers {
        Numbers::F32 => ("vector", 4),
        Numbers::F16 => ("halfvec", 2),
    };
    let vector = format!("{vector}({dim})");
    let mut tables = format!(
        "DROP TABLE IF EXISTS picture, brand;
        CREATE TABLE brand (
            name text COLLATE \"C\" PRIMARY KEY,
            pictures int NOT NULL CHECK (pictures > 0),
            prototype {vector} NOT NULL
        );
        CREATE TABLE picture (
            brand text COLLATE \"C\" NOT NULL REFERENCES brand DEFERRABLE INITIALLY DEFERRED,
            place bigint NOT NULL,
            blake3 text NOT NULL,
            crop int[] NOT NULL,
            repetition int NOT NULL DEFAULT 0,
            box int[],
            phash text NOT NULL,
            source jsonb NOT NULL,
            embedding {vector} NOT NULL,
            PRIMARY KEY (brand, place),
            CONSTRAINT enrolled_once UNIQUE (blake3, crop, repetition)
        );"
    );
    if dim * bytes <= IN_PAGE * 4 {
        tables += "ALTER TABLE brand ALTER COLUMN prototype SET STORAGE PLAIN;
            ALTER TABLE picture ALTER COLUMN embedding SET STORAGE PLAIN;";
    }
    client.batch_execute(&tables).map_err(|e| told(at, &e))
}

#[cfg(test)]
mod tests {
    use logodex_program::exit_code;

    use super::*;

    #[test]
    fn a_newer_version_of_the_tables_is_refused_by_name() {
        let at = Address::parse("postgres://ann:secret@db/logos").unwrap();
        assert!(check_version(&at, VERSION).is_ok());
        for (version, reason) in [
            (VERSION + 1, "use a newer logodex"),
            (0, "no program wrote"),
        ] {
            let error = check_version(&at, version).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(reason) && text.contains("postgres://ann@db/logos"),
                "{text}"
            );
            assert_eq!(exit_code(&error), 5);
        }
    }
}
