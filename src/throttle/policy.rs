//! What a policy is.

use std::time::Duration;

use crate::endpoint::Endpoint;

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// Hold back, for this reason. The reason is shown to people and may change from one check to
    /// the next.
    Wait(String),
    /// End the run, for this reason, with the table as it was. An attempt to cut over that is under way is
    /// not broken off.
    Abort(String),
}

/// A signal could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read: {why}")]
pub struct SignalError {
    pub(crate) what: String,
    pub(crate) why: String,
}

/// What a policy can look at.
pub trait Signals {
    /// A numeric status variable of the server, as `SHOW GLOBAL STATUS` has it.
    fn status(&mut self, name: &str) -> Result<u64, SignalError>;

    /// The first value of the first row of a query's result, as text; `None` if it is NULL or there is none.
    /// The server is the one of the table.
    fn query(&mut self, sql: &str) -> Result<Option<String>, SignalError>;

    /// The replicas that are attached to the server, each as the user of the run would reach it; not those streams that
    /// runs like this one read. An error if one of them does not say where it is (`report_host`), or the user may not
    /// see them: that takes REPLICATION SLAVE on MySQL, and REPLICATION MASTER ADMIN on MariaDB.
    fn attached_replicas(&mut self) -> Result<Vec<Endpoint>, SignalError>;

    /// A query for the length of InnoDB's history list, on the server or a replica of it
    /// ([`HistoryLimit`](super::HistoryLimit)).
    fn history_query(&self) -> &str;

    /// For how long a change has been under way in the binlog stream without having come through.
    /// Zero when the stream is up to date, and while it is the run itself that lets it wait.
    fn stream_lag(&self) -> Duration;

    /// How far the server is behind the one that it replicates from, in whole seconds, as the server says it. Zero if the
    /// run is not [on a replica](crate::OnReplica), and while it keeps its replication stopped itself.
    fn replication_lag(&mut self) -> Result<Duration, SignalError>;

    /// A query for the number of the last heartbeat of the run, on whatever server the heartbeats have come to.
    fn heartbeats(&self) -> &str;

    /// How long ago the first heartbeat after this one was written; zero if there is none.
    fn since_heartbeat_after(&self, number: u64) -> Duration;
}

/// Decides whether the run may write now.
///
/// It is asked ten times a second, in a thread of its own, which all policies of a run share: it may take its time, and what it
/// said last is in force until it says something else, or for ten seconds: then the run holds back. When it does not know, it should say
/// [`Verdict::Wait`]: throttling fails closed. One that does not come back holds the run back for good, but does not keep it
/// from ending: it is waited for two seconds at most, and its thread is left behind then. A panic ends the run.
pub trait ThrottlePolicy: Send {
    /// Says whether the run may write now.
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict;
}

impl<F: FnMut() -> Verdict + Send> ThrottlePolicy for F {
    fn check(&mut self, _: &mut dyn Signals) -> Verdict {
        self()
    }
}

/// Proceeds when all of its policies do; waits with the reason of the first that does not. All of them are asked, and one
/// that wants to end the run does.
#[derive(Default)]
pub struct AllOf(Vec<Box<dyn ThrottlePolicy>>);

impl AllOf {
    /// No policies: always proceeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy.
    #[must_use]
    pub fn and(mut self, policy: impl ThrottlePolicy + 'static) -> Self {
        self.0.push(Box::new(policy));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for AllOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AllOf({} policies)", self.0.len())
    }
}

impl ThrottlePolicy for AllOf {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        all(self.0.iter_mut().map(|policy| policy.check(signals)))
    }
}

/// Of what policies say: the first that wants to end the run, or else the first that does not want to go on. All are
/// asked.
pub(super) fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut first = Verdict::Proceed;
    for verdict in verdicts {
        match verdict {
            Verdict::Abort(reason) => return Verdict::Abort(reason),
            verdict if first == Verdict::Proceed => first = verdict,
            _ => {}
        }
    }
    first
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Signals of a server whose every status variable, and every query, has this value.
    pub(crate) struct Everything {
        pub(crate) value: Result<u64, SignalError>,
        pub(crate) lag: Duration,
    }

    impl Everything {
        pub(crate) fn with(value: Result<u64, SignalError>) -> Self {
            Everything { value, lag: Duration::ZERO }
        }
    }

    impl Signals for Everything {
        fn status(&mut self, _: &str) -> Result<u64, SignalError> {
            self.value.clone()
        }
        fn query(&mut self, _: &str) -> Result<Option<String>, SignalError> {
            self.value.clone().map(|value| Some(value.to_string()))
        }
        fn attached_replicas(&mut self) -> Result<Vec<Endpoint>, SignalError> {
            self.value.clone().map(|_| Vec::new())
        }
        fn history_query(&self) -> &'static str {
            ""
        }
        fn stream_lag(&self) -> Duration {
            self.lag
        }
        fn replication_lag(&mut self) -> Result<Duration, SignalError> {
            self.value.clone().map(Duration::from_secs)
        }
        fn heartbeats(&self) -> &'static str {
            ""
        }
        fn since_heartbeat_after(&self, _: u64) -> Duration {
            self.lag
        }
    }

    #[test]
    fn all_of_gives_the_first_reason() {
        let wait = |reason: &str| {
            let reason = reason.to_owned();
            move || Verdict::Wait(reason.clone())
        };
        let mut none = AllOf::new();
        assert_eq!(none.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
        let mut policies = AllOf::new().and(|| Verdict::Proceed).and(wait("a")).and(wait("b"));
        assert_eq!(policies.check(&mut Everything::with(Ok(0))), Verdict::Wait("a".into()));
        let mut policies = policies.and(|| Verdict::Abort("c".into()));
        assert_eq!(policies.check(&mut Everything::with(Ok(0))), Verdict::Abort("c".into()));
    }
}
