//! Transactions by their global ids, as a position that means the same in whatever file they stand.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mysql_common::packets::Sid;

use crate::sql::literal;

/// The id of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gtid {
    /// MySQL's: whose it is (the UUID of a server, and a tag if it has one), and its number there.
    MySql(String, u64),
    /// MariaDB's: the last of a domain is all that counts.
    MariaDb { domain: u32, server: u32, number: u64 },
}

impl Gtid {
    pub(crate) fn mysql(server: [u8; 16], tag: Option<&str>, number: u64) -> Self {
        let hex = format!("{:032x}", u128::from_be_bytes(server));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        let mut whose =
            [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
        if let Some(tag) = tag {
            whose.push(':');
            whose.push_str(tag);
        }
        Gtid::MySql(whose, number)
    }
}

/// Transactions that have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GtidSet {
    /// By whose they are: ranges of numbers in order, both ends included, none of which touch.
    MySql(BTreeMap<String, Vec<(u64, u64)>>),
    /// The last of each domain: server and number.
    MariaDb(BTreeMap<u32, (u32, u64)>),
}

/// A text that is no set of global transaction ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a set of GTIDs: {0}")]
pub(crate) struct ParseGtidsError(String);

impl GtidSet {
    /// Reads `@@gtid_executed`: `uuid:1-5:7:tag:1-3,uuid:..`
    pub(crate) fn parse_mysql(text: &str) -> Result<Self, ParseGtidsError> {
        let wrong = || ParseGtidsError(text.to_owned());
        let mut set = BTreeMap::<String, Vec<(u64, u64)>>::new();
        let text: String = text.split_whitespace().collect();
        for of_server in text.split(',').filter(|part| !part.is_empty()) {
            let mut parts = of_server.split(':');
            let server = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut whose, mut any) = (server.clone(), false);
            for part in parts {
                if !part.starts_with(|c: char| c.is_ascii_digit()) {
                    whose = format!("{server}:{part}");
                    continue;
                }
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else {
                    return Err(wrong());
                };
                if first > last {
                    return Err(wrong());
                }
                add(set.entry(whose.clone()).or_default(), first, last);
                any = true;
            }
            if !any {
                return Err(wrong());
            }
        }
        let set = GtidSet::MySql(set);
        // What the server is asked with has to be in its words.
        set.sids().map(|_| set).map_err(|_| wrong())
    }

    /// Reads `@@gtid_binlog_pos`: `0-1-7,1-1-3`
    pub(crate) fn parse_mariadb(text: &str) -> Result<Self, ParseGtidsError> {
        let mut set = BTreeMap::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let read = || {
                let (domain, rest) = item.split_once('-')?;
                let (server, number) = rest.split_once('-')?;
                Some((domain.parse().ok()?, (server.parse().ok()?, number.parse().ok()?)))
            };
            let (domain, last) = read().ok_or_else(|| ParseGtidsError(text.to_owned()))?;
            set.insert(domain, last);
        }
        Ok(GtidSet::MariaDb(set))
    }

    pub(crate) fn add(&mut self, gtid: Gtid) {
        match (self, gtid) {
            (GtidSet::MySql(set), Gtid::MySql(whose, number)) => {
                add(set.entry(whose).or_default(), number, number);
            }
            (GtidSet::MariaDb(set), Gtid::MariaDb { domain, server, number }) => {
                set.insert(domain, (server, number));
            }
            _ => {}
        }
    }

    /// As a MySQL server is asked.
    pub(crate) fn sids(&self) -> std::io::Result<Vec<Sid<'static>>> {
        // `GNO_END` of the servers; the mysql crate panics beyond.
        const MOST: u64 = i64::MAX.unsigned_abs();
        let GtidSet::MySql(set) = self else { return Ok(Vec::new()) };
        let of = |(whose, ranges): (&String, &Vec<(u64, u64)>)| {
            if ranges.last().is_some_and(|(_, last)| *last > MOST) {
                return Err(std::io::Error::other("a number beyond all that servers give"));
            }
            Sid::from_str(&format!("{whose}:{}", Ranges(ranges)))
        };
        set.iter().map(of).collect()
    }

    /// As a MariaDB server is asked: what to say before the stream is asked for.
    pub(crate) fn connect_state(&self) -> Option<String> {
        let GtidSet::MariaDb(_) = self else { return None };
        Some(format!(
            "SET @slave_connect_state = {}, @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0",
            literal::text(&self.to_string())
        ))
    }
}

