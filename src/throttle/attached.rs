//! Whoever reads the server's binlog as a replica does.

use crate::db::NamedRow;

/// Streams that runs read have ids from here on, if nobody has given them others, and no port.
pub(crate) const FIRST_STREAM_ID: u32 = 0x8000_0000;

/// A row of `SHOW REPLICAS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) id: u32,
    host: String,
    port: u16,
}

impl Attached {
    pub(crate) fn new(row: &NamedRow) -> Self {
        let get = |name: &str| {
            let found = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
        };
        Attached {
            id: get("Server_id").parse().unwrap_or(0),
            host: get("Host").to_owned(),
            port: get("Port").parse().unwrap_or(0),
        }
    }

    /// Where it is, if it says so.
    pub(crate) fn address(&self) -> Option<(&str, u16)> {
        (self.port > 0 && !self.host.is_empty()).then_some((self.host.as_str(), self.port))
    }

    /// Whether it is a run's stream: that of the run that asks has the id `own`.
    pub(crate) fn is_stream(&self, own: Option<u32>) -> bool {
        self.port == 0 && (self.id >= FIRST_STREAM_ID || Some(self.id) == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_no_replicas() {
        let attached = |id: u32, host: &str, port: &str| {
            // A server may be told to show users and passwords between them.
            let row = [
                ("Server_Id", id.to_string()),
                ("Host", host.to_owned()),
                ("User", "u".to_owned()),
                ("Port", port.to_owned()),
            ];
            Attached::new(&row.map(|(name, value)| (name.to_owned(), Some(value))).to_vec())
        };
        assert!(attached(FIRST_STREAM_ID + 7, "", "0").is_stream(None));
        assert!(!attached(7, "", "0").is_stream(None));
        assert!(attached(7, "", "0").is_stream(Some(7)));
        let replica = attached(FIRST_STREAM_ID + 7, "db2", "3307");
        assert!(!replica.is_stream(None));
        assert_eq!(replica.address(), Some(("db2", 3307)));
        assert_eq!(attached(7, "", "3307").address(), None);
    }
}
