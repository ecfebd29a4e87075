//! The connection, what is read by it, and the transaction of a change.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use half::f16;
use logodex_program::usage;
use logodex_schemas::gallery::Numbers;
use postgres::{Client, IsolationLevel, Transaction};

use super::address::Address;
use super::failure::told;
use super::tables::Head;
use super::tls::connect;
use super::{read, tables, write};
use crate::gallery::contents::{Contents, Edit};
use crate::gallery::matrix::Matrix;

/// How long a kept connection has to answer before it counts as lost.
const ANSWER: Duration = Duration::from_secs(5);
/// First key of the advisory locks: that of the second key is a schema's.
const LOCK: i32 = 0x0109_0de8;

/// A database that holds a gallery, or may. Clones share one connection, which is made when it is needed.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    client: Mutex<Option<Client>>,
    /// What was last read or written, and the state that it is of: a change needs not read it again.
    known: Mutex<Option<(String, Contents)>>,
}

impl Postgres {
    /// From its URL. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                address: Address::parse(url)?,
                client: Mutex::new(None),
                known: Mutex::new(None),
            }),
        })
    }

    /// Where it is, without the password.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// The generation that is published; none where there is no gallery.
    ///
    /// # Errors
    /// The server, or tables of another version.
    pub fn generation(&self) -> Result<Option<u64>> {
        let found = self.reading(|_, head| Ok(head.generation))?;
        Ok(found)
    }

    /// What is published; none where there is no gallery.
    ///
    /// # Errors
    /// The server, tables of another version, or that contradict each other.
    pub fn load(&self) -> Result<Option<Contents>> {
        let at = self.address();
        self.reading(|transaction, head| {
            if let Some(known) = self.known_of(&head) {
                return Ok(known);
            }
            let contents = read::contents(transaction, at, &head)?;
            *lock(&self.shared.known) = Some((head.state, contents.clone()));
            Ok(contents)
        })
    }

    /// Makes changes that `decide` on what is published at the time, in one transaction that nobody else writes beside.
    ///
    /// # Errors
    /// Those of `decide`, of [`Self::load`], or the server's; what was published is then there still.
    pub fn edit(
        &self,
        begin: Option<Contents>,
        decide: impl FnOnce(&Contents) -> Result<Vec<Edit>>,
    ) -> Result<Contents> {
        let at = self.address();
        let mut connected = self.connected()?;
        let client = live(&mut connected)?;
        let mut transaction = client.transaction().map_err(|e| told(at, &e))?;
        take_lock(&mut transaction, at)?;
        if !tables::exist(&mut transaction, at)? {
            let begin = begin.as_ref().ok_or_else(|| self.missing())?;
            tables::create(&mut transaction, at, begin)?;
        }
        tables::enter(&mut transaction, at)?;
        // Whoever writes without the advisory lock (a person with psql) waits here.
        let row = transaction.query("SELECT FROM gallery FOR UPDATE", &[]);
        row.map_err(|e| told(at, &e))?;
        let head = tables::head(&mut transaction, at)?;
        let current = match self.known_of(&head) {
            Some(known) => known,
            None => read::contents(&mut transaction, at, &head)?,
        };
        let edits = decide(&current)?;
        if edits.is_empty() && current.generation > 0 {
            return Ok(current);
        }
        write::check_lengths(at, &current, &edits)?;
        let next = as_stored(current.after(edits.clone()));
        write::apply(&mut transaction, at, &current, &edits, &next)?;
        let query = "UPDATE gallery SET generation = $1, state = gen_random_uuid()
            RETURNING state::text, pg_current_xact_id()::text";
        let row = transaction.query_one(query, &[&(next.generation as i64)]);
        let row = row.map_err(|e| told(at, &e))?;
        let (state, id): (String, String) = (row.get(0), row.get(1));
        if let Err(error) = transaction.commit() {
            let lost = client.is_closed();
            drop(connected);
            if !lost {
                return Err(told(at, &error));
            }
            self.was_committed(&id, &error)?;
        }
        *lock(&self.shared.known) = Some((state, next.clone()));
        Ok(next)
    }

    /// Runs `read` on one state of the gallery; none where there is no gallery.
    pub(super) fn reading<T>(
        &self,
        read: impl FnOnce(&mut Transaction<'_>, Head) -> Result<T>,
    ) -> Result<Option<T>> {
        let at = self.address();
        let mut connected = self.connected()?;
        let client = live(&mut connected)?;
        if !tables::exist(client, at)? {
            return Ok(None);
        }
        let transaction = client.build_transaction().read_only(true);
        let transaction = transaction
            .isolation_level(IsolationLevel::RepeatableRead)
            .start();
        let mut transaction = transaction.map_err(|e| told(at, &e))?;
        // Before anything is seen: a new beginning, which makes the tables anew, waits for this lock.
        let table = format!(
            "LOCK TABLE {}.gallery IN ACCESS SHARE MODE",
            at.quoted_schema()
        );
        transaction
            .batch_execute(&table)
            .map_err(|e| told(at, &e))?;
        tables::enter(&mut transaction, at)?;
        let head = tables::head(&mut transaction, at)?;
        let result = read(&mut transaction, head)?;
        transaction.commit().map_err(|e| told(at, &e))?;
        Ok(Some(result))
    }

    fn known_of(&self, head: &Head) -> Option<Contents> {
        let known = lock(&self.shared.known);
        let (_, contents) = known.as_ref().filter(|(state, _)| *state == head.state)?;
        Some(contents.clone())
    }

    /// A connection that answers: the one from before, or a new one.
    pub(super) fn connected(&self) -> Result<MutexGuard<'_, Option<Client>>> {
        let mut client = lock(&self.shared.client);
        if client
            .as_mut()
            .is_none_or(|client| client.is_valid(ANSWER).is_err())
        {
            *client = None;
            *client = Some(connect(self.address())?);
        }
        Ok(client)
    }

    /// Whether a transaction of which the end was not heard was committed: the server knows.
    fn was_committed(&self, id: &str, error: &postgres::Error) -> Result<()> {
        let at = self.address();
        let ask = || -> Result<bool> {
            let mut connected = self.connected()?;
            let query = "SELECT pg_xact_status($1::text::xid8)";
            let row = live(&mut connected)?
                .query_one(query, &[&id])
                .map_err(|e| told(at, &e))?;
            Ok(row.get::<_, Option<&str>>(0) == Some("committed"))
        };
        match ask() {
            Ok(true) => Ok(()),
            Ok(false) => Err(told(at, error)),
            Err(again) => Err(again).with_context(|| {
                format!("{at}: the connection was lost while the change was committed, and the server cannot be asked whether it was: see by `logodex list --gallery {at}`")
            }),
        }
    }

    /// That there is no gallery, and how one begins.
    pub fn missing(&self) -> anyhow::Error {
        let at = self.address();
        usage(format!(
            "{at}: there is no gallery; `logodex enrol --gallery {at} --model MODEL.onnx --brand NAME FILE…` begins one"
        ))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The client drives a runtime of its own, which must not be dropped within another: a server's, for one.
        let client = self
            .client
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(client) = client {
            let _ = std::thread::spawn(move || drop(client)).join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole at any time: a connection that answers, or a copy.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn live(client: &mut Option<Client>) -> Result<&mut Client> {
    client.as_mut().ok_or_else(|| anyhow!("no connection"))
}

/// Waits until nobody else changes the gallery; held until the transaction ends.
pub(super) fn take_lock(transaction: &mut Transaction<'_>, at: &Address) -> Result<()> {
    let taken = transaction
        .query_one(
            "SELECT pg_try_advisory_xact_lock($1, hashtext($2))",
            &[&LOCK, &at.schema],
        )
        .map_err(|e| told(at, &e))?;
    if !taken.get::<_, bool>(0) {
        tracing::info!("{at}: another program is changing it; waiting");
        transaction
            .execute(
                "SELECT pg_advisory_xact_lock($1, hashtext($2))",
                &[&LOCK, &at.schema],
            )
            .map_err(|e| told(at, &e))?;
    }
    Ok(())
}

/// As the tables give it back: of 16 bits, where those are stored.
fn as_stored(contents: Contents) -> Contents {
    if contents.numbers == Numbers::F32 {
        return contents;
    }
    let dim = contents.model.embedding_dim as usize;
    let rounded = |matrix: &Matrix| {
        let rows = (0..matrix.len()).flat_map(|place| matrix.row(place));
        Matrix::owned(dim, rows.map(|x| f16::from_f32(x).to_f32()).collect())
    };
    Contents {
        embeddings: rounded(&contents.embeddings),
        prototypes: rounded(&contents.prototypes),
        ..contents
    }
}
