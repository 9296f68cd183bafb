//! Lists, and with --execute removes, what runs that died have left: `cargo run --release --example cleanup -- --help`.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "shared with examples that need more of it")]
mod common;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use online_alter::mysql::{Opts, OptsBuilder};
use online_alter::{Cleaned, ErrorKind, Remnant, Removal, cleanup};

use crate::common::{say, warn};

/// Lists what runs of online-alter that died (killed, power cut, out of memory) have left on a server; with --execute
/// removes it. As with gh-ost's --execute, nothing is changed without.
///
/// Listed are ghost tables (_t_gho), state tables (_t_ghc), the table that guards the old one's name (_t_del), old tables (_t_del),
/// connections of dead runs that the server still has, foreign keys of old tables, and replication that a test on a replica has stopped. What is
/// not known to be a run's stays (gh-ost uses the same names), and so does everything of a run that is alive. An old table
/// goes only if --drop names it.
///
/// Exits with 0 if nothing is left (or, without --execute, nothing is there), 1 if something is, 2 on wrong usage, 3
/// if it could not be looked at or removed.
// No Debug: an address may hold a password.
#[derive(Parser)]
#[command(name = "cleanup")]
struct Flags {
    /// The server, such as mysql://user@host:3306/schema. A password that is not in it is taken from
    /// `MYSQL_PWD`.
    #[arg(long, env = "ONLINE_ALTER_URL", hide_env_values = true)]
    url: String,

    /// The schema, if the URL has none or another.
    #[arg(long)]
    database: Option<String>,

    /// Only what runs on this table have left. Default: all tables of the schema.
    #[arg(long)]
    table: Option<String>,

    /// Removes it. Without this it is only listed.
    #[arg(long)]
    execute: bool,

    /// A table that goes only if it is named, such as _t_del. Can be given several times.
    #[arg(long, value_name = "TABLE")]
    drop: Vec<String>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    env_logger::init();
    // The error quotes the URL, password and all.
    let Ok(opts) = Opts::from_url(&flags.url) else {
        warn("the URL cannot be used");
        return ExitCode::from(2);
    };
    match run(&flags, opts) {
        Ok(left) => ExitCode::from(u8::from(left)),
        Err(error) => {
            warn(&error);
            ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 3 })
        }
    }
}

/// Returns whether anything is there in the end.
fn run(flags: &Flags, opts: Opts) -> online_alter::Result<bool> {
    let password = opts.get_pass().map(str::to_owned).or_else(|| std::env::var("MYSQL_PWD").ok());
    let mut what = cleanup(OptsBuilder::from_opts(opts).pass(password));
    if let Some(schema) = &flags.database {
        what = what.schema(schema);
    }
    if let Some(table) = &flags.table {
        what = what.table(table);
    }
    for table in &flags.drop {
        what = what.named(table);
    }
    if flags.execute {
        let Cleaned { removed, left, .. } = what.remove()?;
        say(table(&removed, &left));
        return Ok(!left.is_empty());
    }
    let found = what.list()?;
    say(table(&[], &found));
    if found.iter().any(|remnant| remnant.removal == Removal::Allowed) {
        say("nothing is changed without --execute");
    }
    Ok(!found.is_empty())
}

/// What is there, one line each.
fn table(removed: &[Remnant], left: &[Remnant]) -> String {
    let mut rows =
        vec![["WHAT", "NAME", "OF", "KNOWN BY", "AGE", "SIZE", "REMOVAL"].map(str::to_owned)];
    let removed = removed.iter().map(|remnant| (remnant, "removed".to_owned()));
    let left = left.iter().map(|remnant| (remnant, remnant.removal.to_string()));
    for (remnant, removal) in removed.chain(left) {
        rows.push([
            remnant.role.to_string(),
            remnant.leftover.to_string(),
            remnant.table.clone(),
            remnant.evidence.to_string(),
            remnant.age.map_or_else(String::new, age),
            remnant.bytes.map_or_else(String::new, size),
            removal,
        ]);
    }
    if rows.len() == 1 {
        return "there is nothing to clean up".to_owned();
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max()
    };
    let widths: Vec<usize> = (0..6).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", row.last().map_or("", String::as_str));
    }
    text.truncate(text.trim_end().len());
    text
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 10 {
        kib @ ..10_240 => format!("{kib} KiB"),
        kib @ ..10_485_760 => format!("{} MiB", kib >> 10),
        kib => format!("{} GiB", kib >> 20),
    }
}
