//! A run's socket, with gh-ost's interactive commands: `echo status | nc -U /tmp/gh-ost.app.t.sock`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use online_alter::mysql::Opts;
use online_alter::{ChunkSize, Endpoint, Handle};

use crate::flags::Flags;
use crate::hooks::Hooks;
#[cfg(feature = "http")]
use crate::throttle::check_http_url;
use crate::throttle::{control_replicas, nice_ratio};

const HELP: &str = "\
status, info                   the status, with what holds the run back
sup                            the status in one line
coordinates                    how far the binary log has been read
applier, inspector             the server
chunk-size=<rows>              10 to 100000
copy-workers=<number>          no more than the run began with
nice-ratio=<ratio>             0 to 100: rest after each chunk for so many times the time that it took
max-lag-millis=<millis>        100 or more
max-load=<limits>              Threads_running=25,..
critical-load=<limits>
max-history=<length>           nothing behind the = for none
throttle-query=<sql>
throttle-http=<url>            nothing behind the = for none; the feature http only
throttle-control-replicas=<h>  host[:port],..
postpone-cut-over-flag-file=<f>  cut over when this file is gone; it is made now. Counts also after unpostpone
throttle, pause, suspend       write nothing until told otherwise
no-throttle, unthrottle, resume, continue
unpostpone, no-postpone, cut-over  as soon as all is copied, whatever postpones it, now or later; unless
                               postpone-cut-over-flag-file comes behind it
panic                          abort, cleanly
help
A command that sets a value answers `=?` with it. throttle, no-throttle, unpostpone and panic may name
the table, as in throttle=t: another run then refuses them.";

/// What commands are about. No `Debug`: that of `Opts` has the password.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) flags: &'a Flags,
    pub(crate) server: &'a Opts,
    /// The server whose binary log is read.
    pub(crate) inspected: &'a Opts,
    /// Those of --url, as which control replicas are asked.
    pub(crate) given: &'a Opts,
    pub(crate) hooks: &'a Hooks,
}

