//! The end of a test on a replica: in place of the swap, replication stops and the tables are compared.

use std::fmt;
use std::time::{Duration, Instant};

use super::control::Control;
use super::observer::Event;
use super::replication_notes as notes;
use super::stages::Stages;
use super::verification::Verifier;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::inspect::Channel;
use crate::steps::Step;

/// Why a test has to compare.
pub(crate) const NOTHING_TO_SEE: &str =
    "a test on a replica compares the tables, and that is turned off (verify)";

/// How often a wait looks again at what nothing tells it of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a test on a replica leaves: [`OnReplica::Test`](crate::OnReplica::Test).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaTest {
    /// The new table, quoted, which stands beside the table as it was. The run's state table (`_t_ghc`) is left, too: by
    /// that another run knows whose they are, and may be told to
    /// [replace them](crate::OnlineAlter::replace_ghost_table).
    pub ghost_table: String,
    /// Where replication was stopped: of each source its address, and how far the replica had come in its binlog. At
    /// this point both tables were equal.
    pub stopped_at: Vec<String>,
    /// Whether replication goes on.
    pub started_again: bool,
}

impl fmt::Display for ReplicaTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ghost_table, stopped_at, started_again } = self;
        let now = if *started_again { "was started again" } else { "is left stopped" };
        let at = stopped_at.join("; ");
        write!(
            f,
            "replication stopped at {at}, and {now}\nthe new table is {ghost_table}: drop it before the table is \
             altered on the primary, whose own would not come to this replica"
        )
    }
}

/// What the run has stopped of replication, and how to start it again.
#[derive(Debug, Default)]
pub(crate) struct Stopped(Vec<Halted>);

#[derive(Debug)]
struct Halted {
    start: String,
    /// The channel, if it fetched and applied.
    replicated: Option<String>,
}

impl Stopped {
    /// Starts all of it again. What cannot be started stays noted.
    fn start_again(&mut self, session: &mut Session) -> Result<()> {
        let mut failed = Ok(());
        self.0.retain(|halted| {
            log::info!("starting replication again: {}", halted.start);
            let started = session.exec(&halted.start).map(drop);
            let stays = started.is_err();
            failed = std::mem::replace(&mut failed, Ok(())).and(started);
            stays
        });
        failed
    }

    fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// Starts replication again that a failed run has stopped. Returns the statements that do so, where that fails.
pub(super) fn start_again(
    connector: &Connector,
    flavor: Flavor,
    control: &Control,
) -> Option<String> {
    const TRIES: u32 = 60;
    const PAUSE: Duration = Duration::from_secs(1);
    let mut stopped = control.stopped.lock();
    for left in (0..TRIES).rev() {
        if stopped.is_none() {
            return None;
        }
        let started = Session::open(connector, flavor, Purpose::Inspect)
            .and_then(|mut session| stopped.start_again(&mut session));
        if let Err(error) = started {
            log::warn!("replication could not be started again: {}", error.message());
            if left > 0 {
                // Also when the run has been asked to stop: a replica must not be left behind.
                std::thread::sleep(PAUSE);
            }
        }
    }
    let left = stopped.0.iter().map(|halted| halted.start.as_str());
    Some(left.collect::<Vec<_>>().join("; ")).filter(|left| !left.is_empty())
}

impl Stages<'_> {
    /// Stops replication, and compares the tables that nobody writes to any more.
    pub(super) fn compare_at_rest(
        &self,
        session: &mut Session,
        verifier: &mut Verifier<'_>,
        start_again: bool,
    ) -> Result<ReplicaTest> {
        let Self { control, follow, .. } = *self;
        let mut inspector = self.open(Purpose::Inspect)?;
        self.wait_for_turn(&mut inspector)?;
        let compared = self.stop_and_compare(session, &mut inspector, verifier);
        control.gate.set_at_rest(false);
        // Whoever has stopped it himself starts it himself.
        let ours = !control.stopped.lock().is_none();
        let mut started_again = ours && (start_again || compared.is_err());
        if started_again {
            // While it is still this test's turn.
            started_again = self.start_replication(&mut inspector);
        }
        let stopped_at = compared?;
        if ours && started_again == start_again {
            let end = if started_again { notes::STARTED } else { notes::LEFT_STOPPED };
            if let Err(error) = self.note(session, end) {
                log::debug!("not noted that {end}: {}", error.message());
            }
        }
        if started_again {
            control.tell(&Event::ReplicationStarted);
        }
        // Both are equal: from here on the run does not fail, and what is stopped stays so.
        let left = std::mem::take(&mut *control.stopped.lock());
        if start_again && !left.is_none() {
            let statements: Vec<String> = left.0.into_iter().map(|halted| halted.start).collect();
            let statements = statements.join("; ");
            control.warn(format!("replication could not be started again: {statements}"));
        }
        Ok(ReplicaTest { ghost_table: follow.pair.ghost.to_string(), stopped_at, started_again })
    }

