//! A search that the server makes, without loading the gallery: exact, or by its HNSW index.
//!
//! The server's sums round otherwise than the kernel's. So it is asked for somewhat more than what is wanted, with the vectors,
//! and the kernel decides: what is found exactly is what a directory's search finds, similarities and order included.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use logodex_embeddings::similarity::product;
use logodex_program::usage;
use logodex_schemas::gallery::{
    Candidate, GalleryCalibration, GalleryIndex, GalleryModel, Numbers,
};
use pgvector::Vector;
use postgres::Transaction;
use postgres::types::Json;

use super::address::Address;
use super::database::Postgres;
use super::failure::told;
use super::read::Stored;
use super::tables::Head;

/// Candidates that are asked for beyond those wanted.
const MORE: usize = 8;
/// Numbers of a vector that an index takes, of 32 and of 16 bits.
const INDEXED_FULL: u32 = 2_000;
const INDEXED_HALF: u32 = 4_000;
/// What `hnsw.ef_search` may be at most.
pub(super) const WIDEST: i32 = 1_000;

/// How the server searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every prototype is compared.
    Exact,
    /// By the index, which may miss some.
    Approximate,
}

/// A gallery that its server searches.
#[derive(Debug)]
pub struct Searched {
    database: Postgres,
    head: Head,
    enrolled: u64,
    shots: u64,
    index: Option<GalleryIndex>,
}

impl Postgres {
    /// The gallery, to be searched by the server; none where there is none.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn searched(&self) -> Result<Option<Searched>> {
        let at = self.address();
        self.reading(|transaction, head| {
            let query = "SELECT count(*), (SELECT pictures FROM brand ORDER BY pictures
                OFFSET (SELECT count(*) / 2 FROM brand) LIMIT 1), (SELECT index FROM gallery) FROM brand";
            let row = transaction.query_one(query, &[]).map_err(|e| told(at, &e))?;
            let read = || -> Result<_, postgres::Error> {
                let shots: Option<i32> = row.try_get(1)?;
                let index: Option<Json<GalleryIndex>> = row.try_get(2)?;
                Ok((row.try_get::<_, i64>(0)?, shots.unwrap_or(1), index.map(|json| json.0)))
            };
            let (enrolled, shots, index) = read().map_err(|e| told(at, &e))?;
            Ok(Searched {
                database: self.clone(),
                enrolled: enrolled as u64,
                shots: shots as u64,
                index,
                head,
            })
        })
    }
}

impl Searched {
    /// Where it is.
    pub fn address(&self) -> &Address {
        self.database.address()
    }

    /// The model whose embeddings it holds.
    pub fn model(&self) -> &GalleryModel {
        &self.head.model
    }

    /// What was found out of strangers, if anything.
    pub fn calibration(&self) -> Option<&GalleryCalibration> {
        self.head.calibration.as_ref()
    }

    /// Brands that are enrolled.
    pub fn enrolled(&self) -> u64 {
        self.enrolled
    }

    /// Pictures per brand: the middle of all brands' numbers.
    pub fn shots(&self) -> u64 {
        self.shots
    }

    /// Counts the changes.
    pub fn generation(&self) -> u64 {
        self.head.generation
    }

    /// Its index, if one was built.
    pub fn index(&self) -> Option<&GalleryIndex> {
        self.index.as_ref()
    }

    /// The `k` brands most similar to each query `[D]` of length one, most similar first; equal ones by name.
    ///
    /// # Errors
    /// The server; an approximate search without an index; a gallery that was embedded again with another model meanwhile.
    pub fn search(&self, queries: &[&[f32]], k: usize, how: How) -> Result<Vec<Vec<Candidate>>> {
        let at = self.database.address();
        let answers = self.database.reading(|transaction, head| {
            if head.model.fingerprint != self.head.model.fingerprint {
                bail!("{at}: another program has embedded it again with another model meanwhile; begin anew");
            }
            match how {
                How::Exact => exact(transaction, &self.database, &head, queries, k),
                How::Approximate => {
                    let index = self.index.as_ref().ok_or_else(|| {
                        usage(format!(
                            "{at}: it has no index, which an approximate search takes; `logodex index --gallery {at}` builds one"
                        ))
                    })?;
                    approximate(transaction, &self.database, &head, index.ef_search, queries, k)
                }
            }
        })?;
        let answers = answers.ok_or_else(|| self.database.missing())?;
        Ok(answers.into_iter().map(|answer| answer.found).collect())
    }
}

/// What an index is built on, and the query as it is compared with that.
pub(super) struct Indexed {
    pub(super) expression: String,
    pub(super) operators: &'static str,
    pub(super) query: String,
}

/// # Errors
/// Vectors that no index takes.
pub(super) fn indexed(database: &Postgres, head: &Head) -> Result<Indexed> {
    let dim = head.model.embedding_dim;
    if head.numbers == Numbers::F32 && dim <= INDEXED_FULL {
        return Ok(Indexed {
            expression: "prototype".to_owned(),
            operators: "vector_ip_ops",
            query: "$1::vector".to_owned(),
        });
    }
    if dim > INDEXED_HALF {
        return Err(usage(format!(
            "{}: pgvector's index takes vectors of {INDEXED_HALF} numbers at most, and these have {dim}",
            database.address()
        )));
    }
    let expression = match head.numbers {
        Numbers::F16 => "prototype".to_owned(),
        Numbers::F32 => format!("(prototype::halfvec({dim}))"),
    };
    Ok(Indexed {
        expression,
        operators: "halfvec_ip_ops",
        query: format!("$1::vector::halfvec({dim})"),
    })
}

