//! From what the caller wants to a plan: looks at the server and the table, and refuses what cannot be
//! done.

mod resumed;

use mysql::OptsBuilder;

use self::resumed::Basis;
use crate::cutover::dressing::Dressing;
use crate::db::{Connector, DEFAULT_GROUP, Flavor, Modes, Purpose, Session, in_group};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::grants::Wanted;
use crate::inspect::neighbours::Neighbours;
use crate::inspect::platform::{self, Asks, Platform, PreflightItem};
use crate::inspect::row_versions::RowVersions;
use crate::inspect::{ServerInfo, Table, grants, key};
use crate::migration::{
    IndexBuild, Migration, NOTHING_TO_SEE, Observer, OnMismatch, Options, Postpone, StreamServer,
    checks, ghost, guard, native,
};
use crate::plan::{Plan, Warning};
use crate::sql::alter::{AlterClause, Stated};
use crate::sql::tokens::{Dialect, Token, tokenize};
use crate::sql::{Ident, KeyType, TableName};
use crate::throttle::{AllOf, Limits};

/// What the caller wants.
pub(crate) struct Request {
    pub(crate) endpoint: Endpoint,
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
    pub(crate) clause: String,
    /// The replica whose binlog is read, if it is not the server's own.
    pub(crate) stream: Option<Endpoint>,
    /// Who runs the server, if that is not to be found out.
    pub(crate) platform: Option<Platform>,
    pub(crate) options: Options,
    pub(crate) postpone: Postpone,
    pub(crate) policies: AllOf,
    pub(crate) observer: Option<Box<dyn Observer>>,
}

