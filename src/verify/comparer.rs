//! Compares ranges and keys on a connection.
//!
//! Where rows of the two tables find each other by their keys, the server compares their columns
//! ([`super::matching`]). Where they do not, a row is hashed by the server: 64 bits of SHA-256 over
//! all its columns, each in a form of its own ([`super::part`]), with their lengths and NULLs, so that
//! no two rows have the same text. A range is then compared by its count and the sum of its hashes: in
//! a XOR, pairs of equal rows would cancel each other out.

use std::collections::HashMap;
use std::sync::Arc;

use super::matching::Matching;
use super::part::{Part, Prefixes, Style, Value};
use super::scratch::Scratch;
use crate::db::{Session, missing};
use crate::difference::{ColumnDifference, Difference, DifferenceKind};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::Fault;
use crate::inspect::Table;
use crate::sql::key::Bound;
use crate::sql::key_value::KeyType;
use crate::sql::predicate::{self, Side};
use crate::sql::statements::{TablePair, join};
use crate::sql::{Key, TAG};

/// Compares the table with its altered copy.
#[derive(Debug)]
pub(crate) struct Comparer {
    pair: Arc<TablePair>,
    /// How all columns are compared by expressions, if they can be.
    direct: Option<Vec<Part>>,
    /// Compares ranges faster, and exactly, where it can be had.
    matching: Option<Matching>,
    scratch: Option<Scratch>,
}

/// What became of comparing a range.
#[derive(Debug)]
pub(crate) struct Compared {
    /// Rows of the table.
    pub(crate) rows: u64,
    /// The keys of rows that have no equal on the other side.
    pub(crate) different: Vec<Key>,
}

/// Stands for a hash that the server made NULL: more than any sum of real ones.
const NO_HASH: &str = "10000000000000000000000000000000000000000";

impl Comparer {
    /// For a run. `session` shows whether a temporary table can be had; where it cannot, all columns
    /// must be comparable by expressions.
    pub(crate) fn new(
        pair: &Arc<TablePair>,
        table: &Table,
        ghost: &Table,
        style: Style,
        session: &mut Session,
    ) -> Result<Self> {
        let (direct, exotic) = direct_parts(pair, table, ghost, style);
        let scratch = Scratch::new(pair, ghost, style);
        let scratch = match scratch.create(session) {
            Ok(()) => Some(scratch),
            // It is not needed: it would only have been the better judge. Its definition can be too much
            // for the server, too, where the table has all the columns that it may have.
            Err(error) if error.fault() != Some(Fault::Gone) && exotic.is_empty() => {
                log::debug!("rows are compared without a temporary table: {}", error.message());
                None
            }
            Err(error) => {
                let why = format!(
                    "comparing the column(s) {}, whose values are converted, needs a temporary table \
                     (CREATE TEMPORARY TABLES)",
                    exotic.join(", ")
                );
                return Err(error.context(why));
            }
        };
        Ok(Comparer {
            pair: Arc::clone(pair),
            direct: exotic.is_empty().then_some(direct),
            matching: Matching::new(pair, table, ghost, style),
            scratch,
        })
    }

    /// For two tables that only are looked at. The names of columns that cannot be compared, if there
    /// are any.
    pub(crate) fn by_expressions(
        pair: &Arc<TablePair>,
        table: &Table,
        other: &Table,
        style: Style,
    ) -> Result<Self, Vec<String>> {
        let (direct, exotic) = direct_parts(pair, table, other, style);
        if !exotic.is_empty() {
            return Err(exotic);
        }
        let matching = Matching::new(pair, table, other, style);
        Ok(Comparer { pair: Arc::clone(pair), direct: Some(direct), matching, scratch: None })
    }

