//! What the targets in `fuzz/` run: any bytes in, and an assertion that fails where a promise is broken. Compiled for them
//! and for the tests only, which go through the inputs that are kept.

use std::fmt::Write as _;

use mysql::binlog::events::{BinlogEventFooter, Event, FormatDescriptionEvent};
use mysql_common::binlog::consts::{BinlogChecksumAlg, BinlogVersion};

use crate::binlog::gtid::Gtid;
use crate::binlog::interpreter::Interpreter;
use crate::binlog::watch::{Sink, Watch, Writer};
use crate::binlog::{BinlogPosition, GtidSet, KeyPart, Start, WatchedTable};
use crate::checkpoint::{CopiedSoFar, SavedPlace, StateTable};
use crate::db::Flavor;
use crate::migration::resume::Task;
use crate::sql::alter::{AlterClause, Stated};
use crate::sql::mentions::classify;
use crate::sql::tokens::{Dialect, Spanned, Token, tokenize};
use crate::sql::{Ident, Key, KeyColumn, KeyShape, KeyType, TableName, literal};

/// What a target does with its input.
pub type Target = fn(&[u8]);

/// All targets, by the names of their files and of the directories of their corpora.
pub const TARGETS: [(&str, Target); 5] = [
    ("alter", alter),
    ("checkpoint", checkpoint),
    ("events", events),
    ("positions", positions),
    ("quoting", quoting),
];

/// The first byte says how the server reads quotes; the rest is text.
fn dialect_and_text(data: &[u8]) -> (u8, Dialect, String) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let dialect = Dialect { ansi_quotes: first & 1 != 0, no_backslash_escapes: first & 2 != 0 };
    (*first, dialect, String::from_utf8_lossy(rest).into_owned())
}