impl Target<'_> {
    /// Carries out one command, and gives the answer.
    pub(crate) fn answer(self, line: &str) -> String {
        let line = line.trim();
        if let Err(why) = self.hooks.call("interactive-command", &[("COMMAND", line.to_owned())]) {
            return format!("error: {why}");
        }
        let (command, value) = match line.split_once('=') {
            Some((command, value)) => (command.trim(), Some(value.trim())),
            None => (line, None),
        };
        match self.carry_out(command, value) {
            Ok(answer) => answer,
            Err(why) => format!("error: {why}"),
        }
    }

    fn carry_out(self, command: &str, value: Option<&str>) -> Result<String, String> {
        let Target { handle, flags, .. } = self;
        let table = &flags.table;
        let of_this_table = || match value {
            Some(name) if name != table.as_str() => {
                Err(format!("this run is of {table}, not of {name}: nothing is done"))
            }
            _ => Ok(()),
        };
        match command {
            "help" => return Ok(HELP.to_owned()),
            "sup" => return Ok(handle.progress().to_string()),
            "status" | "info" => {}
            "coordinates" => {
                let position = handle.progress().position;
                return Ok(position.map_or_else(|| "-".to_owned(), |at| at.to_string()));
            }
            "applier" => return Ok(Endpoint::from(self.server.clone()).address()),
            "inspector" => return Ok(Endpoint::from(self.inspected.clone()).address()),
            "cpu-profile" => {
                return Err(
                    "there is no profiler in here: use perf, or another of the system's".to_owned()
                );
            }
            "throttle" | "pause" | "suspend" => {
                of_this_table()?;
                handle.pause();
            }
            "no-throttle" | "unthrottle" | "resume" | "continue" => {
                of_this_table()?;
                handle.resume();
            }
            "unpostpone" | "no-postpone" | "cut-over" => {
                of_this_table()?;
                handle.cut_over();
            }
            "panic" => {
                of_this_table()?;
                handle.abort();
                return Ok("aborting cleanly".to_owned());
            }
            _ => return self.set(command, value.ok_or_else(|| unknown(command))?),
        }
        Ok(self.status())
    }

    fn set(self, name: &str, value: &str) -> Result<String, String> {
        let handle = self.handle;
        if value == "?" {
            return self.get(name);
        }
        match name {
            "chunk-size" => {
                let rows = value.parse().ok().filter(|rows| (10..=100_000).contains(rows));
                let rows = rows.ok_or("a number from 10 to 100000 is wanted")?;
                handle.set_chunk_size(ChunkSize::Rows(rows));
            }
            "copy-workers" => {
                let workers = value.parse().ok().filter(|workers| *workers > 0);
                handle.set_copy_workers(workers.ok_or("a number from 1 is wanted")?);
            }
            "nice-ratio" => {
                let ratio = nice_ratio(value)?;
                handle.change_limits(|limits| limits.nice_ratio = ratio);
            }
            "max-lag-millis" => {
                let millis = value.parse().ok().filter(|millis| *millis >= 100);
                let millis = millis.ok_or("a number from 100 is wanted")?;
                handle.change_limits(|limits| limits.max_lag = Some(Duration::from_millis(millis)));
            }
            "max-load" => {
                let load = value.parse().map_err(|error| format!("{error}"))?;
                handle.change_limits(|limits| limits.max_load = load);
            }
            "critical-load" => {
                let load = value.parse().map_err(|error| format!("{error}"))?;
                handle.change_limits(|limits| limits.critical_load = load);
            }
            "max-history" => {
                let length = Some(value).filter(|length| !length.is_empty());
                let length = length.map(str::parse).transpose();
                let length = length.map_err(|_| "a number is wanted, or nothing")?;
                handle.change_limits(|limits| limits.max_history = length);
            }
            "throttle-query" => {
                let query = Some(value.to_owned()).filter(|query| !query.is_empty());
                handle.change_limits(|limits| limits.throttle_query = query);
            }
            #[cfg(feature = "http")]
            "throttle-http" => return self.set_http(value),
            #[cfg(not(feature = "http"))]
            "throttle-http" => return Err(NO_HTTP.to_owned()),
            "postpone-cut-over-flag-file" => {
                if value.is_empty() {
                    return Err("a file is wanted; unpostpone releases the cut-over".to_owned());
                }
                let postpone = self.flags.throttle.postpone(Some(Path::new(value)));
                handle.postpone(postpone).map_err(|error| error.message().to_owned())?;
            }
            "dml-batch-size" => return Err(NO_BATCHES.to_owned()),
            "replication-lag-query" => return Err(NO_LAG_QUERY.to_owned()),
            "throttle-control-replicas" => {
                let replicas = control_replicas(value)?.endpoints(self.given);
                handle.change_limits(|limits| limits.control_replicas = replicas);
            }
            _ => return Err(unknown(name)),
        }
        Ok(self.status())
    }

    #[cfg(feature = "http")]
    fn set_http(self, url: &str) -> Result<String, String> {
        if !url.is_empty() {
            check_http_url(url)?;
        }
        let check = (!url.is_empty()).then(|| self.flags.throttle.http_check(url));
        self.handle.change_limits(|limits| limits.throttle_http = check);
        Ok(self.status())
    }

    fn get(self, name: &str) -> Result<String, String> {
        let limits = self.handle.limits();
        Ok(match name {
            "chunk-size" => self.handle.progress().chunk_rows.to_string(),
            "copy-workers" => self.handle.copy_workers().to_string(),
            "nice-ratio" => limits.nice_ratio.to_string(),
            "max-lag-millis" => limits.max_lag.map_or(0, |lag| lag.as_millis()).to_string(),
            "max-load" => limits.max_load.to_string(),
            "critical-load" => limits.critical_load.to_string(),
            "max-history" => limits.max_history.map_or_else(String::new, |most| most.to_string()),
            "throttle-query" => limits.throttle_query.unwrap_or_default(),
            #[cfg(feature = "http")]
            "throttle-http" => {
                // There may be a password in it.
                let url = limits.throttle_http.map(|check| check.url().to_owned());
                url.map_or_else(String::new, |url| match url.rsplit_once('@') {
                    Some((_, rest)) => format!("http://..@{rest}"),
                    None => url,
                })
            }
            #[cfg(not(feature = "http"))]
            "throttle-http" => return Err(NO_HTTP.to_owned()),
            "dml-batch-size" => return Err(NO_BATCHES.to_owned()),
            "postpone-cut-over-flag-file" => {
                return Err(
                    "what postpones the cut-over is not told: it can only be set".to_owned()
                );
            }
            "throttle-control-replicas" => {
                let replicas = limits.control_replicas.iter();
                replicas.map(Endpoint::address).collect::<Vec<_>>().join(",")
            }
            _ => return Err(unknown(name)),
        })
    }

    /// gh-ost's hints, and the status.
    fn status(self) -> String {
        let values = ["chunk-size", "max-lag-millis", "max-load", "critical-load", "nice-ratio"];
        let values = values.map(|name| format!("{name}: {}", self.get(name).unwrap_or_default()));
        format!("# {}; {}\n{}", self.flags.table, values.join("; "), self.handle.progress())
    }
}

