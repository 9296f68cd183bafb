//! Throttling by the length of InnoDB's history list.

use std::time::{Duration, Instant};

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// How often the length is asked for: it takes a while to change by much.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Holds back while InnoDB's history list is so long or longer: transactions whose old row versions are not purged,
/// because somebody's old transaction may still read them, or because purging cannot keep up with the changes. Looked at
/// once a second.
///
/// MySQL shows it in `information_schema.INNODB_METRICS` (`trx_rseg_history_len`, which is on unless it was switched
/// off), for which the user needs PROCESS; MariaDB as `Innodb_history_list_length`, without.
#[derive(Clone, Debug)]
pub struct HistoryLimit {
    at_least: u64,
    last: Option<(Instant, Verdict)>,
}

impl HistoryLimit {
    /// By the length from which on the run holds back.
    pub fn new(at_least: u64) -> Self {
        HistoryLimit { at_least, last: None }
    }

    pub(super) fn at_least(&self) -> u64 {
        self.at_least
    }
}

impl ThrottlePolicy for HistoryLimit {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        if let Some((asked, verdict)) = &self.last
            && asked.elapsed() < INTERVAL
        {
            return verdict.clone();
        }
        let sql = signals.history_query().to_owned();
        let length = signals.query(&sql).map_err(|error| error.to_string());
        let verdict = match length.and_then(read) {
            Ok(length) => judge(length, self.at_least),
            Err(why) => Verdict::Wait(unknown(&why)),
        };
        self.last = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

pub(super) fn judge(length: u64, at_least: u64) -> Verdict {
    if length < at_least {
        Verdict::Proceed
    } else {
        Verdict::Wait(format!("history-list-length={length} >= {at_least}"))
    }
}

/// What the query has answered.
pub(super) fn read(value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or("the server does not count it (innodb_monitor_enable)")?;
    value.parse().map_err(|_| format!("it is not a number but {value}"))
}

pub(super) fn unknown(why: &str) -> String {
    format!("history-list-length is unknown: {why}")
}

#[cfg(test)]
mod tests {
    use super::super::policy::SignalError;
    use super::super::policy::tests::Everything;
    use super::*;

    #[test]
    fn holds_back_from_the_limit_on_and_when_it_does_not_know() {
        let check = |value| HistoryLimit::new(10).check(&mut Everything::with(value));
        assert_eq!(check(Ok(9)), Verdict::Proceed);
        assert_eq!(check(Ok(10)), Verdict::Wait("history-list-length=10 >= 10".into()));
        let gone = SignalError { what: "it".into(), why: "gone".into() };
        let unknown = "history-list-length is unknown: it cannot be read: gone";
        assert_eq!(check(Err(gone)), Verdict::Wait(unknown.into()));
        // Switched off, MySQL's counter is zero for ever.
        assert!(read(None).is_err());
        assert!(read(Some("x".to_owned())).is_err());
    }

    #[test]
    fn is_asked_once_a_second() {
        let mut limit = HistoryLimit::new(10);
        assert_eq!(limit.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
        assert_eq!(limit.check(&mut Everything::with(Ok(10))), Verdict::Proceed);
        limit.last = Instant::now().checked_sub(INTERVAL).map(|asked| (asked, Verdict::Proceed));
        assert!(matches!(limit.check(&mut Everything::with(Ok(10))), Verdict::Wait(_)));
    }
}
