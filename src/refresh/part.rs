//! The pending keys of one worker, and the batches that they are taken in.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use super::sorted::SortedInts;
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
    keys: Keys,
    /// Keys to be refreshed a second time, and that have not changed since the first.
    repeated: Keys,
    /// Where the last batch ended: the next one goes on from there, so that no key starves.
    cursor: Option<Key>,
    pub(super) last_take: Instant,
    /// The batch that its worker has.
    pub(super) under_way: Vec<Key>,
}

/// A sorted set of keys: integers apart from others, as they take little room and no allocations.
#[derive(Debug, Default)]
struct Keys {
    ints: SortedInts,
    others: BTreeSet<Key>,
}

impl Keys {
    fn len(&self) -> usize {
        self.ints.len() + self.others.len()
    }

    fn contains(&self, key: &Key) -> bool {
        match key {
            Key::Int(value) => self.ints.contains(*value),
            other => self.others.contains(other),
        }
    }

    fn insert(&mut self, key: Key) -> bool {
        match key {
            Key::Int(value) => self.ints.insert(value),
            other => self.others.insert(other),
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::Int(value) => drop(self.ints.remove(*value)),
            other => drop(self.others.remove(other)),
        }
    }

    /// Takes keys out, in their order: the first ones, or those behind a key.
    fn take(&mut self, behind: Option<&Key>, at_most: usize) -> Vec<Key> {
        let ints = match behind {
            None => self.ints.take(Unbounded, at_most),
            Some(Key::Int(value)) => self.ints.take(Excluded(*value), at_most),
            // Integers come first.
            Some(_) => Vec::new(),
        };
        let mut keys: Vec<Key> = ints.into_iter().map(Key::Int).collect();
        let from = keys.len();
        let behind = behind.map_or(Unbounded, Excluded);
        let left = at_most - from;
        keys.extend(self.others.range((behind, Unbounded)).take(left).cloned());
        for key in keys.iter().skip(from) {
            self.others.remove(key);
        }
        keys
    }

    fn iter(&self) -> impl Iterator<Item = Key> {
        self.ints.iter().map(Key::Int).chain(self.others.iter().cloned())
    }
}

impl Part {
    pub(super) fn new() -> Self {
        Part {
            keys: Keys::default(),
            repeated: Keys::default(),
            cursor: None,
            last_take: Instant::now(),
            under_way: Vec::new(),
        }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key) || self.repeated.contains(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().chain(self.repeated.iter())
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.repeated.len()
    }

    /// Adds a key that has changed; `false` if it is there already.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        if self.repeated.len() > 0 {
            self.repeated.remove(&key);
        }
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
            return Batch { keys: self.repeated.take(None, at_most), repeated: true };
        }
        // The keys behind the cursor, from the beginning again when there are none.
        let mut keys = self.keys.take(self.cursor.as_ref(), at_most);
        if keys.is_empty() {
            keys = self.keys.take(None, at_most);
        }
        self.cursor = keys.last().cloned();
        Batch { keys, repeated: false }
    }

    /// All keys, in no order.
    pub(super) fn drain_into(&mut self, all: &mut Vec<Key>) {
        all.extend(self.keys.take(None, usize::MAX));
        all.extend(self.repeated.take(None, usize::MAX));
    }
}