#[cfg(not(feature = "http"))]
const NO_HTTP: &str = "this program was built without the feature http";

/// What gh-ost knows and this tool has no use for.
const NO_BATCHES: &str = "events are not applied here, so there are no batches of them: changed keys are refreshed, as \
                          many at a time as the run finds good";
const NO_LAG_QUERY: &str = "lag is told by the run's own heartbeats, without a query (gh-ost takes the command, and ignores it)";

fn unknown(command: &str) -> String {
    format!("unknown command `{command}`: try help")
}

/// Answers the socket's commands while `work` goes on.
pub(crate) fn serving<T>(
    socket: Option<&Socket>,
    target: Target<'_>,
    work: impl FnOnce() -> T,
) -> T {
    let Some(socket) = socket else {
        return work();
    };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // However the work ends.
        let _stop = Stop(&stop);
        scope.spawn(|| socket.serve(&stop, &|line| target.answer(line)));
        work()
    })
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A socket that takes commands, until it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    /// Of the socket, to know it by: another run may have put its own there.
    identity: (u64, u64),
    listener: UnixListener,
}

impl Socket {
    /// Makes the socket, for this user alone. One that is there already may be another run's.
    pub(crate) fn bind(path: &Path, replace: bool) -> Result<Self, String> {
        let wrong = |error: io::Error| format!("the socket {}: {error}", path.display());
        // What is linked may be longer than what can be connected to.
        SocketAddr::from_pathname(path).map_err(wrong)?;
        if replace && path.exists() {
            fs::remove_file(path).map_err(wrong)?;
        }
        // Where nobody else can connect before it is closed to them.
        let private = Private::beside(path).map_err(wrong)?;
        let made = private.0.join("s");
        let listener = UnixListener::bind(&made).map_err(wrong)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let identity = identity(&made).map_err(wrong)?;
        // Unlike renaming, it replaces nothing.
        fs::hard_link(&made, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "the socket {} is there already, maybe of another run: if not, say \
                 --initially-drop-socket-file",
                path.display()
            ),
            _ => wrong(error),
        })?;
        Ok(Socket { path: path.to_owned(), identity, listener })
    }

    /// Answers until it is told to stop. As with gh-ost, a connection has one command.
    pub(crate) fn serve(&self, stop: &AtomicBool, answer: &dyn Fn(&str) -> String) {
        const LOOK: Duration = Duration::from_millis(50);
        while !stop.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = converse(stream, answer) {
                        log::debug!("a command on the socket: {error}");
                    }
                }
                Err(_) => thread::sleep(LOOK),
            }
        }
    }
}

fn converse(mut stream: UnixStream, answer: &dyn Fn(&str) -> String) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(2);
    const LONGEST: u64 = 1 << 16;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(LONGEST)).read_line(&mut line)?;
    writeln!(stream, "{}", answer(&line))
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device and inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// A directory for this user alone, with one socket in it, while it lives.
struct Private(PathBuf);

impl Private {
    fn beside(path: &Path) -> io::Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::SeqCst);
        // A socket's path is short.
        let dir = path.with_file_name(format!(".oa{}-{number}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Private(dir))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_one_user_and_one_run() {
        let dir = std::env::temp_dir().join(format!("oa-socket-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("sock");
        let names = || -> Vec<_> {
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        let first = Socket::bind(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(), ["sock"]);
        assert!(Socket::bind(&path, false).unwrap_err().contains("is there already"));
        // Another run's takes its place, and outlives it.
        let second = Socket::bind(&path, true).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
        assert_eq!(names(), [""; 0]);
        let long = dir.join("s".repeat(200));
        Socket::bind(&long, false).unwrap_err();
        assert_eq!(names(), [""; 0]);
        fs::remove_dir(&dir).unwrap();
    }
}
