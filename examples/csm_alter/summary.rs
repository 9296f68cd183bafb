//! What came of it.

use std::fmt;
use std::time::{Duration, Instant};

use online_alter::Report;
use online_alter_support::{Check, Outcome};

use crate::watch::Span;

/// All that is told at the end.
pub(crate) struct Summary {
    pub(crate) version: String,
    pub(crate) rows: u64,
    pub(crate) report: Report,
    /// When the writers had the server for themselves.
    pub(crate) baseline: Span,
    pub(crate) alteration: Span,
    pub(crate) copy: Option<Span>,
    pub(crate) cut_over: Option<Span>,
    pub(crate) outcome: Outcome,
    pub(crate) check: Check,
    pub(crate) type_of_id: String,
}

impl Summary {
    /// Whether everything is as it should be.
    pub(crate) fn is_clean(&self) -> bool {
        self.check.is_clean()
            && self.outcome.errors.is_empty()
            && self.report.conflicting_keys.is_empty()
            && self.report.verification.as_ref().is_none_or(|found| found.repaired == 0)
            && self.is_wide()
    }

    /// MariaDB says `bigint(20) unsigned`.
    fn is_wide(&self) -> bool {
        self.type_of_id.starts_with("bigint") && self.type_of_id.ends_with("unsigned")
    }

    fn wait(&self, (from, to): (Instant, Instant)) -> String {
        ms(self.outcome.max_wait_between(from, to))
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { report, outcome, check, .. } = self;
        let mut line = |name: &str, value: fmt::Arguments<'_>| writeln!(f, "{name:<26}{value}");
        line("server", format_args!("{}", self.version))?;
        line("rows at the start", format_args!("{}", self.rows))?;
        line("rows copied", format_args!("{}", report.rows_copied))?;
        line(
            "keys refreshed",
            format_args!(
                "{} ({} changes came through the binlog)",
                report.keys_refreshed, report.keys_changed
            ),
        )?;
        line(
            "time",
            format_args!(
                "{:.1} s, of which the copy took {:.1} s",
                report.elapsed.as_secs_f64(),
                report.copy_time.as_secs_f64()
            ),
        )?;
        if let Some(found) = &report.verification {
            line(
                "rows compared",
                format_args!(
                    "{} in {:.1} s, {} differed",
                    found.rows,
                    found.elapsed.as_secs_f64(),
                    found.repaired
                ),
            )?;
        }
        // The clock of the run starts before the lock is granted, and until then MariaDB lets
        // writers through: what they felt is their wait at the cut-over.
        line(
            "table locked for",
            format_args!(
                "at most {}, the wait for the lock included ({} attempt(s))",
                ms(report.locked),
                report.cut_over_attempts
            ),
        )?;
        line("longest wait of a writer", format_args!(""))?;
        line("  without alteration", format_args!("{}", self.wait(self.baseline)))?;
        line("  during the alteration", format_args!("{}", self.wait(self.alteration)))?;
        if let Some(copy) = self.copy {
            line("  during the copy", format_args!("{}", self.wait(copy)))?;
        }
        if let Some(cut_over) = self.cut_over {
            line("  at the cut-over", format_args!("{}", self.wait(cut_over)))?;
        }
        line(
            "  in all",
            format_args!(
                "{} (99 % within {})",
                ms(outcome.max_wait()),
                ms(outcome.percentile(99.0))
            ),
        )?;
        line(
            "acknowledged writes",
            format_args!(
                "{} ({} inserts, {} updates, {} deletes) in {:.1} s",
                outcome.acknowledged,
                outcome.inserts,
                outcome.updates,
                outcome.deletes,
                outcome.elapsed.as_secs_f64()
            ),
        )?;
        line(
            "wrong rows",
            format_args!(
                "{} lost, {} stale, {} resurrected, {} unexpected",
                check.lost.len(),
                check.stale.len(),
                check.resurrected.len(),
                check.unexpected.len()
            ),
        )?;
        line("errors of writers", format_args!("{}", outcome.errors.len()))?;
        line("brought over afterwards", format_args!("{} keys", report.reconciled_keys.len()))?;
        line("id is now", format_args!("{}", self.type_of_id))?;
        if !check.is_clean() {
            writeln!(f, "\n{check}")?;
        }
        for error in outcome.errors.iter().take(10) {
            writeln!(f, "error of a {error}")?;
        }
        if !report.conflicting_keys.is_empty() {
            writeln!(f, "rows to compare: {}", report.conflicting_keys.join(", "))?;
        }
        for warning in &report.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let verdict = if self.is_clean() {
            "nothing is lost, and no writer saw an error"
        } else if self.is_wide() {
            "THIS WENT WRONG"
        } else {
            "THIS WENT WRONG: id is not altered"
        };
        f.write_str(verdict)
    }
}
