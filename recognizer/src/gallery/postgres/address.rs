//! `postgres://…`: which server, which database, which schema; and how that is shown without its password.

use std::fmt::{self, Write};
use std::time::Duration;

use anyhow::Result;
use logodex_program::usage;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use postgres::config::{Config, Host};

use super::sslmode::{Mode, Tls};

/// What a URL of a gallery begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// The schema that holds a gallery unless the URL names another.
const SCHEMA: &str = "logodex";
/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a server that says nothing counts as gone.
const SILENCE: Duration = Duration::from_secs(60);
/// What stays as it is within a part of a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where a gallery in a database is.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    /// The schema of its tables.
    pub(super) schema: String,
    pub(super) tls: Tls,
    shown: String,
}

impl Address {
    /// Whether a gallery's place, as it is typed, is a URL of a database.
    pub fn is_meant(place: &str) -> bool {
        SCHEMES.iter().any(|scheme| place.starts_with(scheme))
    }

    /// From `postgres://user:password@host:port/database?schema=name`, with the other parameters of libpq's URLs that the client
    /// knows. A password that is not in it is taken from the environment (`PGPASSWORD`).
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] for a URL that is none; the password is not in its text.
    pub fn parse(url: &str) -> Result<Self> {
        let wrong = |what: &str| {
            usage(format!(
                "the URL of the gallery's database does not do: {what}; it reads postgres://USER:PASSWORD@HOST:PORT/DATABASE, with @ / : ? # and % in a password written as %40 %2F %3A %3F %23 %25"
            ))
        };
        let (rest, own) = take_own_parameters(url);
        let mut config: Config = rest.parse().map_err(|error: postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            wrong(&cause.unwrap_or_else(|| error.to_string()))
        })?;
        let schema = own.schema.unwrap_or_else(|| SCHEMA.to_owned());
        if schema.is_empty() || schema.len() > LONGEST_NAME || schema.chars().any(char::is_control)
        {
            return Err(wrong(
                "its schema must have 1 to 63 bytes, and no control characters",
            ));
        }
        let odd = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        if config.get_hosts().iter().any(odd) {
            return Err(wrong("it has more than one @"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("it names no host"));
        }
        // The name that a certificate has to be of.
        if config.get_hosts().is_empty() {
            for address in config.get_hostaddrs().to_vec() {
                config.host(&address.to_string());
            }
        }
        let mode = own.sslmode.as_deref().map(|mode| {
            Mode::named(mode).ok_or_else(|| {
                wrong("its sslmode is none that there is (disable, allow, prefer, require, verify-ca, verify-full)")
            })
        });
        let roots = own.sslrootcert.filter(|roots| !roots.is_empty());
        let system = roots.as_deref() == Some("system");
        let usual = if system {
            Mode::VerifyFull
        } else {
            Mode::default()
        };
        let tls = Tls {
            mode: mode.transpose()?.unwrap_or(usual),
            roots,
        };
        if system && tls.mode != Mode::VerifyFull {
            return Err(wrong(
                "sslrootcert=system trusts whom this machine trusts, with whatever name, and so takes sslmode=verify-full",
            ));
        }
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os("PGPASSWORD").filter(|p| !p.is_empty())
        {
            config.password(password.into_encoded_bytes());
        }
        // The server remarks that what is dropped was not there, for one.
        config
            .notice_callback(|notice| tracing::debug!("the server remarks: {}", notice.message()));
        if config.get_application_name().is_none() {
            config.application_name("logodex");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
            config.keepalives_idle(SILENCE / 2);
            config.keepalives_interval(SILENCE / 6);
        }
        Ok(Self {
            shown: shown(&config, &schema, &tls),
            config,
            schema,
            tls,
        })
    }

    /// The schema's name as SQL takes it.
    pub(super) fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema.replace('"', "\"\""))
    }

    /// The database's name.
    pub(super) fn database(&self) -> &str {
        let config = &self.config;
        config
            .get_dbname()
            .or(config.get_user())
            .unwrap_or_default()
    }
}

/// The URL without its password: what logs and errors show, and what can be typed where the password comes otherwise.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What the client's parser does not know, or knows otherwise.
#[derive(Default)]
struct Own {
    schema: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

/// The URL without our parameters, and these.
fn take_own_parameters(url: &str) -> (String, Own) {
    // A password before the @ may hold a question mark.
    let host = url.find('@').unwrap_or(0);
    let Some(question) = url[host..].find('?').map(|at| host + at) else {
        return (url.to_owned(), Own::default());
    };
    let mut own = Own::default();
    let mut others = Vec::new();
    for parameter in url[question + 1..].split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = || Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
        match key {
            "schema" => own.schema = value(),
            "sslmode" => own.sslmode = value(),
            "sslrootcert" => own.sslrootcert = value(),
            _ => others.push(parameter),
        }
    }
    let mut rest = url[..question].to_owned();
    if !others.is_empty() {
        rest = format!("{rest}?{}", others.join("&"));
    }
    (rest, own)
}

