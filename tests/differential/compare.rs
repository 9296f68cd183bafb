//! Compares the two clones: definitions to the letter, rows to the byte.

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::names::quote;

/// A table as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) definition: String,
    /// Name and type of each column, invisible ones included.
    pub(crate) columns: Vec<(String, String)>,
    /// Sorted.
    pub(crate) rows: Vec<Vec<Option<Vec<u8>>>>,
}

/// How the table is defined.
fn definition(conn: &mut Conn, name: &str) -> Result<String, mysql::Error> {
    let row: Option<mysql::Row> = conn.query_first(format!("SHOW CREATE TABLE {name}"))?;
    let bytes: Vec<u8> = row.and_then(|row| row.get(1)).unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The AUTO_INCREMENT counter of a table.
pub(crate) fn counter(conn: &mut Conn, schema: &str, table: &str) -> Option<u64> {
    let name = format!("{}.{}", quote(schema), quote(table));
    counter_in(&definition(conn, &name).unwrap_or_default())
}

fn counter_in(definition: &str) -> Option<u64> {
    let (_, tail) = definition.rsplit_once(" AUTO_INCREMENT=")?;
    tail.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads it. The session has UTC, a plain SQL mode, and gets text in the columns' own encoding.
pub(crate) fn read(conn: &mut Conn, schema: &str, table: &str) -> Result<Found, mysql::Error> {
    let name = format!("{}.{}", quote(schema), quote(table));
    let definition = definition(conn, &name)?;
    let columns: Vec<(Vec<u8>, Vec<u8>)> = conn.exec(
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
        (schema, table),
    )?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let columns: Vec<(String, String)> =
        columns.into_iter().map(|(name, ty)| (text(name), text(ty))).collect();
    let values: Vec<String> = columns
        .iter()
        .map(|(name, ty)| match ty.as_str() {
            // As text they have six digits.
            "float" => format!("CAST({} AS DOUBLE)", quote(name)),
            "enum" => format!("{0}, {0} + 0", quote(name)),
            _ => quote(name),
        })
        .collect();
    let mut rows: Vec<Vec<Option<Vec<u8>>>> = Vec::new();
    for row in conn.query_iter(format!("SELECT {} FROM {name}", values.join(", ")))? {
        let values = row?.unwrap().into_iter();
        rows.push(
            values
                .map(|value| match value {
                    mysql::Value::NULL => None,
                    mysql::Value::Bytes(bytes) => Some(bytes),
                    other => Some(format!("{other:?}").into_bytes()),
                })
                .collect(),
        );
    }
    rows.sort();
    Ok(Found { definition, columns, rows })
}

impl Found {
    /// Takes out what nobody can foresee: the values of these columns.
    pub(crate) fn mask(&mut self, names: &[&str]) {
        // An enum has two places.
        let mut place = 0;
        for (name, ty) in &self.columns {
            if names.iter().any(|masked| masked == name) {
                for row in &mut self.rows {
                    row[place] = Some(b"*".to_vec());
                }
            }
            place += if ty == "enum" { 2 } else { 1 };
        }
        self.rows.sort();
    }

    /// Takes out the names of CHECK constraints: in MySQL they are unique in the schema, so two
    /// tables that are there at the same time cannot have the same.
    pub(crate) fn forget_checks(&mut self) {
        let mut lines: Vec<String> = self.definition.lines().map(str::to_owned).collect();
        for line in &mut lines {
            if let Some((_, check)) = line.split_once("CHECK (")
                && line.starts_with("  CONSTRAINT `")
            {
                *line = format!("  CHECK ({}", check.trim_end_matches(','));
            }
        }
        let is_check = |line: &String| line.starts_with("  CHECK (");
        if let Some(first) = lines.iter().position(is_check) {
            let count = lines.iter().filter(|line| is_check(line)).count();
            lines[first..first + count].sort();
        }
        self.definition = lines.join("\n");
    }

    /// The AUTO_INCREMENT counter.
    pub(crate) fn counter(&self) -> Option<u64> {
        counter_in(&self.definition)
    }

    /// The AUTO_INCREMENT column, if there is one.
    pub(crate) fn numbered(&self) -> Vec<String> {
        let line = self.definition.lines().find(|line| line.contains(" AUTO_INCREMENT,"));
        let of = |line: &&str| {
            self.columns
                .iter()
                .find(|(name, _)| line.contains(&quote(name)))
                .map(|(n, _)| n.clone())
        };
        line.as_ref().and_then(of).into_iter().collect()
    }

    /// Takes out the counter.
    pub(crate) fn forget_counter(&mut self) {
        if let Some((head, tail)) = self.definition.rsplit_once(" AUTO_INCREMENT=") {
            let tail = tail.trim_start_matches(char::is_numeric);
            self.definition = format!("{head}{tail}");
        }
    }
}

/// The lines of two definitions that differ.
pub(crate) fn definitions(ours: &Found, native: &Found) -> Option<String> {
    if ours.definition == native.definition {
        return None;
    }
    let (a, b): (Vec<&str>, Vec<&str>) =
        (ours.definition.lines().collect(), native.definition.lines().collect());
    let mut text = String::new();
    for line in a.iter().filter(|line| !b.contains(line)) {
        text.push_str(&format!("ours:   {line}\n"));
    }
    for line in b.iter().filter(|line| !a.contains(line)) {
        text.push_str(&format!("native: {line}\n"));
    }
    if text.is_empty() {
        text = format!("the order of the lines:\n{}\n{}\n", ours.definition, native.definition);
    }
    Some(text)
}

/// The rows of two tables that differ, and the types of their columns that do.
pub(crate) fn rows(ours: &Found, native: &Found) -> Option<(String, String)> {
    if ours.rows == native.rows {
        return None;
    }
    let show = |row: &Vec<Option<Vec<u8>>>| -> String {
        row.iter()
            .map(|value| match value {
                None => "NULL".to_owned(),
                Some(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => format!("{text:?}"),
                    Err(_) => format!("{bytes:02x?}"),
                },
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let only_ours: Vec<_> = ours.rows.iter().filter(|row| !native.rows.contains(row)).collect();
    let only_native: Vec<_> = native.rows.iter().filter(|row| !ours.rows.contains(row)).collect();
    let mut text = format!("{} rows, native {}\n", ours.rows.len(), native.rows.len());
    for row in only_ours.iter().take(4) {
        text.push_str(&format!("ours:   {}\n", show(row)));
    }
    for row in only_native.iter().take(4) {
        text.push_str(&format!("native: {}\n", show(row)));
    }
    let mut kinds = Vec::new();
    if only_ours.len() == only_native.len() {
        let mut place = 0;
        for (_, ty) in &native.columns {
            let width = if ty == "enum" { 2 } else { 1 };
            let differs = only_ours
                .iter()
                .zip(&only_native)
                .any(|(a, b)| a.get(place..place + width) != b.get(place..place + width));
            if differs {
                kinds.push(ty.as_str());
            }
            place += width;
        }
    } else {
        kinds.push("count");
    }
    Some((kinds.join(","), text))
}
