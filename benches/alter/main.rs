//! The table that edX has to alter, altered by the server itself, by a plain chunk loop and by
//! this library, on private servers, idle and under load: `make bench-alter`.
//!
//! Every contender gets the same bytes: the table's file is saved once (under
//! `target/tmp/bench-alter`, also for later) and imported before each run, and a run begins when the
//! server has purged and flushed what came before.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers for people"
)]

mod backlog;
mod cases;
mod chart;
mod chunk_loop;
mod cut_over;
mod flags;
mod here;
mod hot_row;
mod idle;
mod load;
mod lock;
mod memory;
mod native;
mod ours;
mod output;
mod place;
mod process;
mod results;
mod throttle;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::flags::Flags;

fn main() -> ExitCode {
    let flags = Flags::parse();
    env_logger::Builder::from_env(env_logger::Env::new().default_filter_or("warn")).init();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<()> {
    match (&flags.child, flags.pending) {
        (Some(task), _) => ours::child(task),
        (None, Some(factor)) => memory::child(factor),
        (None, None) => cases::run(flags),
    }
}

/// What goes on, for who waits.
fn note(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
