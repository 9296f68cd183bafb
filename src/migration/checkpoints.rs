//! Writing down, again and again, how far the run has come, so that another one can go on if this one dies.
//!
//! The order is what makes it safe. First a place in the binlog; then the keys that are still to be refreshed: whatever
//! changed before that place is among them, or is in the ghost. How far the copy has come may be newer than both: what
//! changed since comes through the stream again.

use std::time::{Duration, Instant};

use super::control::Control;
use super::follow::Follow;
use crate::checkpoint::{Saved, SavedPlace, StateTable};
use crate::db::{Retries, Session};
use crate::error::{Error, Result};
use crate::fault::Fault;

/// With more keys than that outstanding, the place before is kept: what changed since is read again.
const MOST_KEYS: usize = 20_000;

/// Nor with longer ones. Written in hexadecimal, it is twice as long.
const MOST_BYTES: usize = 1 << 20;

/// How long the next commit may take to come, which at least the heartbeats make.
const PATIENCE: Duration = Duration::from_secs(5);

/// After this long without a new place a person should know: the binlog may be purged behind it.
const LONG: Duration = Duration::from_secs(1800);

/// Writes checkpoints until the run ends.
pub(super) fn keep(
    (control, follow, state): (&Control, &Follow, &StateTable),
    (every, retries): (Duration, Retries),
    session: &mut Session,
) -> Result<()> {
    let cancel = &control.cancel;
    let (mut written, mut warned) = (Instant::now(), false);
    loop {
        cancel.sleep(every)?;
        let saved =
            session.retrying(retries, cancel, |session| save(control, follow, state, session));
        match saved {
            Ok(true) => (written, warned) = (Instant::now(), false),
            Ok(false) => {}
            Err(error) if is_passing(&error) => log::debug!("no checkpoint: {}", error.message()),
            Err(error) => return Err(error.context("writing a checkpoint")),
        }
        if written.elapsed() > LONG && !warned && !control.is_swapped() {
            warned = true;
            log::warn!(
                "no checkpoint for {} minutes, as too much is waiting to be refreshed: a run that went on behind this one \
                 would need the binlog from then on",
                LONG.as_secs() / 60
            );
        }
    }
}

fn is_passing(error: &Error) -> bool {
    error.fault().is_some_and(|fault| fault.is_passing() || fault == Fault::TooBig)
}

/// How far the copy has come.
pub(super) fn save_copied(
    control: &Control,
    state: &StateTable,
    session: &mut Session,
) -> Result<()> {
    // What is written must not be older than what was.
    let _alone = control.saving.lock();
    let copied = control.copied.lock().text()?;
    state.save(session, Saved::Copied, &copied)
}

/// Whether a place was written.
fn save(
    control: &Control,
    follow: &Follow,
    state: &StateTable,
    session: &mut Session,
) -> Result<bool> {
    save_copied(control, state, session)?;
    let Some(place) = follow.feed.next_place(PATIENCE, &control.cancel)? else { return Ok(false) };
    let Some(keys) = follow.pending.unfinished(MOST_KEYS) else { return Ok(false) };
    let text = SavedPlace::new(&place, &keys).text()?;
    if text.len() > MOST_BYTES {
        return Ok(false);
    }
    state.save(session, Saved::Place, &text)?;
    Ok(true)
}
