//! The server's own ALTER against ours: random tables, rows, ALTERs and writers. What ours makes of
//! a table, while writers write to it, must be what the server makes of a clone that got the same
//! writes: the definition to the letter, the rows to the byte.
//!
//! What is not compared, and why:
//! - the names of CHECK constraints on MySQL: they are unique in the schema, and for a while both tables are there;
//! - the values of new columns whose DEFAULT is the time: each ALTER has its own;
//! - the AUTO_INCREMENT counter where it has come to the end of its type (servers count on, or not), where an INSERT
//!   has failed, or has reserved more numbers than it used: the servers themselves forget such reserves, or find
//!   them again, when they open a table the next time.
//!
//! What we refuse though the server does it, and the few things that we do though it does not, are in
//! `verdict.rs`, each with its reason; how often each came up is said in the end.
//!
//! `CASES=n` runs so many cases, `SEED=n` begins at that one: case n always is the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::format_push_string,
    reason = "a test fails by panicking, and says what it saw"
)]

mod alters;
mod bench;
mod case;
mod compare;
mod names;
mod retype;
mod rng;
mod shrink;
mod table;
mod tables;
mod tally;
mod twins;
mod types;
mod values;
mod verdict;
mod writes;

use std::time::Duration;

use online_alter_support::{Flavor, Server, available};

use crate::bench::Bench;
use crate::case::Case;
use crate::tally::Tally;
use crate::verdict::Verdict;

/// About a minute and a half.
const CASES: u64 = 400;

/// Where nobody asked for a number, a slow machine runs fewer.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn mysql() {
    run(Flavor::Mysql);
}

#[test]
fn mariadb() {
    run(Flavor::MariaDb);
}

#[test]
#[ignore = "the two others are run by default: SERVER=mariadb11"]
fn mariadb11() {
    run(Flavor::MariaDb11);
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
        }
        _ => default,
    }
}

fn run(flavor: Flavor) {
    // RUST_LOG=online_alter=debug shows what a run does.
    let _ = env_logger::try_init();
    let (first, cases) = (number("SEED", 1), number("CASES", CASES));
    let server = Server::builder(flavor).option("--innodb-flush-log-at-trx-commit=0").start();
    let Some(server) = available(server) else { return };
    let mut bench = Bench::new(&server);
    let mut tally = Tally::new(flavor);
    let asked = std::env::var_os("CASES").is_some_and(|cases| !cases.is_empty());
    for seed in first..first + cases {
        if !asked && tally.is_over(LIMIT) {
            break;
        }
        tally.begins(seed);
        let case = Case::new(seed, flavor);
        let verdict = bench.run(&case);
        if let Verdict::Wrong(wrong) = &verdict
            && tally.is_new(wrong)
        {
            let (case, wrong) = shrink::shrink(&mut bench, &case, wrong);
            tally.show(&case, &wrong);
        }
        tally.ends(seed, &verdict);
    }
    tally.finish();
}
