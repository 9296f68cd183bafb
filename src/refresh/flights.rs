//! Which chunks of the copy are under way.
//!
//! A chunk reads the table as it was when the chunk began. If a row is deleted meanwhile, and a
//! refresh takes it from the ghost before the chunk puts it there, the row is back from the dead.
//! So a refresh that found no row is repeated once every chunk has ended that was under way at any
//! moment of the refresh.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// The chunks under way. Chunks are numbered in the order in which they begin.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    under_way: BTreeMap<u64, Span>,
}

/// The keys of a chunk, where they are integers: behind `after`, up to and with `through`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) after: Option<i128>,
    pub(crate) through: Option<i128>,
}

impl Span {
    /// Contains no key.
    pub(crate) const NOWHERE: Span = Span { after: Some(i128::MAX), through: Some(i128::MIN) };

    fn contains(&self, key: i128) -> bool {
        self.after.is_none_or(|after| key > after)
            && self.through.is_none_or(|through| key <= through)
    }
}

/// What was under way at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    next: u64,
    any: bool,
}

impl Flights {
    /// To be called before a chunk's statement is sent, and again before it is sent again.
    pub(crate) fn begin(&self, span: Span) -> u64 {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, span);
        number
    }

    /// The chunk under way that a key lies in: a refresh would have to wait for it, and would keep
    /// the application's row locked meanwhile.
    pub(crate) fn around(&self, key: i128) -> Option<u64> {
        let state = self.0.lock();
        let mut around = state.under_way.iter().filter(|(_, span)| span.contains(key));
        around.next().map(|(number, _)| *number)
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
        Mark { next: state.next, any: !state.under_way.is_empty() }
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
    state.under_way.keys().next().copied().unwrap_or(state.next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_wait_for_when_no_chunk_was_under_way() {
        let flights = Flights::default();
        let chunk = flights.begin(Span::default());
        flights.end(chunk);
        assert_eq!(flights.since(flights.mark()), None);
    }

    #[test]
    fn a_chunk_that_began_or_ended_meanwhile_counts() {
        let flights = Flights::default();
        let before = flights.mark();
        let chunk = flights.begin(Span::default());
        assert_eq!(flights.end(chunk), 1);
        assert_eq!(flights.since(before), Some(1));

        let chunk = flights.begin(Span::default());
        let during = flights.mark();
        assert_eq!(flights.end(chunk), 2);
        assert_eq!(flights.since(during), Some(2));
    }

    #[test]
    fn knows_which_chunk_a_key_lies_in() {
        let flights = Flights::default();
        let first = flights.begin(Span { after: None, through: Some(10) });
        let second = flights.begin(Span { after: Some(10), through: Some(20) });
        assert_eq!(flights.around(-5), Some(first));
        assert_eq!(flights.around(10), Some(first));
        assert_eq!(flights.around(11), Some(second));
        assert_eq!(flights.around(21), None);
        flights.end(first);
        assert_eq!(flights.around(10), None);
    }

    #[test]
    fn the_oldest_chunk_holds_the_others_back() {
        let flights = Flights::default();
        let (old, young) = (flights.begin(Span::default()), flights.begin(Span::default()));
        assert_eq!(flights.end(young), 0);
        assert_eq!(flights.end(old), 2);
    }
}
