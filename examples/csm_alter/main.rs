//! Alters `courseware_studentmodule` under load and looks for damage: `make demo`.

#[path = "../common/bar.rs"]
mod bar;
#[path = "../common/mod.rs"]
mod common;
mod flags;
mod summary;
mod target;
mod watch;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use online_alter::TableState;
use online_alter_support::{Table, Workload, Writers, check, csm};

use crate::common::{Interrupts, say, warn};
use crate::flags::Flags;
use crate::summary::Summary;
use crate::target::Target;
use crate::watch::{Span, alter};

/// For how long the writers run before the alteration, to be compared with.
const BASELINE: Duration = Duration::from_secs(2);
/// For how long they run on the new table.
const AFTERWARDS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let flags = Flags::parse();
    let filter = env_logger::Env::new().default_filter_or("warn");
    env_logger::Builder::from_env(filter).target(bar::log_target()).init();
    match run(&flags) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            warn(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The demo, and whether everything went well.
fn run(flags: &Flags) -> Result<bool> {
    let interrupts = Interrupts::listen()?;
    let target = Target::new(flags)?;
    say(format_args!("filling {} with {} rows", csm::TABLE, flags.rows));
    target.create_table(flags.rows)?;
    let result = demo(flags, &target, &interrupts);
    let keep = match &result {
        Ok(summary) => flags.keep || !summary.is_clean(),
        // Nobody should drop what a person has to look at.
        Err(error) => error
            .downcast_ref::<online_alter::Error>()
            .is_some_and(|error| error.table_state() != TableState::Untouched),
    };
    if !keep {
        target.clean_up();
    }
    let summary = result?;
    say(format_args!("\n{summary}"));
    Ok(summary.is_clean())
}

fn demo(flags: &Flags, target: &Target, interrupts: &Interrupts) -> Result<Summary> {
    let version = target.version()?;
    let table = Table::csm(csm::TABLE);
    let mut workload = Workload::new(table.clone());
    workload.writers = flags.writers;
    workload.rate = flags.rate;
    let writers = Writers::start(&target.url, workload)?;
    say(format_args!("{} writers have the server for themselves", flags.writers));
    let baseline = pause(BASELINE, interrupts)?;
    say("the alteration begins");
    let altered = alter(&target.url, &writers, interrupts)?;
    say(&altered.report);
    pause(AFTERWARDS, interrupts)?;
    let outcome = writers.stop();
    say("the writers have stopped; comparing the table with their journal");
    let check =
        check(&mut target.connect()?, &table, &outcome).context("the table cannot be read")?;
    Ok(Summary {
        version,
        rows: flags.rows,
        report: altered.report,
        baseline,
        alteration: altered.all,
        copy: altered.copy,
        cut_over: altered.cut_over,
        outcome,
        check,
        type_of_id: target.type_of_id()?,
    })
}

fn pause(time: Duration, interrupts: &Interrupts) -> Result<Span> {
    let began = Instant::now();
    while began.elapsed() < time {
        ensure!(interrupts.count() == 0, "interrupted");
        thread::sleep(Duration::from_millis(50));
    }
    Ok((began, Instant::now()))
}
