//! In which SQL mode and time zone rows are moved.

use super::options::Options;
use crate::db::{Dates, Modes, RowsMode};
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ServerInfo;
use crate::inspect::mapping::{Mapping, ZoneUse};
use crate::sql::{KeyShape, KeyType};

/// The SQL mode and the time zone in which rows are moved, so that they become what the server's own
/// ALTER would make of them.
pub(super) fn choose(
    server: &ServerInfo,
    key: &KeyShape,
    mapping: &Mapping,
    sees_dates: bool,
    options: &Options,
) -> Result<Modes> {
    let keyed = |is: fn(&KeyType) -> bool| key.columns.iter().any(|column| is(&column.ty));
    let zone = options.time_zone.as_deref().unwrap_or(server.time_zone());
    // Literals of keys, and the bounds of chunks, are in UTC.
    let key_is_zoned = keyed(|ty| matches!(ty, KeyType::Timestamp { .. }));
    let zone = match &mapping.zone {
        ZoneUse::Certainly(column) if key_is_zoned && !server.is_utc(zone) => {
            return Err(Error::new(
                ErrorKind::Alter,
                format!(
                    "the column {column} changes between TIMESTAMP and another type, so that its \
                     values depend on the time zone, and a TIMESTAMP is part of the key, which is \
                     read in UTC: not supported, unless the ALTER is to be made in UTC (time_zone)"
                ),
            ));
        }
        ZoneUse::Certainly(_) => zone,
        ZoneUse::Perhaps if !key_is_zoned => zone,
        ZoneUse::Perhaps | ZoneUse::No => "+00:00",
    };
    let key_has_dates = keyed(|ty| {
        matches!(ty, KeyType::Date | KeyType::Datetime { .. } | KeyType::Timestamp { .. })
    });
    let dates = if mapping.carries_instants && !server.is_utc(zone) {
        Dates::Unchanged
    } else if options.allow_zero_in_date
        // A server that refuses a date refuses to compare a key with it, too.
        || key_has_dates
        || !(sees_dates || mapping.fills_dates)
    {
        Dates::Any
    } else {
        Dates::AsServer
    };
    let wanted = RowsMode { dates, may_pad: !keyed(|ty| matches!(ty, KeyType::Text { .. })) };
    Ok(Modes { sql_mode: server.sql_mode().for_rows(wanted), time_zone: zone.to_owned() })
}
