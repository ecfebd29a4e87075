//! The connection to the server, by TLS as far as the URL asks for it, and which certificates do.

use std::sync::Arc;

use anyhow::{Result, bail};
use logodex_program::usage;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, NoTls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;

use super::address::Address;
use super::failure::{handshake, told};
use super::sslmode::{Mode, Roots, Tls};

/// The common name of a subject.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Connects, as the URL asks.
///
/// # Errors
/// The server; a certificate that does not do; a file of roots that is none.
pub(super) fn connect(at: &Address) -> Result<Client> {
    let Tls { mode, .. } = at.tls;
    let by_socket = |host: &Host| matches!(host, Host::Unix(_));
    let hosts = at.config.get_hosts();
    let plain = || at.config.clone().ssl_mode(SslMode::Disable).connect(NoTls);
    let secured = |ssl_mode, roots: Option<Roots>, name| {
        let mut config = at.config.clone();
        let tls = MakeRustlsConnect::new(client(roots.as_ref(), name)?);
        Ok::<_, anyhow::Error>(config.ssl_mode(ssl_mode).connect(tls))
    };
    let connected = match mode {
        // Nobody listens on a socket of this machine, and the server speaks no TLS there.
        _ if !hosts.is_empty() && hosts.iter().all(by_socket) => plain(),
        Mode::Disable => plain(),
        Mode::Allow => match plain() {
            Err(error) if is_refused(&error) => secured(SslMode::Require, None, false)?,
            connected => connected,
        },
        Mode::Prefer => match secured(SslMode::Prefer, None, false)? {
            Err(error) if is_refused(&error) || handshake(&error).is_some() => {
                tracing::debug!("{at}: not with TLS: {}; without it", told(at, &error));
                plain()
            }
            connected => connected,
        },
        Mode::Require => secured(SslMode::Require, at.tls.roots(), false)?,
        Mode::VerifyCa | Mode::VerifyFull => {
            let roots = at.tls.roots().unwrap_or(Roots::System);
            secured(SslMode::Require, Some(roots), mode == Mode::VerifyFull)?
        }
    };
    connected.map_err(|error| told(at, &error))
}

/// Whether the server's rules let nobody in this way.
fn is_refused(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// What a connection is made by: without `roots` any certificate does; `name` where it has to be the host's, too.
fn client(roots: Option<&Roots>, name: bool) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let verifier = Verifier {
        trusted: roots
            .map(|roots| Trusted::new(roots, &provider))
            .transpose()?,
        name,
        provider,
    };
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Whom to trust.
#[derive(Debug)]
struct Trusted {
    certificates: Vec<CertificateDer<'static>>,
    chain: Arc<WebPkiServerVerifier>,
}

impl Trusted {
    fn new(roots: &Roots, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let certificates = match roots {
            Roots::File(path) => {
                let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
                let read: Vec<_> = read.map_err(|error| {
                    usage(format!(
                        "sslrootcert {}: {error}; it must be a file of certificates in PEM",
                        path.display()
                    ))
                })?;
                if read.is_empty() {
                    bail!(usage(format!(
                        "sslrootcert {}: it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
                        path.display()
                    )));
                }
                read
            }
            Roots::System => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        if store.is_empty() {
            bail!(usage(format!(
                "{roots}: none of them can be used; sslrootcert=FILE.pem names the certificate of who signed the server's"
            )));
        }
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        Ok(Self {
            certificates,
            chain: chain.build()?,
        })
    }

    /// Whether one of the certificates has signed the server's, or is it.
    fn check(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        // PostgreSQL's manual makes a certificate that signs itself, which is its client's root, too. No chain leads to that.
        if self.certificates.iter().any(|own| own == server) {
            let validity = parsed(server)?.tbs_certificate.validity;
            let now = now.as_secs();
            return match () {
                () if now < validity.not_before.to_unix_duration().as_secs() => {
                    Err(CertificateError::NotValidYet.into())
                }
                () if now > validity.not_after.to_unix_duration().as_secs() => {
                    Err(CertificateError::Expired.into())
                }
                () => Ok(()),
            };
        }
        match self
            .chain
            .verify_server_cert(server, intermediates, name, &[], now)
        {
            // The chain is checked before the name.
            Err(error) if is_of_name(&error) => Ok(()),
            checked => checked.map(|_| ()),
        }
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<x509_cert::Certificate, rustls::Error> {
    let parsed = x509_cert::Certificate::from_der(certificate);
    parsed.map_err(|_| CertificateError::BadEncoding.into())
}

fn is_of_name(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// Whether a certificate is of a host; one without alternative names is, as libpq has it, its common name's.
fn check_name(server: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), rustls::Error> {
    let checked = verify_server_name(&ParsedCertificate::try_from(server)?, name);
    let Err(error) = checked else {
        return Ok(());
    };
    let subject = parsed(server)?.tbs_certificate;
    if !is_of_name(&error) || !matches!(subject.get::<SubjectAltName>(), Ok(None)) {
        return Err(error);
    }
    let parts = subject.subject.0.iter().flat_map(|part| part.0.iter());
    let mut common = parts.filter(|part| part.oid == COMMON_NAME);
    match common.any(|part| {
        part.value
            .value()
            .eq_ignore_ascii_case(name.to_str().as_bytes())
    }) {
        true => Ok(()),
        false => Err(error),
    }
}

/// Looks at the server's certificate as far as is asked.
#[derive(Debug)]
struct Verifier {
    trusted: Option<Trusted>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(trusted) = &self.trusted {
            trusted.check(server, intermediates, name, now)?;
        }
        if self.name {
            check_name(server, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