    fn stop_and_compare(
        &self,
        session: &mut Session,
        inspector: &mut Session,
        verifier: &mut Verifier<'_>,
    ) -> Result<Vec<String>> {
        let Self { control, options, .. } = *self;
        control.tell(&Event::ReplicationStops);
        control.cancel.check()?;
        // Policies may well be about the replication that stands still now, for as long as they wait.
        control.gate.set_at_rest(true);
        self.stop_replication(session, inspector)?;
        options.steps.at(Step::ReplicationStopped, inspector.id());
        self.refresh_connection(session)?;
        self.catch_up(session)?;
        control.enter(Phase::Verify);
        verifier.until_clean(session, None, &mut || false)?;
        self.refresh_connection(inspector)?;
        let channels = self.server.channels(inspector)?;
        if let Some(running) = channels.iter().find(|channel| channel.runs()) {
            let why = format!(
                "the replica did not stand still: somebody has started the replication from {}",
                running.source()
            );
            return Err(Error::new(ErrorKind::Server, why));
        }
        Ok(channels.iter().map(Channel::applied).collect())
    }

    /// Whether it could be started. What could not is noted.
    fn start_replication(&self, session: &mut Session) -> bool {
        let mut stopped = self.control.stopped.lock();
        let replicated: Vec<String> =
            stopped.0.iter().filter_map(|halted| halted.replicated.clone()).collect();
        let started = stopped.start_again(session);
        drop(stopped);
        let up = started.and_then(|()| self.wait_for_start(session, &replicated));
        if let Err(error) = &up {
            log::warn!("replication could not be started again: {}", error.message());
        }
        up.is_ok()
    }

    /// Tests of several tables on one replica go on side by side, but it stands still for one of them at a time: until
    /// the session ends, for this one.
    fn wait_for_turn(&self, session: &mut Session) -> Result<()> {
        let lock = "SELECT GET_LOCK('online-alter replication', 0)";
        while session.scalar(lock)?.as_deref() != Some("1") {
            self.control.cancel.sleep(LOOK_AGAIN)?;
        }
        Ok(())
    }

    /// Waits until replication is up. The next test must not stop it before: MySQL (9.7.4) then lets it wait for
    /// `replica_net_timeout`, a minute, on a connection that the source has forgotten.
    fn wait_for_start(&self, session: &mut Session, replicated: &[String]) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let Self { server, control, .. } = *self;
        let end = Instant::now() + PATIENCE;
        loop {
            let channels = server.channels(session)?;
            let is_down = |c: &&Channel| replicated.contains(&c.name) && !c.is_up();
            let Some(down) = channels.iter().find(is_down) else {
                return Ok(());
            };
            if Instant::now() > end {
                control.warn(format!(
                    "the replication from {} was started again, and was not up within {} s",
                    down.source(),
                    PATIENCE.as_secs()
                ));
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Stops what still runs.
    /// `writer` notes it before, for whoever finds what a run that died has left.
    fn stop_replication(&self, writer: &mut Session, session: &mut Session) -> Result<()> {
        /// For a transaction that is being applied.
        const PATIENCE: Duration = Duration::from_secs(60);
        let Self { server, control, .. } = *self;
        for channel in server.channels(session)?.iter().filter(|channel| channel.runs()) {
            log::info!("stopping the replication from {}", channel.source());
            self.note(writer, &notes::stopping(&channel.name))?;
            let replicated = channel.replicates().then(|| channel.name.clone());
            control.stopped.lock().0.push(Halted { start: channel.start_sql(), replicated });
            // It waits for what is being applied, be it an ALTER of hours: until the run is asked to stop.
            *control.long_statement.lock() = Some(session.mark().clone());
            let stopped = control.cancel.check().and_then(|()| session.exec(&channel.stop_sql()));
            *control.long_statement.lock() = None;
            stopped?;
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let channels = server.channels(session)?;
            let Some(running) = channels.iter().find(|channel| channel.runs()) else {
                return Ok(());
            };
            if Instant::now() > end {
                let why = format!("the replication from {} does not stop", running.source());
                return Err(Error::new(ErrorKind::Server, why));
            }
            control.cancel.sleep(LOOK_AGAIN)?;
        }
    }
}
