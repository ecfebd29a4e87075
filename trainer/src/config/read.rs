//! Reads an experiment's TOML: parsed, then judged as a whole, before any data is read. Nothing later checks it again.

use std::path::Path;

use logodex_program::Failure;
use logodex_schemas::train::TrainConfig;

use super::rules::check;
use super::slips::slips;

/// Reads and judges a configuration; returns it with its exact bytes, whose hash identifies it.
///
/// # Errors
/// [`Failure::Usage`] when the file is missing, is no TOML, has an unknown key, or asks for what cannot be.
pub fn read(path: &Path) -> Result<(TrainConfig, Vec<u8>), Failure> {
    let name = path.display();
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::Usage(format!("{name}: cannot read the configuration: {e}")))?;
    let config = parse(&bytes).map_err(|e| Failure::Usage(format!("{name}: {e}")))?;
    Ok((config, bytes))
}

/// Parses and judges a configuration's bytes.
///
/// # Errors
/// [`Failure::Usage`]; the message names the key, and the line where the TOML itself is at fault.
pub fn parse(bytes: &[u8]) -> Result<TrainConfig, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|e| Failure::Usage(format!("not UTF-8: {e}")))?;
    // Names first: told all at once, each with its line, before serde would stop at one of them.
    let slips = slips(text);
    if !slips.is_empty() {
        return Err(Failure::Usage(slips.join("\n")));
    }
    let config: TrainConfig =
        toml::from_str(text).map_err(|e| Failure::Usage(e.to_string().trim_end().to_owned()))?;
    check(&config).map_err(Failure::Usage)?;
    Ok(config)
}

#[cfg(test)]
mod tests;
