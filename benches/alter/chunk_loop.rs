//! What people write as a script: ranges of 1000 keys, one after the other, into a table that has
//! all of its indexes. It sees no change that is made meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use online_alter::mysql::prelude::Queryable;
use online_alter_support::csm::TABLE;

use crate::place::{CLAUSE, Place};

const KEYS: u64 = 1000;

pub(crate) fn alter(place: &Place) -> Result<Duration> {
    let mut conn = place.conn()?;
    let began = Instant::now();
    conn.query_drop(format!("CREATE TABLE loop_new LIKE {TABLE}"))?;
    conn.query_drop(format!("ALTER TABLE loop_new {CLAUSE}"))?;
    let columns: Option<String> = conn.query_first(format!(
        "SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION) FROM \
         information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{TABLE}'"
    ))?;
    let columns = columns.context("no columns")?;
    let range: Option<(u64, u64)> =
        conn.query_first(format!("SELECT MIN(id), MAX(id) FROM {TABLE}"))?;
    let (mut first, last) = range.context("no rows")?;
    while first <= last {
        let end = first + KEYS - 1;
        conn.query_drop(format!(
            "INSERT INTO loop_new ({columns}) SELECT {columns} FROM {TABLE} WHERE id BETWEEN \
             {first} AND {end}"
        ))?;
        first = end + 1;
    }
    conn.query_drop(format!("RENAME TABLE {TABLE} TO loop_old, loop_new TO {TABLE}"))?;
    Ok(began.elapsed())
}
