//! TLS to a server, as `sslmode` and `sslrootcert` ask for it.

use std::path::Path;
use std::process::Command;

use logodex_recognizer::gallery::postgres::Postgres;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};

use crate::errors::told;
use crate::server::{PASSWORD, Server};

/// Who signs certificates, and its own, PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        issuer: Issuer::new(params, key),
        pem,
    }
}

/// As `openssl req -x509 -subj /CN=localhost` makes it, which PostgreSQL's manual shows: no alternative name, and its own root.
fn own_root(last_year: i32) -> (Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap(), key)
}

/// Whether the connection, once made, is by TLS.
fn is_secured(server: &Server, url: &str) -> Result<bool, (String, u8)> {
    let database = Postgres::new(url).unwrap();
    match database.generation() {
        Ok(generation) => assert_eq!(generation, None, "a database without a gallery"),
        failed => return Err(told(failed)),
    }
    let query = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'logodex'";
    let rows = server.admin("postgres").query(query, &[]).unwrap();
    let secured: Vec<bool> = rows.iter().map(|row| row.get(0)).collect();
    drop(database);
    // The next one counts its own connection alone.
    while !server
        .admin("postgres")
        .query(query, &[])
        .unwrap()
        .is_empty()
    {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let [secured] = secured[..] else {
        panic!("{secured:?}");
    };
    Ok(secured)
}

#[test]
#[ignore = "takes PostgreSQL with TLS"]
fn a_certificate_is_looked_at_as_sslmode_and_sslrootcert_say() {
    let server = Server::start_with_tls();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ours, others) = (authority("Ours"), authority("Others"));
    let (our_root, other_root) = (
        write("ours.pem", &ours.pem),
        write("others.pem", &others.pem),
    );
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours.issuer).unwrap();
    let at = |host: &str, database: &str, parameters: &str| {
        let url = format!(
            "postgres://postgres:{PASSWORD}@{host}:{}/{database}",
            server.port
        );
        format!("{url}?{parameters}")
    };
    for database in ["secured", "plain", "either"] {
        server.database(database);
    }
    server.set_certificate(Some((&certificate.pem(), &key.serialize_pem())));

    let verified = |mode: &str, root: &str| format!("sslmode={mode}&sslrootcert={root}");
    // The right root and the right name; by another name; by another root.
    for (host, database, mode, root, refused) in [
        ("localhost", "secured", "verify-full", &our_root, None),
        (
            "127.0.0.1",
            "secured",
            "verify-full",
            &our_root,
            Some("another host's (certificate not valid for name \"127.0.0.1\""),
        ),
        (
            "localhost",
            "secured",
            "verify-full",
            &other_root,
            Some("signed by none of the certificates in "),
        ),
        ("127.0.0.1", "secured", "verify-ca", &our_root, None),
        (
            "127.0.0.1",
            "secured",
            "verify-ca",
            &other_root,
            Some("others.pem; sslrootcert=FILE.pem names"),
        ),
        ("127.0.0.1", "either", "require", &our_root, None),
        (
            "127.0.0.1",
            "either",
            "require",
            &other_root,
            Some("signed by none of"),
        ),
        (
            "127.0.0.1",
            "plain",
            "require",
            &our_root,
            Some("no pg_hba.conf entry"),
        ),
    ] {
        let url = at(host, database, &verified(mode, root));
        let found = is_secured(&server, &url);
        match refused {
            None => assert_eq!(found, Ok(true), "{url}"),
            Some(reason) => {
                let (text, code) = found.unwrap_err();
                assert!(
                    text.contains(reason) && text.contains("sslmode=") && code == 2,
                    "{text}"
                );
            }
        }
    }
    // A mode that asks for less.
    for (database, mode, expected) in [
        ("either", "sslmode=disable", Some(false)),
        ("either", "sslmode=allow", Some(false)),
        ("either", "sslmode=prefer", Some(true)),
        ("either", "", Some(true)),
        ("either", "sslmode=require", Some(true)),
        ("secured", "sslmode=disable", None),
        ("secured", "sslmode=allow", Some(true)),
        ("secured", "", Some(true)),
        ("plain", "sslmode=disable", Some(false)),
        ("plain", "", Some(false)),
        ("plain", "sslmode=require", None),
    ] {
        let found = is_secured(&server, &at("127.0.0.1", database, mode));
        match expected {
            Some(expected) => assert_eq!(found, Ok(expected), "{database}, {mode}"),
            None => {
                let (text, code) = found.unwrap_err();
                assert!(text.contains("no pg_hba.conf entry") && code == 2, "{text}");
            }
        }
    }
    // A file of roots that is none is told by name.
    let gone = dir.path().join("gone.pem");
    for (file, reason) in [
        (gone.to_str().unwrap(), "No such file"),
        (&write("empty.pem", "nothing"), "holds no certificate"),
        (
            &write(
                "damaged.pem",
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            ),
            "certificates in PEM",
        ),
    ] {
        let url = at("localhost", "either", &verified("verify-full", file));
        let (text, code) = is_secured(&server, &url).unwrap_err();
        assert!(
            text.contains(file) && text.contains(reason) && code == 2,
            "{text}"
        );
    }
    // Without one: libpq's own file, where it is; otherwise whom the machine trusts.
    let list = |parameters: &str, home: &Path, system: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logodex"));
        let url = at("localhost", "either", parameters);
        command.args(["list", "--gallery", &url]);
        command.env("HOME", home).env("SSL_CERT_FILE", system);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let home = dir.path().join("home");
    std::fs::create_dir_all(home.join(".postgresql")).unwrap();
    let file = home.join(".postgresql/root.crt");
    let reached = "there is no gallery";
    let nobodys = "signed by none of the certificates that this machine trusts";
    assert!(list("sslmode=verify-full", &home, &our_root).contains(reached));
    assert!(list("sslmode=verify-full", &home, &other_root).contains(nobodys));
    assert!(list("sslmode=require", &home, &other_root).contains(reached));
    std::fs::write(&file, &others.pem).unwrap();
    for mode in ["verify-full", "verify-ca", "require"] {
        let text = list(&format!("sslmode={mode}"), &home, &our_root);
        assert!(
            text.contains("signed by none of") && text.contains("root.crt"),
            "{text}"
        );
    }
    assert!(list("sslrootcert=system", &home, &our_root).contains(reached));
    assert!(list("sslrootcert=system", &home, &other_root).contains(nobodys));
    std::fs::write(&file, &ours.pem).unwrap();
    assert!(list("sslmode=verify-full", &home, &other_root).contains(reached));

    // A certificate that signs itself, with a common name alone; one whose time is over.
    for (last_year, host, refused) in [
        (2999, "localhost", None),
        (2999, "127.0.0.1", Some("another host's")),
        (2002, "localhost", Some("expired")),
    ] {
        let (certificate, key) = own_root(last_year);
        server.set_certificate(Some((&certificate.pem(), &key.serialize_pem())));
        let root = write("own.pem", &certificate.pem());
        let url = at(host, "secured", &verified("verify-full", &root));
        match (is_secured(&server, &url), refused) {
            (found, None) => assert_eq!(found, Ok(true)),
            (found, Some(reason)) => {
                let (text, code) = found.unwrap_err();
                assert!(text.to_lowercase().contains(reason) && code == 2, "{text}");
            }
        }
        // Somebody else's certificate, of the same name, is not the one that is trusted.
        let (other, _) = own_root(2999);
        let root = write("own.pem", &other.pem());
        let url = at(host, "secured", &verified("verify-full", &root));
        assert!(is_secured(&server, &url).is_err());
    }

    // A server that speaks none.
    server.set_certificate(None);
    assert_eq!(
        is_secured(&server, &at("localhost", "either", "")),
        Ok(false)
    );
    for mode in ["require", "verify-full"] {
        let url = at("localhost", "either", &verified(mode, &our_root));
        let (text, code) = is_secured(&server, &url).unwrap_err();
        let said = format!("the server speaks no TLS, and sslmode={mode} asks for it");
        assert!(text.contains(&said) && code == 2, "{text}");
    }
}
