//! Asking the policies of a run.

use std::sync::Arc;
use std::time::Duration;

use super::control::Control;
use super::follow::Follow;
use super::observer::Event;
use super::options::Options;
use crate::checkpoint::StateTable;
use crate::db::{Connector, Purpose, Session};
use crate::error::Result;
use crate::inspect::ServerInfo;
use crate::throttle::{AllOf, Detached, KeepLimits, Sources, ThrottlePolicy};

/// Asks the policies whether the run may write, for as long as it goes on.
pub(super) fn keep_gate(
    (connector, server): (&Connector, &ServerInfo),
    options: &Options,
    control: &Control,
    policies: &mut AllOf,
    follow: &Follow,
    state: &StateTable,
) -> Result<()> {
    let open = || {
        // The run waits for a query's end before it ends itself.
        let mut session = Session::open(connector, server.flavor, Purpose::Inspect)?;
        session.always(server.limit_statements(Duration::from_secs(5)))?;
        Ok(session)
    };
    let tell = |reason: Option<&str>| {
        control.tell(&match reason {
            Some(reason) => Event::Throttled(reason.to_owned()),
            None => Event::Unthrottled,
        });
    };
    // A full set keeps the stream waiting, and is emptied only by writing.
    let stream_lag = || if follow.pending.is_full() { Duration::ZERO } else { follow.feed.lag() };
    // While the run keeps its replication stopped itself, it has to go on.
    let replication_lag = |session: &mut Session| {
        if options.on_replica.is_some() && !control.gate.is_at_rest() {
            server.replication_lag(session)
        } else {
            Ok(Duration::ZERO)
        }
    };
    let sources = Sources {
        open: &open,
        replication_lag: &replication_lag,
        stream_lag: &stream_lag,
        replicas: server.replicas_sql(),
        own_id: Some(follow.config.server_id),
        history: server.history_sql(),
        at: &|host, port| connector.at(host, port),
        heartbeats: state.last_marker_sql(),
        since_heartbeat_after: &|number| follow.feed.since_marker_after(number),
    };
    let mut limits = KeepLimits::new(Arc::clone(&control.limits));
    let gate = &control.gate;
    let cancel = &control.cancel;
    let theirs = (!policies.is_empty()).then(|| Detached::start(std::mem::take(policies), cancel));
    let mut theirs = theirs.transpose()?;
    let mut all: Vec<&mut dyn ThrottlePolicy> = vec![&mut limits];
    all.extend(theirs.as_mut().map(|theirs| theirs as &mut dyn ThrottlePolicy));
    if let Some(error) = gate.keep(&mut all, &sources, cancel, &tell) {
        control.give_up(error);
    }
    Ok(())
}
