//! Throttling by the answer to a query.

use std::time::{Duration, Instant};

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// How often the query is asked, as with gh-ost.
const INTERVAL: Duration = Duration::from_secs(1);

/// Holds back while a query answers with a number above zero, such as
/// `SELECT COUNT(*) > 1000000 FROM information_schema.INNODB_TRX`. It is asked once a second, on the server of
/// the table; NULL and no row count as zero, and what is no number, or an error, holds the run back.
#[derive(Clone, Debug)]
pub struct ThrottleQuery {
    sql: String,
    last: Option<(Instant, Verdict)>,
}

impl ThrottleQuery {
    /// By the text of the query.
    pub fn new(sql: impl Into<String>) -> Self {
        ThrottleQuery { sql: sql.into(), last: None }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

impl ThrottlePolicy for ThrottleQuery {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        if let Some((asked, verdict)) = &self.last
            && asked.elapsed() < INTERVAL
        {
            return verdict.clone();
        }
        let verdict = match signals.query(&self.sql) {
            Ok(None) => Verdict::Proceed,
            Ok(Some(value)) => match value.parse::<f64>() {
                Ok(number) if number <= 0.0 => Verdict::Proceed,
                Ok(_) => Verdict::Wait("throttle-query".to_owned()),
                Err(_) => Verdict::Wait(format!("throttle-query: {value} is not a number")),
            },
            Err(error) => Verdict::Wait(format!("throttle-query: {error}")),
        };
        self.last = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::SignalError;
    use super::super::policy::tests::Everything;
    use super::*;

    #[test]
    fn holds_back_above_zero_and_when_it_does_not_know() {
        let check = |value| ThrottleQuery::new("q").check(&mut Everything::with(value));
        assert_eq!(check(Ok(0)), Verdict::Proceed);
        assert_eq!(check(Ok(1)), Verdict::Wait("throttle-query".into()));
        let gone = SignalError { what: "it".into(), why: "gone".into() };
        assert!(matches!(check(Err(gone)), Verdict::Wait(_)));
    }

    #[test]
    fn is_asked_once_a_second() {
        let mut query = ThrottleQuery::new("q");
        assert_eq!(query.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
        assert_eq!(query.check(&mut Everything::with(Ok(1))), Verdict::Proceed);
        query.last = Instant::now().checked_sub(INTERVAL).map(|asked| (asked, Verdict::Proceed));
        assert!(matches!(query.check(&mut Everything::with(Ok(1))), Verdict::Wait(_)));
    }
}
