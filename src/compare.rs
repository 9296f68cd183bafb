//! Comparing two tables of one server, without altering anything.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::copy::ChunkSize;
use crate::copy::chunk::Chunk;
use crate::copy::chunk_size::Sizer;
use crate::copy::chunker::Chunker;
use crate::db::{Connector, Purpose, Retries, Session};
use crate::difference::Difference;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ghost_keys::leading;
use crate::inspect::grants::{self, On, Wanted};
use crate::inspect::kept::{Kept, kept};
use crate::inspect::{ServerInfo, Table, key};
use crate::migration::{Control, Postpone, in_chunks};
use crate::sql::alter::{AlterClause, ColumnChange, Fate};
use crate::sql::statements::TablePair;
use crate::sql::{Ident, Key, KeyShape, TableName};
use crate::throttle::Limits;
use crate::verify::{Comparer, Style};

/// Compares the rows of two tables of one server, exactly, in chunks of one table's key, without
/// locking anything: "does the copy hold what the original holds?"
///
/// Values are compared as what they would be in the other table: 7 as INT is 7 as BIGINT, and text is
/// the same in two charsets if its characters are. Each chunk is compared in one statement, so that a
/// change that goes to both tables in one transaction is no difference. Rows that differ are looked at
/// again, so that one written to both tables shortly after each other is none either. It needs SELECT
/// on both tables.
///
/// ```no_run
/// use online_alter::Compare;
///
/// # fn main() -> Result<(), online_alter::Error> {
/// let found = Compare::new("mysql://dba@db1/edxapp", "csmh", "csmhe")
///     .other_schema("edxapp_csmh")
///     .run()?;
/// println!("{found}");
/// assert!(found.is_equal());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `run`"]
#[derive(Debug)]
pub struct Compare {
    endpoint: Endpoint,
    schema: Option<String>,
    table: String,
    other_schema: Option<String>,
    other: String,
    column_map: Vec<(String, Option<String>)>,
    workers: usize,
    described: usize,
    looks: u32,
}

/// How two tables compare.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Rows of the table.
    pub rows: u64,
    /// Rows that differ, are missing from the other table, or should not be there.
    pub different: u64,
    /// The first of them. `expected` is what the table has, `found` what the other one has.
    pub differences: Vec<Difference>,
    /// Columns of either table that were not compared: the other has none of that name, or they were
    /// left out.
    pub not_compared: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Comparison {
    /// Whether no row differs.
    pub fn is_equal(&self) -> bool {
        self.different == 0
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} rows compared in {seconds:.1} s, ", self.rows)?;
        match self.different {
            0 => f.write_str("none differs")?,
            1 => f.write_str("one differs")?,
            n => write!(f, "{n} differ")?,
        }
        if !self.not_compared.is_empty() {
            write!(f, "\nnot compared: {}", self.not_compared.join(", "))?;
        }
        for difference in &self.differences {
            write!(f, "\n{difference}")?;
        }
        if self.different > u64::try_from(self.differences.len()).unwrap_or(u64::MAX) {
            f.write_str("\n..")?;
        }
        Ok(())
    }
}

impl Compare {
    /// The server, a table of it, and the other table. The schema of both is the one of the URL, unless
    /// another is given.
    pub fn new(
        server: impl Into<Endpoint>,
        table: impl Into<String>,
        other: impl Into<String>,
    ) -> Self {
        Compare {
            endpoint: server.into(),
            schema: None,
            table: table.into(),
            other_schema: None,
            other: other.into(),
            column_map: Vec::new(),
            workers: 2,
            described: 20,
            looks: 3,
        }
    }

    /// The schema of the table, and of the other one unless that has its own.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The schema of the other table.
    pub fn other_schema(mut self, schema: impl Into<String>) -> Self {
        self.other_schema = Some(schema.into());
        self
    }

