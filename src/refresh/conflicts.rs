//! Rows that are in conflict with others in a unique key of the ghost alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sql::Key;

/// A conflict is real when it has been seen so often, and for so long.
const TRIES: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// The conflicts that were seen, and since when. Usually none.
#[derive(Debug, Default)]
pub(super) struct Conflicts(Mutex<HashMap<Key, (Instant, u32)>>);

impl Conflicts {
    /// The keys are in conflict; whether one of them has been for so long that it will not go away by
    /// itself.
    pub(super) fn lasts(&self, keys: &[Key]) -> bool {
        let mut seen = self.0.lock();
        keys.iter().any(|key| {
            let (since, tries) = seen.entry(key.clone()).or_insert_with(|| (Instant::now(), 0));
            *tries += 1;
            *tries >= TRIES && since.elapsed() >= PATIENCE
        })
    }

    /// The keys are refreshed.
    pub(super) fn are_over(&self, keys: &[Key]) {
        let mut seen = self.0.lock();
        if !seen.is_empty() {
            for key in keys {
                seen.remove(key);
            }
        }
    }
}