    /// Compares a range: the rows behind `after` up to and with `through`.
    pub(crate) fn range(
        &self,
        session: &mut Session,
        after: Option<&Bound>,
        through: Option<&Bound>,
    ) -> Result<Compared> {
        let key = &self.pair.key;
        let source = predicate::range(key, Side::Source, after, through);
        let ghost = predicate::range(key, Side::Ghost, after, through);
        if let Some(matching) = &self.matching {
            return self.match_range(matching, session, (after, through), (&source, &ghost));
        }
        if let Some(parts) = &self.direct {
            let sql = format!(
                "SELECT {TAG} ({}), ({})",
                self.sum(parts, Side::Source, &source),
                self.sum(parts, Side::Ghost, &ghost)
            );
            let row = session.rows(&sql)?.into_iter().next().unwrap_or_default();
            let sum = |i: usize| row.get(i).cloned().flatten().ok_or_else(|| missing("a sum"));
            let (left, right) = (sum(0)?, sum(1)?);
            let (count, total) = left.split_once(' ').ok_or_else(|| missing("a sum"))?;
            if total.len() >= NO_HASH.len() {
                return Err(too_small());
            }
            if left == right {
                let rows = count.parse().map_err(|_| missing("how many rows there are"))?;
                return Ok(Compared { rows, different: Vec::new() });
            }
        }
        self.list(session, self.direct.is_none(), &source, &ghost)
    }

    fn match_range(
        &self,
        matching: &Matching,
        session: &mut Session,
        (after, through): (Option<&Bound>, Option<&Bound>),
        (source, ghost): (&str, &str),
    ) -> Result<Compared> {
        /// Of more than that, all rows of the range are rather listed.
        const FEW: usize = 2_000;
        let counted = session.rows(&matching.count(after, through))?;
        let counts: Option<Vec<u64>> = counted
            .first()
            .and_then(|row| row.iter().map(|count| count.as_ref()?.parse().ok()).collect());
        let counts = counts.ok_or_else(|| missing("how many rows there are"))?;
        let [joined, same, of_table, of_ghost] = counts.as_slice() else {
            return Err(missing("how many rows there are"));
        };
        if [same, of_table, of_ghost].iter().all(|count| *count == joined) {
            return Ok(Compared { rows: *of_table, different: Vec::new() });
        }
        let key = &self.pair.key;
        let mut keys = Vec::new();
        for row in session.rows(&matching.unequal(after, through))? {
            let texts: Option<Vec<String>> = row.into_iter().collect();
            let texts = texts.ok_or_else(|| missing("a key without NULL"))?;
            keys.push(key.key_at(Bound::of_selected(key, &texts)));
        }
        keys.sort();
        keys.dedup();
        // None: a row is there more than once, or they have become equal meanwhile.
        if keys.is_empty() || keys.len() > FEW {
            return self.list(session, false, source, ghost);
        }
        let different = self.list_keys(session, false, &keys)?;
        Ok(Compared { rows: *of_table, different })
    }

    /// Those of the keys at which the two differ, as the server stores values if that can be had.
    pub(crate) fn keys(&self, session: &mut Session, keys: &[Key]) -> Result<Vec<Key>> {
        self.list_keys(session, self.scratch.is_some(), keys)
    }