/// Adds the numbers from `first` to `last`, and makes one range of all that they touch.
fn add(ranges: &mut Vec<(u64, u64)>, first: u64, last: u64) {
    let from = ranges.partition_point(|(_, end)| end.saturating_add(1) < first);
    let to = ranges.partition_point(|(start, _)| *start <= last.saturating_add(1));
    let touched = ranges.get(from..to).unwrap_or_default();
    let first = touched.first().map_or(first, |(start, _)| first.min(*start));
    let last = touched.last().map_or(last, |(_, end)| last.max(*end));
    ranges.splice(from..to, [(first, last)]);
}

/// `1-5:7`
struct Ranges<'a>(&'a [(u64, u64)]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let colon = if at > 0 { ":" } else { "" };
            if first == last {
                write!(f, "{colon}{first}")?;
            } else {
                write!(f, "{colon}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = match self {
            GtidSet::MySql(set) => {
                set.iter().map(|(whose, ranges)| format!("{whose}:{}", Ranges(ranges))).collect()
            }
            GtidSet::MariaDb(set) => {
                let last = set.iter().map(|(domain, (server, number))| (domain, server, number));
                last.map(|(domain, server, number)| format!("{domain}-{server}-{number}")).collect()
            }
        };
        f.write_str(&items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn reads_what_the_servers_say() {
        let text = format!("{}:1-5:7:tag_1:1-3:9,\n{}:4", A.to_uppercase(), A.replace('3', "4"));
        let set = GtidSet::parse_mysql(&text).unwrap();
        let b = A.replace('3', "4");
        assert_eq!(set.to_string(), format!("{A}:1-5:7,{A}:tag_1:1-3:9,{b}:4"));
        assert_eq!(set.sids().unwrap().len(), 3);
        assert_eq!(GtidSet::parse_mysql("").unwrap().to_string(), "");
        let maria = GtidSet::parse_mariadb("0-1-7, 3-2-18446744073709551615").unwrap();
        assert_eq!(maria.to_string(), "0-1-7,3-2-18446744073709551615");
        for bad in ["x", "x:1", &format!("{A}:1-"), &format!("{A}:5-1"), &format!("{A}:0")] {
            assert!(GtidSet::parse_mysql(bad).is_err(), "{bad}");
        }
        for bad in ["0-1", "0-1-x", "0:1:7"] {
            assert!(GtidSet::parse_mariadb(bad).is_err(), "{bad}");
        }
    }

    /// As another program than the server may have written them.
    #[test]
    fn ranges_that_overlap_are_one() {
        let set = GtidSet::parse_mysql(&format!("{A}:8-9:1-3:2-5:6,{A}:20")).unwrap();
        assert_eq!(set.to_string(), format!("{A}:1-6:8-9:20"));
        for bad in ["5-1", "1-9:5-1", "0-3", "9223372036854775808", "7-18446744073709551615"] {
            assert!(GtidSet::parse_mysql(&format!("{A}:{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_of_a_domain_counts() {
        let mut set = GtidSet::parse_mariadb("0-1-7,1-1-3").unwrap();
        set.add(Gtid::MariaDb { domain: 0, server: 2, number: 8 });
        assert_eq!(set.to_string(), "0-2-8,1-1-3");
        assert!(set.connect_state().unwrap().contains("'0-2-8,1-1-3'"));
    }

    #[test]
    fn a_transaction_of_mysql_by_its_bytes() {
        let bytes = u128::from_str_radix(&A.replace('-', ""), 16).unwrap().to_be_bytes();
        let mut set = GtidSet::parse_mysql(&format!("{A}:1-5")).unwrap();
        set.add(Gtid::mysql(bytes, None, 6));
        set.add(Gtid::mysql(bytes, Some("t"), 1));
        assert_eq!(set.to_string(), format!("{A}:1-6,{A}:t:1"));
    }

    proptest! {
        /// Numbers in any order come to the same ranges as a set of them.
        #[test]
        fn ranges_are_a_set(added in proptest::collection::vec((1_u64..90, 0..4_u64), 0..60)) {
            let mut ranges = Vec::new();
            for (first, more) in &added {
                add(&mut ranges, *first, first + more);
            }
            let all: std::collections::BTreeSet<u64> =
                added.into_iter().flat_map(|(first, more)| first..=first + more).collect();
            let held: Vec<u64> = ranges.iter().flat_map(|(first, last)| *first..=*last).collect();
            prop_assert_eq!(held, all.into_iter().collect::<Vec<_>>());
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
