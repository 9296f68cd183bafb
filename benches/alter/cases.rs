//! Which cases there are, and where each one takes place.

use std::io::{self, Write};

use anyhow::Result;
use clap::ValueEnum;
use online_alter_support::Flavor;

use crate::flags::{Case, Flags};
use crate::output::machine;
use crate::place::Place;
use crate::results::{Line, Measured, Results, Verdict};
use crate::{backlog, chart, cut_over, hot_row, idle, load, memory, note};

/// Rows of the table that is swapped again and again.
const SMALL: u64 = 50_000;

/// Measures the cases that are asked for, and writes each one down as soon as it is done.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut results = Results::read(&flags.json)?;
    let cases = if flags.cases.is_empty() { Case::value_variants() } else { &flags.cases };
    let mut place: Option<Place> = None;
    for case in cases {
        let (flavor, pool) = case.place();
        let flavor = flags.server.unwrap_or(flavor);
        let pool = flags.pool.as_deref().unwrap_or(pool);
        let rows = if *case == Case::CutOver { flags.rows.min(SMALL) } else { flags.rows };
        // Two servers at once would share the machine.
        let here = match place.take() {
            Some(place)
                if (place.flavor(), place.pool.as_str(), place.rows) == (flavor, pool, rows) =>
            {
                place
            }
            other => {
                drop(other);
                Place::new(flavor, pool, rows, flags.lock.clone())?
            }
        };
        note(format_args!("case {case:?} on {flavor}, pool {pool}"));
        for measured in case.measure(flags, &here)? {
            write!(io::stdout(), "{measured}")?;
            results.put(measured);
        }
        results.write(&flags.json)?;
        chart::write(&results, &flags.out)?;
        place = Some(here);
    }
    Ok(())
}

impl Case {
    /// The server and its buffer pool, unless told otherwise.
    fn place(self) -> (Flavor, &'static str) {
        match self {
            Case::SmallPool => (Flavor::Mysql, "128M"),
            Case::Mariadb => (Flavor::MariaDb, "2G"),
            _ => (Flavor::Mysql, "2G"),
        }
    }

    fn measure(self, flags: &Flags, place: &Place) -> Result<Vec<Measured>> {
        let title = format!("{}, pool {}", place.flavor(), place.pool);
        match self {
            Case::Idle => idle::run(flags, place, &format!("idle: {title}"), 0.75),
            Case::SmallPool => idle::run(flags, place, &format!("idle: {title}"), 0.65),
            Case::Mariadb => idle::run(flags, place, &format!("idle: {title}"), 0.7),
            Case::Load => load::run(flags, place, &format!("under load: {title}")),
            Case::CutOver => cut_over::run(flags, place, &format!("cut-over: {title}")),
            Case::Backlog => backlog::run(flags, place, &format!("backlog: {title}")),
            Case::HotRow => hot_row::run(flags, place, &format!("hot row: {title}")),
            Case::Memory => memory::run(place),
        }
    }
}

/// A case with where it was measured.
pub(crate) fn measured(
    place: &Place,
    title: &str,
    lines: Vec<Line>,
    verdicts: Vec<Verdict>,
) -> Measured {
    let (title, settings) = (title.to_owned(), place.settings());
    Measured { title, machine: machine(), settings, lines, verdicts }
}
