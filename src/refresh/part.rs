//! The pending keys of one worker, and the batches that they are taken in.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use crate::sql::Key;

/// Keys to be refreshed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<Key>,
    /// They are refreshed again because the table had no rows at them while chunks were under way.
    /// Those have ended; chunks that began since cannot have seen the rows either.
    pub(crate) repeated: bool,
}

#[derive(Debug)]
pub(super) struct Part {
    keys: BTreeSet<Key>,
    /// Keys to be refreshed a second time, and that have not changed since the first.
    repeated: BTreeSet<Key>,
    /// Where the last batch ended: the next one goes on from there, so that no key starves.
    cursor: Option<Key>,
    pub(super) last_take: Instant,
    /// The batch that its worker has.
    pub(super) under_way: Vec<Key>,
}

impl Part {
    pub(super) fn new() -> Self {
        Part {
            keys: BTreeSet::new(),
            repeated: BTreeSet::new(),
            cursor: None,
            last_take: Instant::now(),
            under_way: Vec::new(),
        }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key) || self.repeated.contains(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().chain(&self.repeated)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.repeated.len()
    }

    /// Adds a key that has changed; `false` if it is there already.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        self.repeated.remove(&key);
        self.keys.insert(key)
    }

    /// Adds a key to be refreshed again. One that has changed since has to go through everything
    /// again, and stays as it is.
    pub(super) fn insert_repeated(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.repeated.insert(key);
        }
    }

    /// Of the two kinds the one there is more of, so that neither starves.
    pub(super) fn next_batch(&mut self, at_most: usize) -> Batch {
        self.last_take = Instant::now();
        if self.repeated.len() > self.keys.len() {
            let keys: Vec<Key> = self.repeated.iter().take(at_most).cloned().collect();
            for key in &keys {
                self.repeated.remove(key);
            }
            return Batch { keys, repeated: true };
        }
        // The keys behind the cursor, from the beginning again when there are none.
        let behind = self.cursor.as_ref().map_or(Unbounded, Excluded);
        let mut keys: Vec<Key> =
            self.keys.range((behind, Unbounded)).take(at_most).cloned().collect();
        if keys.is_empty() {
            keys = self.keys.iter().take(at_most).cloned().collect();
        }
        for key in &keys {
            self.keys.remove(key);
        }
        self.cursor = keys.last().cloned();
        Batch { keys, repeated: false }
    }

    /// All keys.
    pub(super) fn drain_into(&mut self, all: &mut BTreeSet<Key>) {
        all.append(&mut self.keys);
        all.append(&mut self.repeated);
    }
}