/// What a query was answered.
pub(super) struct Answer {
    pub(super) found: Vec<Candidate>,
    /// What it took, the way to the server and back included.
    pub(super) took: Duration,
}

/// By comparing every prototype.
pub(super) fn exact(
    transaction: &mut Transaction<'_>,
    database: &Postgres,
    head: &Head,
    queries: &[&[f32]],
    k: usize,
) -> Result<Vec<Answer>> {
    let at = database.address();
    let cast = match head.numbers {
        Numbers::F32 => "",
        Numbers::F16 => "::vector",
    };
    // An index would be used for this order, too.
    let off = "SET LOCAL enable_indexscan = off";
    let query = format!(
        "SELECT name, prototype, prototype{cast} <#> $1::vector AS distance FROM brand ORDER BY distance LIMIT $2"
    );
    let statement = transaction
        .batch_execute(off)
        .and_then(|()| transaction.prepare(&query));
    let statement = statement.map_err(|e| told(at, &e))?;
    let near = as_near(head.model.embedding_dim);
    let mut all = Vec::with_capacity(queries.len());
    for query in queries {
        let began = Instant::now();
        let mut limit = k + MORE;
        let found = loop {
            if !usable(query, head) || k == 0 {
                break Vec::new();
            }
            let values = Vector::from(query.to_vec());
            let rows = transaction.query(&statement, &[&values, &(limit as i64)]);
            let rows = rows.map_err(|e| told(at, &e))?;
            let distances: Result<Vec<f64>, _> = rows.iter().map(|row| row.try_get(2)).collect();
            let distances = distances.map_err(|e| told(at, &e))?;
            // All that the kernel could place among the k are there, if the last one is beyond doubt.
            let beyond = |last: &f64| last - distances[k.min(distances.len()) - 1] > near;
            if rows.len() < limit || distances.last().is_some_and(beyond) {
                let candidates: Result<Vec<Candidate>, _> =
                    rows.iter().map(|row| candidate(row, query)).collect();
                break candidates.map_err(|e| told(at, &e))?;
            }
            limit *= 4;
        };
        all.push(Answer {
            found: best(found, k),
            took: began.elapsed(),
        });
    }
    Ok(all)
}

/// By the index.
pub(super) fn approximate(
    transaction: &mut Transaction<'_>,
    database: &Postgres,
    head: &Head,
    ef_search: i32,
    queries: &[&[f32]],
    k: usize,
) -> Result<Vec<Answer>> {
    let at = database.address();
    let parts = indexed(database, head)?;
    let limit = (2 * k).min(k + 100);
    let ef_search = ef_search.max(limit as i32).min(WIDEST);
    // Sorting every row is what an index is there to spare.
    let set = format!(
        "SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off"
    );
    let query = format!(
        "SELECT name, prototype FROM brand ORDER BY {} <#> {} LIMIT $2",
        parts.expression, parts.query
    );
    let statement = transaction
        .batch_execute(&set)
        .and_then(|()| transaction.prepare(&query));
    let statement = statement.map_err(|e| told(at, &e))?;
    let mut all = Vec::with_capacity(queries.len());
    for query in queries {
        let began = Instant::now();
        let found = match usable(query, head) {
            false => Vec::new(),
            true => {
                let values = Vector::from(query.to_vec());
                let rows = transaction.query(&statement, &[&values, &(limit as i64)]);
                let found: Result<Vec<Candidate>, _> =
                    rows.and_then(|rows| rows.iter().map(|row| candidate(row, query)).collect());
                found.map_err(|e| told(at, &e))?
            }
        };
        all.push(Answer {
            found: best(found, k),
            took: began.elapsed(),
        });
    }
    Ok(all)
}

/// By how much two of the server's products may differ while the kernel's stand the other way round. A sum of D products of
/// vectors of length one, in whatever order, is within D · 2⁻²⁴ of the true one, and four sums are between the two.
fn as_near(dim: u32) -> f64 {
    4.0 * 1.05 * f64::from(dim) * f64::from(f32::EPSILON) / 2.0
}

/// What is no number is similar to nothing, and pgvector takes none.
fn usable(query: &[f32], head: &Head) -> bool {
    query.len() == head.model.embedding_dim as usize && query.iter().all(|x| x.is_finite())
}

fn candidate(row: &postgres::Row, query: &[f32]) -> Result<Candidate, postgres::Error> {
    let prototype = row.try_get::<_, Stored>(1)?.values();
    Ok(Candidate {
        brand: row.try_get(0)?,
        similarity: product(&prototype, query),
    })
}

fn best(mut found: Vec<Candidate>, k: usize) -> Vec<Candidate> {
    found.sort_by(|a, b| {
        b.similarity
            .total_cmp(&a.similarity)
            .then_with(|| a.brand.cmp(&b.brand))
    });
    found.truncate(k);
    found
}
