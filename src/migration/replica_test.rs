//! The end of a test on a replica: in place of the swap, replication stops and the tables are compared.

use std::fmt;
use std::time::{Duration, Instant};

use super::control::Control;
use super::observer::Event;
use super::stages::Stages;
use super::verification::Verifier;
use crate::db::{Connector, Flavor, Purpose, Session};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::inspect::Channel;
use crate::steps::Step;

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

/// How to start replication again, while the run keeps it stopped.
#[derive(Debug, Default)]
pub(crate) struct Stopped(Vec<String>);

impl Stopped {
    /// Starts it again. What is left undone stays noted.
    pub(crate) fn start_again(&mut self, session: &mut Session) -> Result<()> {
        while let Some(start) = self.0.last() {
            log::info!("starting replication again: {start}");
            session.exec(start)?;
            self.0.pop();
        }
        Ok(())
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// Starts replication again that a failed run has stopped. Returns the statements that do so, where that fails.
pub(super) fn start_again(
    connector: &Connector,
    flavor: Flavor,
    control: &Control,
) -> Option<String> {
    let mut stopped = control.stopped.lock();
    if stopped.is_none() {
        return None;
    }
    let started = Session::open(connector, flavor, Purpose::Inspect)
        .and_then(|mut session| stopped.start_again(&mut session));
    let error = started.err()?;
    log::warn!("replication could not be started again: {}", error.message());
    Some(stopped.0.join("; "))
}

impl Stages<'_> {
    /// Stops replication, and compares the tables that nobody writes to any more.
    pub(super) fn compare_at_rest(
        &self,
        session: &mut Session,
        verifier: Option<&mut Verifier<'_>>,
        start_again: bool,
    ) -> Result<ReplicaTest> {
        let Self { control, options, follow, .. } = *self;
        control.tell(&Event::ReplicationStops);
        control.cancel.check()?;
        let mut inspector = self.open(Purpose::Inspect)?;
        self.wait_for_turn(&mut inspector)?;
        let stopped_at = self.stop_replication(&mut inspector)?;
        options.steps.at(Step::ReplicationStopped, inspector.id());
        self.refresh_connection(session)?;
        self.catch_up(session)?;
        if let Some(verifier) = verifier {
            control.enter(Phase::Verify);
            verifier.until_clean(session, None, &mut || false)?;
        }
        // Whoever has stopped it himself starts it himself.
        let start_again = start_again && !control.stopped.lock().is_none();
        if start_again {
            control.stopped.lock().start_again(&mut inspector)?;
            self.wait_for_start(&mut inspector)?;
            control.tell(&Event::ReplicationStarted);
        }
        // From here on the run does not fail: it stays stopped, as it should.
        *control.stopped.lock() = Stopped::default();
        Ok(ReplicaTest {
            ghost_table: follow.pair.ghost.to_string(),
            stopped_at,
            started_again: start_again,
        })
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
    fn wait_for_start(&self, session: &mut Session) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let Self { server, control, .. } = *self;
        let end = Instant::now() + PATIENCE;
        while !server.channels(session)?.iter().all(Channel::is_up) {
            if Instant::now() > end {
                let seconds = PATIENCE.as_secs();
                control.warn(format!(
                    "replication was started again, and was not up within {seconds} s"
                ));
                break;
            }
            control.cancel.sleep(LOOK_AGAIN)?;
        }
        Ok(())
    }

    /// Stops what still runs, and says how far it has come.
    fn stop_replication(&self, session: &mut Session) -> Result<Vec<String>> {
        /// For a transaction that is being applied.
        const PATIENCE: Duration = Duration::from_secs(60);
        let Self { server, control, .. } = *self;
        for channel in server.channels(session)?.iter().filter(|channel| channel.runs()) {
            log::info!("stopping the replication from {}", channel.source());
            control.stopped.lock().0.push(channel.start_sql());
            session.exec(&channel.stop_sql())?;
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let channels = server.channels(session)?;
            let Some(running) = channels.iter().find(|channel| channel.runs()) else {
                return Ok(channels.iter().map(Channel::applied).collect());
            };
            if Instant::now() > end {
                let why = format!("the replication from {} does not stop", running.source());
                return Err(Error::new(ErrorKind::Server, why));
            }
            control.cancel.sleep(LOOK_AGAIN)?;
        }
    }
}
