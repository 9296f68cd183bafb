//! Which cases there are, and where each one takes place.

use std::io::{self, Write};

use anyhow::Result;
use clap::ValueEnum;
use online_alter_support::Flavor;

use crate::flags::{Case, Flags};
use crate::output::machine;
use crate::place::Place;
use crate::results::{Line, Measured, Results, Verdict};
use crate::{backlog, chart, cut_over, hot_row, idle, load, memory, note, throttle};

/// Rows of the table that is swapped again and again.
const SMALL: u64 = 50_000;

/// Measures the cases that are asked for, and writes each one down as soon as it is done.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut results = Results::read(&flags.json)?;
    let cases = if flags.cases.is_empty() { Case::value_variants() } else { &flags.cases };
    let mut place: Option<Place> = None;
    for case in cases {
        let measured = if *case == Case::Memory {
            drop(place.take());
            memory::run()?
        } else {
            let here = case.place(flags, place.take())?;
            note(format_args!("case {case:?} on {}, pool {}", here.flavor(), here.pool));
            let measured = case.measure(flags, &here)?;
            place = Some(here);
            measured
        };
        for measured in measured {
            write!(io::stdout(), "{measured}")?;
            results.put(measured);
        }
        results.write(&flags.json)?;
        chart::write(&results, &flags.out)?;
    }
    Ok(())
}

impl Case {
    /// The server and its table: the one of the case before, if that will do. Two servers at once would
    /// share the machine.
    fn place(self, flags: &Flags, before: Option<Place>) -> Result<Place> {
        let (flavor, pool) = match self {
            Case::SmallPool => (Flavor::Mysql, "128M"),
            Case::Mariadb => (Flavor::MariaDb, "2G"),
            _ => (Flavor::Mysql, "2G"),
        };
        let flavor = flags.server.unwrap_or(flavor);
        let pool = flags.pool.as_deref().unwrap_or(pool);
        let rows = if self == Case::CutOver { flags.rows.min(SMALL) } else { flags.rows };
        match before {
            Some(place)
                if (place.flavor(), place.pool.as_str(), place.rows) == (flavor, pool, rows) =>
            {
                Ok(place)
            }
            other => {
                drop(other);
                Place::new(flavor, pool, rows, &flags.settings, flags.lock.clone())
            }
        }
    }

    fn measure(self, flags: &Flags, place: &Place) -> Result<Vec<Measured>> {
        let title = |case| format!("{case}: {}, pool {}", place.flavor(), place.pool);
        match self {
            Case::Idle | Case::SmallPool | Case::Mariadb => {
                let bar = match (place.flavor().is_mariadb(), place.pool.as_str()) {
                    (true, _) => 0.7,
                    (false, "128M") => 0.65,
                    (false, _) => 0.75,
                };
                idle::run(flags, place, &title("idle"), bar)
            }
            Case::Load => load::run(flags, place, &title("under load")),
            Case::CutOver => cut_over::run(flags, place, &title("cut-over")),
            Case::Backlog => backlog::run(flags, place, &title("backlog")),
            Case::HotRow => hot_row::run(flags, place, &title("hot row")),
            Case::Throttle => throttle::run(flags, place, &title("throttled")),
            Case::Memory => memory::run(),
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
