//! What a server's errors mean to who uses the gallery.

use anyhow::anyhow;
use logodex_program::{corrupt, usage};
use postgres::error::SqlState;
use rustls::CertificateError;

use super::address::Address;
use super::sslmode::Roots;

/// An error of the server or of the connection to it, with the server's name and what to do. No text has a password: the server
/// tells none, and neither does [`Address`].
pub(super) fn told(at: &Address, error: &postgres::Error) -> anyhow::Error {
    let Some(told) = error.as_db_error() else {
        return of_connection(at, error);
    };
    let message = told.message();
    let code = told.code();
    let database = at.database();
    if message.contains("pg_hba.conf") {
        return usage(format!(
            "{at}: {message}; an administrator of the server adds a line to its pg_hba.conf, or it has one for another user, database or sslmode"
        ));
    }
    if [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ]
    .contains(code)
    {
        return usage(format!(
            "{at}: {message}; the password is taken from the URL, or from the environment variable PGPASSWORD"
        ));
    }
    if *code == SqlState::INVALID_CATALOG_NAME {
        return usage(format!(
            "{at}: {message}; a database is made by `createdb {database}`"
        ));
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return usage(format!(
            "{at}: {message}; the tables of a gallery are made by who may create a schema in {database:?} (GRANT CREATE ON DATABASE), and used by who was granted them"
        ));
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return usage(format!(
            "{at}: {message}; this server only reads (it follows another): change the gallery on the other"
        ));
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        return anyhow!(
            "{at}: {message}: another program wrote it without the gallery's lock; nothing was changed; try again"
        );
    }
    if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code) {
        return lost(at, message);
    }
    let detail = told.detail().map(|detail| format!(" ({detail})"));
    anyhow!(
        "{at}: {message}{} [{}]",
        detail.unwrap_or_default(),
        code.code()
    )
}

/// pgvector is not there, or cannot be made known to the database.
pub(super) fn no_extension(at: &Address, error: &postgres::Error) -> anyhow::Error {
    let Some(told) = error.as_db_error() else {
        return of_connection(at, error);
    };
    let message = told.message();
    match *told.code() == SqlState::INSUFFICIENT_PRIVILEGE {
        true => usage(format!(
            "{at}: {message}; let an administrator of the server run CREATE EXTENSION vector in database {:?}",
            at.database()
        )),
        false => usage(format!(
            "{at}: {message}; a gallery's server needs the extension pgvector 0.7 or newer (Debian: postgresql-<version>-pgvector)"
        )),
    }
}

/// The connection ended before the change was made.
fn lost(at: &Address, why: &str) -> anyhow::Error {
    anyhow!(
        "{at}: the connection was lost ({why}); nothing was changed; try again when the server is back"
    )
}

fn of_connection(at: &Address, error: &postgres::Error) -> anyhow::Error {
    if let Some(told) = told_handshake(at, error) {
        return told;
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    if text.contains("password missing") {
        return usage(format!(
            "{at}: it asks for a password; give it in the URL, or in the environment variable PGPASSWORD"
        ));
    }
    if text.contains("deserializing") {
        return corrupt(format!(
            "{at}: a value of its tables is none that a gallery has: {text}"
        ));
    }
    if error.is_closed() || text.starts_with("error communicating") {
        return lost(at, &text);
    }
    anyhow!("{at}: {text}; is a PostgreSQL server running there?")
}

/// Why no TLS came about, where that is what failed.
pub(super) fn handshake(error: &postgres::Error) -> Option<&(dyn std::error::Error + 'static)> {
    let is_handshake = error
        .to_string()
        .starts_with("error performing TLS handshake");
    is_handshake
        .then(|| std::error::Error::source(error))
        .flatten()
}

/// A handshake that failed, with what to do; none for other errors.
fn told_handshake(at: &Address, error: &postgres::Error) -> Option<anyhow::Error> {
    let cause = handshake(error)?;
    let mode = at.tls.mode;
    let of_rustls = cause.downcast_ref::<std::io::Error>();
    let of_rustls = of_rustls.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
    let roots = || at.tls.roots().unwrap_or(Roots::System);
    Some(match of_rustls {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => usage(format!(
            "{at}: the server's certificate is signed by none of {}; sslrootcert=FILE.pem names the certificate of who signed it",
            roots()
        )),
        Some(rustls::Error::InvalidCertificate(
            why @ (CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. }),
        )) => usage(format!(
            "{at}: the server's certificate is another host's ({why}); connect by a name that it has, or see who answers there"
        )),
        Some(why) => usage(format!("{at}: no TLS with this server: {why}")),
        None if cause.to_string().contains("does not support TLS") => usage(format!(
            "{at}: the server speaks no TLS, and sslmode={mode} asks for it; set ssl = on there, or leave sslmode out where nobody else can listen"
        )),
        None => usage(format!("{at}: no TLS with this server: {cause}")),
    })
}