    fn list_keys(&self, session: &mut Session, stored: bool, keys: &[Key]) -> Result<Vec<Key>> {
        const AT_ONCE: usize = 500;
        let mut different = Vec::new();
        let mut parts: Vec<&[Key]> = keys.chunks(AT_ONCE).rev().collect();
        while let Some(keys) = parts.pop() {
            let condition = |side| predicate::keys(&self.pair.key, side, keys);
            let (source, ghost) = (condition(Side::Source)?, condition(Side::Ghost)?);
            match self.list(session, stored, &source, &ghost) {
                Ok(listed) => different.extend(listed.different),
                Err(error) if error.fault() == Some(Fault::TooBig) && keys.len() > 1 => {
                    let (first, second) = keys.split_at(keys.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(different)
    }

    /// In what the two differ at a key; `None` if they do not.
    pub(crate) fn describe(&self, session: &mut Session, key: &Key) -> Result<Option<Difference>> {
        let keys = std::slice::from_ref(key);
        let condition = |side| predicate::keys(&self.pair.key, side, keys);
        let (source, ghost) = (condition(Side::Source)?, condition(Side::Ghost)?);
        let (parts, from) = self.source_of(session, self.scratch.is_some(), &source)?;
        let values = |part: &Part, of: fn(&Part) -> &Value| {
            let Value { expr, length, shown, .. } = of(part);
            // The length tells values apart whose text ends in what is not shown.
            let length = length.clone().unwrap_or_else(|| "NULL".to_owned());
            format!("HEX(CONCAT({expr})), {length}, {shown}")
        };
        let select = |of: fn(&Part) -> &Value, from: &str| {
            let columns = join(parts.iter().map(|part| values(part, of)));
            format!("SELECT {TAG} {columns} FROM {from}")
        };
        let left = session.rows(&select(|part| &part.source, &from))?;
        let from = format!("{}{} WHERE {ghost}", self.pair.ghost, self.pair.key.hint(Side::Ghost));
        let right = session.rows(&select(|part| &part.ghost, &from))?;
        let of_kind =
            |kind, columns| Ok(Some(Difference { key: self.pair.key.display(key), kind, columns }));
        let (left, right) = match (left.as_slice(), right.as_slice()) {
            ([], []) => return Ok(None),
            ([_, ..], []) => return of_kind(DifferenceKind::Missing, Vec::new()),
            ([], [_, ..]) => return of_kind(DifferenceKind::Extra, Vec::new()),
            (_, [_, _, ..]) => return of_kind(DifferenceKind::Repeated, Vec::new()),
            ([left, ..], [right]) => (left, right),
        };
        let columns: Vec<ColumnDifference> = parts
            .iter()
            .zip(left.chunks(3).zip(right.chunks(3)))
            .filter(|(_, (left, right))| left.get(..2) != right.get(..2))
            .map(|(part, (left, right))| ColumnDifference {
                column: part.ghost.column.as_str().to_owned(),
                expected: left.get(2).cloned().flatten(),
                found: right.get(2).cloned().flatten(),
            })
            .collect();
        if columns.is_empty() { Ok(None) } else { of_kind(DifferenceKind::Values, columns) }
    }

    /// Hashes each row of both sides and sees which have no partner.
    fn list(
        &self,
        session: &mut Session,
        stored: bool,
        source: &str,
        ghost: &str,
    ) -> Result<Compared> {
        let (parts, from) = self.source_of(session, stored, source)?;
        let key = &self.pair.key;
        let left_keys: Vec<String> = match &self.scratch {
            Some(scratch) if stored => {
                let columns = key.columns.iter().zip(&scratch.keys);
                columns.map(|(c, name)| key_expr(&c.ty, &name.to_string())).collect()
            }
            _ => {
                let columns = key.columns.iter();
                columns.map(|c| key_expr(&c.ty, &c.name(Side::Source))).collect()
            }
        };
        let columns = key.columns.iter();
        let right_keys: Vec<String> =
            columns.map(|c| key_expr(&c.ty, &c.name(Side::Ghost))).collect();
        let select = |side: u8, hash: String, keys: &[String], from: &str| {
            let keys = join(keys.iter().map(|key| format!("CONCAT({key})")));
            format!("SELECT {side}, LEFT({hash}, 16), {keys} FROM {from}")
        };
        let left = select(0, row_hash(parts, |part| &part.source), &left_keys, &from);
        let right = select(
            1,
            row_hash(parts, |part| &part.ghost),
            &right_keys,
            &format!("{}{} WHERE {ghost}", self.pair.ghost, key.hint(Side::Ghost)),
        );
        // One statement sees both sides at one moment.
        let rows = session.rows(&format!("({left}) UNION ALL ({right})"))?;
        let mut unmatched: HashMap<String, (i64, Vec<Key>)> = HashMap::new();
        let mut count = 0;
        for row in rows {
            let mut row = row.into_iter();
            let side = row.next().flatten();
            let hash = row.next().flatten().ok_or_else(too_small)?;
            let texts: Option<Vec<String>> = row.collect();
            let texts = texts.ok_or_else(|| missing("a key without NULL"))?;
            let is_left = side.as_deref() == Some("0");
            count += u64::from(is_left);
            let entry = unmatched.entry(hash).or_default();
            entry.0 += if is_left { 1 } else { -1 };
            entry.1.push(key.key_at(Bound::of_selected(key, &texts)));
        }
        let different = unmatched.into_values().filter(|(balance, _)| *balance != 0);
        let mut different: Vec<Key> = different.flat_map(|(_, keys)| keys).collect();
        different.sort();
        different.dedup();
        Ok(Compared { rows: count, different })
    }

    /// Where the table's rows of a condition are read from: the table itself, or (`stored`) the
    /// temporary table, filled with them.
    fn source_of(
        &self,
        session: &mut Session,
        stored: bool,
        condition: &str,
    ) -> Result<(&[Part], String)> {
        match (&self.scratch, &self.direct) {
            (Some(scratch), _) if stored => {
                scratch.fill(session, condition)?;
                Ok((&scratch.parts, scratch.name.to_string()))
            }
            (_, Some(direct)) => {
                let TablePair { source, key, .. } = &*self.pair;
                Ok((direct, format!("{source}{} WHERE {condition}", key.hint(Side::Source))))
            }
            _ => Err(missing("how to compare")),
        }
    }

    /// The count and the sum of a range.
    fn sum(&self, parts: &[Part], side: Side, condition: &str) -> String {
        let TablePair { source, ghost, key, .. } = &*self.pair;
        let (table, hash) = match side {
            Side::Source => (source, row_hash(parts, |part| &part.source)),
            Side::Ghost => (ghost, row_hash(parts, |part| &part.ghost)),
        };
        format!(
            "SELECT CONCAT(COUNT(*), ' ', IFNULL(SUM(IFNULL(CAST(CONV(LEFT({hash}, 16), 16, 10) AS \
             UNSIGNED), {NO_HASH})), 0)) FROM {table}{} WHERE {condition}",
            key.hint(side)
        )
    }
}

/// How the columns that are copied are compared by expressions, and the names of those that cannot.
fn direct_parts(
    pair: &TablePair,
    table: &Table,
    ghost: &Table,
    style: Style,
) -> (Vec<Part>, Vec<String>) {
    let mut exotic = Vec::new();
    let mut parts = Vec::new();
    for (old, new) in &pair.columns {
        let columns = (table.column(old.as_str()), ghost.column(new.as_str()));
        match columns {
            (Some(old), Some(new)) => match Part::direct(old, new, style, Prefixes::default()) {
                Some(part) => parts.push(part),
                None => exotic.push(new.name.as_str().to_owned()),
            },
            _ => exotic.push(new.as_str().to_owned()),
        }
    }
    (parts, exotic)
}

/// The hash of a row, in hexadecimal digits.
fn row_hash(parts: &[Part], side: impl Fn(&Part) -> &Value) -> String {
    let mut terms: Vec<String> = parts.iter().map(|part| side(part).expr.clone()).collect();
    let nulls = parts.iter().filter(|part| part.nullable);
    let nulls = join(nulls.map(|part| format!("ISNULL({})", side(part).column)));
    if !nulls.is_empty() {
        terms.push(format!("CONCAT({nulls})"));
    }
    let lengths = join(parts.iter().filter_map(|part| side(part).length.as_ref()));
    if !lengths.is_empty() {
        terms.push(format!("CONCAT_WS(',', {lengths})"));
    }
    format!("SHA2(CONCAT_WS('#', {}), 256)", terms.join(", "))
}

/// A column that holds values of the table's key, in the form in which a row image has them, whatever
/// the type of the column: without the zeros of ZEROFILL, with the table's decimals.
pub(super) fn key_expr(ty: &KeyType, column: &str) -> String {
    match ty {
        KeyType::Int { unsigned: true } => format!("CAST({column} AS UNSIGNED)"),
        KeyType::Int { unsigned: false } => format!("CAST({column} AS SIGNED)"),
        KeyType::Decimal { precision, scale } => {
            format!("CAST({column} AS DECIMAL({precision}, {scale}))")
        }
        KeyType::Datetime { fsp } | KeyType::Timestamp { fsp } => {
            format!("CAST({column} AS DATETIME({fsp}))")
        }
        KeyType::Time { fsp } => format!("CAST({column} AS TIME({fsp}))"),
        ty => ty.select_expr(column),
    }
}

fn too_small() -> Error {
    Error::new(
        ErrorKind::Server,
        "the rows cannot be compared: max_allowed_packet of the server is too small for them",
    )
}
