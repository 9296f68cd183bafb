//! How replicas are: how far behind, by the heartbeats that have come to them, and how long their history list is.

use std::time::{Duration, Instant};

use super::history;
use super::policy::{Signals, Verdict};
use crate::db::{Connector, Session};
use crate::endpoint::Endpoint;
use crate::error::Result;

/// How long a replica that cannot be reached is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// The replicas that are asked, and the connections to them.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    list: Vec<Replica>,
}

/// From when on they hold the run back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) lag: Duration,
    pub(super) history: Option<u64>,
}

#[derive(Debug)]
struct Replica {
    endpoint: Endpoint,
    session: Option<Session>,
    /// The length of its history list, and when it was asked for.
    history: Option<(Result<u64, String>, Instant)>,
    /// Why it could not be asked, and until when it is not asked again.
    trouble: Option<(String, Instant)>,
}

impl Replicas {
    /// Waits for the first that is at `most` or more, or cannot be asked.
    pub(super) fn check(
        &mut self,
        endpoints: &[Endpoint],
        most: Most,
        signals: &dyn Signals,
    ) -> Verdict {
        let same = self.list.len() == endpoints.len()
            && self.list.iter().zip(endpoints).all(|(replica, other)| replica.endpoint == *other);
        if !same {
            let new = |endpoint: &Endpoint| Replica {
                endpoint: endpoint.clone(),
                session: None,
                history: None,
                trouble: None,
            };
            self.list = endpoints.iter().map(new).collect();
        }
        for replica in &mut self.list {
            let name = replica.endpoint.address();
            match replica.lag(signals) {
                Ok(lag) if lag < most.lag => {}
                Ok(lag) => {
                    let seconds = lag.as_secs_f64();
                    return Verdict::Wait(format!("{name} replica-lag={seconds:.3}s"));
                }
                Err(why) => return Verdict::Wait(format!("{name} replica-lag is unknown: {why}")),
            }
            let verdict = most.history.map(|most| match replica.history(signals.history_query()) {
                Ok(length) => history::judge(length, most),
                Err(why) => Verdict::Wait(history::unknown(&why)),
            });
            if let Some(Verdict::Wait(reason)) = verdict {
                return Verdict::Wait(format!("{name} {reason}"));
            }
        }
        Verdict::Proceed
    }
}

impl Replica {
    fn lag(&mut self, signals: &dyn Signals) -> Result<Duration, String> {
        let seen = self.ask(signals.heartbeats())?.and_then(|seen| seen.parse().ok());
        let seen = seen.ok_or("no heartbeat has come to it yet")?;
        Ok(signals.since_heartbeat_after(seen))
    }

    /// The length of its history list.
    fn history(&mut self, query: &str) -> Result<u64, String> {
        let fresh = self.history.take().filter(|(_, asked)| asked.elapsed() < history::INTERVAL);
        let length = match fresh {
            Some(fresh) => fresh,
            None => (self.ask(query).and_then(history::read), Instant::now()),
        };
        self.history.insert(length).0.clone()
    }

    /// What it answers, unless it is left alone.
    fn ask(&mut self, query: &str) -> Result<Option<String>, String> {
        if let Some((why, until)) = &self.trouble
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        self.trouble = None;
        self.answer(query).map_err(|error| {
            // It should find a connection again.
            self.session = None;
            let why = error.message().to_owned();
            self.trouble = Some((why.clone(), Instant::now() + LEFT_ALONE));
            why
        })
    }

    fn answer(&mut self, query: &str) -> Result<Option<String>> {
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let mut session = Session::open_plain(&Connector::to_replica(&self.endpoint)?)?;
                // Each look has to be a new one, whatever the server gives to its sessions.
                session.exec("SET SESSION autocommit = 1")?;
                none.insert(session)
            }
        };
        session.scalar(query)
    }
}
