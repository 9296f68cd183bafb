//! The gate that every write of the run goes through, and the thread that opens and shuts it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::attached::Attached;
use super::policy::{SignalError, Signals, ThrottlePolicy, Verdict, all};
use crate::cancel::Cancel;
use crate::db::{Session, is_elsewhere};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::literal;

/// How often the policies are asked. A burst of the application's is noticed so late at most, and a look at a status
/// variable costs both servers 0.3 to 0.4 ms.
const INTERVAL: Duration = Duration::from_millis(100);

/// A policy that has not answered for so long is not believed any more: nobody knows what it would say.
const STALE: Duration = Duration::from_secs(10);

/// How often a wait looks whether the run was asked to stop. What it waits for wakes it at once.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// Open or shut; shut for a reason.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    paused: bool,
    /// Policies do not count.
    at_rest: bool,
    waiting_for: Option<String>,
    /// When the policies have answered last.
    asked: Option<Instant>,
    shut_since: Option<Instant>,
    shut_before: Duration,
}

impl Gate {
    /// Open, unless there are policies: then it is shut until they have been asked.
    pub(crate) fn new(has_policies: bool) -> Self {
        let mut state = State {
            paused: false,
            at_rest: false,
            waiting_for: has_policies.then(|| "the first measurement".to_owned()),
            asked: None,
            shut_since: None,
            shut_before: Duration::ZERO,
        };
        state.clock();
        Gate { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until the gate is open.
    pub(crate) fn pass(&self, cancel: &Cancel) -> Result<()> {
        loop {
            cancel.check()?;
            let mut state = self.state.lock();
            if state.reason().is_none() {
                return Ok(());
            }
            self.changed.wait_for(&mut state, CANCEL_CHECK);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().reason().is_none()
    }

    /// Why the gate is shut, if it is.
    pub(crate) fn reason(&self) -> Option<String> {
        self.state.lock().reason()
    }

    /// For how long in all the gate has been shut.
    pub(crate) fn shut_time(&self) -> Duration {
        let state = self.state.lock();
        state.shut_before + state.shut_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Shuts the gate on behalf of the caller, or no longer does.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.change(|state| state.paused = paused);
    }

    /// While a replica stands still for the run's sake, it is not held back but by its caller: that would only take
    /// longer.
    pub(crate) fn set_at_rest(&self, at_rest: bool) {
        self.change(|state| state.at_rest = at_rest);
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.state.lock().at_rest
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.clock();
        drop(state);
        self.changed.notify_all();
    }

    /// Asks the policies again and again, until the run is asked to stop, or one of them wants to end it, or the
    /// server is another one now: with that error. `on_change` is told when the reason to wait comes and goes.
    pub(crate) fn keep(
        &self,
        policies: &mut [&mut dyn ThrottlePolicy],
        sources: &Sources<'_>,
        cancel: &Cancel,
        on_change: &dyn Fn(Option<&str>),
    ) -> Option<Error> {
        let mut server = Server { sources, session: None, elsewhere: None, cancel };
        let mut told: Option<bool> = None;
        loop {
            let verdicts = policies.iter_mut().map(|policy| policy.check(&mut server));
            let (reason, ends) = match all(verdicts) {
                Verdict::Proceed => (None, false),
                Verdict::Wait(reason) => (Some(reason), false),
                Verdict::Abort(reason) => (Some(reason), true),
            };
            // First of all: who is told may take his time.
            self.change(|state| {
                state.waiting_for.clone_from(&reason);
                state.asked = Some(Instant::now());
            });
            // The figures in a reason change all the time; that it holds is what matters.
            if told != Some(reason.is_some()) && (told.is_some() || reason.is_some()) {
                on_change(reason.as_deref());
            }
            told = Some(reason.is_some());
            if let Some(error) = server.elsewhere.take() {
                return Some(error);
            }
            if let (Some(reason), true) = (reason, ends) {
                return Some(Error::new(ErrorKind::CriticalLoad, reason));
            }
            if cancel.sleep(INTERVAL).is_err() {
                return None;
            }
        }
    }
}

impl State {
    fn reason(&self) -> Option<String> {
        if self.paused {
            return Some("commanded by user".to_owned());
        }
        if self.at_rest {
            return None;
        }
        let silence = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        self.waiting_for.clone().or_else(|| {
            (silence >= STALE).then(|| {
                format!("the throttling policies have not answered for {} s", silence.as_secs())
            })
        })
    }

    fn clock(&mut self) {
        match (self.reason().is_some(), self.shut_since) {
            (true, None) => self.shut_since = Some(Instant::now()),
            (false, Some(since)) => {
                self.shut_before += since.elapsed();
                self.shut_since = None;
            }
            _ => {}
        }
    }
}

/// Where the signals come from.
pub(crate) struct Sources<'a> {
    /// A connection to the server, for whoever asks it for something.
    pub(crate) open: &'a dyn Fn() -> Result<Session>,
    pub(crate) stream_lag: &'a dyn Fn() -> Duration,
    /// Asks the server how far its own replication is behind.
    pub(crate) replication_lag: &'a dyn Fn(&mut Session) -> Result<Duration>,
    /// A query for the attached replicas, and the id of the run's own stream among them.
    pub(crate) replicas: &'a str,
    pub(crate) own_id: Option<u32>,
    /// A query for the length of the history list.
    pub(crate) history: &'a str,
    /// Another server, for the same user.
    pub(crate) at: &'a dyn Fn(&str, u16) -> Endpoint,
    /// A query for the number of the last heartbeat.
    pub(crate) heartbeats: String,
    pub(crate) since_heartbeat_after: &'a dyn Fn(u64) -> Duration,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The signals of a run.
struct Server<'a> {
    sources: &'a Sources<'a>,
    session: Option<Session>,
    /// The address leads to another server now. What that one says does not matter.
    elsewhere: Option<Error>,
    cancel: &'a Cancel,
}

impl Server<'_> {
    fn ask<T>(&mut self, question: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let session = match &mut self.session {
            Some(session) => session,
            none => match (self.sources.open)() {
                Ok(session) => none.insert(session),
                Err(error) => return Err(self.no_session(error)),
            },
        };
        let answer = question(session);
        if answer.is_err()
            // The next try should find a connection again.
            && let Err(error) = session.reopen(self.cancel)
        {
            return Err(self.no_session(error));
        }
        answer
    }

    fn no_session(&mut self, error: Error) -> Error {
        if is_elsewhere(&error) {
            self.elsewhere = Some(Error::new(error.kind(), error.message().to_owned()));
        }
        error
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.ask(|session| session.rows(sql))
    }
}

impl Signals for Server<'_> {
    fn status(&mut self, name: &str) -> Result<u64, SignalError> {
        let wrong = |why: String| SignalError { what: format!("the status variable {name}"), why };
        let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name = {}", literal::text(name));
        let rows = self.rows(&sql).map_err(|error| wrong(error.message().to_owned()))?;
        let value = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
        let value = value.ok_or_else(|| wrong("there is no such variable".to_owned()))?;
        value.parse().map_err(|_| wrong(format!("it is not a number but {value}")))
    }