impl Request {
    /// Checks everything and writes nothing.
    pub(crate) fn plan(mut self) -> Result<Plan> {
        if self.options.is_test() {
            // One that repairs would not show what there is to see.
            self.options.on_mismatch = OnMismatch::Stop;
        }
        let opts = self.endpoint.opts()?;
        let suffix = &self.options.wishes.suffix;
        if suffix.is_empty() || !suffix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let why = "the suffix of triggers has to be of ASCII letters, digits and underscores";
            return Err(Error::new(ErrorKind::Config, why));
        }
        let connector = Connector::new(&opts)?;
        let schema = self.schema.as_deref().or(opts.get_db_name()).ok_or_else(|| {
            Error::new(ErrorKind::Config, "no schema is given, neither by the URL nor by itself")
        })?;
        let name =
            TableName::new(Ident::parse("schema", schema)?, Ident::parse("table", &self.table)?);
        let connector = connector.for_table(&name);
        self.look(connector.clone(), &name).map_err(|error| error.with_left(connector.end_left()))
    }

    fn look(mut self, connector: Connector, name: &TableName) -> Result<Plan> {
        // This one has the SQL mode that the server gives to everybody, as the user's text expects.
        let mut plain = Session::open_plain(&connector)?;
        let server = ServerInfo::read(&mut plain)?;
        connector.expect(server.identity_query(), &server.identity);
        let mut session = Session::open(&connector, server.flavor, Purpose::Inspect)?;
        // Without its privileges a user is shown less than there is.
        grants::check(&mut session, &server, name, self.stream.is_none())?;
        let asks = self.asks();
        let (platform, mut preflight) =
            platform::check(&mut session, &server, self.platform, asks)?;
        self.check_place(&server, &mut session)?;
        if self.stream.is_some() {
            server.check_settings(true)?;
            if server.binlog_format != "ROW" {
                connector.write_rows();
            }
        } else {
            server.check_settings(self.options.switch_to_row_format)?;
            check_format_switch(&server, &mut session)?;
        }
        server.binlog_position(&mut session, name.schema.as_str())?;
        if self.options.gtid && self.stream.is_none() {
            server.check_gtids()?;
        }
        set_modes(&connector, &server, &self.options, &mut plain)?;

        if self.options.resume {
            match self.task(&mut session, &server, name) {
                Ok(Some(task)) => {
                    let preflight = (platform, preflight);
                    let basis = Basis { connector, server, session: &mut session, preflight };
                    return self.plan_resumed(task, basis);
                }
                // It had not copied anything.
                Ok(None) => self.options.replace_ghost = true,
                Err(error)
                    if self.options.replace_ghost
                        && may_start_over(&error, &mut session, name)? =>
                {
                    log::warn!("starting over: {}", error.message());
                }
                Err(error) => return Err(error),
            }
        }
        let table = Table::read(&mut session, name)?;
        preflight.extend(platform::check_table(platform, &server, &table)?);
        let (by_gtid, named) = (self.options.gtid, self.platform);
        let as_stream =
            |replica| stream_server(replica, &server, (name, Some(&table)), by_gtid, named);
        let stream = self.stream.as_ref().map(as_stream).transpose()?.map(|(stream, items)| {
            preflight.extend(items);
            stream
        });
        let stated = std::mem::take(&mut self.options.column_map);
        let clause = parse_clause(&self.clause, stated, &server, &table)?;
        plain.check_syntax(&format!("ALTER TABLE {name} {}", clause.text)).map_err(|error| {
            error.refused(ErrorKind::Alter, "the server cannot parse the ALTER")
        })?;
        refuse_growing_literals(&server, &table)?;
        let (key, other_keys) = key::choose(&table, &clause, server.flavor)?;
        let wishes = &self.options.wishes;
        let neighbours = Neighbours::read(&mut session, &server, name, wishes)?;
        let new_names = neighbours.check(&mut session, &server, name, wishes)?;
        // What the ALTER cannot do with them is seen here, too.
        let columns = clause.map_columns(table.columns.iter().map(|column| &column.name));
        let dressing = Dressing::new(&neighbours, &new_names, &name.ghost(), &columns)?;
        if guard::holder(&mut session, name)?.is_some() {
            return Err(guard::already_running(name));
        }
        if let Some(group) = &self.options.resource_group {
            check_resource_group(group, &server, &mut session)?;
        }
        if self.options.kill_blockers.is_some() {
            check_kill(&server, &mut session)?;
        }
        check_limits(&self.options.limits, &server, &mut session, name)?;
        if self.options.index_build == IndexBuild::Auto {
            // A user who may not see replicas must not harm them.
            // Nor can the statement be held back once it has begun, as the copy can.
            let keeps_load = !self.options.limits.max_load.is_empty();
            let none = server.has_replicas(&mut session).is_ok_and(|any| !any);
            self.options.index_build =
                if none && !keeps_load { IndexBuild::AfterCopy } else { IndexBuild::Maintain };
        }
        let replaced = ghost::check_leftovers(&mut session, &server, name, &self.options)?;
        self.check_replicas(name, &replaced)?;

        let mut warnings = Vec::new();
        if !neighbours.all_seen {
            warnings.push(Warning::HiddenForeignKeys);
        }
        if key.columns.first().is_some_and(|column| column.ty == KeyType::Ordinal) {
            warnings.push(Warning::SlowKey);
        }
        let checks = checks::named_by_people(&server, &table);
        if !checks.is_empty() {
            warnings.push(Warning::RenamedChecks(checks));
        }
        let stop = [Wanted::to_stop_replication(server.flavor)];
        if self.options.is_test() && grants::check_also(&mut session, &server, &stop).is_err() {
            warnings.push(Warning::LeavesReplicationToObserver);
        }
        if server.binlog_format == "STATEMENT" && stream.is_some() {
            warnings.push(Warning::StatementsOnPrimary);
        }
        if server.binlog_format != "ROW" && stream.is_none() {
            warnings.push(Warning::SwitchesFormat { from: server.binlog_format.clone() });
        }
        if !neighbours.foreign_keys.is_empty() {
            let parents = neighbours.parents().iter().map(ToString::to_string).collect();
            warnings.push(Warning::LocksParents { parents });
        }
        if let Some(versions) = native::used_up(&mut session, &server, name, &clause, &self.options)
        {
            let RowVersions { now, most } = versions;
            warnings.push(Warning::RowVersions { versions: now, most });
        }
        let migration = Migration {
            connector,
            server,
            stream,
            table,
            clause,
            key,
            other_keys,
            neighbours,
            new_names,
            options: self.options,
            postpone: self.postpone,
            policies: self.policies,
            resumed: None,
        };
        let preflight = (platform, preflight);
        Ok(Plan::new(migration, dressing, self.observer, replaced, warnings, preflight))
    }

    fn asks(&self) -> Asks {
        Asks {
            as_stream: false,
            reads_replica: self.stream.is_some(),
            switch_to_row_format: self.options.switch_to_row_format,
            include_triggers: self.options.wishes.triggers,
            kill_blockers: self.options.kill_blockers.is_some(),
        }
    }
}

