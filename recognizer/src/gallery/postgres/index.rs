//! The HNSW index of a gallery in a database, and how much of what is nearest it finds.

use std::time::{Duration, Instant};

use anyhow::Result;
use logodex_program::usage;
use logodex_schemas::gallery::{Candidate, GalleryIndex};
use postgres::types::Json;
use postgres::{Client, Transaction};

use super::database::{Postgres, live, take_lock};
use super::failure::told;
use super::read::Stored;
use super::search::{WIDEST, approximate, exact, indexed};
use super::tables::{self, Head};

/// Enrolled pictures that ask, drawn by their hash.
const QUERIES: i64 = 200;
/// Brands that each should find.
const K: usize = 10;

/// How an index is to be.
#[derive(Debug, Clone, Copy)]
pub struct IndexAsked {
    /// The share of the ten nearest that should be found: the search is made as wide as that takes.
    pub recall: f64,
    /// Links per vector.
    pub m: u32,
    /// Candidates that are kept while a vector is linked.
    pub ef_construction: u32,
}

/// An index that was built, and what it costs and spares.
#[derive(Debug)]
pub struct IndexBuilt {
    /// What the gallery notes of it.
    pub index: GalleryIndex,
    /// What building took.
    pub building: Duration,
    /// A search that compares every prototype, on average.
    pub exact: Duration,
    /// A search by the index, on average.
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
        } = asked;
        let began = Instant::now();
        let build = format!(
            "DROP INDEX IF EXISTS brand_prototype;
            CREATE INDEX brand_prototype ON brand USING hnsw ({} {}) WITH (m = {m}, ef_construction = {ef_construction});
            ANALYZE brand",
            parts.expression, parts.operators
        );
        transaction
            .batch_execute(&build)
            .map_err(|e| told(at, &e))?;
        let building = began.elapsed();

        let began = Instant::now();
        let truth = exact(&mut transaction, self, &head, &queries, K)?;
        let exact = began.elapsed() / queries.len() as u32;
        let mut wide = 40;
        let (found, approximate) = loop {
            let began = Instant::now();
            let answers = approximate(&mut transaction, self, &head, wide, &queries, K)?;
            let found = share_found(&truth, &answers);
            if found >= recall || wide == WIDEST {
                break (found, began.elapsed() / queries.len() as u32);
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
