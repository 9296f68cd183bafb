//! What holds a run back, as the command line says it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use online_alter::mysql::{Opts, OptsBuilder};
use online_alter::throttle::{FreeSpace, StatusLimits, TimeWindow};
use online_alter::{Endpoint, OnlineAlter, Postpone};

/// Flags with gh-ost's names, units and defaults, unless it says otherwise here.
#[derive(Debug, Args)]
#[command(next_help_heading = "Throttling")]
pub(crate) struct ThrottleFlags {
    /// Write nothing while the stream of the binary log, or a control replica, is behind by so many milliseconds
    #[arg(long, value_name = "MILLIS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) max_lag_millis: u64,

    /// Replicas that must not fall behind: host[:port],.. They are asked for the run's heartbeats, as the user of --url
    #[arg(long, value_name = "HOSTS", value_parser = control_replicas)]
    pub(crate) throttle_control_replicas: Option<ControlReplicas>,

    /// All replicas that are attached must not fall behind, wherever they are. gh-ost has no such flag
    #[arg(long)]
    pub(crate) throttle_attached_replicas: bool,

    /// How often a heartbeat is written, 10 to 1000 (gh-ost: 100, from 100 on)
    #[arg(long, value_name = "MILLIS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=1000))]
    pub(crate) heartbeat_interval_millis: u64,

    /// Write nothing while a status variable of the server is at its limit or above, such as
    /// Threads_running=25,Threads_connected=500. Threads_running counts the tool's own connections, too: 2 always, and up
    /// to 3 and those that copy while it writes
    #[arg(long, value_name = "LIMITS")]
    pub(crate) max_load: Option<StatusLimits>,

    /// Abort, cleanly, when a status variable of the server is at its limit or above
    #[arg(long, value_name = "LIMITS")]
    pub(crate) critical_load: Option<StatusLimits>,

    /// Abort only when the load has been critical at every look for so long (gh-ost: looks once more, after so long)
    #[arg(long, value_name = "MILLIS", default_value_t = 0)]
    pub(crate) critical_load_interval_millis: u64,

    /// When the load is critical, write nothing for so long instead of aborting. 0: abort
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) critical_load_hibernate_seconds: u64,

    /// Write nothing while InnoDB's history list (old row versions that are not purged) is so long or longer, on the
    /// server or a control replica. On MySQL the user needs PROCESS. gh-ost has no such flag
    #[arg(long, value_name = "LENGTH")]
    pub(crate) max_history: Option<u64>,

    /// Write nothing while fewer bytes than this are free on the disk of a directory of this machine:
    /// /var/lib/mysql=50G; K, M, G and T are powers of 1024. May be said again for another one. gh-ost has no such flag
    #[arg(long, value_name = "PATH=BYTES", value_parser = free_space)]
    pub(crate) throttle_free_space: Vec<(PathBuf, u64)>,

    /// Write nothing while this query, asked once a second, answers with a number above zero
    #[arg(long, value_name = "SQL")]
    pub(crate) throttle_query: Option<String>,

    /// Write nothing unless this http:// URL answers a HEAD request with 200, as freno does
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL")]
    pub(crate) throttle_http: Option<String>,

    /// How often that is asked at most
    #[cfg(feature = "http")]
    #[arg(long, value_name = "MILLIS", default_value_t = 100)]
    pub(crate) throttle_http_interval_millis: u64,

    /// How long that may take to answer
    #[cfg(feature = "http")]
    #[arg(long, value_name = "MILLIS", default_value_t = 1000)]
    pub(crate) throttle_http_timeout_millis: u64,

    /// Go on when that cannot be reached
    #[cfg(feature = "http")]
    #[arg(long)]
    pub(crate) ignore_http_errors: bool,

    /// Write nothing while this file exists. It is looked for ten times a second
    #[arg(long, value_name = "FILE")]
    pub(crate) throttle_flag_file: Option<PathBuf>,

    /// The same with another file, which runs may have in common
    #[arg(long, value_name = "FILE", default_value = "/tmp/gh-ost.throttle")]
    pub(crate) throttle_additional_flag_file: PathBuf,

    /// Rest after each chunk for so many times the time that it took, 0 to 100
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, value_parser = nice_ratio)]
    pub(crate) nice_ratio: f64,

    /// Write only in this time of the day, in UTC unless an offset is given: 22:00-06:00+02:00. gh-ost has no such
    /// flag
    #[arg(long, value_name = "TIME")]
    pub(crate) window: Option<TimeWindow>,

    /// Cut over only in this time of the day
    #[arg(long, value_name = "TIME")]
    pub(crate) cut_over_window: Option<TimeWindow>,
}