    /// Columns that have another name in the other table, or (`None`) are not to be compared.
    pub fn column_map<'n>(
        mut self,
        map: impl IntoIterator<Item = (&'n str, Option<&'n str>)>,
    ) -> Self {
        let owned = |(old, new): (&str, Option<&str>)| (old.to_owned(), new.map(str::to_owned));
        self.column_map = map.into_iter().map(owned).collect();
        self
    }

    /// How many connections compare, from 1. Default: 2.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How many differing rows are described; all are counted. Default: 20.
    pub fn described(mut self, rows: usize) -> Self {
        self.described = rows;
        self
    }

    /// How often, half a second apart, a row must be seen to differ before it counts, from 1.
    /// Default: 3. For tables that nobody writes to, 1 will do.
    pub fn looks(mut self, looks: u32) -> Self {
        self.looks = looks.max(1);
        self
    }

    /// Compares.
    pub fn run(self) -> Result<Comparison> {
        let started = Instant::now();
        let connector = Connector::new(&self.endpoint.opts()?)?;
        let mut session = Session::open_plain(&connector)?;
        let server = ServerInfo::read(&mut session)?;
        connector.expect(server.identity_query(), &server.identity);
        let open = |purpose| Session::open(&connector, server.flavor, purpose);
        let mut session = open(Purpose::Inspect)?;
        let name = |schema: Option<&str>, table: &str| -> Result<TableName> {
            let schema = schema.or(connector.default_schema()).ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    "no schema is given, neither by the URL nor by itself",
                )
            })?;
            Ok(TableName::new(Ident::parse("schema", schema)?, Ident::parse("table", table)?))
        };
        let schema = self.schema.as_deref();
        let other_schema = self.other_schema.as_deref().or(schema);
        let names = [name(schema, &self.table)?, name(other_schema, &self.other)?];
        let select = names.clone().map(|table| Wanted::new(&["SELECT"], On::Table(table)));
        grants::check_also(&mut session, &server, &select)?;
        let [table, other] = names;
        let table = Table::read(&mut session, &table)?;
        let other = Table::read(&mut session, &other)?;
        if table.name == other.name {
            return Err(Error::new(ErrorKind::Config, "a table is always equal to itself"));
        }

        let (pair, not_compared) = self.pair(&table, &other, &server)?;
        let pair = Arc::new(pair);
        let style = Style::new(&server);
        let comparer = Comparer::by_expressions(&pair, &table, &other, style).map_err(|columns| {
            let why = format!(
                "the types of these columns cannot be compared: {}; leave them out (column_map)",
                columns.join(", ")
            );
            Error::new(ErrorKind::UnsupportedTable, why)
        })?;

        let control =
            Control::new(None, Postpone::never(), Limits::default(), usize::MAX, false, table.rows);
        let mut found = Found {
            comparer: &comparer,
            control: &control,
            session: open(Purpose::Rows)?,
            looks: self.looks,
            described: self.described,
            comparison: Comparison {
                rows: 0,
                different: 0,
                differences: Vec::new(),
                not_compared,
                elapsed: Duration::ZERO,
            },
        };
        let mut workers =
            (0..self.workers).map(|_| open(Purpose::Rows)).collect::<Result<Vec<_>>>()?;
        let sizer = Sizer::new(ChunkSize::Time(Duration::from_millis(150)), table.row_bytes);
        let compare = |chunk: &Chunk, session: &mut Session| {
            let (after, through) = (chunk.after.as_ref(), chunk.through.as_ref());
            let compared = session.retrying(RETRIES, &control.cancel, |session| {
                comparer.range(session, after, through)
            })?;
            Ok((compared.rows, compared))
        };
        let chunker =
            Chunker::everything(Arc::clone(&pair), RETRIES, &mut session, &control.cancel)?;
        in_chunks(&control, chunker, &sizer, &mut session, &mut workers, compare, |compared| {
            found.comparison.rows += compared.rows;
            found.look_again(compared.different)
        })
        .map_err(|error| control.take_failure().unwrap_or(error))?;
        Ok(Comparison { elapsed: started.elapsed(), ..found.comparison })
    }

    /// What is compared with what, and the columns that are not.
    fn pair(
        &self,
        table: &Table,
        other: &Table,
        server: &ServerInfo,
    ) -> Result<(TablePair, Vec<String>)> {
        let mut clause = AlterClause::default();
        for (old, new) in &self.column_map {
            match new {
                Some(new) => {
                    clause.changes.push(ColumnChange { old: old.clone(), new: new.clone() });
                }
                None => clause.dropped_columns.push(old.clone()),
            }
            let has_new = new.as_ref().is_none_or(|new| other.column(new).is_some());
            if table.column(old).is_none() || !has_new {
                let why = format!("the column map names a column that is not there: `{old}`");
                return Err(Error::new(ErrorKind::Config, why));
            }
        }
        let mut columns = Vec::new();
        let mut not_compared = Vec::new();
        for column in &table.columns {
            let new = match clause.mapping(column.name.as_str()) {
                Fate::Dropped => None,
                Fate::Kept => other.column(column.name.as_str()),
                Fate::Renamed(new) => other.column(&new),
            };
            match new {
                Some(new) => columns.push((column.name.clone(), new.name.clone())),
                None => not_compared.push(format!("{}.{}", table.name, column.name)),
            }
        }
        let rest = other.columns.iter().filter(|c| !columns.iter().any(|(_, new)| *new == c.name));
        not_compared.extend(rest.map(|column| format!("{}.{}", other.name, column.name)));
        let (key, _) = key::choose(table, &clause, server.flavor)?;
        let key = find_by(key, table, other)?;
        let pair = TablePair {
            source: table.name.clone(),
            ghost: other.name.clone(),
            columns,
            casts: Vec::new(),
            fills: Vec::new(),
            key,
            lock_syntax: server.lock_syntax(),
        };
        Ok((pair, not_compared))
    }
}

