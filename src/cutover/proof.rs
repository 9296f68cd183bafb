//! The proof after the swap, always made: between the marker that was written under the lock and
//! the swap itself, the binlog must hold no change of the table.
//!
//! If it does (the lock was lost at the worst moment), those rows went into the old table. Their
//! keys are brought over from it, except where the new table has been written at them since: which
//! of the two writes should stand is not ours to say, so they are named.

use std::time::Duration;

use super::CutOver;
use crate::db::{Purpose, Session};
use crate::error::{Error, ErrorKind, Result, TableState};
use crate::sql::statements::{OnLocked, Put, TablePair};
use crate::sql::{Key, KeyColumn, KeyShape};
use crate::steps::Step;

/// What the proof showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Keys that were written to the old table behind the marker, and have been brought over.
    pub(crate) reconciled: Vec<String>,
    /// Such keys that the new table has been written at since: a person has to look.
    pub(crate) conflicting: Vec<String>,
}

/// How long to wait for the swap to come through the stream. A replica, if it is that of one, may first have to wait
/// for whoever reads the table there.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_WITH_REPLICA: Duration = Duration::from_secs(3600);

impl CutOver<'_> {
    /// Makes the proof. `new_key` is the shape of the key's values in the new table.
    pub(crate) fn prove(&self, control: &mut Session, new_key: &KeyShape) -> Result<Proof> {
        let unproven =
            |why: String| Error::new(ErrorKind::Binlog, why).with_table_state(TableState::Swapped);
        let patience = if self.reads_replica { PATIENCE_WITH_REPLICA } else { PATIENCE };
        if !self.feed.wait_for_swap(PATIENCE, self.cancel)? {
            log::warn!("the swap has not come through the binlog stream yet: waiting for it");
        }
        // Behind another run there may be much to read again.
        let mut before = None;
        while !self.feed.wait_for_swap(patience, self.cancel)? {
            let now = Some((self.feed.position(), self.feed.changes()));
            if now != before {
                before = now;
                continue;
            }
            return Err(unproven(format!(
                "the swap did not come through the binlog stream within {} s, so it is not proven \
                 that no write was missed",
                patience.as_secs()
            )));
        }
        let (strays, _) = self.feed.strays();
        self.steps.at(Step::Proven, control.id());
        if strays.is_empty() {
            return Ok(Proof::default());
        }
        log::warn!("{} rows of {} were written behind the marker", strays.len(), self.pair.source);
        self.reconcile(control, new_key).map_err(|error| {
            let keys: Vec<String> = strays.iter().map(|key| self.pair.key.display(key)).collect();
            let why = format!(
                "rows with these keys went into {} and could not be brought over: {} ({})",
                self.old,
                keys.join(", "),
                error.message()
            );
            unproven(why).with_source(error)
        })
    }

    fn reconcile(&self, control: &mut Session, new_key: &KeyShape) -> Result<Proof> {
        let mut session = self.session(Purpose::Refresh)?;
        let (new, old) = (&self.pair.source, &self.old);
        session.retrying(super::PATIENT, self.cancel, |session| {
            session.exec(&format!("LOCK TABLES {new} WRITE, {old} WRITE"))
        })?;
        let marker = self.state.write_marker(control, self.feed, |_| ())?;
        if !self.feed.wait_for_marker(marker, PATIENCE, self.cancel)? {
            return Err(Error::new(ErrorKind::Binlog, "the binlog stream took too long"));
        }
        let (strays, since) = self.feed.strays();
        let mut pair =
            TablePair { source: old.clone(), ghost: new.clone(), ..(*self.pair).clone() };
        if self.stand_in.is_some() {
            // The index that the key had on the ghost is gone. A slow way to few rows will do.
            pair.key.ghost_index = None;
        }
        // Where the key's values had to be restored, the new table has nothing to find rows by.
        let found = |(old, new): (&KeyColumn, &KeyColumn)| old.ghost == new.ghost;
        let (width, new_width) = (pair.key.columns.len(), new_key.columns.len());
        let findable =
            width == new_width && pair.key.columns.iter().zip(&new_key.columns).all(found);
        let mut proof = Proof::default();
        // The table's triggers have fired for these rows already, and would fire again.
        let may_write = self.dressing.triggers.is_empty();
        for key in unique(strays) {
            let name = pair.key.display(&key);
            if !may_write || !findable || written_since(&pair.key, &key, new_key, &since) {
                proof.conflicting.push(name);
                continue;
            }
            match bring_over(&mut session, &pair, &key) {
                Ok(()) => proof.reconciled.push(name),
                Err(error) => {
                    session.exec("ROLLBACK")?;
                    log::warn!("the row {name} could not be brought over: {}", error.message());
                    proof.conflicting.push(name);
                }
            }
        }
        session.exec("UNLOCK TABLES")?;
        Ok(proof)
    }
}

fn unique(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort();
    keys.dedup();
    keys
}

/// Keys of the two tables can be compared as bytes only where they are integers; elsewhere any
/// write since is taken for one at this key.
fn written_since(shape: &KeyShape, key: &Key, new_key: &KeyShape, since: &[Key]) -> bool {
    if !(shape.is_int() && new_key.is_int()) {
        return !since.is_empty();
    }
    let literal = shape.literals(key).ok();
    since.iter().any(|new| new_key.literals(new).ok() == literal)
}

fn bring_over(session: &mut Session, pair: &TablePair, key: &Key) -> Result<()> {
    let keys = std::slice::from_ref(key);
    session.exec(&pair.delete_keys(keys)?)?;
    session.exec(&pair.put_keys(Put::Insert, keys, OnLocked::Wait)?)?;
    session.exec("COMMIT").map(drop)
}
