//! Throttling by the space that is left on a disk.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Holds back while fewer bytes are free than there should be: the copy needs about as much space as the table, and the
/// binlog as much again.
///
/// No SQL shows it, so a function has to say it, once a second: how many bytes are free, on the disk of the data directory
/// or of the binlog, if that is mounted on this machine (the crate `fs4` has `available_space`), or by the means of a
/// cloud (Amazon RDS: the metric `FreeStorageSpace` of CloudWatch). An error holds the run back, and so does a function
/// that takes longer than ten seconds.
///
/// ```
/// use online_alter::throttle::FreeSpace;
///
/// # fn available_space(_: &str) -> std::io::Result<u64> { Ok(0) }
/// let policy = FreeSpace::new("/var/lib/mysql", 50 << 30, || available_space("/var/lib/mysql"));
/// # let _ = policy;
/// ```
pub struct FreeSpace {
    name: String,
    least: u64,
    look: Box<dyn FnMut() -> io::Result<u64> + Send>,
    last: Option<(Instant, Verdict)>,
}

impl FreeSpace {
    /// `name` says in the reason what it is about; the run holds back while fewer than `least` bytes are free.
    pub fn new(
        name: impl Into<String>,
        least: u64,
        look: impl FnMut() -> io::Result<u64> + Send + 'static,
    ) -> Self {
        FreeSpace { name: name.into(), least, look: Box::new(look), last: None }
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, least, .. } = self;
        f.debug_struct("FreeSpace")
            .field("name", name)
            .field("least", least)
            .finish_non_exhaustive()
    }
}

impl ThrottlePolicy for FreeSpace {
    fn check(&mut self, _: &mut dyn Signals) -> Verdict {
        if let Some((looked, verdict)) = &self.last
            && looked.elapsed() < INTERVAL
        {
            return verdict.clone();
        }
        let Self { name, least, .. } = self;
        let verdict = match (self.look)() {
            Ok(free) if free >= *least => Verdict::Proceed,
            Ok(free) => Verdict::Wait(format!("free-space {name}={free} < {least}")),
            Err(error) => Verdict::Wait(format!("free-space {name} is unknown: {error}")),
        };
        self.last = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::Everything;
    use super::*;

    #[test]
    fn holds_back_below_the_least_and_when_it_does_not_know() {
        let check = |free: fn() -> io::Result<u64>| {
            FreeSpace::new("/data", 100, free).check(&mut Everything::with(Ok(0)))
        };
        assert_eq!(check(|| Ok(100)), Verdict::Proceed);
        assert_eq!(check(|| Ok(99)), Verdict::Wait("free-space /data=99 < 100".into()));
        let gone = check(|| Err(io::Error::other("gone")));
        assert_eq!(gone, Verdict::Wait("free-space /data is unknown: gone".into()));
    }

    #[test]
    fn is_looked_at_once_a_second() {
        let mut free = 200;
        let mut policy = FreeSpace::new("/data", 100, move || {
            free -= 150;
            Ok(free)
        });
        let check = |policy: &mut FreeSpace| policy.check(&mut Everything::with(Ok(0)));
        assert_eq!(check(&mut policy), Verdict::Wait("free-space /data=50 < 100".into()));
        policy.last = policy.last.take().map(|(looked, _)| (looked, Verdict::Proceed));
        assert_eq!(check(&mut policy), Verdict::Proceed);
    }
}
