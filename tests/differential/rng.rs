//! Random choices that depend on nothing but the seed.

use std::cell::Cell;

pub(crate) struct Rng(Cell<u64>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(Cell::new(seed))
    }

    /// SplitMix64: good enough for choosing, and the same everywhere.
    pub(crate) fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`, which is not 0.
    pub(crate) fn below(&self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// Both ends included.
    pub(crate) fn between(&self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).wrapping_add(1);
        if span == 0 {
            self.next().cast_signed()
        } else {
            low.wrapping_add_unsigned(self.next() % span)
        }
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn one<T: Copy>(&self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// One of them by weight.
    pub(crate) fn weighted<T: Copy>(&self, all: &[(usize, T)]) -> T {
        let mut n = self.below(all.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in all {
            if n < *weight {
                return *item;
            }
            n -= weight;
        }
        unreachable!()
    }
}