fn slice<'a>(text: &'a str, token: &Spanned<'_>) -> &'a str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// The tokens with one space between them, and neither comments nor other white space.
fn with_spaces(text: &str, tokens: &[Spanned<'_>]) -> String {
    tokens.iter().map(|token| slice(text, token)).collect::<Vec<_>>().join(" ")
}

/// The tokeniser, the reader of ALTER clauses, and that of statements from the binlog: what is between the tokens makes no
/// difference to any of them.
pub fn alter(data: &[u8]) {
    let (flags, dialect, text) = dialect_and_text(data);
    let stated = || {
        let column = Stated { old: "a".to_owned(), new: None };
        if flags & 4 == 0 { Vec::new() } else { vec![column] }
    };
    let read = AlterClause::parse_with(&text, dialect, stated());
    let statement = classify(&text, "db", dialect);
    assert!(read.as_ref().err().is_none_or(|error| !error.to_string().is_empty()));
    let Ok(tokens) = tokenize(&text, dialect) else {
        assert!(read.is_err() && !statement.readable, "{text:?} is no sequence of tokens");
        return;
    };
    let mut end = 0;
    for token in &tokens {
        assert!(end <= token.start && token.start < token.end, "{token:?} behind {end}");
        end = token.end;
        let named = matches!(token.token, Token::Word(_) | Token::Quoted(_));
        assert_eq!(token.identifier().is_some(), named, "{token:?}");
    }
    assert!(end <= text.len());

    let spaced = with_spaces(&text, &tokens);
    let again = tokenize(&spaced, dialect);
    let plain = |tokens: &[Spanned<'_>]| {
        format!("{:?}", tokens.iter().map(|t| t.token).collect::<Vec<_>>())
    };
    assert_eq!(again.as_deref().map(plain).ok(), Some(plain(&tokens)), "{text:?} as {spaced:?}");

    let read_again = AlterClause::parse_with(&spaced, dialect, stated());
    match (read, read_again) {
        (Ok(read), Ok(again)) => {
            assert_eq!(meaning(&read, dialect), meaning(&again, dialect), "{text:?} as {spaced:?}");
            assert_eq!(read.with_constraint_names(|_| None), text);
        }
        (Err(_), Err(_)) => {}
        (read, again) => {
            assert_eq!(read.is_ok(), again.is_ok(), "{text:?}: {read:?}; as {spaced:?}: {again:?}");
        }
    }
    let statement_again = classify(&spaced, "db", dialect);
    assert_eq!(statement.readable, statement_again.readable, "{text:?} as {spaced:?}");
    if statement.readable {
        let both = [&statement, &statement_again].map(|read| (&read.effect, &read.tables));
        assert_eq!(both[0], both[1], "{text:?} as {spaced:?}");
    }
    for token in tokens.iter().filter_map(Spanned::identifier) {
        let _ = statement.names("db", &token);
    }
}

/// What a clause says, however it is written.
fn meaning(clause: &AlterClause, dialect: Dialect) -> String {
    let named = clause.with_constraint_names(|_| Some("`x`".to_owned()));
    let tokens = tokenize(&named, dialect).unwrap_or_default();
    let of = |column: &str| clause.mapping(column);
    let flags = [
        clause.drops_primary_key,
        clause.adds_primary_key,
        clause.adds_unique,
        clause.sets_auto_increment,
        clause.adds_foreign_key,
        clause.drops_foreign_key,
    ];
    format!(
        "{:?} {:?} {:?} {:?} {:?} {flags:?} {:?} {} {}",
        clause.changes,
        clause.dropped_columns,
        clause.added_columns,
        clause.modified_columns,
        clause.sets_engine,
        (of("a"), of("b")),
        clause.is_partly_unread(),
        with_spaces(&named, &tokens),
    )
}

/// Names and values, quoted, are read back as they were, under every SQL mode, and whatever stands beside them.
pub fn quoting(data: &[u8]) {
    let (flags, dialect, text) = dialect_and_text(data);
    let (name, value) = text.split_once('\u{1}').unwrap_or((&text, &text));
    assert_eq!(hex_of(&literal::hex(data), dialect).as_deref(), Some(data));
    let quoted = literal::text(value);
    assert_eq!(text_of(&quoted, dialect).as_deref(), Some(value.as_bytes()), "{quoted}");

    // The servers have no name with a NUL in it.
    let name = name.replace('\0', "");
    let ident = Ident::new(name.as_str());
    let table = TableName::new(ident.clone(), ident.clone());
    let sql = format!("{table}.{ident}={quoted}");
    let tokens = tokenize(&sql, dialect).unwrap_or_default();
    let names: Vec<_> = tokens.iter().take(6).map(Spanned::identifier).collect();
    let found: Vec<_> = names.iter().flatten().map(|name| &**name).collect();
    assert_eq!(found, [&name; 3], "{sql}");
    let symbols = |at: usize, symbol| tokens.get(at).is_some_and(|t| t.is_symbol(symbol));
    assert!(symbols(1, '.') && symbols(3, '.') && symbols(5, '='), "{sql}");
    let behind = tokens.get(6).and_then(|first| sql.get(first.start..));
    assert_eq!(behind, Some(&*quoted), "{sql}");

    if Ident::parse("table", &name).is_ok() {
        let ours = [table.ghost(), table.state(), table.old()].map(|table| table.table);
        for name in &ours {
            assert!(Ident::parse("table", name.as_str()).is_ok(), "{name:?} of {ident:?}");
        }
        let [ghost, state, old] = &ours;
        assert!(
            ghost != state && state != old && ghost != old && !ours.contains(&ident),
            "{ours:?}"
        );
    }
    for ty in types(flags) {
        // As the server says it, and as the binlog has it.
        one_literal(&ty.literal_of_selected(value), dialect);
        let mut out = String::new();
        if ty.write_literal(data, &mut out).is_ok() {
            one_literal(&out, dialect);
        }
    }
}

/// Asserts that the text is one number or one string, and so cannot be anything else of a statement.
fn one_literal(sql: &str, dialect: Dialect) {
    let tokens = tokenize(sql, dialect).unwrap_or_default();
    let kinds: Vec<_> = tokens.iter().map(|token| token.token).collect();
    let is_one = match kinds.as_slice() {
        [Token::Number(_)] | [Token::Symbol('-'), Token::Number(_)] => true,
        [Token::Str(_)]
        | [Token::Word(_), Token::Str(_)]
        | [Token::Word(_), Token::Word(_), Token::Str(_)] => {
            !sql.contains('\\') && text_of(sql, dialect).is_some()
        }
        _ => false,
    };
    assert!(is_one, "{sql:?}: {kinds:?}");
}

/// The bytes of `'..'`, `X'..'` or `_charset X'..'`.
fn text_of(sql: &str, dialect: Dialect) -> Option<Vec<u8>> {
    let tokens = tokenize(sql, dialect).ok()?;
    match tokens.as_slice() {
        [one] if sql.starts_with('\'') && slice(sql, one) == sql => {
            let inner = sql.get(1..sql.len() - 1)?;
            let is_plain = !inner.contains(['\'', '"', '\\', '`']) && inner.is_ascii();
            is_plain.then(|| inner.as_bytes().to_vec())
        }
        [charset, hex, _] if slice(sql, charset).starts_with('_') => {
            hex_of(sql.get(hex.start..)?, dialect)
        }
        _ => hex_of(sql, dialect),
    }
}

fn hex_of(sql: &str, dialect: Dialect) -> Option<Vec<u8>> {
    let tokens = tokenize(sql, dialect).ok()?;
    let [x, Spanned { token: Token::Str(quoted), .. }] = tokens.as_slice() else { return None };
    let digits = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    if !x.is_word("X") || digits.len() % 2 != 0 {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn types(seed: u8) -> [KeyType; 15] {
    let fsp = seed % 7;
    let text = |charset: &str| KeyType::Text { charset: charset.to_owned() };
    [
        KeyType::Int { unsigned: seed & 1 != 0 },
        KeyType::Decimal { precision: seed % 65 + 1, scale: seed % 31 },
        KeyType::Year,
        KeyType::Date,
        KeyType::Time { fsp },
        KeyType::Datetime { fsp },
        KeyType::Timestamp { fsp },
        text("utf8mb4"),
        text("binary"),
        KeyType::Binary { pad_to: Some(usize::from(seed)) },
        KeyType::Ordinal,
        KeyType::Bit,
        KeyType::Uuid,
        KeyType::Inet6,
        KeyType::Inet4,
    ]
}

/// Events of the binlog, as a run on `db`.`t` reads them. The first byte says which columns are the key, and how the
/// stream is asked for; then come events: type, flags (2 bytes), length (2 bytes), body.
pub fn events(data: &[u8]) {
    let (first, mut rest) = data.split_first().unwrap_or((&0, &[]));
    let mut keys = match (first & 3, types(*first)) {
        (0, [int, ..]) => vec![int],
        (1, [_, decimal, _, _, time, .., uuid, _, _]) => vec![decimal, time, uuid],
        (2, [_, _, year, date, _, datetime, timestamp, text, ..]) => {
            vec![text, year, date, datetime, timestamp]
        }
        (_, [.., binary, ordinal, bit, _, inet6, inet4]) => {
            vec![binary, ordinal, bit, inet6, inet4]
        }
    };
    if first & 4 != 0 {
        keys.reverse();
    }
    let mut reader = reader(&keys, *first);
    let mut seen = Seen { keys: 0, shape: shape(keys) };
    let footer = FormatDescriptionEvent::new(BinlogVersion::Version4);
    let fde =
        footer.with_footer(BinlogEventFooter::new(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_OFF));
    while let Some((head, tail)) = rest.split_first_chunk::<5>() {
        let [event_type, flags @ .., low, high] = *head;
        let length = usize::from(u16::from_le_bytes([low, high])).min(tail.len());
        let (body, tail) = tail.split_at(length);
        rest = tail;
        let mut bytes = vec![0; 4];
        bytes.push(event_type);
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(u32::try_from(19 + length).unwrap_or_default().to_le_bytes());
        bytes.extend(u32::from(low).to_le_bytes());
        bytes.extend(flags);
        bytes.extend(body);
        let Ok(event) = Event::read(&fde, &*bytes) else { continue };
        // A run ends with the first error; what it would read behind that is more to be tried here.
        if let Err(error) = reader.event(&event, &mut seen) {
            assert!(!error.to_string().is_empty());
        }
        if event_type == 0xff {
            reader.reconnected(BinlogPosition::new("b.000002", 4));
        }
    }
}

fn reader(keys: &[KeyType], flags: u8) -> Interpreter {
    let source = TableName::new(Ident::new("db"), Ident::new("t"));
    let part = |(column, ty): (usize, &KeyType)| KeyPart { column, ty: ty.clone() };
    let key: Vec<KeyPart> = keys.iter().enumerate().map(part).collect();
    let watch = Watch {
        ghost: source.ghost(),
        state: source.state(),
        source,
        before_swap: WatchedTable { columns: key.len() + 1, key: key.clone() },
        after_swap: WatchedTable { columns: key.len() + 2, key },
        marker: StateTable::watched(),
        ignores_case: flags & 8 != 0,
        one_domain: flags & 16 != 0,
        replica: (flags & 128 != 0).then_some(2),
        own_server: flags & 128 == 0,
    };
    let gtids = match flags & 0x60 {
        0x20 => GtidSet::parse_mysql("").ok(),
        0x40 => GtidSet::parse_mariadb("").ok(),
        _ => None,
    };
    Interpreter::new(watch, Start { gtids, ..Start::from(BinlogPosition::new("b.000001", 4)) })
}

fn shape(types: Vec<KeyType>) -> KeyShape {
    let column = |(at, ty)| {
        let name = Ident::new(format!("k{at}"));
        KeyColumn { source: name.clone(), ghost: name, ty, descending: false }
    };
    KeyShape {
        source_index: Ident::new("PRIMARY"),
        ghost_index: None,
        ghost_unique: true,
        columns: types.into_iter().enumerate().map(column).collect(),
    }
}

/// Looks at every key: what is made of it for a statement is a literal for each column.
struct Seen {
    keys: u64,
    shape: KeyShape,
}

impl Sink for Seen {
    fn key(&mut self, key: Key) {
        self.keys += 1;
        if let Ok(literals) = self.shape.literals(&key) {
            assert_eq!(literals.len(), self.shape.columns.len());
            for literal in &literals {
                one_literal(literal, Dialect::default());
            }
        }
    }

    fn others(&mut self) {}

    fn marker(&mut self, _: u64) {}

    fn swapped(&mut self) -> crate::error::Result<()> {
        Ok(())
    }

    fn committed(&mut self, _: &BinlogPosition) {}

    fn is_own(&self, writer: Writer) -> bool {
        writer.connection_id & 1 != 0
    }
}

/// Positions in the binlog, and sets of transactions: what is read is written, and read again, the same.
pub fn positions(data: &[u8]) {
    let (number, text) = data.split_first_chunk::<8>().unwrap_or((&[0; 8], data));
    let number = u64::from_le_bytes(*number);
    let text = String::from_utf8_lossy(text);
    if let Ok(mut position) = text.parse::<BinlogPosition>() {
        assert_eq!(position.to_string().parse(), Ok(position.clone()));
        let before = position.offset();
        let low = u32::try_from(number & 0xffff_ffff).unwrap_or_default();
        position.advance(low);
        let after = position.offset();
        assert!(after >= before && (after == u64::MAX || after & 0xffff_ffff == u64::from(low)));
    }
    if let Ok(mut set) = GtidSet::parse_mysql(&text) {
        assert_eq!(GtidSet::parse_mysql(&set.to_string()), Ok(set.clone()));
        assert!(set.sids().is_ok(), "{set}");
        let GtidSet::MySql(all) = &set else { return };
        for ranges in all.values() {
            assert!(ranges.iter().all(|(first, last)| first <= last), "{ranges:?}");
            let apart = ranges.iter().zip(ranges.iter().skip(1));
            for ((_, last), (next, _)) in apart {
                assert!(last.saturating_add(1) < *next, "{ranges:?}");
            }
        }
        let whose = all.keys().next().cloned();
        if let Some(whose) = whose.filter(|_| number > 0 && number < 1 << 62) {
            set.add(Gtid::MySql(whose.clone(), number));
            let GtidSet::MySql(all) = &set else { return };
            let ranges = all.get(&whose).map(Vec::as_slice).unwrap_or_default();
            assert!(ranges.iter().any(|(first, last)| (first..=last).contains(&&number)), "{set}");
            assert_eq!(GtidSet::parse_mysql(&set.to_string()), Ok(set.clone()));
        }
    }
    if let Ok(mut set) = GtidSet::parse_mariadb(&text) {
        assert_eq!(GtidSet::parse_mariadb(&set.to_string()), Ok(set.clone()));
        set.add(Gtid::MariaDb { domain: 7, server: 1, number });
        let mut expected = set.to_string();
        assert!(expected.contains(&format!("7-1-{number}")));
        let state = set.connect_state().unwrap_or_default();
        let tokens = tokenize(&state, Dialect::default()).unwrap_or_default();
        let _ = write!(expected, "'");
        assert!(state.contains(&expected) && tokens.len() == 15, "{state}: {tokens:?}");
    }
}

/// What a run wrote down for the one that goes on behind it, as somebody may have changed it: what is read is written, and
/// read again, the same; and every key in it is a literal. The first byte is for the types of the keys.
pub fn checkpoint(data: &[u8]) {
    let (flags, dialect, text) = dialect_and_text(data);
    if literal::is_one(&text) {
        one_literal(&text, dialect);
    }
    if let Ok(place) = SavedPlace::parse(&text) {
        let again = place.text().and_then(|text| SavedPlace::parse(&text));
        assert!(again.is_ok_and(|again| again == place), "{place:?}");
        for flavor in [Flavor::MySql, Flavor::MariaDb] {
            if let Ok(start) = place.start(flavor) {
                assert_eq!(place.position().ok(), Some(start.position));
            }
        }
        let shapes = types(flags).map(|ty| shape(vec![ty]));
        for key in place.keys().unwrap_or_default() {
            for literals in shapes.iter().filter_map(|shape| shape.literals(&key).ok()) {
                for literal in &literals {
                    one_literal(literal, dialect);
                }
            }
        }
    }
    if let Ok(copied) = CopiedSoFar::parse(&text) {
        let again = copied.text().and_then(|text| CopiedSoFar::parse(&text));
        assert!(again.is_ok_and(|again| again == copied), "{copied:?}");
        let literals = copied.bound().map(|bound| bound.0).unwrap_or_default();
        for literal in &literals {
            one_literal(literal, dialect);
        }
    }
    if let Ok(task) = Task::parse(&text) {
        let text = serde_json::to_string(&task).unwrap_or_default();
        let again = Task::parse(&text).map(|task| serde_json::to_string(&task).unwrap_or_default());
        assert_eq!(again.ok(), Some(text));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every input that is kept, among them those that once broke something. The targets themselves are a line each, so
    /// what could fail to compile of them is here.
    #[test]
    fn inputs_that_are_kept() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            // In the published package.
            return;
        }
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for (name, target) in TARGETS {
            let text = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            let call = "libfuzzer_sys::fuzz_target!(|data: &[u8]| online_alter::internals::fuzz::";
            assert!(text.ends_with(&format!("\n{call}{name}(data));\n")), "{text}");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
            let corpus = fs::read_dir(fuzz.join("corpus").join(name)).unwrap();
            let mut count = 0;
            for file in corpus {
                let path = file.unwrap().path();
                target(&fs::read(path).unwrap());
                count += 1;
            }
            assert!(count > 5, "{name}: {count}");
        }
    }
}
