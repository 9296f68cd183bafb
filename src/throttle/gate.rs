//! The gate that every write of the run goes through, and the thread that opens and shuts it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::policy::{Signals, StatusError, ThrottlePolicy, Verdict};
use crate::cancel::Cancel;
use crate::db::Session;
use crate::error::Result;
use crate::sql::literal;

/// How often the policies are asked.
const INTERVAL: Duration = Duration::from_millis(200);

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
    waiting_for: Option<String>,
    shut_since: Option<Instant>,
    shut_before: Duration,
}

impl Gate {
    /// Open, unless there are policies: then it is shut until they have been asked.
    pub(crate) fn new(has_policies: bool) -> Self {
        let mut state = State {
            paused: false,
            waiting_for: has_policies.then(|| "the first measurement".to_owned()),
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

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.clock();
        drop(state);
        self.changed.notify_all();
    }

    /// Asks the policies again and again, until the run is asked to stop. `on_change` is told when
    /// the reason comes and goes.
    pub(crate) fn keep(
        &self,
        policies: &mut dyn ThrottlePolicy,
        session: &mut Session,
        lag: &dyn Fn() -> Duration,
        cancel: &Cancel,
        on_change: &dyn Fn(Option<&str>),
    ) {
        let mut told: Option<bool> = None;
        loop {
            let verdict = policies.check(&mut Server { session, lag, cancel });
            let reason = match verdict {
                Verdict::Proceed => None,
                Verdict::Wait(reason) => Some(reason),
            };
            // The figures in a reason change all the time; that it holds is what matters.
            if told != Some(reason.is_some()) && (told.is_some() || reason.is_some()) {
                on_change(reason.as_deref());
            }
            told = Some(reason.is_some());
            self.change(|state| state.waiting_for = reason);
            if cancel.sleep(INTERVAL).is_err() {
                return;
            }
        }
    }
}

impl State {
    fn reason(&self) -> Option<String> {
        if self.paused { Some("commanded by user".to_owned()) } else { self.waiting_for.clone() }
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

/// The signals of the server itself.
struct Server<'a> {
    session: &'a mut Session,
    lag: &'a dyn Fn() -> Duration,
    cancel: &'a Cancel,
}

impl Signals for Server<'_> {
    fn status(&mut self, name: &str) -> Result<u64, StatusError> {
        let wrong = |why: String| StatusError { name: name.to_owned(), why };
        let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name = {}", literal::text(name));
        let rows = self.session.rows(&sql).map_err(|error| {
            // The next try should find a connection again.
            let _ = self.session.reopen(self.cancel);
            wrong(error.message().to_owned())
        })?;
        let value = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
        let value = value.ok_or_else(|| wrong("there is no such variable".to_owned()))?;
        value.parse().map_err(|_| wrong(format!("it is not a number but {value}")))
    }

    fn stream_lag(&self) -> Duration {
        (self.lag)()
    }
}