fn shown(config: &Config, schema: &str, tls: &Tls) -> String {
    let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let mut url = SCHEMES[0].to_owned();
    if let Some(user) = config.get_user() {
        let _ = write!(url, "{}@", encode(user));
    }
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => encode(name),
            Host::Unix(path) => encode(&path.to_string_lossy()),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect();
    }
    // One port serves all hosts, or each has its own.
    let ports = config.get_ports();
    for (at, host) in hosts.iter_mut().enumerate() {
        match ports.get(at).or(ports.first()) {
            None | Some(5432) => {}
            Some(port) => {
                let _ = write!(host, ":{port}");
            }
        }
    }
    url += &hosts.join(",");
    if let Some(name) = config.get_dbname() {
        let _ = write!(url, "/{}", encode(name));
    }
    let mut parameters = Vec::new();
    if schema != SCHEMA {
        parameters.push(format!("schema={}", encode(schema)));
    }
    if tls.mode != Mode::default() {
        parameters.push(format!("sslmode={}", tls.mode));
    }
    if let Some(roots) = &tls.roots {
        parameters.push(format!("sslrootcert={}", encode(roots)));
    }
    if !parameters.is_empty() {
        let _ = write!(url, "?{}", parameters.join("&"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed_and_has_no_password() {
        for (typed, expected) in [
            (
                "postgres://ann:secret@db.example:6543/logos",
                "postgres://ann@db.example:6543/logos",
            ),
            (
                "postgresql://ann:secret@db/logos?schema=brand%20new",
                "postgres://ann@db/logos?schema=brand%20new",
            ),
            ("postgres://ann:se%40c?r%2Fet@db:5432", "postgres://ann@db"),
            (
                "postgres://db/logos?user=ann&password=secret",
                "postgres://ann@db/logos",
            ),
            (
                "postgres://ann:secret@[::1]:7/x?schema=logodex",
                "postgres://ann@[::1]:7/x",
            ),
            (
                "postgres://ann:secret@a:1,b:2/x?sslmode=prefer",
                "postgres://ann@a:1,b:2/x",
            ),
            (
                "postgres://ann:secret@%2Frun%2Fpg/x",
                "postgres://ann@%2Frun%2Fpg/x",
            ),
            (
                "postgres://ann:secret@db/x?sslmode=verify-full&sslrootcert=/etc/our%20root.pem&schema=s",
                "postgres://ann@db/x?schema=s&sslmode=verify-full&sslrootcert=%2Fetc%2Four%20root.pem",
            ),
            (
                "postgres://ann:secret@/x?hostaddr=127.0.0.1&sslmode=disable",
                "postgres://ann@127.0.0.1/x?sslmode=disable",
            ),
        ] {
            let address = Address::parse(typed).unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(format!("{address:?}"), expected);
            assert!(address.config.get_password().is_some(), "{typed}");
            let again = Address::parse(expected).unwrap();
            assert_eq!(again.to_string(), expected);
            assert_eq!(again.config.get_hosts(), address.config.get_hosts());
            assert_eq!(again.schema, address.schema);
            assert_eq!(again.tls, address.tls);
        }
        let odd = Address::parse("postgres://h/d?schema=a%22b").unwrap();
        assert_eq!(odd.quoted_schema(), "\"a\"\"b\"");
        assert_eq!(odd.database(), "d");
    }

    #[test]
    fn a_url_that_does_not_do_is_refused_without_telling_its_password() {
        for (typed, reason) in [
            ("postgres://ann:sec@ret@db/logos", "more than one @"),
            ("postgres://ann:secret@db:port/logos", "port"),
            ("postgres://ann:secret@db/logos?colour=red", "colour"),
            ("postgres://ann:secret@/logos", "no host"),
            (
                "postgres://ann:secret@db/logos?sslmode=require&sslrootcert=system",
                "sslmode=verify-full",
            ),
            ("postgres://ann:secret@db/logos?sslmode=secret", "sslmode"),
            ("postgres://ann:secret@db/logos?schema=", "schema"),
            (
                "postgres://ann:secret@db/logos?connect_timeout=soon",
                "connect_timeout",
            ),
            ("postgres://ann:secret/logos", "port"),
        ] {
            let told = format!("{:#}", Address::parse(typed).unwrap_err());
            assert!(told.contains(reason), "{typed}: {told}");
            assert!(!told.contains("secret") && !told.contains("ret@"), "{told}");
        }
    }

    #[test]
    fn a_directory_is_no_url() {
        assert!(Address::is_meant("postgres://h/d") && Address::is_meant("postgresql://h/d"));
        for place in ["gallery", "./postgres:/x", "/postgres://x", "Postgres"] {
            assert!(!Address::is_meant(place));
        }
    }
}
