//! The HNSW index of a gallery in a database, and how much of what is nearest it finds.

use std::time::{Duration, Instant};

use anyhow::Result;
use logodex_program::usage;
use logodex_schemas::gallery::{Candidate, GalleryIndex, Numbers};
use postgres::error::SqlState;
use postgres::types::Json;
use postgres::{Client, Transaction};

use super::database::{Postgres, live, take_lock};
use super::failure::told;
use super::read::Stored;
use super::search::{Answer, WIDEST, approximate, exact, indexed};
use super::tables::{self, Head};

/// Enrolled pictures that ask, drawn by their hash.
const QUERIES: i64 = 200;
/// Brands that each should find.
const K: usize = 10;
const MIB: u64 = 1 << 20;

/// How an index is to be.
#[derive(Debug, Clone, Copy)]
pub struct IndexAsked {
    /// The share of the ten nearest that should be found: the search is made as wide as that takes.
    pub recall: f64,
    /// Links per vector.
    pub m: u32,
    /// Candidates that are kept while a vector is linked.
    pub ef_construction: u32,
    /// The most of the server's memory that it is built in, MiB. What does not fit is linked on disk, many times slower.
    pub memory: u32,
}

/// An index that was built, and what it costs and spares.
#[derive(Debug)]
pub struct IndexBuilt {
    /// What the gallery notes of it.
    pub index: GalleryIndex,
    /// What building took.
    pub building: Duration,
    /// Whether the memory allowed did for all of it.
    pub fits: bool,
    /// A search that compares every prototype, the median.
    pub exact: Duration,
    /// A search by the index, the median.
    pub approximate: Duration,
}

impl Postgres {
    /// Builds the index, anew if there is one, and finds out how wide a search must be for the recall asked for; in one
    /// transaction.
    ///
    /// # Errors
    /// No gallery, an empty one, vectors that no index takes, parameters that pgvector refuses, the server.
    pub fn build_index(&self, asked: IndexAsked) -> Result<IndexBuilt> {
        let at = self.address();
        let mut connected = self.connected()?;
        let (mut transaction, head) = self.changing(&mut connected)?;
        let parts = indexed(self, &head)?;
        let query = "SELECT embedding FROM picture ORDER BY blake3, crop, repetition LIMIT $1";
        let rows = transaction
            .query(query, &[&QUERIES])
            .map_err(|e| told(at, &e))?;
        let queries: Result<Vec<Stored>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let queries: Vec<Vec<f32>> = queries
            .map_err(|e| told(at, &e))?
            .into_iter()
            .map(Stored::values)
            .collect();
        if queries.is_empty() {
            return Err(usage(format!(
                "{at}: nothing is enrolled, so there is nothing to index"
            )));
        }
        let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();

        let IndexAsked {
            recall,
            m,
            ef_construction,
            memory,
        } = asked;
        let query =
            "SELECT count(*), pg_size_bytes(current_setting('maintenance_work_mem')) FROM brand";
        let row = transaction
            .query_one(query, &[])
            .map_err(|e| told(at, &e))?;
        let (brands, configured) = (row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64);
        let takes = built_in(brands, &head, m);
        let allowed = (u64::from(memory) * MIB).max(configured);
        let began = Instant::now();
        let build = format!(
            "SET LOCAL maintenance_work_mem = '{}kB';
            DROP INDEX IF EXISTS brand_prototype;
            CREATE INDEX brand_prototype ON brand USING hnsw ({} {}) WITH (m = {m}, ef_construction = {ef_construction});
            ANALYZE brand",
            takes.clamp(configured, allowed) / 1024,
            parts.expression,
            parts.operators
        );
        // Several processes build it in shared memory, of which a container may have less than its server is allowed to take.
        let mut attempt = transaction.transaction().map_err(|e| told(at, &e))?;
        match attempt.batch_execute(&build) {
            Ok(()) => attempt.commit().map_err(|e| told(at, &e))?,
            Err(error) if is_out_of_memory(&error) => {
                attempt.rollback().map_err(|e| told(at, &e))?;
                tracing::info!("{at}: not by several processes: {}", told(at, &error));
                transaction
                    .batch_execute(&format!(
                        "SET LOCAL max_parallel_maintenance_workers = 0; {build}"
                    ))
                    .map_err(|e| told(at, &e))?;
            }
            Err(error) => return Err(told(at, &error)),
        }
        let building = began.elapsed();

        let (truth, exact) = timed(exact(&mut transaction, self, &head, &queries, K)?);
        let mut wide = 40;
        let (found, approximate) = loop {
            let (answers, took) = timed(approximate(
                &mut transaction,
                self,
                &head,
                wide,
                &queries,
                K,
            )?);
            let found = share_found(&truth, &answers);
            if found >= recall || wide == WIDEST {
                break (found, took);
            }
            wide = (2 * wide).min(WIDEST);
        };
        let index = GalleryIndex {
            m,
            ef_construction,
            ef_search: wide,
            k: K as u32,
            recall: found,
            queries: queries.len() as u32,
            generation: head.generation,
        };
        transaction
            .execute("UPDATE gallery SET index = $1", &[&Json(&index)])
            .and_then(|_| transaction.commit())
            .map_err(|e| told(at, &e))?;
        Ok(IndexBuilt {
            index,
            building,
            fits: takes <= allowed,
            exact,
            approximate,
        })
    }