impl Request {
    /// Whether this is a server that the run may write to.
    fn check_place(&self, server: &ServerInfo, session: &mut Session) -> Result<()> {
        let options = &self.options;
        if options.on_replica.is_none() {
            server.check_writable()?;
            return server.check_primary(session, options.primary_primary);
        }
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::Config, why));
        if self.stream.is_some() {
            return refuse("a run on a replica reads its own binlog (on_replica and stream_from)");
        }
        if options.switch_to_row_format {
            return refuse(
                "what a replica applies keeps its format until its replication is started again: set \
                 binlog_format by hand (on_replica and switch_to_row_format)",
            );
        }
        if options.is_test() && !options.verify {
            return refuse(NOTHING_TO_SEE);
        }
        // What the server does by itself is not looked at before.
        if !options.is_test() && (options.attempt_instant || options.native_below_rows > 0) {
            return refuse(
                "whether a replica could go on replicating is seen of the altered, empty copy, which there is not where the \
                 server alters the table by itself (attempt_instant, native_below_rows)",
            );
        }
        server.check_alone(session)?;
        // Not to be found out in the end.
        let mut wanted = vec![Wanted::to_see_replication(server.flavor)];
        if options.is_test() && self.observer.is_none() {
            wanted.push(Wanted::to_stop_replication(server.flavor));
        }
        grants::check_also(session, server, &wanted)
    }

    /// A replica that has tables of these names which the server does not have could not apply what creates them here,
    /// and stop. One that cannot be asked now has throttling to answer to.
    fn check_replicas(&self, name: &TableName, replaced: &[TableName]) -> Result<()> {
        let limits = &self.options.limits;
        for replica in self.stream.iter().chain(&limits.control_replicas) {
            let connector = Connector::to_replica(replica)?;
            let Ok(mut session) = Session::open_plain(&connector) else { continue };
            for name in [name.ghost(), name.state(), name.old()] {
                if !replaced.contains(&name) && Table::exists(&mut session, &name)? {
                    let why = format!(
                        "{name} is on the replica {}, and not here: drop it there, or its replication will stop",
                        replica.address()
                    );
                    return Err(Error::new(ErrorKind::LeftoversPresent, why));
                }
            }
        }
        Ok(())
    }
}

/// Not where the tables may be swapped already: the ALTER would be made twice.
fn may_start_over(error: &Error, session: &mut Session, name: &TableName) -> Result<bool> {
    match error.kind() {
        ErrorKind::NothingToResume => Ok(true),
        ErrorKind::CannotResume => Table::exists(session, &name.ghost()),
        _ => Ok(false),
    }
}

/// Whether blockers of the cut-over can be found, and ended.
fn check_kill(server: &ServerInfo, session: &mut Session) -> Result<()> {
    if server.flavor != Flavor::MySql {
        let why =
            "MariaDB does not tell who keeps a table from being locked: kill_blockers is for MySQL";
        return Err(Error::new(ErrorKind::Config, why));
    }
    grants::check_also(session, server, &Wanted::to_kill_blockers())
}

