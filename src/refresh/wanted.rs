//! Keys that somebody waits for.

use std::collections::HashSet;

use super::part::Part;
use crate::sql::{Key, KeyShape};

/// Keys that somebody waits for.
#[derive(Debug)]
pub(crate) struct Wanted {
    keys: Vec<Key>,
    /// The keys as they are written, where one from a row image and a selected one have different
    /// forms.
    names: Option<(KeyShape, HashSet<String>)>,
}

impl Wanted {
    pub(crate) fn new(keys: &[Key], shape: &KeyShape) -> Self {
        let names = keys.iter().map(|key| shape.display(key)).collect();
        Wanted { keys: keys.to_vec(), names: (!shape.is_int()).then(|| (shape.clone(), names)) }
    }

    pub(super) fn is(&self, key: &Key) -> bool {
        match &self.names {
            None => self.keys.contains(key),
            Some((shape, names)) => names.contains(&shape.display(key)),
        }
    }

    /// Whether any of them is in a part.
    pub(super) fn any_in(&self, part: &Part) -> bool {
        match &self.names {
            // Found without looking at all of the part.
            None => self.keys.iter().any(|key| part.contains(key)),
            Some(_) => part.iter().any(|key| self.is(key)),
        }
    }
}
