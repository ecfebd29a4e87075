//! The failures that decide an exit code; every other error exits with 1.

use logodex_dataset::DatasetError;

/// A failure that a script must be able to tell from others. `main` finds it anywhere in an error's chain.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Usage or configuration: a wrong argument, an unknown key, a path that is missing or holds nothing usable.
    #[error("{0}")]
    Usage(String),
    /// More files or objects were refused than the configuration allows.
    #[error("{0}")]
    TooManyRejects(String),
    /// The plan that the tree gives now is not the one that was reviewed.
    #[error("{0}")]
    PlanDiffers(String),
    /// A dataset that is damaged, or of another format version.
    #[error("{0}")]
    Corrupt(String),
}

impl Failure {
    /// The exit code: 2, 3, 4 or 5 in the order of the variants.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::TooManyRejects(_) => 3,
            Self::PlanDiffers(_) => 4,
            Self::Corrupt(_) => 5,
        }
    }
}

/// The exit code of an error: that of the [`Failure`] or [`DatasetError`] in its chain, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let own = |cause: &(dyn std::error::Error + 'static)| {
        let dataset = || match cause.downcast_ref()? {
            DatasetError::NotFound { .. } => Some(2),
            DatasetError::Corrupt { .. } => Some(5),
            DatasetError::NoSuchRow { .. } => None,
        };
        let failure = cause.downcast_ref().map(Failure::exit_code);
        failure.or_else(dataset)
    };
    // A failure that was added as context is found by the error itself alone.
    let outer = error.downcast_ref().map(Failure::exit_code);
    outer.or_else(|| error.chain().find_map(own)).unwrap_or(1)
}

/// A usage error with this text.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Failure::Usage(text.into()).into()
}

/// A corrupt-dataset error with this text.
pub fn corrupt(text: impl Into<String>) -> anyhow::Error {
    Failure::Corrupt(text.into()).into()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_code_is_found_below_any_context() {
        let deep = Err::<(), _>(corrupt("flipped"))
            .context("shard 3")
            .context("dataset d")
            .unwrap_err();
        assert_eq!(exit_code(&deep), 5);
        let outer = anyhow::anyhow!("disk").context(Failure::Usage("no such file".into()));
        assert_eq!(exit_code(&outer), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("disk")), 1);
    }
}