/// Whether what the run is to be held back by can be asked for.
fn check_limits(
    limits: &Limits,
    server: &ServerInfo,
    session: &mut Session,
    table: &TableName,
) -> Result<()> {
    if limits.attached_replicas {
        grants::check_also(session, server, &[Wanted::to_see_replicas(server.flavor)])?;
    }
    let asks_history = limits.max_history.is_some();
    if asks_history {
        grants::check_also(session, server, &Wanted::to_see_the_history_list(server.flavor))?;
    }
    let mut replicas = limits.control_replicas.iter();
    replicas.try_for_each(|replica| grants::check_control_replica(replica, table, asks_history))
}

/// The replica whose binlog is read, if it can be.
fn stream_server(
    replica: &Endpoint,
    server: &ServerInfo,
    (name, table): (&TableName, Option<&Table>),
    by_gtid: bool,
    named: Option<Platform>,
) -> Result<(StreamServer, Vec<PreflightItem>)> {
    // Whoever has no privilege on the schema is to be told which one he lacks.
    let opts = OptsBuilder::from_opts(replica.opts()?).db_name(None::<String>);
    let connector = Connector::new(&opts.into())?.for_table(name);
    let of_replica =
        |error: Error| error.context(format_args!("the replica {}", replica.address()));
    let read = || {
        let mut session = Session::open_plain(&connector)?;
        let info = ServerInfo::read(&mut session)?;
        if (info.flavor, info.ignores_case) != (server.flavor, server.ignores_case) {
            let why = "it is of another kind than the server of the table";
            return Err(Error::new(ErrorKind::UnsupportedServer, why));
        }
        if info.identity == server.identity {
            let why = "it is the server of the table itself";
            return Err(Error::new(ErrorKind::Config, why));
        }
        connector.expect(info.identity_query(), &info.identity);
        let mut session = Session::open(&connector, info.flavor, Purpose::Inspect)?;
        grants::check_as_stream(&mut session, &info, name)?;
        let asks = Asks { as_stream: true, ..Asks::default() };
        let (_, items) = platform::check(&mut session, &info, named, asks)?;
        info.check_as_stream(&mut session, table)?;
        info.binlog_position(&mut session, name.schema.as_str())?;
        if by_gtid {
            info.check_gtids()?;
        }
        Ok((info, items))
    };
    let (info, items) = read().map_err(of_replica)?;
    Ok((StreamServer { connector, server: info }, items))
}

/// Whether sessions may be put into the group.
fn check_resource_group(group: &str, server: &ServerInfo, session: &mut Session) -> Result<()> {
    let refuse =
        |error: Error| error.refused(ErrorKind::Config, format_args!("the resource group {group}"));
    if server.flavor != Flavor::MySql {
        let why = "MariaDB has no resource groups";
        return Err(refuse(Error::new(ErrorKind::Config, why)));
    }
    let name = Ident::parse("resource group", group)?;
    grants::check_also(session, server, &[Wanted::to_use_a_resource_group()])?;
    session.exec(&in_group(&name)).map_err(refuse)?;
    session.exec(&in_group(&Ident::new(DEFAULT_GROUP))).map_err(refuse).map(drop)
}

/// Sets up the modes in which tables are defined, if the caller gave others than the server's own.
fn set_modes(
    connector: &Connector,
    server: &ServerInfo,
    options: &Options,
    plain: &mut Session,
) -> Result<()> {
    let Options { time_zone, allow_zero_in_date, .. } = options;
    if time_zone.is_none() && !allow_zero_in_date {
        return Ok(());
    }
    let sql_mode = server.sql_mode();
    connector.define_in(Modes {
        sql_mode: if *allow_zero_in_date {
            sql_mode.with_zero_dates()
        } else {
            sql_mode.0.to_owned()
        },
        time_zone: time_zone.clone().unwrap_or_else(|| server.time_zone().to_owned()),
    });
    plain
        .take_users_modes()
        .map_err(|error| error.refused(ErrorKind::Config, "the time zone cannot be used"))
}

