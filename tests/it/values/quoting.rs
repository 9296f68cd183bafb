//! Names and values that try to get out of their quotes, in every place where an ALTER meets one, on servers whose SQL mode
//! reads quotes in another way.
//!
//! Cases are made up, and the same at every time: `ONLINE_ALTER_CASES=200` tries more of them, `ONLINE_ALTER_SEED=7` others.

use std::fmt::Write as _;

use online_alter::ChunkSize;
use online_alter_support::database;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::{Case, Ended, exec, own, quote};
use crate::harness::FLAVORS;

/// What changes how a server reads quotes, backslashes and operators.
const MODES: [&str; 6] = [
    "ANSI_QUOTES",
    "NO_BACKSLASH_ESCAPES",
    "PIPES_AS_CONCAT",
    "IGNORE_SPACE",
    "HIGH_NOT_PRECEDENCE",
    "REAL_AS_FLOAT",
];

/// Parts of names.
const PARTS: [&str; 30] = [
    "`", "``", "'", "''", "\"", "\\", "\\'", "\\`", "\n", "\r\n", "\t", "*/", "/*", "/*!", "-- ",
    "#", ";", "%", "_", "?", "{}", "$", "@", ".", " ", "a", "Z", "\u{e9}", "\u{4e2d}", "\u{3a9}",
];

/// More of them in values, where every character may stand.
const MORE: [&str; 8] =
    ["\0", "\u{1a}", "\u{8}", "\u{1f600}", "\u{10ffff}", "' OR '1'='1", "\\\\", "\u{2028}"];

/// A name that no other one of the case is, be it by case or by accents.
fn name(suffix: &'static str) -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(select(&PARTS[..]), 0..5);
    parts.prop_map(move |parts| format!("{}{suffix}", parts.concat()))
}

fn value() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => select(&PARTS[..]), 2 => select(&MORE[..])];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// The type of the first column of the key.
#[derive(Clone, Copy, Debug)]
enum KeyKind {
    Text,
    Binary,
    Enum,
    Int,
}

#[derive(Clone, Debug)]
struct Hostile {
    modes: Vec<&'static str>,
    /// The mode that the caller's own connection options set for the session.
    session: Option<&'static str>,
    schema: String,
    table: String,
    /// Key, the column that is renamed, its new name, another column, one that is new.
    columns: [String; 5],
    /// An index that is dropped, one that stays, one that is new.
    indexes: [String; 3],
    key: KeyKind,
    values: Vec<String>,
    /// For comments, defaults and expressions.
    words: Vec<String>,
    /// The new type of the key's first column.
    longer_key: bool,
    pick: Index,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let names = (name("s"), name("t"), name("k"), name("o"), name("n"), name("p"), name("q"));
    let more = (
        name("x"),
        name("y"),
        name("z"),
        select(vec![KeyKind::Text, KeyKind::Binary, KeyKind::Enum, KeyKind::Int]),
    );
    let values = (prop::collection::vec(value(), 6), prop::collection::vec(value(), 8));
    let modes = (subsequence(&MODES[..], 0..=MODES.len()), prop::option::of(select(&MODES[..])));
    (names, more, values, modes, any::<bool>(), any::<Index>()).prop_map(
        |(
            (schema, table, k, o, n, p, q),
            (x, y, z, key),
            (values, words),
            (modes, session),
            longer_key,
            pick,
        )| Hostile {
            modes,
            session,
            schema,
            table,
            columns: [k, o, n, p, q],
            indexes: [x, y, z],
            key,
            values,
            words,
            longer_key,
            pick,
        },
    )
}

/// A string literal as people write it, for a session with backslashes or without. No such literal has a NUL or what the
/// servers end their files with.
fn string(text: &str, backslashes: bool) -> String {
    let text = text.replace(['\0', '\u{1a}'], "?").replace('\'', "''");
    format!("'{}'", if backslashes { text.replace('\\', "\\\\") } else { text })
}

/// A value of any bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("X'".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    }) + "'"
}

impl Hostile {
    fn key_type(&self, longer: bool) -> String {
        let length = if longer { 90 } else { 60 };
        match self.key {
            KeyKind::Text => format!("VARCHAR({length}) CHARACTER SET utf8mb4"),
            KeyKind::Binary => format!("VARBINARY({})", 2 * length),
            KeyKind::Enum => {
                // Of a column's own type the servers print the members as literals.
                let member = |at: usize| string(&self.member(at), true);
                format!("ENUM({})", (0..6).map(member).collect::<Vec<_>>().join(", "))
            }
            KeyKind::Int => if longer { "BIGINT" } else { "INT" }.to_owned(),
        }
    }

    /// Members of an ENUM take neither NULs nor characters that utf8mb3 lacks.
    fn member(&self, at: usize) -> String {
        let plain = |c: &char| *c != '\0' && *c != '\u{1a}' && *c <= '\u{ffff}';
        self.values[at]
            .chars()
            .filter(plain)
            .chain([char::from(b'0' + u8::try_from(at).unwrap())])
            .collect()
    }

    /// The key of a row, as a literal.
    fn key(&self, at: usize) -> String {
        match self.key {
            KeyKind::Int => at.to_string(),
            KeyKind::Enum => string(&self.member(at), true),
            KeyKind::Text => {
                format!("_utf8mb4 {}", hex(format!("{}{at}", self.values[at]).as_bytes()))
            }
            KeyKind::Binary => hex(format!("{}{at}", self.values[at]).as_bytes()),
        }
    }

