//! What a server replicates, from whom, and whether it does so at present.

use std::time::Duration;

use super::server::{ServerInfo, Version};
use crate::db::{Flavor, NamedRow, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::sql::literal;

/// A connection to a source: most replicas have one, which has no name.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    flavor: Flavor,
    /// What the server's statements call a replica.
    word: &'static str,
    pub(crate) name: String,
    pub(crate) source_host: String,
    pub(crate) source_port: u16,
    /// What the source is known by: its UUID on MySQL, its server id on MariaDB. Empty if it was never reached.
    pub(crate) source_id: String,
    fetches: bool,
    /// It is not only trying to.
    is_connected: bool,
    applies: bool,
    /// How far it is behind, in whole seconds of the servers' own reckoning; none if it does not apply anything.
    pub(crate) behind: Option<Duration>,
    /// How far it has come in the source's binlog.
    position: String,
    status: NamedRow,
}

impl ServerInfo {
    /// What the server replicates. Takes REPLICATION CLIENT on MySQL and SLAVE MONITOR on MariaDB.
    pub(crate) fn channels(&self, session: &mut Session) -> Result<Vec<Channel>> {
        let rows = session.named_rows(self.channels_sql())?;
        let word = if self.says_replica() { "REPLICA" } else { "SLAVE" };
        let channels = rows.into_iter().map(|row| Channel::new(self.flavor, word, row));
        Ok(channels.filter(|channel| !channel.is_of_group()).collect())
    }

    /// How far the server is behind the last of its sources. An error if it does not replicate at present.
    pub(crate) fn replication_lag(&self, session: &mut Session) -> Result<Duration> {
        let channels = self.channels(session)?;
        let lags = channels.iter().map(|channel| channel.behind.filter(|_| channel.replicates()));
        let longest = lags.collect::<Option<Vec<_>>>().and_then(|lags| lags.into_iter().max());
        longest.ok_or_else(|| {
            Error::new(ErrorKind::Server, "the server does not replicate at present")
        })
    }