/// MySQL writes down expressions with backslashes in their literals, and reads those as they stand where
/// they are no escapes: each time such a table is altered its literals grow, and a run alters it more
/// often than the server's own ALTER would.
fn refuse_growing_literals(server: &ServerInfo, table: &Table) -> Result<()> {
    let holds_one = |item: &str| {
        let Ok(tokens) = tokenize(item, Dialect::default()) else { return item.contains('\\') };
        // Comments are no expressions.
        let before = std::iter::once(None).chain(tokens.iter().map(Some));
        tokens.iter().zip(before).any(|(token, before)| {
            matches!(token.token, Token::Str(text) if text.contains('\\'))
                && !before.is_some_and(|before| before.is_word("COMMENT"))
        })
    };
    let has_expression =
        |item: &&str| item.contains(" GENERATED ALWAYS AS (") || item.contains(" CHECK (");
    let has_mode = server.flavor == Flavor::MySql && server.sql_mode().has("NO_BACKSLASH_ESCAPES");
    if !has_mode || !table.definition.items().into_iter().filter(has_expression).any(holds_one) {
        return Ok(());
    }
    let why = format!(
        "{} has a generated column or CHECK with a backslash in a literal, which MySQL changes whenever \
         the table is altered while the server's sql_mode has NO_BACKSLASH_ESCAPES",
        table.name
    );
    Err(Error::new(ErrorKind::UnsupportedTable, why))
}

fn check_format_switch(server: &ServerInfo, session: &mut Session) -> Result<()> {
    if server.binlog_format == "ROW" {
        return Ok(());
    }
    let format = &server.binlog_format;
    grants::check_switch(session, server).map_err(|error| {
        error.context(format_args!("binlog_format is {format} and cannot be switched to ROW"))
    })?;
    if !server.has_replicas(session)? {
        return Ok(());
    }
    let why = format!(
        "binlog_format is {format} and cannot be switched to ROW: replicas are attached, which may depend on it"
    );
    Err(Error::new(ErrorKind::BinlogSettings, why))
}

fn parse_clause(
    text: &str,
    stated: Vec<Stated>,
    server: &ServerInfo,
    table: &Table,
) -> Result<AlterClause> {
    let refuse = |why: String| Error::new(ErrorKind::Alter, why);
    let clause = AlterClause::parse_with(text, server.dialect, stated)
        .map_err(|error| refuse(format!("the ALTER is refused: {error}")).with_source(error))?;
    clause
        .check_columns(table.columns.iter().map(|column| column.name.as_str()))
        .map_err(|error| refuse(format!("the ALTER is refused: {error}")).with_source(error))?;
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    clause
        .check_stated(&columns)
        .map_err(|why| refuse(format!("the stated mapping of columns cannot be right: {why}")))?;
    // The server would say so too, but only once there is a ghost. It forgives with IF EXISTS.
    let named = clause.changes.iter().map(|change| &change.old);
    let named = named.chain(&clause.dropped_columns).chain(&clause.modified_columns);
    let forgives = text.to_ascii_uppercase().contains("EXISTS");
    let mut missing = named.filter(|column| !forgives && table.column(column).is_none());
    if let Some(column) = missing.next() {
        return Err(refuse(format!("the ALTER names a column that is not there: `{column}`")));
    }
    if let Some(engine) = &clause.sets_engine
        && !engine.eq_ignore_ascii_case("InnoDB")
    {
        return Err(refuse(format!(
            "the ALTER sets the engine {engine}; only InnoDB is supported"
        )));
    }
    if clause.adds_foreign_key {
        return Err(refuse("the ALTER adds a foreign key; this is not supported yet".to_owned()));
    }
    Ok(clause)
}
