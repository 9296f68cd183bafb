//! What a run writes down so that another one can go on: from where in the binlog, with which keys still to be
//! refreshed, and how far the copy has come. JSON, for people to read and for the next patch version.

use serde::{Deserialize, Serialize};

use crate::binlog::{BinlogPosition, GtidSet, Place, Start};
use crate::db::Flavor;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::key::Bound;
use crate::sql::{Key, literal};

/// The form of what is written. Whoever changes it so that an older run's cannot be read counts on.
pub(crate) const FORMAT: u32 = 1;

/// Where another run goes on to read the binlog, and the keys that changed before that and are not refreshed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedPlace {
    format: u32,
    /// `file:offset`
    position: String,
    gtids: Option<String>,
    /// In seconds since 1970.
    file_begun: Option<u32>,
    /// The last marker before it.
    pub(crate) marker: u64,
    keys: Vec<SavedKey>,
}

/// A key: an integer's 64 bits, the bytes of a row image in hexadecimal, or the literals of its columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum SavedKey {
    Int(u64),
    Wide(String),
    Stated(Vec<String>),
}

/// How far the copy has come. Everything up to there is in the ghost, or was when it was copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CopiedSoFar {
    format: u32,
    /// The literals of the last key's columns; none before the first chunk has ended.
    through: Option<Vec<String>>,
    /// There is nothing left to copy.
    pub(crate) all: bool,
    pub(crate) rows: u64,
}

fn unreadable(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::CannotResume, format!("the checkpoint cannot be read: {what}"))
}

fn check_format(format: u32) -> Result<()> {
    if format == FORMAT {
        return Ok(());
    }
    Err(unreadable(format_args!("it is of format {format}, and this version reads {FORMAT}")))
}

/// These go into statements.
fn check_literals(literals: &[String]) -> Result<()> {
    match literals.iter().find(|text| !literal::is_one(text)) {
        None if literals.is_empty() => Err(unreadable("a key without columns")),
        None => Ok(()),
        Some(_) => Err(unreadable("a key that is no literal")),
    }
}

impl SavedPlace {
    pub(crate) fn new(place: &Place, keys: &[Key]) -> Self {
        let Start { position, gtids, file_begun } = &place.start;
        SavedPlace {
            format: FORMAT,
            position: position.to_string(),
            gtids: gtids.as_ref().map(GtidSet::to_string),
            file_begun: *file_begun,
            marker: place.marker,
            keys: keys.iter().map(SavedKey::new).collect(),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let place: SavedPlace = serde_json::from_str(text).map_err(unreadable)?;
        check_format(place.format)?;
        place.position()?;
        place.keys().map(|_| place)
    }

    pub(crate) fn position(&self) -> Result<BinlogPosition> {
        self.position.parse().map_err(unreadable)
    }

    pub(crate) fn start(&self, flavor: Flavor) -> Result<Start> {
        let parse = |text: &String| match flavor {
            Flavor::MySql => GtidSet::parse_mysql(text),
            Flavor::MariaDb => GtidSet::parse_mariadb(text),
        };
        let gtids = self.gtids.as_ref().map(parse).transpose().map_err(unreadable)?;
        Ok(Start { position: self.position()?, gtids, file_begun: self.file_begun })
    }

    pub(crate) fn keys(&self) -> Result<Vec<Key>> {
        self.keys.iter().map(SavedKey::key).collect()
    }

    pub(crate) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(unreadable)
    }
}

impl SavedKey {
    fn new(key: &Key) -> Self {
        match key {
            Key::Int(value) => SavedKey::Int(*value),
            Key::Wide(bytes) => SavedKey::Wide(literal::digits(bytes)),
            Key::Stated(literals) => SavedKey::Stated(literals.to_vec()),
        }
    }

