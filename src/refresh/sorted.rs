//! A sorted set of integers that takes little more than the integers themselves, and no allocation
//! for each of them.
//!
//! A list of sorted leaves. Leaves that become empty are kept for those that are needed next, so
//! that a set whose keys come and go allocates nothing.

use std::ops::Bound;

/// Integers in a full leaf: 4 KiB.
const LEAF: usize = 512;

/// Empty leaves that are kept.
const SPARE: usize = 256;

/// A sorted set of integers.
#[derive(Debug, Default)]
pub(crate) struct SortedInts {
    /// None of them empty, each below the next.
    leaves: Vec<Vec<u64>>,
    spare: Vec<Vec<u64>>,
    len: usize,
}

impl SortedInts {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains(&self, value: u64) -> bool {
        let leaf = self.leaves.get(self.place(value));
        leaf.is_some_and(|leaf| leaf.binary_search(&value).is_ok())
    }

    /// The first leaf that does not end below `value`.
    fn place(&self, value: u64) -> usize {
        self.leaves.partition_point(|leaf| leaf.last().is_none_or(|last| *last < value))
    }

    /// `false` if it is there already.
    pub(crate) fn insert(&mut self, value: u64) -> bool {
        let mut place = self.place(value);
        if place == self.leaves.len() {
            // Beyond the end: keys that grow fill one leaf after the other.
            if self.leaves.last().is_none_or(|leaf| leaf.len() == LEAF) {
                let leaf = self.new_leaf();
                self.leaves.push(leaf);
            }
            place = self.leaves.len() - 1;
        }
        let Some(leaf) = self.leaves.get_mut(place) else { return false };
        let Err(at) = leaf.binary_search(&value) else { return false };
        self.len += 1;
        if leaf.len() < LEAF {
            leaf.insert(at, value);
            return true;
        }
        let mut upper = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(LEAF));
        upper.extend(leaf.drain(LEAF / 2..));
        if at <= LEAF / 2 {
            leaf.insert(at, value);
        } else {
            upper.insert(at - LEAF / 2, value);
        }
        self.leaves.insert(place + 1, upper);
        true
    }

    fn new_leaf(&mut self) -> Vec<u64> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(LEAF))
    }

    /// `false` if it is not there.
    pub(crate) fn remove(&mut self, value: u64) -> bool {
        let place = self.place(value);
        let Some(leaf) = self.leaves.get_mut(place) else { return false };
        let Ok(at) = leaf.binary_search(&value) else { return false };
        leaf.remove(at);
        self.len -= 1;
        if leaf.is_empty() {
            self.drop_leaves(place, place + 1);
        }
        true
    }

    /// Takes the first `at_most` integers behind the bound out, in their order.
    pub(crate) fn take(&mut self, behind: Bound<u64>, at_most: usize) -> Vec<u64> {
        let Some(first) = (match behind {
            Bound::Unbounded => Some(0),
            Bound::Included(value) => Some(value),
            Bound::Excluded(value) => value.checked_add(1),
        }) else {
            return Vec::new();
        };
        let mut taken = Vec::with_capacity(at_most.min(self.len));
        let begin = self.place(first);
        let (mut empty_from, mut empty_to) = (begin, begin);
        for (place, leaf) in self.leaves.iter_mut().enumerate().skip(begin) {
            let from = leaf.partition_point(|value| *value < first);
            let to = leaf.len().min(from + (at_most - taken.len()));
            taken.extend(leaf.drain(from..to));
            if leaf.is_empty() {
                // Only the first can have something left in front.
                if empty_to == empty_from {
                    empty_from = place;
                }
                empty_to = place + 1;
            }
            if taken.len() == at_most {
                break;
            }
        }
        self.len -= taken.len();
        self.drop_leaves(empty_from, empty_to);
        taken
    }

    fn drop_leaves(&mut self, from: usize, to: usize) {
        let room = SPARE.saturating_sub(self.spare.len());
        let empty = self.leaves.drain(from..to);
        self.spare.extend(empty.take(room));
        // A burst is over: what it took goes back.
        if self.leaves.is_empty() {
            self.leaves.shrink_to(SPARE);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.leaves.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Run(u64, u64),
        Remove(u64),
        Take(Option<u64>, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = prop_oneof![0..2000_u64, any::<u64>(), Just(u64::MAX)];
        prop_oneof![
            4 => key.clone().prop_map(Step::Insert),
            2 => (0..5000_u64, 1..2000_u64).prop_map(|(first, count)| Step::Run(first, count)),
            1 => key.clone().prop_map(Step::Remove),
            2 => (proptest::option::of(key), 1..3000_usize).prop_map(|(k, n)| Step::Take(k, n)),
        ]
    }

    proptest! {
        #[test]
        fn is_a_sorted_set(steps in proptest::collection::vec(step(), 1..60)) {
            let (mut set, mut model) = (SortedInts::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Insert(value) => prop_assert_eq!(set.insert(value), model.insert(value)),
                    Step::Run(first, count) => {
                        for value in (first..first + count).rev() {
                            prop_assert_eq!(set.insert(value), model.insert(value));
                        }
                    }
                    Step::Remove(value) => {
                        prop_assert_eq!(set.remove(value), model.remove(&value));
                    }
                    Step::Take(behind, most) => {
                        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
                        let expected: Vec<u64> =
                            model.range((behind, Bound::Unbounded)).take(most).copied().collect();
                        model.retain(|value| !expected.contains(value));
                        prop_assert_eq!(set.take(behind, most), expected);
                    }
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.leaves.iter().all(|leaf| !leaf.is_empty()));
                prop_assert!(model.iter().all(|value| set.contains(*value)));
            }
        }
    }

    #[test]
    fn growing_keys_fill_their_leaves() {
        let mut set = SortedInts::default();
        for value in 0..10_000 {
            set.insert(value);
        }
        assert_eq!(set.leaves.len(), 10_000_usize.div_ceil(LEAF));
    }
}