    /// A transaction beside which nobody changes the gallery, and what the gallery says of itself.
    ///
    /// # Errors
    /// No gallery; the server.
    fn changing<'a>(&self, client: &'a mut Option<Client>) -> Result<(Transaction<'a>, Head)> {
        let at = self.address();
        let mut transaction = live(client)?.transaction().map_err(|e| told(at, &e))?;
        take_lock(&mut transaction, at)?;
        if !tables::exist(&mut transaction, at)? {
            return Err(self.missing());
        }
        tables::enter(&mut transaction, at)?;
        let head = tables::head(&mut transaction, at)?;
        Ok((transaction, head))
    }

    /// Lets the index go.
    ///
    /// # Errors
    /// No gallery; the server.
    pub fn drop_index(&self) -> Result<()> {
        let at = self.address();
        let mut connected = self.connected()?;
        let (mut transaction, _) = self.changing(&mut connected)?;
        transaction
            .batch_execute("DROP INDEX IF EXISTS brand_prototype; UPDATE gallery SET index = NULL")
            .and_then(|()| transaction.commit())
            .map_err(|e| told(at, &e))
    }
}

/// What the graph of so many vectors takes while pgvector builds it, bytes: of each a record, the vector, and its links (16 bytes
/// each, 2m of them at the bottom and m above, where one in m is); rounded up by a quarter.
fn built_in(vectors: u64, head: &Head, m: u32) -> u64 {
    let bytes = match head.numbers {
        Numbers::F32 => 4,
        Numbers::F16 => 2,
    };
    let (m, vector) = (
        u64::from(m),
        8 + bytes * u64::from(head.model.embedding_dim),
    );
    vectors * (160 + vector + 16 * (2 * m + 4)) * 5 / 4
}

fn is_out_of_memory(error: &postgres::Error) -> bool {
    let codes = [SqlState::OUT_OF_MEMORY, SqlState::DISK_FULL];
    error.code().is_some_and(|code| codes.contains(code))
}

/// The answers, and what the middle one took.
fn timed(answers: Vec<Answer>) -> (Vec<Vec<Candidate>>, Duration) {
    let mut times: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    (
        answers.into_iter().map(|answer| answer.found).collect(),
        median,
    )
}

/// The share of what is nearest that was found; what is as similar as the last of those counts as one of them.
fn share_found(truth: &[Vec<Candidate>], answers: &[Vec<Candidate>]) -> f64 {
    let (mut found, mut all) = (0, 0);
    for (truth, answer) in truth.iter().zip(answers) {
        let Some(last) = truth.last() else {
            continue;
        };
        all += truth.len();
        found += answer
            .iter()
            .filter(|c| c.similarity >= last.similarity)
            .count()
            .min(truth.len());
    }
    found as f64 / (all as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_what_is_as_near_as_the_last() {
        let list = |similarities: &[f32]| -> Vec<Candidate> {
            let candidate = |&similarity: &f32| Candidate {
                brand: String::new(),
                similarity,
            };
            similarities.iter().map(candidate).collect()
        };
        let truth = [list(&[0.9, 0.5, 0.5]), list(&[0.3])];
        assert_eq!(share_found(&truth, &truth), 1.0);
        assert_eq!(
            share_found(&truth, &[list(&[0.5, 0.5, 0.4]), list(&[0.3])]),
            0.75
        );
        assert_eq!(share_found(&truth, &[list(&[]), list(&[0.2])]), 0.0);
        assert_eq!(share_found(&[], &[]), 0.0);
    }
}