    fn query(&mut self, sql: &str) -> Result<Option<String>, SignalError> {
        let rows = self.rows(sql).map_err(|error| SignalError {
            what: "the result of a query".to_owned(),
            why: error.message().to_owned(),
        })?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    fn attached_replicas(&mut self) -> Result<Vec<Endpoint>, SignalError> {
        let wrong = |why: String| SignalError { what: "the list of replicas".to_owned(), why };
        let sql = self.sources.replicas;
        let rows = self.ask(|session| session.named_rows(sql));
        let rows = rows.map_err(|error| wrong(error.message().to_owned()))?;
        let mut replicas = Vec::new();
        for row in rows {
            let attached = Attached::new(&row);
            match attached.address() {
                Some((host, port)) => replicas.push((self.sources.at)(host, port)),
                None if attached.is_stream(self.sources.own_id) => {}
                None => {
                    let id = attached.id;
                    let why = format!("the replica {id} does not say where it is (report_host)");
                    return Err(wrong(why));
                }
            }
        }
        Ok(replicas)
    }

    fn history_query(&self) -> &str {
        self.sources.history
    }

    fn stream_lag(&self) -> Duration {
        (self.sources.stream_lag)()
    }

    fn replication_lag(&mut self) -> Result<Duration, SignalError> {
        let lag = self.sources.replication_lag;
        self.ask(|session| lag(session)).map_err(|error| SignalError {
            what: "the lag of the server's own replication".to_owned(),
            why: error.message().to_owned(),
        })
    }

    fn heartbeats(&self) -> &str {
        &self.sources.heartbeats
    }

    fn since_heartbeat_after(&self, number: u64) -> Duration {
        (self.sources.since_heartbeat_after)(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::StatusLimits;

    fn keep(
        gate: &Gate,
        policies: &mut [&mut dyn ThrottlePolicy],
        cancel: &Cancel,
    ) -> Option<Error> {
        let sources = Sources {
            open: &|| Err(Error::aborted()),
            stream_lag: &|| Duration::ZERO,
            replication_lag: &|_| Ok(Duration::ZERO),
            replicas: "",
            own_id: None,
            history: "",
            at: &|_, _| "".into(),
            heartbeats: String::new(),
            since_heartbeat_after: &|_| Duration::ZERO,
        };
        gate.keep(policies, &sources, cancel, &|_| ())
    }

    #[test]
    fn a_policy_can_end_the_run() {
        let gate = Gate::new(true);
        assert!(!gate.is_open());
        let mut asked = 0;
        let mut policy = || {
            asked += 1;
            if asked < 3 { Verdict::Proceed } else { Verdict::Abort("enough".to_owned()) }
        };
        let mut fine = || Verdict::Proceed;
        let ended = keep(&gate, &mut [&mut fine, &mut policy], &Cancel::default());
        let ended = ended.map(|error| (error.kind(), error.message().to_owned()));
        assert_eq!((ended, asked), (Some((ErrorKind::CriticalLoad, "enough".to_owned())), 3));
        // Nothing more is written.
        assert_eq!(gate.reason().as_deref(), Some("enough"));
    }

    #[test]
    fn policies_that_do_not_answer_shut_the_gate() {
        let gate = Gate::new(false);
        gate.change(|state| state.asked = Instant::now().checked_sub(STALE * 2));
        assert!(gate.reason().is_some_and(|reason| reason.contains("not answered for 20 s")));
        gate.change(|state| state.asked = Some(Instant::now()));
        assert!(gate.is_open());
    }

    #[test]
    fn a_signal_that_cannot_be_read_shuts_the_gate() {
        let gate = Gate::new(true);
        let cancel = Cancel::default();
        let mut limits = StatusLimits::new().limit("Threads_running", 1);
        let mut first = || {
            cancel.set();
            assert_eq!(gate.reason().as_deref(), Some("the first measurement"));
            Verdict::Proceed
        };
        assert!(keep(&gate, &mut [&mut first, &mut limits], &cancel).is_none());
        assert!(gate.reason().is_some_and(|reason| reason.contains("cannot be read")));
    }
}
