//! Which server is altered, and whose binary log is read, as the command line says it.

use clap::Args;
use online_alter::mysql::{Opts, OptsBuilder};
use online_alter::{ErrorKind, OnReplica, OnlineAlter, find_primary};

use crate::common::warn;
use crate::exit::Failure;
use crate::flags::{Flags, Secret};
use crate::throttle::host_and_port;

/// Flags with gh-ost's names, unless it says otherwise here.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replicas")]
#[allow(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
pub(crate) struct TopologyFlags {
    /// The server to alter: host[:port]. --url is then a replica whose binary log is read. Without this flag, and where
    /// --url is a replica, the server is looked for: that at the top of its chain
    #[arg(long, value_name = "HOST", value_parser = host_and_port, conflicts_with = "stream_url")]
    pub(crate) assume_master_host: Option<(String, u16)>,

    /// The user for that server. Default: that of --url
    #[arg(long, value_name = "NAME", requires = "assume_master_host")]
    pub(crate) master_user: Option<String>,

    /// The password for that server. Everybody on this machine can see it with `ps`
    #[arg(long, value_name = "PASSWORD", requires = "assume_master_host")]
    pub(crate) master_password: Option<Secret>,

    /// The server may replicate from another, as servers do that replicate from each other; the table must be written to
    /// on this one alone. No server is looked for then
    #[arg(long)]
    pub(crate) allow_master_master: bool,

    /// Work on the replica of --url alone, and do not swap: its replication is stopped in the end, both tables are
    /// compared, and left for a look. (gh-ost swaps them, and swaps them back)
    #[arg(long, conflicts_with_all = ["assume_master_host", "stream_url", "migrate_on_replica", "ok_to_drop_table"])]
    pub(crate) test_on_replica: bool,

    /// Accepted and without effect: replication that gh-ost-on-stop-replication* has stopped is not stopped again
    #[arg(long, requires = "test_on_replica")]
    pub(crate) test_on_replica_skip_replica_stop: bool,

    /// Start the replica's replication again when the tables have been compared. gh-ost has no such flag
    #[arg(long, requires = "test_on_replica")]
    pub(crate) test_on_replica_start_again: bool,

    /// Alter the table on the replica of --url alone, swap included, while it replicates
    #[arg(long, conflicts_with_all = ["assume_master_host", "stream_url"])]
    pub(crate) migrate_on_replica: bool,

    /// Ask for the binary log by GTIDs instead of file and position. MySQL needs gtid_mode=ON
    #[arg(long)]
    pub(crate) gtid: bool,
}

/// The server that is altered, and the replica whose binary log is read. No `Debug`: that of `Opts` has the password.
pub(crate) struct Place {
    pub(crate) server: Opts,
    pub(crate) stream: Option<Opts>,
}

impl Place {
    /// The server whose binary log is read.
    pub(crate) fn inspected(&self) -> &Opts {
        self.stream.as_ref().unwrap_or(&self.server)
    }
}

impl TopologyFlags {
    fn on_replica(&self) -> Option<OnReplica> {
        if self.test_on_replica {
            return Some(OnReplica::Test { start_again: self.test_on_replica_start_again });
        }
        self.migrate_on_replica.then_some(OnReplica::Migrate)
    }

    pub(crate) fn apply(&self, mut alter: OnlineAlter) -> OnlineAlter {
        alter = alter.allow_primary_primary(self.allow_master_master).gtid(self.gtid);
        match self.on_replica() {
            Some(what) => alter.on_replica(what),
            None => alter,
        }
    }
}

/// As gh-ost does it, where `opts` are of a replica, its binary log is read and its primary is altered.
pub(crate) fn place(flags: &Flags, opts: Opts, stream: Option<Opts>) -> Result<Place, Failure> {
    let topology = &flags.topology;
    if let Some((host, port)) = &topology.assume_master_host {
        let password = topology.master_password.as_ref().map(|password| password.0.as_str());
        let builder = OptsBuilder::from_opts(opts.clone());
        let server = builder
            .ip_or_hostname(Some(host))
            .tcp_port(*port)
            .socket(None::<String>)
            .user(topology.master_user.as_deref().or(opts.get_user()))
            .pass(password.or(opts.get_pass()));
        let server: Opts = server.into();
        let same = address(&server) == address(&opts);
        return Ok(Place { server, stream: (!same).then_some(opts) });
    }
    let is_said = topology.on_replica().is_some() || topology.allow_master_master;
    if is_said || stream.is_some() {
        return Ok(Place { server: opts, stream });
    }
    match find_primary(opts.clone()) {
        Ok(Some(primary)) => {
            let server = primary.opts()?;
            if !flags.quiet {
                let (here, there) = (address(&opts), address(&server));
                warn(format_args!(
                    "note: {here} is a replica: its binary log is read, and the table is altered on {there}"
                ));
            }
            Ok(Place { server, stream: Some(opts) })
        }
        Ok(None) => Ok(Place { server: opts, stream: None }),
        // Whoever may not see replication is not told of it. The plan refuses a replica all the same.
        Err(error) if error.kind() == ErrorKind::Privileges => {
            Ok(Place { server: opts, stream: None })
        }
        Err(error) => Err(error.into()),
    }
}

fn address(opts: &Opts) -> String {
    format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn flags(more: &[&str]) -> Flags {
        let all = ["alter", "--url=mysql://u:p@db2/app", "--table=t", "--alter=ENGINE=InnoDB"];
        Flags::try_parse_from(all.iter().chain(more)).unwrap()
    }

    #[test]
    fn a_master_that_is_named() {
        let opts = || Opts::from_url("mysql://u:p@db2:3307/app").unwrap();
        let flags = flags(&["--assume-master-host=db1:3305", "--master-user=admin"]);
        let place = place(&flags, opts(), None).unwrap();
        assert_eq!(place.server, Opts::from_url("mysql://admin:p@db1:3305/app").unwrap());
        assert_eq!(place.stream, Some(opts()));
    }

    #[test]
    fn a_master_that_is_the_server_itself() {
        let opts = Opts::from_url("mysql://u:p@db2:3306/app").unwrap();
        let flags = flags(&["--assume-master-host=db2"]);
        assert_eq!(place(&flags, opts, None).unwrap().stream, None);
    }

    #[test]
    fn on_a_replica_no_master_is_looked_for() {
        let opts = Opts::from_url("mysql://u:p@nowhere:1/app").unwrap();
        let flags = flags(&["--test-on-replica", "--test-on-replica-start-again"]);
        assert_eq!(place(&flags, opts, None).unwrap().stream, None);
        let again = OnReplica::Test { start_again: true };
        assert_eq!(flags.topology.on_replica(), Some(again));
    }
}
