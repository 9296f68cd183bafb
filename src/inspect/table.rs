//! A table: its columns, its indexes, its definition.

use serde::{Deserialize, Serialize};

use super::column::Column;
pub(crate) use super::definition::Definition;
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Ident, TableName, literal};

/// A table as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) definition: Definition,
    /// The server's estimates.
    pub(crate) rows: u64,
    pub(crate) row_bytes: u64,
    pub(crate) data_bytes: u64,
    pub(crate) index_bytes: u64,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) name: Ident,
    pub(crate) unique: bool,
    /// The optimizer may use it; an invisible one cannot even be forced on it.
    pub(crate) visible: bool,
    /// Its rows can be found by their values: it is no FULLTEXT or SPATIAL index.
    pub(crate) ordered: bool,
    pub(crate) parts: Vec<IndexPart>,
}

/// A column of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexPart {
    /// `None` if it is an expression.
    pub(crate) column: Option<String>,
    /// Only the first characters are indexed.
    pub(crate) prefix: Option<u64>,
    pub(crate) descending: bool,
}

impl Index {
    pub(crate) fn is_primary(&self) -> bool {
        self.name.as_str() == "PRIMARY"
    }
}

impl Table {
    pub(crate) fn has_primary_key(&self) -> bool {
        self.indexes.iter().any(Index::is_primary)
    }

    /// Reads a table, which must be a base table of InnoDB.
    pub(crate) fn read(session: &mut Session, name: &TableName) -> Result<Self> {
        let of_table = of_table(name);
        let sql = format!(
            "SELECT TABLE_TYPE, ENGINE, TABLE_ROWS, AVG_ROW_LENGTH, DATA_LENGTH, INDEX_LENGTH \
             FROM information_schema.TABLES WHERE {of_table}"
        );
        let mut rows = session.rows(&sql)?;
        let Some(row) = rows.pop() else {
            return Err(Error::new(
                ErrorKind::NoSuchTable,
                format!("there is no table {name}, or the user has no privilege on it"),
            ));
        };
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let number = |i: usize| text(i).parse().unwrap_or(0);
        let (kind, engine) = (text(0), text(1));
        if kind != "BASE TABLE" {
            return Err(Error::new(
                ErrorKind::UnsupportedTable,
                format!("{name} is not a base table but a {kind}"),
            ));
        }
        if !engine.eq_ignore_ascii_case("InnoDB") {
            return Err(Error::new(
                ErrorKind::UnsupportedTable,
                format!("{name} is a table of the engine {engine}, and only InnoDB is supported"),
            ));
        }
        Ok(Table {
            name: name.clone(),
            columns: read_columns(session, &of_table)?,
            indexes: read_indexes(session, &of_table)?,
            definition: Definition::read(session, name)?,
            rows: number(2),
            row_bytes: number(3),
            data_bytes: number(4),
            index_bytes: number(5),
        })
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.is_column(name))
    }

    /// Whether rows are put into partitions by a hash that the server makes of columns.
    pub(crate) fn is_partitioned_by_key(&self) -> bool {
        let text = &self.definition.text;
        let partitions = text.rfind("PARTITION BY ").and_then(|start| text.get(start..));
        // The last one is that of the subpartitions, if there are any.
        partitions.is_some_and(|text| {
            ["PARTITION BY KEY ", "PARTITION BY LINEAR KEY "].iter().any(|by| text.starts_with(by))
        })
    }

    /// Whether it has an AUTO_INCREMENT column.
    pub(crate) fn counts(&self) -> bool {
        self.columns.iter().any(|column| column.auto_increment)
    }

    /// Whether a table, or anything else of that name, is there.
    pub(crate) fn exists(session: &mut Session, name: &TableName) -> Result<bool> {
        let sql = format!("SELECT 1 FROM information_schema.TABLES WHERE {}", of_table(name));
        Ok(session.scalar(&sql)?.is_some())
    }

    /// The comment of a table, if it is there.
    pub(crate) fn comment(session: &mut Session, name: &TableName) -> Result<Option<String>> {
        session.scalar(&format!(
            "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE {}",
            of_table(name)
        ))
    }
}

fn of_table(name: &TableName) -> String {
    format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal::text(name.schema.as_str()),
        literal::text(name.table.as_str())
    )
}

fn read_columns(session: &mut Session, of_table: &str) -> Result<Vec<Column>> {
    let sql = format!(
        "SELECT COLUMN_NAME, IS_NULLABLE, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, \
         COLLATION_NAME, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, \
         CHARACTER_OCTET_LENGTH, GENERATION_EXPRESSION, EXTRA, COLUMN_DEFAULT, \
         CHARACTER_MAXIMUM_LENGTH \
         FROM information_schema.COLUMNS WHERE {of_table} ORDER BY ORDINAL_POSITION"
    );
    let column = |row: Vec<Option<String>>| {
        let get = |i: usize| row.get(i).cloned().flatten();
        let extra = get(11).unwrap_or_default().to_ascii_lowercase();
        Column {
            name: Ident::new(get(0).unwrap_or_default()),
            nullable: get(1).as_deref() == Some("YES"),
            data_type: get(2).unwrap_or_default().to_ascii_lowercase(),
            column_type: get(3).unwrap_or_default(),
            charset: get(4),
            collation: get(5),
            precision: get(6).and_then(|n| n.parse().ok()),
            scale: get(7).and_then(|n| n.parse().ok()),
            fsp: get(8).and_then(|n| n.parse().ok()).unwrap_or(0),
            octets: get(9).and_then(|n| n.parse().ok()),
            characters: get(13).and_then(|n| n.parse().ok()),
            generated: get(10).is_some_and(|expression| !expression.is_empty()),
            expression: get(10).unwrap_or_default(),
            auto_increment: extra.contains("auto_increment"),
            has_default: get(12).is_some() || extra.contains("default_generated"),
            default: get(12).unwrap_or_default(),
        }
    };
    Ok(session.rows(&sql)?.into_iter().map(column).collect())
}

fn read_indexes(session: &mut Session, of_table: &str) -> Result<Vec<Index>> {
    // IS_VISIBLE (MySQL) and IGNORED (MariaDB) are the same thing with opposite signs; all
    // columns are selected because neither server has both.
    let sql = format!(
        "SELECT * FROM information_schema.STATISTICS WHERE {of_table} \
         ORDER BY INDEX_NAME, SEQ_IN_INDEX"
    );
    let mut indexes: Vec<Index> = Vec::new();
    for row in session.named_rows(&sql)? {
        let get = |name: &str| {
            row.iter()
                .find(|(column, _)| column.eq_ignore_ascii_case(name))
                .and_then(|(_, value)| value.clone())
        };
        let name = Ident::new(get("INDEX_NAME").unwrap_or_default());
        let part = IndexPart {
            column: get("COLUMN_NAME"),
            prefix: get("SUB_PART").and_then(|n| n.parse().ok()),
            descending: get("COLLATION").as_deref() == Some("D"),
        };
        match indexes.last_mut() {
            Some(index) if index.name == name => index.parts.push(part),
            _ => indexes.push(Index {
                name,
                unique: get("NON_UNIQUE").as_deref() == Some("0"),
                visible: get("IS_VISIBLE").as_deref() != Some("NO")
                    && get("IGNORED").as_deref() != Some("YES"),
                ordered: matches!(get("INDEX_TYPE").as_deref(), Some("BTREE" | "HASH")),
                parts: vec![part],
            }),
        }
    }
    Ok(indexes)
}
