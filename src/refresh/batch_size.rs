//! How many keys to refresh at once: as many as keep the table's rows locked for about ten
//! milliseconds.

use std::time::Duration;

/// Writers of hot rows wait for as long as a refresh holds their rows.
const LOCK_TIME: Duration = Duration::from_millis(10);

/// The size of a worker's next batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSize {
    size: usize,
    most: usize,
}

impl BatchSize {
    pub(crate) fn new(most: usize) -> Self {
        BatchSize { size: most.clamp(1, 100), most: most.max(1) }
    }

    pub(crate) fn get(self) -> usize {
        self.size
    }

    /// A batch of `keys` kept the rows locked for `locked`.
    pub(crate) fn learn(&mut self, keys: usize, locked: Duration) {
        if locked > LOCK_TIME {
            self.size = (self.size.min(keys.max(1)) * 3 / 4).max(1);
        } else if keys >= self.size && locked < LOCK_TIME / 2 {
            self.size = (self.size + self.size / 4 + 1).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_when_it_takes_long_and_grows_when_it_does_not() {
        let mut size = BatchSize::new(1000);
        for _ in 0..50 {
            let keys = size.get();
            size.learn(keys, Duration::from_micros(100 * u64::try_from(keys).unwrap()));
        }
        assert!((40..=100).contains(&size.get()), "{}", size.get());
        for _ in 0..100 {
            let keys = size.get();
            size.learn(keys, Duration::from_secs(1));
        }
        assert_eq!(size.get(), 1);
        for _ in 0..100 {
            let keys = size.get();
            size.learn(keys, Duration::ZERO);
        }
        assert_eq!(size.get(), 1000);
    }
}
