//! Throttling by the existence of a file.

use std::path::PathBuf;

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// Holds back while a file exists.
#[derive(Clone, Debug)]
pub struct FlagFile(PathBuf);

impl FlagFile {
    /// By the path of the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FlagFile(path.into())
    }
}

impl ThrottlePolicy for FlagFile {
    fn check(&mut self, _: &mut dyn Signals) -> Verdict {
        match self.0.try_exists() {
            Ok(false) => Verdict::Proceed,
            Ok(true) => Verdict::Wait("flag-file".to_owned()),
            Err(error) => Verdict::Wait(format!("flag-file cannot be looked for: {error}")),
        }
    }
}