    /// Asks for a row for each source.
    pub(crate) fn channels_sql(&self) -> &'static str {
        match self.flavor {
            Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
            Flavor::MySql if self.says_replica() => "SHOW REPLICA STATUS",
            Flavor::MySql => "SHOW SLAVE STATUS",
        }
    }

    fn says_replica(&self) -> bool {
        self.flavor == Flavor::MySql && self.version >= Version(8, 0, 22)
    }

    /// Whether the server is set up to replicate from others, and from whom, as far as the user may see that: if he may not,
    /// whether it does at present.
    pub(super) fn replicates_from(&self, session: &mut Session) -> Result<Option<String>> {
        match self.channels(session) {
            Ok(channels) => {
                let all = channels.iter().map(|channel| {
                    let stopped =
                        if channel.runs() { "" } else { " (or would, if it were not stopped)" };
                    format!("{}{stopped}", channel.source())
                });
                Ok(all.reduce(|all, one| format!("{all}, {one}")))
            }
            // Everybody may see the status variable. MySQL has it no longer, and wants no more for the other than a run
            // needs anyway.
            Err(error) if error.fault() == Some(Fault::Access) => {
                let sql = "SHOW GLOBAL STATUS LIKE 'Slaves_running'";
                let running = session.rows(sql)?.pop().and_then(|row| row.into_iter().nth(1)?);
                let runs = running.is_some_and(|count| count != "0");
                Ok(runs.then(|| "another server".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}

impl Channel {
    fn new(flavor: Flavor, word: &'static str, status: NamedRow) -> Self {
        let text = |names: &[&str]| -> Option<String> {
            let is_it = |column: &str| names.iter().any(|name| column.eq_ignore_ascii_case(name));
            let found = status.iter().find(|(column, _)| is_it(column));
            found.and_then(|(_, value)| value.clone())
        };
        let get = |names: &[&str]| text(names).unwrap_or_default();
        let runs = |names: &[&str]| !["No", ""].contains(&get(names).as_str());
        let io = ["Replica_IO_Running", "Slave_IO_Running"];
        let gtids = match flavor {
            Flavor::MySql => get(&["Executed_Gtid_Set"]),
            Flavor::MariaDb => get(&["Gtid_Slave_Pos", "Gtid_IO_Pos"]),
        };
        let position = format!(
            "{}:{}",
            get(&["Relay_Source_Log_File", "Relay_Master_Log_File"]),
            get(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"])
        );
        let gtids = gtids.replace(['\n', ' '], "");
        Channel {
            flavor,
            word,
            name: get(&["Channel_Name", "Connection_name"]),
            source_host: get(&["Source_Host", "Master_Host"]),
            source_port: get(&["Source_Port", "Master_Port"]).parse().unwrap_or(0),
            source_id: match flavor {
                Flavor::MySql => get(&["Source_UUID", "Master_UUID"]),
                Flavor::MariaDb => {
                    Some(get(&["Master_Server_Id"])).filter(|id| id != "0").unwrap_or_default()
                }
            },
            // `Connecting` will be `Yes` one day.
            fetches: runs(&io),
            is_connected: get(&io) == "Yes",
            applies: runs(&["Replica_SQL_Running", "Slave_SQL_Running"]),
            behind: text(&["Seconds_Behind_Source", "Seconds_Behind_Master"])
                .and_then(|seconds| seconds.parse().ok().map(Duration::from_secs)),
            position: if gtids.is_empty() { position } else { format!("{position} {gtids}") },
            status,
        }
    }

    /// Whether it is group replication's own: the primary of a group has one, too, from when it joined.
    fn is_of_group(&self) -> bool {
        self.name.starts_with("group_replication_")
    }

    /// Whether it fetches changes, or applies them.
    pub(crate) fn runs(&self) -> bool {
        self.fetches || self.applies
    }

    /// Whether it does both.
    pub(crate) fn replicates(&self) -> bool {
        self.fetches && self.applies
    }

    /// Whether it does, and is connected.
    pub(crate) fn is_up(&self) -> bool {
        self.is_connected && self.applies
    }

    pub(crate) fn source(&self) -> String {
        format!("{}:{}", self.source_host, self.source_port)
    }

    /// The source, and how far it has come there.
    pub(crate) fn applied(&self) -> String {
        format!("{} {}", self.source(), self.position)
    }

    /// All that the server says of it.
    pub(super) fn status(&self) -> &NamedRow {
        &self.status
    }

    /// Stops it, both the fetching and the applying.
    pub(crate) fn stop_sql(&self) -> String {
        self.statement("STOP", "")
    }

    /// Starts again what of it runs now.
    pub(crate) fn start_sql(&self) -> String {
        let threads = match (self.fetches, self.applies) {
            (true, false) => "IO_THREAD ",
            (false, true) => "SQL_THREAD ",
            _ => "",
        };
        self.statement("START", threads)
    }

    fn statement(&self, verb: &str, threads: &str) -> String {
        let name = literal::text(&self.name);
        let word = self.word;
        match self.flavor {
            Flavor::MySql => format!("{verb} {word} {threads}FOR CHANNEL {name}"),
            Flavor::MariaDb => format!("{verb} {word} {name} {threads}").trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(flavor: Flavor, status: &[(&str, &str)]) -> Channel {
        let status = status.iter();
        let status = status.map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        let word = if flavor == Flavor::MySql { "REPLICA" } else { "SLAVE" };
        Channel::new(flavor, word, status.collect())
    }

    #[test]
    fn only_what_ran_is_started_again() {
        let both = [("Replica_IO_Running", "Yes"), ("Replica_SQL_Running", "Yes")];
        let fetches = [("Replica_IO_Running", "Connecting"), ("Replica_SQL_Running", "No")];
        let mysql = |status: &[(&str, &str)]| channel(Flavor::MySql, status);
        assert_eq!(mysql(&both).start_sql(), "START REPLICA FOR CHANNEL ''");
        assert_eq!(mysql(&fetches).start_sql(), "START REPLICA IO_THREAD FOR CHANNEL ''");
        assert!(mysql(&fetches).runs() && !mysql(&fetches).replicates());
        let applies =
            [("Connection_name", "a"), ("Slave_IO_Running", "No"), ("Slave_SQL_Running", "Yes")];
        let mariadb = channel(Flavor::MariaDb, &applies);
        assert_eq!(mariadb.start_sql(), "START SLAVE 'a' SQL_THREAD");
        assert_eq!(mariadb.stop_sql(), "STOP SLAVE 'a'");
        assert!(!channel(Flavor::MariaDb, &[]).runs());
        assert!(mysql(&[("Channel_Name", "group_replication_recovery")]).is_of_group());
        assert!(!mysql(&both).is_of_group());
    }
}
