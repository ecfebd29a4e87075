//! The two fields that open every JSON file of ours, and the one check of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is and in which version of its layout it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The kind of file, for example `logodex-dataset`.
    pub format: String,
    /// The version of that kind's layout. A reader accepts only its own.
    pub version: u32,
}

/// A file of another kind or another version than the reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// What the file says it is.
    pub found: Header,
    /// What the reader understands.
    pub expected: Header,
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "this is {} version {}, but this program reads {} version {}; rebuild the file with this program's version",
            self.found.format, self.found.version, self.expected.format, self.expected.version
        )
    }
}

impl std::error::Error for FormatError {}

impl Header {
    /// The header of a file of this kind and version.
    pub fn new(format: &str, version: u32) -> Self {
        Self {
            format: format.to_owned(),
            version,
        }
    }

    /// Parses a JSON file of the expected kind: the header is judged before the body, so that a file of another
    /// version is told as such and not as a missing key.
    ///
    /// # Errors
    /// Broken JSON, another kind or version ([`FormatError`]), or a body that does not fit the type.
    pub fn parse<T: serde::de::DeserializeOwned>(
        self,
        json: &[u8],
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        let found: Header = serde_json::from_slice(json)?;
        if found != self {
            return Err(Box::new(FormatError {
                found,
                expected: self,
            }));
        }
        Ok(serde_json::from_slice(json)?)
    }
}
