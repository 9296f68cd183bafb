//! How far replicas are behind, by the heartbeats that have come to them.

use std::time::{Duration, Instant};

use mysql::OptsBuilder;

use super::policy::{Signals, Verdict};
use crate::db::{Connector, Session};
use crate::endpoint::Endpoint;
use crate::error::Result;

/// A replica that does not answer in this time is as good as none. Others wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a replica that cannot be reached is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// The replicas that are asked, and the connections to them.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    list: Vec<Replica>,
}

#[derive(Debug)]
struct Replica {
    endpoint: Endpoint,
    session: Option<Session>,
    /// Why it could not be asked, and until when it is not asked again.
    trouble: Option<(String, Instant)>,
}

impl Replicas {
    /// Waits for the first that is behind by `most` or more, or cannot be asked.
    pub(super) fn check(
        &mut self,
        endpoints: &[Endpoint],
        most: Duration,
        signals: &dyn Signals,
    ) -> Verdict {
        let same = self.list.len() == endpoints.len()
            && self.list.iter().zip(endpoints).all(|(replica, other)| replica.endpoint == *other);
        if !same {
            let new = |endpoint: &Endpoint| Replica {
                endpoint: endpoint.clone(),
                session: None,
                trouble: None,
            };
            self.list = endpoints.iter().map(new).collect();
        }
        for replica in &mut self.list {
            let name = replica.endpoint.address();
            match replica.lag(signals) {
                Ok(lag) if lag < most => {}
                Ok(lag) => {
                    let seconds = lag.as_secs_f64();
                    return Verdict::Wait(format!("{name} replica-lag={seconds:.3}s"));
                }
                Err(why) => return Verdict::Wait(format!("{name} replica-lag is unknown: {why}")),
            }
        }
        Verdict::Proceed
    }
}

impl Replica {
    fn lag(&mut self, signals: &dyn Signals) -> Result<Duration, String> {
        if let Some((why, until)) = &self.trouble
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        self.trouble = None;
        let seen = self.last_heartbeat(signals.heartbeats()).map_err(|error| {
            // It should find a connection again.
            self.session = None;
            let why = error.message().to_owned();
            self.trouble = Some((why.clone(), Instant::now() + LEFT_ALONE));
            why
        })?;
        let seen = seen.ok_or("no heartbeat has come to it yet")?;
        Ok(signals.since_heartbeat_after(seen))
    }

    /// The number of the last heartbeat that has come to the replica.
    fn last_heartbeat(&mut self, query: &str) -> Result<Option<u64>> {
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let opts = OptsBuilder::from_opts(self.endpoint.opts()?)
                    .tcp_connect_timeout(Some(PATIENCE))
                    .read_timeout(Some(PATIENCE))
                    .write_timeout(Some(PATIENCE));
                let mut session = Session::open_plain(&Connector::new(&opts.into())?)?;
                // Each look has to be a new one, whatever the server gives to its sessions.
                session.exec("SET SESSION autocommit = 1")?;
                none.insert(session)
            }
        };
        Ok(session.scalar(query)?.and_then(|seen| seen.parse().ok()))
    }
}
