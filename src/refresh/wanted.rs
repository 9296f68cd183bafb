//! Keys that somebody waits for.

use std::collections::{HashMap, HashSet};

use super::part::Part;
use crate::sql::{Key, KeyShape};

/// Keys that somebody waits for, until each has been refreshed once. Not all of them at the same moment:
/// rows that change all the time are pending all the time.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Each with whether a batch that was taken since the wait began has it.
    left: HashMap<Id, bool>,
    /// Where a key from a row image and a selected one have different forms.
    shape: Option<KeyShape>,
}

/// A key, as it is, or as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Key(Key),
    Name(String),
}

impl Wanted {
    pub(crate) fn new(keys: &[Key], shape: &KeyShape) -> Self {
        let mut wanted =
            Wanted { left: HashMap::new(), shape: (!shape.is_int()).then(|| shape.clone()) };
        wanted.left = keys.iter().map(|key| (wanted.id(key), false)).collect();
        wanted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn id(&self, key: &Key) -> Id {
        self.shape
            .as_ref()
            .map_or_else(|| Id::Key(key.clone()), |shape| Id::Name(shape.display(key)))
    }

    /// A new wait begins, of which the batches that are under way know nothing.
    pub(super) fn forget_batches(&mut self) {
        self.left.values_mut().for_each(|taken| *taken = false);
    }

    /// A batch has been taken.
    pub(super) fn taken(&mut self, keys: &[Key]) {
        self.mark(keys.iter(), true);
    }

    /// Keys could not be refreshed, or not for good.
    pub(super) fn put_back<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>) {
        self.mark(keys, false);
    }

    fn mark<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>, taken: bool) {
        for key in keys {
            let id = self.id(key);
            if let Some(mark) = self.left.get_mut(&id) {
                *mark = taken;
            }
        }
    }

    /// A batch is finished: what was not put back is refreshed.
    pub(super) fn finished(&mut self, keys: &[Key]) {
        for key in keys {
            let id = self.id(key);
            if self.left.get(&id) == Some(&true) {
                self.left.remove(&id);
            }
        }
    }

    /// Leaves only those that are in one of the parts or among the others: the rest are refreshed.
    pub(super) fn leave<'a>(&mut self, parts: &[Part], others: impl Iterator<Item = &'a Key>) {
        let mut there: HashSet<Id> = others.map(|key| self.id(key)).collect();
        if self.shape.is_some() {
            there.extend(parts.iter().flat_map(Part::iter).map(|key| self.id(&key)));
        }
        self.left.retain(|id, _| {
            // Found without looking at all of the parts.
            let in_part = |key| parts.iter().any(|part| part.contains(key));
            there.contains(id) || matches!(id, Id::Key(key) if in_part(key))
        });
    }
}
