//! The caller's policies, in a thread of their own: one that does not come back shuts the gate, and must not keep the
//! run from ending.

use std::time::Duration;

use super::policy::{AllOf, SignalError, Signals, ThrottlePolicy, Verdict};
use crate::aside::{Aside, Back};
use crate::cancel::Cancel;
use crate::endpoint::Endpoint;
use crate::error::Result;

/// What a policy can look at, asked from another thread.
enum Question {
    /// What is the same for the whole run.
    Begin,
    Status(String),
    Query(String),
    AttachedReplicas,
    StreamLag,
    ReplicationLag,
    SinceHeartbeatAfter(u64),
}

enum Answer {
    Begin { history: String, heartbeats: String },
    Status(Result<u64, SignalError>),
    Query(Result<Option<String>, SignalError>),
    AttachedReplicas(Result<Vec<Endpoint>, SignalError>),
    Lag(Duration),
    ReplicationLag(Result<Duration, SignalError>),
}

/// The caller's policies.
#[derive(Debug)]
pub(crate) struct Detached {
    policies: Option<Aside<Verdict, Question, Answer>>,
    cancel: Cancel,
}

impl Detached {
    pub(crate) fn start(mut policies: AllOf, cancel: &Cancel) -> Result<Self> {
        let ask = move |back: &Back<Question, Answer>| {
            let Some(Answer::Begin { history, heartbeats }) = back.ask(Question::Begin) else {
                return ended();
            };
            policies.check(&mut FromAside { back, history, heartbeats })
        };
        let policies = Aside::start("oa-policies", ask)?;
        Ok(Detached { policies: Some(policies), cancel: cancel.clone() })
    }
}

impl ThrottlePolicy for Detached {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        let cancel = &self.cancel;
        let Some(policies) = &self.policies else { return ended() };
        let verdict = policies.ask(&|| cancel.is_set(), |question| match question {
            Question::Begin => Answer::Begin {
                history: signals.history_query().to_owned(),
                heartbeats: signals.heartbeats().to_owned(),
            },
            Question::Status(name) => Answer::Status(signals.status(&name)),
            Question::Query(sql) => Answer::Query(signals.query(&sql)),
            Question::AttachedReplicas => Answer::AttachedReplicas(signals.attached_replicas()),
            Question::StreamLag => Answer::Lag(signals.stream_lag()),
            Question::ReplicationLag => Answer::ReplicationLag(signals.replication_lag()),
            Question::SinceHeartbeatAfter(number) => {
                Answer::Lag(signals.since_heartbeat_after(number))
            }
        });
        verdict.unwrap_or_else(|| {
            self.policies = None;
            ended()
        })
    }
}

fn ended() -> Verdict {
    Verdict::Wait("the run ends".to_owned())
}

/// Hands questions on to the thread that has the signals.
struct FromAside<'a> {
    back: &'a Back<Question, Answer>,
    history: String,
    heartbeats: String,
}

impl FromAside<'_> {
    fn lost(what: &str) -> SignalError {
        SignalError { what: what.to_owned(), why: "the run ends".to_owned() }
    }
}

impl Signals for FromAside<'_> {
    fn status(&mut self, name: &str) -> Result<u64, SignalError> {
        match self.back.ask(Question::Status(name.to_owned())) {
            Some(Answer::Status(answer)) => answer,
            _ => Err(Self::lost(name)),
        }
    }

    fn query(&mut self, sql: &str) -> Result<Option<String>, SignalError> {
        match self.back.ask(Question::Query(sql.to_owned())) {
            Some(Answer::Query(answer)) => answer,
            _ => Err(Self::lost("the result of a query")),
        }
    }

    fn attached_replicas(&mut self) -> Result<Vec<Endpoint>, SignalError> {
        match self.back.ask(Question::AttachedReplicas) {
            Some(Answer::AttachedReplicas(answer)) => answer,
            _ => Err(Self::lost("the list of replicas")),
        }
    }

    fn history_query(&self) -> &str {
        &self.history
    }

    fn stream_lag(&self) -> Duration {
        match self.back.ask(Question::StreamLag) {
            Some(Answer::Lag(lag)) => lag,
            _ => Duration::MAX,
        }
    }

    fn replication_lag(&mut self) -> Result<Duration, SignalError> {
        match self.back.ask(Question::ReplicationLag) {
            Some(Answer::ReplicationLag(answer)) => answer,
            _ => Err(Self::lost("the lag of the server's own replication")),
        }
    }

    fn heartbeats(&self) -> &str {
        &self.heartbeats
    }

    fn since_heartbeat_after(&self, number: u64) -> Duration {
        match self.back.ask(Question::SinceHeartbeatAfter(number)) {
            Some(Answer::Lag(lag)) => lag,
            _ => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::Everything;
    use super::*;

    /// Asks for all that there is.
    struct Curious;

    impl ThrottlePolicy for Curious {
        fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
            let (status, query) = (signals.status("a"), signals.query("b"));
            let (replicas, lag) = (signals.attached_replicas(), signals.replication_lag());
            let texts = (signals.history_query().to_owned(), signals.heartbeats().to_owned());
            let since = (signals.stream_lag(), signals.since_heartbeat_after(1));
            let replicas = replicas.map(|all| all.len());
            Verdict::Wait(format!("{status:?} {query:?} {replicas:?} {lag:?} {texts:?} {since:?}"))
        }
    }

    #[test]
    fn policies_see_the_same_from_there() {
        let mut signals = Everything { value: Ok(7), lag: Duration::from_secs(3) };
        let mut detached = Detached::start(AllOf::new().and(Curious), &Cancel::default()).unwrap();
        assert_eq!(detached.check(&mut signals), Curious.check(&mut signals));
    }
}