impl ThrottleFlags {
    /// `opts` say how to connect to replicas, where their own name says no more than the host.
    pub(crate) fn apply(&self, mut alter: OnlineAlter, opts: &Opts) -> OnlineAlter {
        alter = alter
            .heartbeat_interval(Duration::from_millis(self.heartbeat_interval_millis))
            .throttle_flag_file(&self.throttle_additional_flag_file)
            .limits(|limits| {
                limits.max_lag = Some(Duration::from_millis(self.max_lag_millis));
                limits.max_load = self.max_load.clone().unwrap_or_default();
                limits.critical_load = self.critical_load.clone().unwrap_or_default();
                limits.critical_load_recheck =
                    Duration::from_millis(self.critical_load_interval_millis);
                let seconds = self.critical_load_hibernate_seconds;
                limits.critical_load_hibernation =
                    (seconds > 0).then(|| Duration::from_secs(seconds));
                limits.max_history = self.max_history;
                limits.throttle_query.clone_from(&self.throttle_query);
                limits.nice_ratio = self.nice_ratio;
                limits.attached_replicas = self.throttle_attached_replicas;
                let replicas = self.throttle_control_replicas.as_ref();
                limits.control_replicas =
                    replicas.map(|replicas| replicas.endpoints(opts)).unwrap_or_default();
            });
        #[cfg(feature = "http")]
        if let Some(url) = self.throttle_http.as_deref().filter(|url| !url.is_empty()) {
            alter = alter.limits(|limits| limits.throttle_http = Some(self.http_check(url)));
        }
        for (path, least) in &self.throttle_free_space {
            let (name, path) = (path.display().to_string(), path.clone());
            let free = move || fs4::available_space(&path);
            alter = alter.throttle(FreeSpace::new(name, *least, free));
        }
        if let Some(file) = &self.throttle_flag_file {
            alter = alter.throttle_flag_file(file);
        }
        if let Some(window) = self.window {
            alter = alter.throttle(window);
        }
        alter
    }

    /// The cut-over waits while the file is there, which is made if it is missing, and for its time of the day.
    pub(crate) fn postpone(&self, file: Option<&Path>) -> Postpone {
        let file = file.map_or_else(Postpone::never, Postpone::while_file_exists);
        match self.cut_over_window {
            Some(window) => file.or(Postpone::while_true(move || !window.is_open())),
            None => file,
        }
    }

    /// What clap does not look at.
    #[cfg(feature = "http")]
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.throttle_http.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => check_http_url(url).map_err(|why| format!("--throttle-http: {why}")),
            None => Ok(()),
        }
    }

    /// A check that is asked as the flags say.
    #[cfg(feature = "http")]
    pub(crate) fn http_check(&self, url: &str) -> online_alter::throttle::HttpCheck {
        online_alter::throttle::HttpCheck::new(url)
            .interval(Duration::from_millis(self.throttle_http_interval_millis))
            .timeout(Duration::from_millis(self.throttle_http_timeout_millis))
            .ignore_errors(self.ignore_http_errors)
    }
}

/// Whether a URL is of the kind that can be asked. The error does not quote it, as clap's would: there may be a password in it.
#[cfg(feature = "http")]
pub(crate) fn check_http_url(url: &str) -> Result<(), String> {
    if url.starts_with("http://") {
        return Ok(());
    }
    Err("an http:// URL is wanted, or nothing".to_owned())
}

/// Hosts and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ControlReplicas(Vec<(String, u16)>);

impl ControlReplicas {
    /// With user, password and all else from `opts`.
    pub(crate) fn endpoints(&self, opts: &Opts) -> Vec<Endpoint> {
        let endpoint = |(host, port): &(String, u16)| {
            let opts = OptsBuilder::from_opts(opts.clone());
            opts.ip_or_hostname(Some(host)).tcp_port(*port).socket(None::<String>).into()
        };
        self.0.iter().map(endpoint).collect()
    }
}

/// `host[:port],..`, the port 3306 by default; an address of IPv6 in brackets.
pub(crate) fn control_replicas(text: &str) -> Result<ControlReplicas, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(host_and_port).collect::<Result<_, _>>().map(ControlReplicas)
}

/// `host[:port]`, the port 3306 by default. What is wrong is not quoted: somebody may have put user and password in front.
pub(crate) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || "host[:port] is wanted, without user and password".to_owned();
    if text.contains('@') {
        return Err(wrong());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (text, 3306),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

/// `PATH=BYTES`, the bytes with K, M, G or T behind them for powers of 1024.
fn free_space(text: &str) -> Result<(PathBuf, u64), String> {
    let wrong = || format!("`{text}` is not of the form PATH=BYTES, such as /var/lib/mysql=50G");
    let (path, size) =
        text.rsplit_once('=').filter(|(path, _)| !path.is_empty()).ok_or_else(wrong)?;
    let size = size.trim();
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find(|(unit, _)| size.to_uppercase().ends_with(*unit));
    let (digits, shift) = unit.map_or((size, 0), |(_, shift)| (&size[..size.len() - 1], *shift));
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    Ok((PathBuf::from(path), bytes))
}

pub(crate) fn nice_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=100.0).contains(ratio));
    ratio.ok_or_else(|| "a number from 0 to 100 is wanted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_replicas() {
        let list = control_replicas("db2, db3:3307,[::1]:3308,[::2]").unwrap();
        let expected = [("db2", 3306), ("db3", 3307), ("::1", 3308), ("::2", 3306)];
        assert_eq!(list.0, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(control_replicas(""), Ok(ControlReplicas::default()));
        for bad in [":1", "db2:x", "db2:99999", "root:hush@db2", "root:hush@db2:1"] {
            assert!(control_replicas(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_sizes() {
        for (text, path, bytes) in [
            ("/=1", "/", 1),
            ("a=b=2k", "a=b", 2048),
            ("/d=3G", "/d", 3 << 30),
            ("/d=1T", "/d", 1 << 40),
        ] {
            assert_eq!(free_space(text), Ok((PathBuf::from(path), bytes)), "{text}");
        }
        for bad in ["/d", "=1G", "/d=", "/d=G", "/d=1X", "/d=-1", "/d=99999999999T"] {
            assert!(free_space(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replicas_are_reached_as_the_server_is() {
        let opts = Opts::from_url("mysql://u:p@db1:3305/app?socket=/s").unwrap();
        let endpoints = control_replicas("db2:7").unwrap().endpoints(&opts);
        assert_eq!(endpoints, ["mysql://u:p@db2:7/app".into()]);
    }
}
