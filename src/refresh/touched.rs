//! Which of some keys change while they are looked at.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::sql::{Key, KeyShape};

/// Notes changes of watched keys as they come through the stream.
#[derive(Debug)]
pub(crate) struct Touched {
    /// Nothing is spent on a key while nobody watches.
    active: AtomicBool,
    shape: KeyShape,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    watched: HashSet<String>,
    touched: HashSet<String>,
}

impl Touched {
    pub(crate) fn new(shape: KeyShape) -> Self {
        Touched { active: AtomicBool::new(false), shape, state: Mutex::default() }
    }

    /// A key has changed. To be called before it is put into pending.
    pub(crate) fn note(&self, key: &Key) {
        if !self.active.load(Ordering::SeqCst) {
            return;
        }
        let name = self.shape.display(key);
        let mut state = self.state.lock();
        if state.watched.contains(&name) {
            state.touched.insert(name);
        }
    }

    /// Watches these keys from now on, and no others.
    pub(crate) fn watch(&self, keys: &[Key]) {
        let watched = keys.iter().map(|key| self.shape.display(key)).collect();
        *self.state.lock() = State { watched, touched: HashSet::new() };
        self.active.store(!keys.is_empty(), Ordering::SeqCst);
    }

    /// Whether a key may have changed: one that is not watched may have. The same row can be found under
    /// another spelling of its key ('a' = 'A') than the one it was looked for.
    pub(crate) fn may_have(&self, key: &Key) -> bool {
        let name = self.shape.display(key);
        let state = self.state.lock();
        !state.watched.contains(&name) || state.touched.contains(&name)
    }
}
