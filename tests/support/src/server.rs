//! Private servers: started in a second or two, gone with the process that started them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use parking_lot::Mutex;

use crate::builder::{Builder, StartError};
use crate::flavor::Flavor;
use crate::replica;
use crate::supervisor::Supervisor;

pub(crate) const USER: &str = "root";
pub(crate) const PASSWORD: &str = "secret";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A running server of our own. Dropped, it is killed, and its data is gone.
#[derive(Debug)]
pub struct Server {
    flavor: Flavor,
    port: u16,
    socket: PathBuf,
    data: PathBuf,
    log: PathBuf,
    supervisor: Mutex<Supervisor>,
}

impl Server {
    pub(crate) fn new(
        flavor: Flavor,
        port: u16,
        socket: PathBuf,
        data: PathBuf,
        log: PathBuf,
        supervisor: Supervisor,
    ) -> Self {
        Self { flavor, port, socket, data, log, supervisor: Mutex::new(supervisor) }
    }

    /// A server to be started.
    pub fn builder(flavor: Flavor) -> Builder {
        Builder::new(flavor)
    }

    /// A server with the defaults.
    pub fn start(flavor: Flavor) -> Result<Self, StartError> {
        Self::builder(flavor).start()
    }

    /// What kind of server it is.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The TCP port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Its `server_id`.
    pub fn server_id(&self) -> u32 {
        self.port.into()
    }

    /// The process id of the server program, unless it was killed or stopped.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.lock().pid()
    }

    /// The address, of no database.
    pub fn url(&self) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The address of a database.
    pub fn url_for(&self, database: &str) -> String {
        let encoded = |byte: u8| match byte {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        format!("{}/{}", self.url(), database.bytes().map(encoded).collect::<String>())
    }

    /// How to connect, to no database.
    pub fn opts(&self) -> Opts {
        opts(&self.url())
    }

    /// A connection, to no database. Panics if there is none to be had.
    #[track_caller]
    pub fn conn(&self) -> Conn {
        self.connect().unwrap_or_else(|error| {
            panic!(
                "cannot connect to {} at {}: {error}\n{}",
                self.flavor,
                self.url(),
                self.log_tail()
            )
        })
    }

    /// A connection, to no database.
    pub fn connect(&self) -> mysql::Result<Conn> {
        Conn::new(self.opts())
    }

    /// What the server has written to its error log so far.
    pub fn error_log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the server (SIGKILL), as a crash would, and leaves its data.
    pub fn kill(&self) -> Result<()> {
        self.supervisor.lock().kill()
    }

    /// Shuts the server down and leaves its data.
    pub fn shutdown(&self) -> Result<()> {
        self.supervisor.lock().stop()
    }

    /// Starts the server again on its data and its port; a running one is shut down first.
    pub fn restart(&self) -> Result<()> {
        self.shutdown()?;
        self.begin()
    }

    /// Lets this server replicate from another, too, as servers do that replicate from each other.
    pub fn replicate_from(&self, source: &Self) -> Result<()> {
        replica::Source::of(source).attach(self)
    }

    /// Waits until `replica` has applied all that this server has in its binary log now.
    pub fn wait_for_replica(&self, replica: &Self) -> Result<()> {
        replica::wait(self, replica)
    }

    /// The end of the log; of a server that has crashed, from its last words on, which a long report
    /// follows.
    fn log_tail(&self) -> String {
        let log = self.error_log();
        let lines: Vec<_> = log.lines().collect();
        let crash = lines.iter().position(|line| {
            ["got signal", "Assertion", "[FATAL]"].iter().any(|word| line.contains(word))
        });
        match crash {
            Some(at) => lines[at.saturating_sub(10)..lines.len().min(at + 60)].join("\n"),
            None => lines[lines.len().saturating_sub(30)..].join("\n"),
        }
    }

    /// Starts the process and waits until it lets us in.
    pub(crate) fn begin(&self) -> Result<()> {
        let mut supervisor = self.supervisor.lock();
        supervisor.start()?;
        let started = Instant::now();
        loop {
            // Before the attempt to connect: it may have ended between the two.
            let running = supervisor.running();
            let error = match self.probe() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !running {
                return Err(anyhow!("{} did not start:\n{}", self.flavor, self.log_tail()));
            }
            if started.elapsed() > START_TIMEOUT {
                let log = self.log_tail();
                return Err(
                    error.context(format!("{} started, but is of no use:\n{log}", self.flavor))
                );
            }
            thread::sleep(POLL);
        }
    }

    fn probe(&self) -> Result<()> {
        let mut conn = self.connect()?;
        let socket: Option<String> = conn.query_first("SELECT @@socket")?;
        // Some other server on the port would let us in, too, if it is one of ours.
        if socket.as_deref().map(Path::new) != Some(&self.socket) {
            return Err(anyhow!(
                "another server has taken port {}: Address already in use",
                self.port
            ));
        }
        Ok(())
    }
}

/// Options for a connection to `url` as all of this crate makes them: over TCP, and with an end to
/// every wait.
pub(crate) fn opts(url: &str) -> Opts {
    let opts = Opts::from_url(url).unwrap_or_else(|error| panic!("bad url {url}: {error}"));
    let minute = Some(Duration::from_secs(60));
    OptsBuilder::from_opts(opts)
        .prefer_socket(false)
        .tcp_connect_timeout(Some(Duration::from_secs(10)))
        .read_timeout(minute)
        .write_timeout(minute)
        .into()
}