    fn key(&self) -> Result<Key> {
        Ok(match self {
            SavedKey::Int(value) => Key::Int(*value),
            SavedKey::Wide(hex) => {
                let wrong = || unreadable("a key that is not in hexadecimal");
                let pairs = hex.as_bytes().chunks(2);
                let byte = |pair: &[u8]| {
                    let pair = std::str::from_utf8(pair).ok()?;
                    let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                    u8::from_str_radix(pair, 16).ok().filter(|_| digits)
                };
                let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
                Key::Wide(bytes.ok_or_else(wrong)?.into_boxed_slice())
            }
            SavedKey::Stated(literals) => {
                check_literals(literals)?;
                Key::Stated(literals.clone().into_boxed_slice())
            }
        })
    }
}

impl CopiedSoFar {
    pub(crate) fn through(bound: Option<&Bound>, rows: u64) -> Self {
        CopiedSoFar {
            format: FORMAT,
            through: bound.map(|bound| bound.0.clone()),
            all: false,
            rows,
        }
    }

    pub(crate) fn all(rows: u64) -> Self {
        CopiedSoFar { all: true, ..CopiedSoFar::through(None, rows) }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let copied: CopiedSoFar = serde_json::from_str(text).map_err(unreadable)?;
        check_format(copied.format)?;
        if let Some(literals) = &copied.through {
            check_literals(literals)?;
        }
        Ok(copied)
    }

    pub(crate) fn bound(&self) -> Option<Bound> {
        self.through.clone().map(Bound)
    }

    pub(crate) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(keys: &[Key]) -> SavedPlace {
        let start = Start {
            position: BinlogPosition::new("b.000003", 4711),
            gtids: Some(GtidSet::parse_mariadb("0-1-7").unwrap()),
            file_begun: Some(1),
        };
        SavedPlace::new(&Place { start, marker: 17 }, keys)
    }

    #[test]
    fn is_written_for_people() {
        let keys = [
            Key::Int(u64::MAX),
            Key::Wide([0, 255].into()),
            Key::Stated(["'a'".to_owned(), "_latin1 X'E9'".to_owned()].into()),
        ];
        insta::assert_snapshot!(place(&keys).text().unwrap(), @r#"{"format":1,"position":"b.000003:4711","gtids":"0-1-7","file_begun":1,"marker":17,"keys":[18446744073709551615,"00FF",["'a'","_latin1 X'E9'"]]}"#);
        let bound = Bound(vec!["12".to_owned()]);
        insta::assert_snapshot!(CopiedSoFar::through(Some(&bound), 3).text().unwrap(), @r#"{"format":1,"through":["12"],"all":false,"rows":3}"#);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let good = place(&[Key::Int(1)]).text().unwrap();
        assert!(SavedPlace::parse(&good).is_ok());
        for (from, to) in [
            ("\"format\":1", "\"format\":2"),
            ("b.000003:4711", "b.000003"),
            ("[1]", "[-1]"),
            ("[1]", "[\"0\"]"),
            ("[1]", "[\"+f\"]"),
            ("[1]", "[[]]"),
            ("[1]", "[[\"1) OR (1\"]]"),
            ("[1]", "[[\"'a' 'b'\"]]"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let error = SavedPlace::parse(&bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CannotResume, "{bad}");
        }
        assert!(
            CopiedSoFar::parse("{\"format\":1,\"through\":[\"x\"],\"all\":false,\"rows\":0}")
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(ints: Vec<u64>, wide: Vec<Vec<u8>>) {
            let keys = ints.into_iter().map(Key::Int);
            let keys: Vec<Key> = keys.chain(wide.into_iter().map(|b| Key::Wide(b.into()))).collect();
            let saved = place(&keys);
            let read = SavedPlace::parse(&saved.text().unwrap()).unwrap();
            prop_assert_eq!(&read, &saved);
            prop_assert_eq!(read.keys().unwrap(), keys);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = SavedPlace::parse(&text);
            let _ = CopiedSoFar::parse(&text);
        }
    }
}