    #[allow(
        clippy::many_single_char_names,
        reason = "columns and indexes, as they stand in the statement"
    )]
    fn case(&self) -> Case {
        let [k, o, n, p, q] = [0, 1, 2, 3, 4].map(|at| quote(&self.columns[at]));
        let [x, y, z] = [0, 1, 2].map(|at| quote(&self.indexes[at]));
        let word = |at: usize| string(&self.words[at], true);
        // MySQL itself does not survive an expression with what it prints escaped, while the server has the mode (our plan
        // refuses them).
        let backslashes = !self.modes.contains(&"NO_BACKSLASH_ESCAPES");
        let expression = |at: usize| {
            let text = &self.words[at];
            string(
                &if backslashes {
                    text.clone()
                } else {
                    text.replace(['\\', '\'', '\n', '\r', '\0', '\u{1a}'], "")
                },
                true,
            )
        };
        let create = format!(
            "CREATE TABLE {{t}} ({k} {} NOT NULL COMMENT {}, {o} VARCHAR(60), {p} VARBINARY(240) DEFAULT {}, v INT NOT NULL, \
             g VARCHAR(99) CHARACTER SET utf8mb4 AS (CONCAT(v, {})) STORED, PRIMARY KEY ({k}, v), KEY {x} ({o}) COMMENT {}, \
             KEY {y} ({p}(9)) COMMENT {}, CHECK (v <> LENGTH({}) - 99)) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT={}",
            self.key_type(false),
            word(0),
            word(1),
            expression(2),
            word(3),
            word(4),
            expression(5),
            word(6),
        );
        let row = |at: usize| {
            let text = hex(self.values[at].as_bytes());
            format!("({}, _utf8mb4 {text}, {text}, {at})", self.key(at))
        };
        let insert = |rows: &[usize]| {
            let rows = rows.iter().map(|at| row(*at)).collect::<Vec<_>>().join(", ");
            format!("INSERT INTO {{t}} ({k}, {o}, {p}, v) VALUES {rows}")
        };
        let some = self.pick.index(3);
        let changes = [
            format!(
                "UPDATE {{t}} SET {p} = {} WHERE {k} = {}",
                hex(self.words[7].as_bytes()),
                self.key(some)
            ),
            insert(&[4]),
            format!("DELETE FROM {{t}} WHERE {k} = {}", self.key(3)),
            format!("UPDATE {{t}} SET {k} = {} WHERE {k} = {}", self.key(5), self.key(some)),
            format!(
                "UPDATE {{t}} SET {o} = {} WHERE {k} = {}",
                string(&self.words[0], true),
                self.key(4)
            ),
        ];
        // The ALTER is read in the server's mode.
        let backslashes = !self.modes.contains(&"NO_BACKSLASH_ESCAPES");
        let word = |at: usize| string(&self.words[at], backslashes);
        let longer = match self.key {
            KeyKind::Text | KeyKind::Binary | KeyKind::Int if self.longer_key => {
                format!(", MODIFY {k} {} NOT NULL", self.key_type(true))
            }
            _ => String::new(),
        };
        let alter = format!(
            "CHANGE {o} {n} VARCHAR(80) NOT NULL DEFAULT {} COMMENT {}, ADD {q} VARCHAR(60) NOT NULL DEFAULT {}, \
             DROP KEY {x}, ADD KEY {z} ({n}, {q}) COMMENT {}, COMMENT={}{longer}",
            word(7),
            word(6),
            word(5),
            word(4),
            word(3),
        );
        let changes = changes.each_ref().map(String::as_str);
        let case = Case::new("quoting", create)
            .table(&self.table)
            .rows(&[&insert(&[0, 1, 2, 3])])
            .changes(&changes)
            .alter(alter)
            .with(|alter| alter.chunk_size(ChunkSize::Rows(1)));
        match self.session {
            Some(mode) => case.init(format!("SET SESSION sql_mode = '{mode}'")),
            None => case,
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn nothing_gets_out_of_its_quotes() {
    let seed: u64 = setting("ONLINE_ALTER_SEED", 1);
    let cases = setting("ONLINE_ALTER_CASES", 16);
    for flavor in FLAVORS {
        let Some(server) = own(flavor, &[]) else { continue };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config =
            Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = runner.run(&hostile(), |hostile| {
            let mode = [&["STRICT_TRANS_TABLES"], &hostile.modes[..]].concat().join(",");
            exec(&mut server.conn(), &format!("SET GLOBAL sql_mode = '{mode}'"));
            let db = database(&server, &hostile.schema);
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                hostile.case().run_in(&db)
            }));
            exec(&mut server.conn(), &format!("DROP DATABASE {}", quote(&hostile.schema)));
            match ended {
                Ok(Ended::Same(_)) => Ok(()),
                Ok(Ended::Failed(error, native)) => {
                    Err(TestCaseError::fail(format!("{error}; natively: {native}")))
                }
                Err(panic) => {
                    let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    Err(TestCaseError::fail(why))
                }
            }
        });
        if let Err(TestError::Fail(why, hostile)) = result {
            panic!("{flavor}: {why}\n{hostile:#?}\n{:#?}", hostile.case().alter);
        }
    }
}
