//! The decoder's version, which a dataset's manifest names: two datasets of one version hold the same pixels.

/// To be raised with every change that changes a pixel, here or in a library of [`LIBRARIES`].
const REVISION: u32 = 4;

/// What decodes PNG, GIF and WebP, as locked when [`REVISION`] was last raised.
const LIBRARIES: [(&str, &str); 4] = [
    ("image", "0.25.10"),
    ("png", "0.18.1"),
    ("gif", "0.14.2"),
    ("image-webp", "0.2.4"),
];

/// Name and version of the decoder, for a manifest.
pub fn decoder_version() -> String {
    let [(image, version), ..] = LIBRARIES;
    format!(
        "logodex pixels decoder {REVISION}: JPEG as libjpeg's islow, all else by {image} {version}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a library is updated, look whether a pixel changed: if so raise [`REVISION`], and in any case write the new
    /// version here.
    #[test]
    fn libraries_are_those_of_the_lock_file() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        for (name, version) in LIBRARIES {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} is no longer {version}");
        }
        assert!(decoder_version().contains("image 0.25.10"));
    }
}
