//! Whoever reads the server's binlog as a replica does.

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
    /// Server id, host, port, .. on all versions.
    pub(crate) fn new(row: Vec<Option<String>>) -> Self {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (id, host, port) = (next(), next(), next());
        Attached { id: id.parse().unwrap_or(0), host, port: port.parse().unwrap_or(0) }
    }

    /// Where it is, if it says so.
    pub(crate) fn address(&self) -> Option<(&str, u16)> {
        (self.port > 0 && !self.host.is_empty()).then_some((self.host.as_str(), self.port))
    }

    /// Whether it is a run's stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.id >= FIRST_STREAM_ID && self.port == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_no_replicas() {
        let attached = |id: u32, host: &str, port: &str| {
            let row = [id.to_string(), host.to_owned(), port.to_owned(), "1".to_owned()];
            Attached::new(row.map(Some).to_vec())
        };
        assert!(attached(FIRST_STREAM_ID + 7, "", "0").is_stream());
        assert!(!attached(7, "", "0").is_stream());
        let replica = attached(FIRST_STREAM_ID + 7, "db2", "3307");
        assert!(!replica.is_stream());
        assert_eq!(replica.address(), Some(("db2", 3307)));
        assert_eq!(attached(7, "", "3307").address(), None);
    }
}
