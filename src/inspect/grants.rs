//! Privileges: which of those a run needs are missing. `docs/PRIVILEGES.md` lists them for people, and
//! `tests/it/privileges` runs with exactly those.

mod granted;

use granted::Granted;

use crate::db::{Connector, Flavor, Purpose, Session};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ServerInfo;
use crate::sql::{Ident, TableName};

/// Privileges on each of the four tables of a run. TRIGGER is needed to see whether the table has any.
const ON_TABLES: [&str; 8] =
    ["ALTER", "CREATE", "DELETE", "DROP", "INSERT", "SELECT", "TRIGGER", "UPDATE"];

/// What a privilege is needed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Server,
    /// Such as LOCK TABLES, which cannot be granted on a table.
    Schema(Ident),
    Table(TableName),
}

impl On {
    fn schema(&self) -> Option<&Ident> {
        match self {
            On::Server => None,
            On::Schema(schema) => Some(schema),
            On::Table(table) => Some(&table.schema),
        }
    }

    fn table(&self) -> Option<&TableName> {
        match self {
            On::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// A privilege that a run needs.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Any one of these will do; the first is the narrowest.
    pub(crate) any_of: Vec<&'static str>,
    pub(crate) on: On,
    /// What would do instead.
    pub(crate) or: Option<&'static str>,
}

impl Wanted {
    pub(crate) fn new(any_of: &[&'static str], on: On) -> Self {
        Wanted { any_of: any_of.to_vec(), on, or: None }
    }

    /// Where the binlog stands.
    fn to_ask_for_the_position(flavor: Flavor) -> Self {
        let privilege = match flavor {
            Flavor::MySql => "REPLICATION CLIENT",
            // Its name since 10.5.
            Flavor::MariaDb => "BINLOG MONITOR",
        };
        Wanted::new(&[privilege], On::Server)
    }

    fn to_read_the_binlog() -> Self {
        Wanted::new(&["REPLICATION SLAVE"], On::Server)
    }

    /// Who is attached, which MySQL shows to whoever may be attached.
    pub(crate) fn to_see_replicas(flavor: Flavor) -> Self {
        match flavor {
            Flavor::MySql => Self::to_read_the_binlog(),
            Flavor::MariaDb => Wanted::new(&["REPLICATION MASTER ADMIN"], On::Server),
        }
    }

    /// To set the format of the binlog for a session of one's own.
    fn to_write_rows(flavor: Flavor) -> Self {
        let any_of: &[_] = match flavor {
            Flavor::MySql => &["SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER"],
            Flavor::MariaDb => &["BINLOG ADMIN"],
        };
        Wanted::new(any_of, On::Server)
    }

    /// To set it for everybody.
    fn to_switch_the_format(flavor: Flavor) -> Self {
        let any_of: &[_] = match flavor {
            Flavor::MySql => &["SYSTEM_VARIABLES_ADMIN", "SUPER"],
            Flavor::MariaDb => &["BINLOG ADMIN"],
        };
        Wanted::new(any_of, On::Server)
    }

    /// To find out who keeps a table from being locked, and to end him.
    pub(crate) fn to_kill_blockers() -> Vec<Self> {
        let schema = || Ident::new("performance_schema");
        let tables = ["metadata_locks", "threads"].into_iter();
        let select = tables.map(|table| {
            Wanted::new(&["SELECT"], On::Table(TableName::new(schema(), Ident::new(table))))
        });
        std::iter::once(Wanted::new(&["CONNECTION_ADMIN", "SUPER"], On::Server))
            .chain(select)
            .collect()
    }

    /// MariaDB has it as a status variable, which everybody may see.
    pub(crate) fn to_see_the_history_list(flavor: Flavor) -> Vec<Self> {
        match flavor {
            Flavor::MySql => vec![Wanted::new(&["PROCESS"], On::Server)],
            Flavor::MariaDb => Vec::new(),
        }
    }

    /// To stop the replication of a replica, and start it again.
    pub(crate) fn to_stop_replication(flavor: Flavor) -> Self {
        let any_of: &[_] = match flavor {
            Flavor::MySql => &["REPLICATION_SLAVE_ADMIN", "SUPER"],
            Flavor::MariaDb => &["REPLICATION SLAVE ADMIN"],
        };
        Wanted::new(any_of, On::Server)
    }

    /// What a replica says of its replication; MySQL shows it to whoever may ask for the position.
    pub(crate) fn to_see_replication(flavor: Flavor) -> Self {
        match flavor {
            Flavor::MySql => Self::to_ask_for_the_position(flavor),
            Flavor::MariaDb => Wanted::new(&["SLAVE MONITOR"], On::Server),
        }
    }

    pub(crate) fn to_use_a_resource_group() -> Self {
        Wanted::new(&["RESOURCE_GROUP_USER", "RESOURCE_GROUP_ADMIN"], On::Server)
    }
}

/// Refuses a user who lacks a privilege that every run needs on the server of the table, naming each one that is
/// missing, and the GRANT that would give it.
pub(crate) fn check(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
    reads_binlog_here: bool,
) -> Result<()> {
    let mut wanted = Vec::new();
    if reads_binlog_here {
        wanted.push(Wanted::to_read_the_binlog());
    } else if server.binlog_format != "ROW" {
        wanted.push(Wanted::to_write_rows(server.flavor));
    }
    wanted.push(Wanted::to_ask_for_the_position(server.flavor));
    wanted.push(Wanted::new(&["LOCK TABLES"], On::Schema(table.schema.clone())));
    for name in of_run(table) {
        let on = |privilege| Wanted::new(&[privilege], On::Table(name.clone()));
        wanted.extend(ON_TABLES.map(on));
    }
    check_also(session, server, &wanted)
}

/// The same on the replica whose binlog is read.
pub(crate) fn check_as_stream(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
) -> Result<()> {
    let mut wanted =
        vec![Wanted::to_read_the_binlog(), Wanted::to_ask_for_the_position(server.flavor)];
    if server.flavor == Flavor::MariaDb {
        wanted.push(Wanted::to_see_replication(server.flavor));
    }
    wanted.extend(
        [table.clone(), table.state()].map(|table| Wanted::new(&["SELECT"], On::Table(table))),
    );
    check_also(session, server, &wanted)
}

/// Whether the server may be set to row format.
pub(crate) fn check_switch(session: &mut Session, server: &ServerInfo) -> Result<()> {
    let flavor = server.flavor;
    let wanted = [Wanted::to_switch_the_format(flavor), Wanted::to_see_replicas(flavor)];
    check_also(session, server, &wanted)
}

/// Refuses a control replica that does not let its lag be read. One that cannot be reached now may be there later:
/// until then the run is held back.
pub(crate) fn check_control_replica(
    replica: &Endpoint,
    table: &TableName,
    asks_history: bool,
) -> Result<()> {
    let connector = Connector::to_replica(replica)?;
    let read = || {
        let server = ServerInfo::read(&mut Session::open_plain(&connector)?)?;
        let mut session = Session::open(&connector, server.flavor, Purpose::Inspect)?;
        let mut wanted = vec![Wanted::new(&["SELECT"], On::Table(table.state()))];
        if asks_history {
            wanted.extend(Wanted::to_see_the_history_list(server.flavor));
        }
        check_also(&mut session, &server, &wanted)
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::Connection => {
            log::debug!("the control replica {}: {}", replica.address(), error.message());
            Ok(())
        }
        other => other.map_err(|error| {
            error.context(format_args!("the control replica {}", replica.address()))
        }),
    }
}

/// Refuses a user who lacks one of these.
pub(crate) fn check_also(
    session: &mut Session,
    server: &ServerInfo,
    wanted: &[Wanted],
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let granted = Granted::read(session, server)?;
    let missing = missing(&granted, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let user = account(&session.scalar("SELECT CURRENT_USER()")?.unwrap_or_default());
    let statement = |Missing { privileges, target, or }: &Missing| {
        let or = or.map_or_else(String::new, |or| format!(" (or {or})"));
        format!("GRANT {} ON {target} TO {user}{or}", privileges.join(", "))
    };
    let statements: Vec<String> = missing.iter().map(statement).collect();
    Err(Error::new(
        ErrorKind::Privileges,
        format!("the user {user} lacks privileges: {}", statements.join("; ")),
    ))
}

/// The table, and those that a run makes.
fn of_run(table: &TableName) -> [TableName; 4] {
    [table.clone(), table.ghost(), table.state(), table.old()]
}

/// Privileges that are missing on something.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    privileges: Vec<&'static str>,
    /// Quoted.
    target: String,
    or: Option<&'static str>,
}

/// What is missing, by what it is to be granted on.
fn missing(granted: &Granted, wanted: &[Wanted]) -> Vec<Missing> {
    let mut missing: Vec<Missing> = Vec::new();
    for Wanted { any_of, on, or } in wanted {
        if any_of.iter().any(|privilege| granted.has(privilege, on)) {
            continue;
        }
        let Some(&privilege) = any_of.first() else { continue };
        let target = match on {
            On::Server => "*.*".to_owned(),
            On::Schema(schema) => granted.target(schema),
            On::Table(table) if is_granted_by_table(granted, privilege, wanted, on) => {
                table.to_string()
            }
            On::Table(table) => granted.target(&table.schema),
        };
        match missing.iter_mut().find(|missing| missing.target == target && missing.or == *or) {
            Some(found) if found.privileges.contains(&privilege) => {}
            Some(found) => found.privileges.push(privilege),
            None => {
                // On a table that is not there yet, nothing else can be granted without it.
                let by_table = !target.ends_with(".*");
                let create = by_table && is_created(wanted, on) && privilege != "CREATE";
                let privileges = create.then_some("CREATE").into_iter().chain([privilege]);
                missing.push(Missing { privileges: privileges.collect(), target, or: *or });
            }
        }
    }
    missing
}

/// Whether the user has been given the privilege on single tables of the schema.
fn is_granted_by_table(
    granted: &Granted,
    privilege: &str,
    wanted: &[Wanted],
    missing_on: &On,
) -> bool {
    wanted.iter().any(|wanted| {
        wanted.on.schema() == missing_on.schema()
            && wanted.on.table().is_some_and(|table| granted.has_on_table(privilege, table))
    })
}

/// Whether the run creates it.
fn is_created(wanted: &[Wanted], on: &On) -> bool {
    wanted.iter().any(|wanted| wanted.on == *on && wanted.any_of == ["CREATE"])
}

/// Whether the user is the one that is logged in.
pub(crate) fn is_current_user(session: &mut Session, user: &str, host: &str) -> Result<bool> {
    Ok(session.scalar("SELECT CURRENT_USER()")?.is_some_and(|me| me == format!("{user}@{host}")))
}

/// `name@host`, which the server says without quotes, as a GRANT takes it.
fn account(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", Ident::new(name), Ident::new(host)),
        None => Ident::new(user).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(lines: &[&str]) -> String {
        let table = TableName::new(Ident::new("my_db"), Ident::new("t"));
        let mut wanted = vec![Wanted::to_read_the_binlog()];
        wanted.push(Wanted::to_ask_for_the_position(Flavor::MySql));
        wanted.push(Wanted::new(&["LOCK TABLES"], On::Schema(table.schema.clone())));
        for name in of_run(&table) {
            wanted.extend(ON_TABLES.map(|p| Wanted::new(&[p], On::Table(name.clone()))));
        }
        let missing = missing(&granted::tests::granted(lines), &wanted).into_iter();
        let missing = missing.map(|m| format!("{} ON {}", m.privileges.join(","), m.target));
        missing.collect::<Vec<_>>().join("; ")
    }

    const SERVER: &str = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`";
    const TABLES: &str = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, LOCK TABLES, \
                          TRIGGER ON `my\\_db`.* TO `u`@`%`";

    #[test]
    fn exactly_what_is_missing() {
        assert_eq!(lacking(&[SERVER, TABLES]), "");
        assert_eq!(lacking(&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"]), "");
        assert_eq!(lacking(&[TABLES]), "REPLICATION SLAVE,REPLICATION CLIENT ON *.*");
        assert_eq!(lacking(&[SERVER, "GRANT ALL PRIVILEGES ON `my%`.* TO `u`@`%`"]), "");
        assert_eq!(
            lacking(&[
                SERVER,
                "GRANT ALL PRIVILEGES ON `other`.* TO `u`@`%`",
                "GRANT SELECT (a), INSERT ON `my_db`.* TO `u`@`%`"
            ]),
            "LOCK TABLES,ALTER,CREATE,DELETE,DROP,SELECT,TRIGGER,UPDATE ON `my_db`.*"
        );
    }

    #[test]
    fn grants_on_tables() {
        let on = |table: &str| {
            format!(
                "GRANT ALTER, CREATE, DELETE, DROP, INSERT, SELECT, TRIGGER, UPDATE ON `my_db`.`{table}` TO \
                 `u`@`%`"
            )
        };
        let lock = "GRANT LOCK TABLES ON `my\\_db`.* TO `u`@`%`";
        let (t, ghost, state, old) = (on("t"), on("_t_gho"), on("_t_ghc"), on("_t_del"));
        assert_eq!(lacking(&[SERVER, lock, &t, &ghost, &state, &old]), "");
        assert_eq!(lacking(&[SERVER, &t, &ghost, &state, &old]), "LOCK TABLES ON `my\\_db`.*");
        assert_eq!(
            lacking(&[SERVER, lock, &t, &ghost, &state]),
            "CREATE,ALTER,DELETE,DROP,INSERT,SELECT,TRIGGER,UPDATE ON `my_db`.`_t_del`"
        );
    }
}
