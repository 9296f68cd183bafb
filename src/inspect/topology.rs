//! Where a server stands among those that replicate from each other: which of them is the primary, and whether a run
//! may write to this one.

use super::Channel;
use super::grants::{self, On, Wanted};
use super::server::ServerInfo;
use crate::db::{Connector, Flavor, Session};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};

/// Looks for the primary of a replica: the server at the top of its chain, by what each one says of the server that it
/// replicates from, as the same user. `None` if the server replicates from nobody: then it is one itself.
///
/// It takes REPLICATION CLIENT on MySQL, and SLAVE MONITOR on MariaDB, on each of the servers. The address is that by
/// which the replica reaches it, which need not be one that this machine can use.
///
/// # Errors
/// A server that cannot be reached or asked; one that replicates from several servers, or does not replicate at present
/// though it is set up to; servers that replicate from each other: which of them applications write to, a person has
/// to know.
///
/// ```no_run
/// use online_alter::{OnlineAlter, find_primary};
///
/// # fn main() -> Result<(), online_alter::Error> {
/// let replica = "mysql://dba:secret@replica1:3306/edxapp";
/// let alter = match find_primary(replica)? {
///     Some(primary) => OnlineAlter::new(primary, "t").stream_from(replica),
///     None => OnlineAlter::new(replica, "t"),
/// };
/// # Ok(())
/// # }
/// ```
pub fn find_primary(replica: impl Into<Endpoint>) -> Result<Option<Endpoint>> {
    let first: Endpoint = replica.into();
    let refuse = |why: String| Err(Error::new(ErrorKind::UnsupportedServer, why));
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut wanted: Option<String> = None;
    let mut here = first;
    loop {
        let address = here.address();
        let connector = Connector::new(&here.opts()?)?;
        let look = || {
            let mut session = Session::open_plain(&connector)?;
            let server = ServerInfo::read(&mut session)?;
            let channels = server.channels(&mut session)?;
            Ok((server, channels))
        };
        let looked: Result<_> = look();
        let (server, mut channels) = looked
            .map_err(|error| error.context(format_args!("looking for the primary at {address}")))?;
        let id = match server.flavor {
            Flavor::MySql => server.identity.clone(),
            Flavor::MariaDb => server.server_id.to_string(),
        };
        if wanted.is_some_and(|wanted| !wanted.is_empty() && wanted != id) {
            return refuse(format!(
                "{address} is not the server that its replica replicates from: is it another one from here?"
            ));
        }
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == id) {
            return refuse(format!(
                "servers replicate from each other ({other} and {address}): name the one that is written to"
            ));
        }
        seen.push((id, address.clone()));
        if channels.is_empty() && server.is_in_a_group() {
            return refuse(format!(
                "{address} is a member of a replication group: name its primary"
            ));
        }
        let Some(channel) = channels.pop() else {
            return Ok((seen.len() > 1).then_some(here));
        };
        if !channels.is_empty() {
            return refuse(format!("{address} replicates from several servers: name the primary"));
        }
        if !channel.replicates() {
            return refuse(format!(
                "{address} is set up to replicate from {} and does not: name the primary",
                channel.source()
            ));
        }
        wanted = Some(channel.source_id.clone());
        here = connector.at(&channel.source_host, channel.source_port);
    }
}

impl ServerInfo {
    /// Refuses a server that replicates from another, unless that is `allowed`: what is altered there is altered on
    /// nobody else but its own replicas, and its source may write to the table too.
    pub(crate) fn check_primary(&self, session: &mut Session, allowed: bool) -> Result<()> {
        let Some(source) = self.replicates_from(session)? else {
            return Ok(());
        };
        let refuse = |kind, why: String| Err(Error::new(kind, why));
        if !allowed {
            return refuse(
                ErrorKind::UnsupportedServer,
                format!(
                    "the server replicates from {source}: connect to its primary (which find_primary looks for), say that \
                     only this replica is meant (on_replica), or, if servers replicate from each other and the table is \
                     written to on this one alone, allow it (allow_primary_primary)"
                ),
            );
        }
        self.check_logs_replicated()
    }

    /// Refuses a server on which a run cannot be alone with a replica's own replication.
    pub(crate) fn check_alone(&self, session: &mut Session) -> Result<()> {
        let refuse = |kind, why: &str| Err(Error::new(kind, why.to_owned()));
        let runs = match self.channels(session) {
            Ok(channels) => channels.iter().any(Channel::runs),
            // Whoever may not see them is told so by what asks for privileges.
            Err(_) => self.replicates_from(session)?.is_some(),
        };
        if !runs {
            let why =
                "the server replicates from nobody at present, and a run on a replica is asked for";
            return refuse(ErrorKind::UnsupportedServer, why);
        }
        self.check_logs_replicated()?;
        if self.is("super_read_only", &["ON", "1"]) {
            let why = "the replica takes writes from nobody (super_read_only=ON)";
            return refuse(ErrorKind::UnsupportedServer, why);
        }
        if self.is("read_only", &["ON", "1", "NO_LOCK", "NO_LOCK_NO_ADMIN"]) {
            let any_of: &[_] = match self.flavor {
                Flavor::MySql => &["CONNECTION_ADMIN", "SUPER"],
                Flavor::MariaDb => &["READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER"],
            };
            return grants::check_also(session, self, &[Wanted::new(any_of, On::Server)])
                .map_err(|error| error.context("the replica is read-only"));
        }
        Ok(())
    }

    fn check_logs_replicated(&self) -> Result<()> {
        if self.logs_replicated() {
            return Ok(());
        }
        let why = "the server replicates from another, and does not log that \
                   (log_replica_updates=OFF, or log_slave_updates): changes that come so would be missed";
        Err(Error::new(ErrorKind::BinlogSettings, why))
    }
}
