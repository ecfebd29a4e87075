//! Names as they are compared. One name has several forms in Unicode (`ñ` is one character or two); file systems and
//! annotations use either, so names are compared in the composed one, NFC.

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A name in NFC.
pub fn nfc(name: &str) -> String {
    match is_nfc(name) {
        true => name.to_owned(),
        false => name.nfc().collect(),
    }
}

/// The same for every name that a file system may take for this one: without case, in NFC.
pub fn file_key(name: &str) -> String {
    nfc(&nfc(name).to_lowercase())
}
