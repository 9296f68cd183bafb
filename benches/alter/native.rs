//! The server's own ALTER.

use std::time::{Duration, Instant};

use anyhow::Result;
use online_alter::mysql::Error;
use online_alter::mysql::prelude::Queryable;
use online_alter_support::csm;

use crate::place::{CLAUSE, Place};

pub(crate) fn copy(place: &Place) -> Result<Duration> {
    let mut conn = place.conn()?;
    let began = Instant::now();
    conn.query_drop(format!("ALTER TABLE {} {CLAUSE}, ALGORITHM=COPY", csm::TABLE))?;
    Ok(began.elapsed())
}

/// Why the server does not do it in place; `None` if it does.
pub(crate) fn refuses_in_place(place: &Place) -> Result<Option<String>> {
    let mut conn = place.conn()?;
    match conn.query_drop(format!("ALTER TABLE {} {CLAUSE}, ALGORITHM=INPLACE", csm::TABLE)) {
        Ok(()) => Ok(None),
        Err(Error::MySqlError(error)) => Ok(Some(error.message)),
        Err(error) => Err(error.into()),
    }
}

/// Not this ALTER, but the same bytes: the fastest that the server makes a table anew.
pub(crate) fn rebuild(place: &Place) -> Result<Duration> {
    let mut conn = place.conn()?;
    let began = Instant::now();
    conn.query_drop(format!("ALTER TABLE {} FORCE, ALGORITHM=INPLACE", csm::TABLE))?;
    Ok(began.elapsed())
}
