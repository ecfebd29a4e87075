//! What `sslmode` and `sslrootcert` ask for, as libpq understands them.

use std::fmt;
use std::path::{Path, PathBuf};

/// `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never.
    Disable,
    /// Where the server refuses to talk without.
    Allow,
    /// Where the server can; its certificate is not looked at.
    #[default]
    Prefer,
    /// Always; its certificate is looked at where a file of roots is known.
    Require,
    /// Always, and a root that is trusted has signed its certificate.
    VerifyCa,
    /// As that, and the certificate is of the host in the URL.
    VerifyFull,
}

impl Mode {
    const ALL: [(Self, &str); 6] = [
        (Self::Disable, "disable"),
        (Self::Allow, "allow"),
        (Self::Prefer, "prefer"),
        (Self::Require, "require"),
        (Self::VerifyCa, "verify-ca"),
        (Self::VerifyFull, "verify-full"),
    ];

    /// From its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, own)| *own == name).map(|(mode, _)| mode)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(mode, _)| mode == self);
        f.write_str(own.map_or("", |(_, name)| name))
    }
}

/// Whose signature on a server's certificate counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those of a PEM file.
    File(PathBuf),
    /// Those that this machine trusts.
    System,
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the certificates in {}", path.display()),
            Self::System => f.write_str("the certificates that this machine trusts"),
        }
    }
}

/// What a URL asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    /// `sslrootcert`: a file, or `system`.
    pub(super) roots: Option<String>,
}

impl Tls {
    /// `sslrootcert`, or libpq's own file where it is there.
    pub(super) fn roots(&self) -> Option<Roots> {
        match self.roots.as_deref() {
            Some("system") => Some(Roots::System),
            Some(path) => Some(Roots::File(path.into())),
            None => {
                let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
                let file = Path::new(&home).join(".postgresql/root.crt");
                file.exists().then_some(Roots::File(file))
            }
        }
    }
}
