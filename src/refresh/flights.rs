//! Which chunks of the copy are under way.
//!
//! A chunk reads the table as it was when the chunk began. If a row is deleted meanwhile, and a
//! refresh takes it from the ghost before the chunk puts it there, the row is back from the dead.
//! So a refresh that found no row is repeated once every chunk has ended that was under way at any
//! moment of the refresh.

use std::collections::BTreeSet;

use parking_lot::Mutex;

/// The chunks under way. Chunks are numbered in the order in which they begin.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    under_way: BTreeSet<u64>,
}

/// What was under way at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    next: u64,
    any: bool,
}

impl Flights {
    /// To be called before a chunk's statement is sent, and again before it is sent again.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number);
        number
    }

    /// To be called when it is certain that the chunk's statement is no longer being executed.
    /// Every chunk below the returned number has ended.
    pub(crate) fn end(&self, number: u64) -> u64 {
        let mut state = self.0.lock();
        state.under_way.remove(&number);
        ended_below(&state)
    }

    pub(crate) fn mark(&self) -> Mark {
        let state = self.0.lock();
        Mark {
            next: state.next,
            any: !state.under_way.is_empty(),
        }
    }

    /// If a chunk has been under way since `mark`: the number below which all chunks must have
    /// ended before what was found out meanwhile can be relied on.
    pub(crate) fn since(&self, mark: Mark) -> Option<u64> {
        let state = self.0.lock();
        (mark.any || state.next != mark.next).then_some(state.next)
    }

    /// Every chunk below this number has ended.
    pub(crate) fn ended_below(&self) -> u64 {
        ended_below(&self.0.lock())
    }
}

fn ended_below(state: &State) -> u64 {
    state.under_way.first().copied().unwrap_or(state.next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_wait_for_when_no_chunk_was_under_way() {
        let flights = Flights::default();
        let chunk = flights.begin();
        flights.end(chunk);
        assert_eq!(flights.since(flights.mark()), None);
    }

    #[test]
    fn a_chunk_that_began_or_ended_meanwhile_counts() {
        let flights = Flights::default();
        let before = flights.mark();
        let chunk = flights.begin();
        assert_eq!(flights.end(chunk), 1);
        assert_eq!(flights.since(before), Some(1));

        let chunk = flights.begin();
        let during = flights.mark();
        assert_eq!(flights.end(chunk), 2);
        assert_eq!(flights.since(during), Some(2));
    }

    #[test]
    fn the_oldest_chunk_holds_the_others_back() {
        let flights = Flights::default();
        let (old, young) = (flights.begin(), flights.begin());
        assert_eq!(flights.end(young), 0);
        assert_eq!(flights.end(old), 2);
    }
}
