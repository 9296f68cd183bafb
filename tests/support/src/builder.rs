//! How a private server is started.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::certificates::Certificates;
use crate::flavor::Flavor;
use crate::install::{Install, target_dir};
use crate::replica::Source;
use crate::server::Server;
use crate::supervisor::Supervisor;

/// Why there is no server.
#[derive(Debug)]
pub enum StartError {
    /// The program cannot be had on this machine: tests skip.
    Unavailable(String),
    /// The server did not start; the end of its error log is in the text.
    Failed(anyhow::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => f.write_str(why),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Builder {
    flavor: Flavor,
    options: Vec<OsString>,
    source: Option<Source>,
    on_disk: bool,
    lower_case: bool,
}

impl Builder {
    pub(crate) fn new(flavor: Flavor) -> Self {
        Self { flavor, options: Vec::new(), source: None, on_disk: false, lower_case: false }
    }

    /// Adds an option of the server program. It comes after the defaults, so it wins over them.
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// The server's own durability (the tests' servers do without): every commit is on disk.
    #[must_use]
    pub fn durable(self) -> Self {
        self.option("--sync-binlog=1").option("--innodb-flush-log-at-trx-commit=1")
    }

    /// Puts the data on a real disk (`target/tmp/servers`) even where memory would do: for benches.
    #[must_use]
    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    /// Makes it keep the names of tables in lower case, which MySQL has to know from the beginning.
    #[must_use]
    pub fn lower_case_names(mut self) -> Self {
        self.lower_case = true;
        self.option("--lower-case-table-names=1")
    }

    /// Lets it show the server's certificate, and trust those of clients by the same authority.
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        for (option, file) in [("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server-key.pem")]
        {
            let mut text = OsString::from(format!("--ssl-{option}="));
            text.push(certificates.file(file));
            self = self.option(text);
        }
        self
    }

    /// Makes it a replica of `primary`, which has to have all of its binary logs since its start.
    #[must_use]
    pub fn replica_of(mut self, primary: &Server) -> Self {
        self.source = Some(Source::of(primary));
        self
    }

    /// Starts it and waits until it can be used; as a replica, until it replicates.
    pub fn start(self) -> Result<Server, StartError> {
        let install = Install::find(self.flavor)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let (server, error) = self.launch(&install)?;
            let Some(error) = error else {
                if let Some(source) = &self.source {
                    source.attach(&server)?;
                }
                return Ok(server);
            };
            // Between our choice of a port and its start another process may have taken it.
            let log = server.error_log();
            if tries == 5
                || !(log.contains("Address already in use") || log.contains("port: Address"))
            {
                return Err(error.into());
            }
        }
    }

    fn launch(&self, install: &Install) -> Result<(Server, Option<anyhow::Error>)> {
        let base = if self.on_disk { disk_dir()? } else { fast_dir() };
        let port = free_port()?;
        let dir = tempfile::Builder::new().prefix("online-alter-").tempdir_in(base)?;
        let mut socket = dir.path().join("s.sock");
        // Addresses of sockets end at 107 bytes.
        if socket.as_os_str().len() > 100 {
            socket = std::env::temp_dir().join(format!("online-alter-{port}.sock"));
        }
        let data = dir.path().join("data");
        let log = dir.path().join("error.log");
        let mut command = install.command();
        if !self.on_disk {
            // Tests kill processes, never the machine (scripts/servers).
            command.splice(0..0, ["env", "ONLINE_ALTER_NO_SYNC=1"].map(OsString::from));
        }
        command.extend(self.defaults(port));
        for (option, path) in [
            ("--datadir=", &data),
            ("--tmpdir=", &dir.path().to_path_buf()),
            ("--socket=", &socket),
            ("--pid-file=", &dir.path().join("pid")),
        ] {
            let mut arg = OsString::from(option);
            arg.push(path);
            command.push(arg);
        }
        command.extend(self.options.iter().cloned());
        let supervisor = Supervisor::new(dir.path(), &socket, &log, &command)?;
        let server = Server::new(self.flavor, port, socket, data, log, supervisor);
        // From here on the supervisor removes the directory.
        let dir = dir.keep();
        fs::create_dir(server.data_dir())
            .with_context(|| format!("cannot use {}", dir.display()))?;
        install.copy_template(server.data_dir(), self.lower_case)?;
        let error = server.begin().err();
        Ok((server, error))
    }

    fn defaults(&self, port: u16) -> Vec<OsString> {
        let mut options = vec![
            format!("--port={port}"),
            // Unique among the servers of the machine, as long as they run.
            format!("--server-id={port}"),
            format!("--report-port={port}"),
        ];
        let common = [
            "--bind-address=127.0.0.1",
            "--report-host=127.0.0.1",
            "--skip-name-resolve",
            "--log-bin=binlog",
            "--relay-log=relay",
            "--max-connections=300",
            "--sync-binlog=0",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=128M",
            // Many servers at once would run out of the kernel's contexts, and wait for them.
            "--innodb-use-native-aio=OFF",
        ];
        let own: &[&str] = match self.flavor {
            // performance_schema stays, because tools look into it: as small as it gets.
            Flavor::Mysql => &[
                "--innodb-redo-log-capacity=64M",
                "--performance-schema-digests-size=100",
                "--performance-schema-events-statements-history-long-size=10",
                "--performance-schema-error-size=100",
                "--performance-schema-max-digest-length=0",
                "--log-replica-updates",
                "--replica-net-timeout=10",
            ],
            Flavor::MariaDb | Flavor::MariaDb11 => &[
                "--innodb-log-file-size=64M",
                "--binlog-format=ROW",
                "--performance-schema=OFF",
                "--log-slave-updates",
                "--slave-net-timeout=10",
            ],
        };
        options.extend(common.iter().chain(own).map(ToString::to_string));
        options.into_iter().map(OsString::from).collect()
    }
}

/// Memory, if the machine has plenty: creating a table there costs no fsync.
fn fast_dir() -> PathBuf {
    const PLENTY: u64 = 4 << 30;
    let shm = Path::new("/dev/shm");
    let df =
        std::process::Command::new("df").args(["-B1", "--output=fstype,avail"]).arg(shm).output();
    let text = df.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    let mut words = text.lines().nth(1).unwrap_or_default().split_whitespace();
    let tmpfs = words.next() == Some("tmpfs");
    let room =
        words.next().and_then(|avail| avail.parse().ok()).is_some_and(|avail: u64| avail > PLENTY);
    if tmpfs && room { shm.to_path_buf() } else { std::env::temp_dir() }
}

fn disk_dir() -> Result<PathBuf> {
    let dir = target_dir().join("tmp/servers");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
