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

/// The digits of a BLAKE3.
const SEAL_DIGITS: usize = 64;

/// A value whose last field is `seal`, as indented JSON closed by a newline, its seal filled in: the BLAKE3 of these
/// very bytes with 64 zeros in place of the seal, so that no bit of the file can change unseen.
///
/// # Errors
/// A value that cannot be written as JSON, or has no `seal`.
pub fn seal<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    // Whatever stands there now is replaced, so that a file that was read can be sealed again.
    let Some((key, end)) = seal_value(&json) else {
        return Err(serde::ser::Error::custom("the value has no seal"));
    };
    json.splice(key..end, std::iter::repeat_n(b'0', SEAL_DIGITS));
    let digits = blake3::hash(&json).to_hex();
    json[key..key + SEAL_DIGITS].copy_from_slice(digits.as_bytes());
    Ok(json)
}

/// Whether a sealed file is as it was sealed.
pub fn is_sealed(json: &[u8]) -> bool {
    let Some((begin, end)) = seal_value(json).filter(|(begin, end)| end - begin == SEAL_DIGITS)
    else {
        return false;
    };
    let mut zeroed = json.to_vec();
    zeroed[begin..end].fill(b'0');
    blake3::hash(&zeroed).to_hex().as_bytes() == &json[begin..end]
}

/// Where the value of the last `"seal"` lies, quotes excluded.
fn seal_value(json: &[u8]) -> Option<(usize, usize)> {
    let key = b"\"seal\": \"";
    let begin = json.windows(key.len()).rposition(|window| window == key)? + key.len();
    let length = json[begin..].iter().position(|&byte| byte == b'"')?;
    Some((begin, begin + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct File {
        name: &'static str,
        seal: String,
    }

    #[test]
    fn every_bit_is_sealed() {
        let file = File {
            name: "a \"seal\": \"in a string\"",
            seal: String::new(),
        };
        let sealed = seal(&file).unwrap();
        assert!(is_sealed(&sealed));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_sealed(&flipped), "bit {bit}");
        }
        assert!(!is_sealed(b"{}"));
        assert!(seal(&1).is_err());
    }
}
