//! The end of a run that went well: what it leaves, and what it reports.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Migration;
use super::control::Control;
use super::follow::Follow;
use super::options::OldTable;
use super::report::Report;
use super::stages::{Ended, Outcome};
use crate::cancel::Cancel;
use crate::checkpoint::{Saved, StateTable};
use crate::cutover::Swapped;
use crate::cutover::proof::Proof;
use crate::db::{Retries, Session};
use crate::error::Result;
use crate::sql::TableName;
use crate::steps::Step;

const TRIES: Retries = Retries { attempts: 5, within: Duration::from_secs(10) };

/// Drops a table of the run that has ended well.
fn drop_for_good(definer: &mut Session, name: &TableName) -> Result<()> {
    // The run itself is over, and its threads have been told so. That the table is gone may be this run's doing, whose
    // answer was lost, or that of one before.
    definer.retrying(TRIES, &Cancel::default(), |definer| {
        definer.exec(&format!("DROP TABLE IF EXISTS {name}")).map(drop)
    })
}

/// Tidies up after the swap. What cannot be tidied up is a warning: the table is altered.
pub(super) fn finish(
    migration: &Migration,
    control: &Control,
    state: &StateTable,
    mut definer: Session,
    follow: &Follow,
    outcome: Outcome,
) -> Report {
    let Outcome { ended, verification } = outcome;
    let (swapped, proof, test) = match ended {
        Ended::Swapped(swapped, proof) => (swapped, proof, None),
        Ended::Tested(test) => (Swapped::default(), Proof::default(), Some(test)),
    };
    let Migration { table, options, .. } = migration;
    let mut warnings = control.take_warnings();
    let mut is_written_down = true;
    if test.is_none() {
        // Without the old table it could not be seen that the tables are swapped.
        let conflicting = proof.conflicting.join("\n");
        let saved = definer.retrying(TRIES, &Cancel::default(), |definer| {
            state.save(definer, Saved::Proven, &conflicting)
        });
        if let Err(error) = saved {
            is_written_down = false;
            let why = error.message();
            warnings.push(format!("it could not be written down that the swap is proven: {why}"));
        }
        options.steps.at(Step::ProofSaved, definer.id());
    }
    let mut drop_table = |name: &TableName| {
        let dropped = drop_for_good(&mut definer, name);
        if let Err(error) = &dropped {
            warnings.push(format!("{name} could not be dropped: {}", error.message()));
        }
        dropped.is_ok()
    };
    let old = table.name.old();
    // Rows that a person has to look at are in the old table.
    let may_drop =
        options.old_table == OldTable::Drop && proof.conflicting.is_empty() && is_written_down;
    let old_is_gone = test.is_some() || may_drop && drop_table(&old);
    if test.is_none() {
        // Last: as long as it is there, another run may end what this one has begun.
        drop_table(state.name());
    }
    Report {
        table: table.name.to_string(),
        native: None,
        not_native: control.take_not_native(),
        old_table: (!old_is_gone).then(|| old.to_string()),
        test,
        rows_copied: control.rows_copied.load(Ordering::Relaxed),
        keys_refreshed: follow.refresher.refreshed(),
        keys_changed: follow.feed.keys(),
        elapsed: control.elapsed(),
        copy_time: control.copy_time(),
        cut_over_attempts: swapped.attempts,
        locked: swapped.locked,
        throttled_time: control.gate.shut_time(),
        verification,
        reconciled_keys: proof.reconciled,
        conflicting_keys: proof.conflicting,
        foreign_keys: control.take_foreign_keys(),
        triggers: trigger_names(migration),
        warnings,
    }
}

/// The triggers' names before and now.
fn trigger_names(migration: &Migration) -> Vec<(String, String)> {
    let triggers = migration.neighbours.triggers.iter().zip(&migration.new_names.triggers);
    triggers.map(|(t, now)| (t.name.as_str().to_owned(), now.as_str().to_owned())).collect()
}
