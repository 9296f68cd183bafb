//! Compares the rows of two tables of one server: `cargo run --release --example compare -- --help`.

#[path = "common/column_map.rs"]
mod column_map;
#[path = "common/mod.rs"]
#[allow(dead_code, reason = "shared with examples that need more of it")]
mod common;

use std::process::ExitCode;

use clap::Parser;
use online_alter::mysql::{Opts, OptsBuilder};
use online_alter::{Compare, Comparison};

use crate::column_map::{ColumnMap, column_map};
use crate::common::{say, warn};

/// Compares the rows of two tables of one server, exactly and without locking anything.
///
/// Exits with 0 if they are equal, 1 if rows differ, 2 on wrong usage, 3 if they could not be compared.
// No Debug: an address may hold a password.
#[derive(Parser)]
#[command(name = "compare")]
struct Flags {
    /// The server, such as mysql://user@host:3306/schema. A password that is not in it is taken from
    /// `MYSQL_PWD`.
    #[arg(long, env = "ONLINE_ALTER_URL", hide_env_values = true)]
    url: String,

    /// The table, if need be with its schema: app.t
    #[arg(value_parser = table)]
    table: Table,

    /// The table to compare it with.
    #[arg(value_parser = table)]
    other: Table,

    /// Columns that have another name in the other table: old=new,.. with nothing behind the = for one
    /// that is not to be compared. A comma, = or backslash in a name takes a backslash in front
    #[arg(long, value_name = "OLD=NEW,..", value_parser = column_map)]
    column_map: Option<ColumnMap>,

    /// How many differing rows are shown; all are counted.
    #[arg(long, default_value_t = 20)]
    show: usize,

    /// How many connections compare.
    #[arg(long, default_value_t = 2)]
    workers: u8,

    /// How often, half a second apart, a row must be seen to differ before it counts.
    #[arg(long, default_value_t = 3)]
    looks: u32,
}

#[derive(Clone, Debug)]
struct Table {
    schema: Option<String>,
    name: String,
}

/// Names with dots in them can be given in backquotes: `` `a.b`.`c` ``
fn table(text: &str) -> Result<Table, String> {
    let (first, rest) = part(text)?;
    let Some(rest) = rest else { return Ok(Table { schema: None, name: first }) };
    match part(rest)? {
        (name, None) => Ok(Table { schema: Some(first), name }),
        _ => Err("more than a schema and a table".to_owned()),
    }
}

/// A name, and what stands behind the dot that ends it.
fn part(text: &str) -> Result<(String, Option<&str>), String> {
    let Some(quoted) = text.strip_prefix('`') else {
        return Ok(match text.split_once('.') {
            Some((name, rest)) => (name.to_owned(), Some(rest)),
            None => (text.to_owned(), None),
        });
    };
    // A backquote inside is written twice.
    let quoted = quoted.replace("``", "\0");
    let (name, _) = quoted.split_once('`').ok_or("a backquote is not closed")?;
    let name = name.replace('\0', "`");
    let rest = text.get(name.replace('`', "``").len() + 2..).unwrap_or_default();
    match rest.strip_prefix('.') {
        Some(rest) => Ok((name, Some(rest))),
        None if rest.is_empty() => Ok((name, None)),
        None => Err("something stands behind the closing backquote".to_owned()),
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    env_logger::init();
    // The error quotes the URL, password and all.
    let Ok(opts) = Opts::from_url(&flags.url) else {
        warn("the URL cannot be used");
        return ExitCode::from(2);
    };
    match compare(&flags, opts) {
        Ok(found) => {
            say(&found);
            ExitCode::from(u8::from(!found.is_equal()))
        }
        Err(error) => {
            warn(error.message());
            ExitCode::from(3)
        }
    }
}

fn compare(flags: &Flags, opts: Opts) -> online_alter::Result<Comparison> {
    let password = opts.get_pass().map(str::to_owned).or_else(|| std::env::var("MYSQL_PWD").ok());
    let map = flags.column_map.iter().flat_map(|map| &map.0);
    let map = map.map(|(old, new)| (old.as_str(), new.as_deref()));
    let Table { schema, name } = &flags.table;
    let mut compare =
        Compare::new(OptsBuilder::from_opts(opts).pass(password), name, &flags.other.name)
            .column_map(map)
            .described(flags.show)
            .workers(flags.workers.into())
            .looks(flags.looks);
    if let Some(schema) = schema {
        compare = compare.schema(schema);
    }
    if let Some(schema) = &flags.other.schema {
        compare = compare.other_schema(schema);
    }
    compare.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables() {
        let parsed = |text| table(text).map(|t| (t.schema, t.name));
        assert_eq!(parsed("t"), Ok((None, "t".to_owned())));
        assert_eq!(parsed("s.t"), Ok((Some("s".to_owned()), "t".to_owned())));
        assert_eq!(parsed("`a.b`.`c``d`"), Ok((Some("a.b".to_owned()), "c`d".to_owned())));
        for bad in ["a.b.c", "`a", "`a`b"] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }
}
