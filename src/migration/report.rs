//! The result of a run that went well.

use std::fmt;
use std::time::Duration;

use super::native::NativeAlter;
use super::replica_test::ReplicaTest;
use super::verification::Verification;

/// What a run has done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The table, quoted.
    pub table: String,
    /// How the server altered the table by itself, if it did: then nothing was copied.
    pub native: Option<NativeAlter>,
    /// Why the server did not alter the table by itself, though it was asked to
    /// ([`attempt_instant`](crate::OnlineAlter::attempt_instant)).
    pub not_native: Option<String>,
    /// The table as it was, under its new name, quoted; `None` if it was dropped, or there was none.
    pub old_table: Option<String>,
    /// What a [test on a replica](crate::OnReplica::Test) came to, if it was one: then the table is as it was.
    pub test: Option<ReplicaTest>,
    /// Rows that the copy read.
    pub rows_copied: u64,
    /// Keys refreshed because of changes during the run. May exceed the number of changes: a row that
    /// was deleted is looked at again after the chunks that were under way.
    pub keys_refreshed: u64,
    /// Changed keys that came through the binlog stream, repetitions included.
    pub keys_changed: u64,
    /// How long it all took.
    pub elapsed: Duration,
    /// How long the copy took.
    pub copy_time: Duration,
    /// Attempts that the cut-over took.
    pub cut_over_attempts: u32,
    /// For how long writers were blocked in the attempt that succeeded, seen from here.
    pub locked: Duration,
    /// For how long in all the run held back.
    pub throttled_time: Duration,
    /// What comparing the rows before the swap has found; `None` if it was turned off.
    pub verification: Option<Verification>,
    /// Keys of rows that were written to the old table at the worst moment of the cut-over, and
    /// have been brought over. Nothing is lost.
    pub reconciled_keys: Vec<String>,
    /// Keys of such rows that the new table was written at since, so that it is not clear which
    /// write should stand: compare them with the old table.
    pub conflicting_keys: Vec<String>,
    /// The foreign keys of the table, each by its name before and its name now; none if they were
    /// discarded. The old table has none any more.
    pub foreign_keys: Vec<(String, String)>,
    /// The triggers of the table, each by its name on the table as it was and its name now.
    pub triggers: Vec<(String, String)>,
    /// What went wrong after the swap, such as a table that could not be dropped, in words.
    pub warnings: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(how) = self.native {
            let seconds = self.elapsed.as_secs_f64();
            return write!(
                f,
                "{} is altered by the server itself, {how}, in {seconds:.1} s",
                self.table
            );
        }
        let what = if self.test.is_some() { "was tested" } else { "is altered" };
        write!(
            f,
            "{} {what}: {} rows copied, {} keys refreshed in {:.1} s",
            self.table,
            self.rows_copied,
            self.keys_refreshed,
            self.elapsed.as_secs_f64(),
        )?;
        if self.test.is_none() {
            write!(
                f,
                "; cut over in {} attempt(s), writers blocked for {:.1} ms",
                self.cut_over_attempts,
                self.locked.as_secs_f64() * 1000.0,
            )?;
        }
        writeln!(f)?;
        match &self.verification {
            Some(found) if found.repaired > 0 => writeln!(
                f,
                "{} rows compared, REPAIRED: {} that differed, the last of {} times none did",
                found.rows, found.repaired, found.passes
            )?,
            Some(found) => writeln!(
                f,
                "{} rows compared in {:.1} s, none differed",
                found.rows,
                found.elapsed.as_secs_f64()
            )?,
            None => {}
        }
        match (&self.test, &self.old_table) {
            (Some(test), _) => write!(f, "{test}")?,
            (None, Some(old)) => write!(f, "the table as it was is {old}")?,
            (None, None) => f.write_str("the table as it was is dropped")?,
        }
        if let Some(why) = &self.not_native {
            write!(f, "\nrows were copied, as the server did not do it by itself: {why}")?;
        }
        for (what, names) in [("foreign key", &self.foreign_keys), ("trigger", &self.triggers)] {
            for (before, now) in names.iter().filter(|(before, now)| before != now) {
                write!(f, "\nthe {what} {before} is called {now} now")?;
            }
        }
        if !self.reconciled_keys.is_empty() {
            write!(f, "\nbrought over behind the swap: {}", self.reconciled_keys.join(", "))?;
        }
        if !self.conflicting_keys.is_empty() {
            write!(f, "\nLOOK AT THESE ROWS: {}", self.conflicting_keys.join(", "))?;
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}
