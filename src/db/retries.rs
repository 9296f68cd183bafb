//! How often, and how patiently, something is tried again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::error::Error;

/// The pause behind the first failure. Each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause: a server that is back is not kept waiting for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The bounds: whichever is reached first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// Tries in all.
    pub(crate) attempts: u32,
    /// From the first failure on. One try that fails for longer than that does not use it up: there is another.
    pub(crate) within: Duration,
}

impl Retries {
    pub(crate) const DEFAULT: Retries = Retries { attempts: 60, within: Duration::from_secs(300) };
}

/// The pause behind so many failures, from 1. Of random length, a half of it at least: two that were each other's
/// deadlock do not meet again, and connections that were lost together do not all come back in the same moment.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE * (1 << failures.saturating_sub(1).min(12));
    let longest = doubled.min(LONGEST_PAUSE);
    // A hasher with random keys is the standard library's only source of randomness.
    let random = u32::try_from(RandomState::new().hash_one(failures) >> 32).unwrap_or(0);
    longest.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// The failures of one operation.
#[derive(Debug)]
pub(crate) struct Backoff {
    retries: Retries,
    failures: u32,
    first: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(retries: Retries) -> Self {
        Backoff { retries, failures: 0, first: None }
    }

    /// A try has failed: for how long to pause before the next, or none if there shall be none.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.failures += 1;
        let since = self.first.get_or_insert_with(Instant::now).elapsed();
        let go_on = self.failures < self.retries.attempts
            && (self.failures == 1 || since < self.retries.within);
        go_on.then(|| pause(self.failures))
    }

    /// Adds to the last error how often it was tried.
    pub(crate) fn gives_up(&self, error: Error) -> Error {
        if self.failures < 2 {
            return error;
        }
        let message = format!("{} ({self})", error.message());
        error.with_message(message)
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.first.map_or(Duration::ZERO, |first| first.elapsed());
        write!(f, "tried {} times in {:.1} s", self.failures, since.as_secs_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let ranges =
            [(1, 5, 10), (2, 10, 20), (5, 80, 160), (10, 2_500, 5_000), (60, 2_500, 5_000)];
        for (failures, least, most) in ranges {
            for _ in 0..50 {
                let pause = pause(failures).as_millis();
                assert!((least..=most).contains(&pause), "{failures}: {pause} ms");
            }
        }
        let differ = (0..20).map(|_| pause(10)).collect::<std::collections::HashSet<_>>();
        assert!(differ.len() > 1, "of random length");
    }

    #[test]
    fn both_bounds_hold() {
        let mut few = Backoff::new(Retries { attempts: 3, within: Duration::from_secs(60) });
        assert_eq!(
            [few.failed(), few.failed(), few.failed()].map(|p| p.is_some()),
            [true, true, false]
        );
        let error = few.gives_up(Error::aborted());
        assert!(error.message().contains("(tried 3 times in 0.0 s)"), "{error}");
        // One try, which took however long, is followed by another.
        let mut short = Backoff::new(Retries { attempts: 60, within: Duration::ZERO });
        assert_eq!([short.failed(), short.failed()].map(|p| p.is_some()), [true, false]);
        assert_eq!(Backoff::new(Retries { attempts: 1, ..Retries::DEFAULT }).failed(), None);
    }
}