/// The key, as it finds rows in the other table.
fn find_by(key: KeyShape, table: &Table, other: &Table) -> Result<KeyShape> {
    let refuse = |why: String| Error::new(ErrorKind::NoUsableKey, why);
    for column in &key.columns {
        let old = table.column(column.source.as_str());
        let new = other.column(column.ghost.as_str());
        let (Some(old), Some(new)) = (old, new) else {
            return Err(refuse(format!("{} has no column {}", other.name, column.ghost)));
        };
        match kept(old, new) {
            Ok(Kept::Same) => {}
            Ok(_) => {
                let why = format!(
                    "the key column {} has another type or collation in {}, so that rows cannot be \
                     found by it",
                    column.source, other.name
                );
                return Err(refuse(why));
            }
            Err(why) => return Err(refuse(why)),
        }
    }
    let index = leading(other, &[], &key).ok_or_else(|| {
        let columns: Vec<String> = key.columns.iter().map(|c| c.ghost.to_string()).collect();
        refuse(format!("{} has no index on ({})", other.name, columns.join(", ")))
    })?;
    Ok(KeyShape { ghost_index: Some(index), ..key })
}

const RETRIES: Retries = Retries { attempts: 10, ..Retries::DEFAULT };

/// What is done about chunks that differ.
struct Found<'a> {
    comparer: &'a Comparer,
    control: &'a Control,
    session: Session,
    looks: u32,
    described: usize,
    comparison: Comparison,
}

impl Found<'_> {
    fn look_again(&mut self, mut keys: Vec<Key>) -> Result<()> {
        const APART: Duration = Duration::from_millis(500);
        let Self { comparer, control, session, .. } = self;
        for _ in 1..self.looks {
            if keys.is_empty() {
                return Ok(());
            }
            control.cancel.sleep(APART)?;
            keys = session
                .retrying(RETRIES, &control.cancel, |session| comparer.keys(session, &keys))?;
        }
        for key in keys {
            // A row may have been found under two spellings of its key.
            let difference = session
                .retrying(RETRIES, &control.cancel, |session| comparer.describe(session, &key))?;
            let Some(difference) = difference else { continue };
            let Comparison { different, differences, .. } = &mut self.comparison;
            if differences.contains(&difference) {
                continue;
            }
            *different += 1;
            if differences.len() < self.described {
                differences.push(difference);
            }
        }
        Ok(())
    }
}
