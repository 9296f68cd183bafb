//! Taking turns at the ghost.
//!
//! With `innodb_autoinc_lock_mode` 0 or 1 (MariaDB's default), a statement that inserts what it
//! selects keeps all others off a table with an AUTO_INCREMENT column until it ends. A refresh would
//! then wait for a chunk of the copy while it holds the application's rows. So they wait for each
//! other here, before they lock anything.
//!
//! And where no unique index of the ghost keeps a row from being there twice, no chunk may be under
//! way together with a refresh: each deletes what it is about to insert, and neither would see what
//! the other inserts in between.

use parking_lot::{Condvar, FairMutex, FairMutexGuard, Mutex};

/// Whose turn it is, where that matters. First come, first served.
#[derive(Debug)]
pub(crate) enum Turns {
    /// Nobody has to wait.
    None,
    /// One at a time.
    Each(FairMutex<()>),
    /// Chunks side by side, or refreshes side by side.
    Sides(Sides),
}

/// Who wants a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Chunk,
    Refresh,
}

/// A turn, for as long as it is kept.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    None,
    Each { _guard: FairMutexGuard<'a, ()> },
    Side { sides: &'a Sides, who: Who },
}

/// Two parties that keep each other out.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the next to come, and of the next to be let in.
    next: u64,
    served: u64,
    chunks: usize,
    refreshes: usize,
}

impl Turns {
    pub(crate) fn new(one_at_a_time: bool, sides: bool) -> Self {
        match (one_at_a_time, sides) {
            (true, _) => Turns::Each(FairMutex::default()),
            (false, true) => Turns::Sides(Sides::default()),
            (false, false) => Turns::None,
        }
    }

    /// Whether anybody has to wait at all.
    pub(crate) fn matter(&self) -> bool {
        !matches!(self, Turns::None)
    }

    /// To be kept while the statement runs.
    pub(crate) fn take(&self, who: Who) -> Turn<'_> {
        match self {
            Turns::None => Turn::None,
            Turns::Each(mutex) => Turn::Each { _guard: mutex.lock() },
            Turns::Sides(sides) => {
                sides.enter(who);
                Turn::Side { sides, who }
            }
        }
    }
}

impl Sides {
    /// In the order of coming: who comes behind one of the other side waits too, or that one might
    /// wait for ever.
    fn enter(&self, who: Who) {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        while state.served != number || *state.others(who) > 0 {
            self.changed.wait(&mut state);
        }
        state.served += 1;
        *state.own(who) += 1;
        drop(state);
        self.changed.notify_all();
    }

    fn leave(&self, who: Who) {
        let mut state = self.state.lock();
        *state.own(who) -= 1;
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    fn own(&mut self, who: Who) -> &mut usize {
        match who {
            Who::Chunk => &mut self.chunks,
            Who::Refresh => &mut self.refreshes,
        }
    }

    fn others(&mut self, who: Who) -> &mut usize {
        match who {
            Who::Chunk => &mut self.refreshes,
            Who::Refresh => &mut self.chunks,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Turn::Side { sides, who } = self {
            sides.leave(*who);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_two_sides_keep_each_other_out_and_nobody_waits_for_ever() {
        let turns = Turns::new(false, true);
        let (entered, enters) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let (first, second) = (turns.take(Who::Chunk), turns.take(Who::Chunk));
            let come = |who, note| {
                let (turns, entered) = (&turns, entered.clone());
                let waiting = || match turns {
                    Turns::Sides(sides) => {
                        let state = sides.state.lock();
                        state.next - state.served
                    }
                    _ => 0,
                };
                let before = waiting();
                scope.spawn(move || {
                    let turn = turns.take(who);
                    entered.send(note).unwrap();
                    drop(turn);
                });
                while waiting() == before {
                    std::thread::yield_now();
                }
            };
            come(Who::Refresh, "refresh");
            come(Who::Chunk, "third chunk");
            drop(first);
            assert!(enters.recv_timeout(Duration::from_millis(50)).is_err());
            drop(second);
            assert_eq!(enters.recv().unwrap(), "refresh");
            assert_eq!(enters.recv().unwrap(), "third chunk");
        });
    }
}
