use std::fmt::Write as _;

use super::codes::CODES;
use super::*;

#[test]
fn words_that_matter_come_before_those_that_do_not() {
    assert!(CODES.windows(2).all(|pair| pair[0].code <= pair[1].code), "in order");
    for (i, row) in CODES.iter().enumerate() {
        let hidden = CODES[..i].iter().any(|r| r.code == row.code && r.says.is_empty());
        assert!(!hidden, "{} is never found", row.name);
        let words = row.says.first().copied().unwrap_or_default();
        assert_eq!(Fault::of(row.code, words), row.fault, "{}", row.name);
    }
}

#[test]
fn messages_of_the_servers() {
    for (code, message, fault) in [
        (
            1290,
            "The MySQL server is running with the --super-read-only option so it ..",
            Fault::Busy,
        ),
        (1290, "The MariaDB server is running with the --read-only option so it ..", Fault::Busy),
        (1290, "The MySQL server is running with the --secure-file-priv option ..", Fault::Other),
        (1836, "Running in read-only mode", Fault::Busy),
        (1030, "Got error 28 - 'No space left on device' from storage engine", Fault::DiskFull),
        (
            1030,
            "Got error 28 \"No space left on device\" from storage engine InnoDB",
            Fault::DiskFull,
        ),
        (1030, "Got error 168 - 'Unknown (generic) error from engine'", Fault::Other),
        (
            1026,
            "Error writing file './binlog' (errno: 28 - No space left on device)",
            Fault::DiskFull,
        ),
        (1026, "Error writing file './binlog' (errno: 5 - Input/output error)", Fault::Other),
        (
            1236,
            "Got fatal error 1236 from source when reading data from binary log: 'A replica with the same \
             server_uuid/server_id as this replica has connected to the source; ..'",
            Fault::Displaced,
        ),
        (
            1236,
            "Got fatal error 1236 from master when reading data from binary log: 'Could not find first \
             log file name in binary log index file'",
            Fault::NoBinlog,
        ),
        (65_000, "a code that nobody knows", Fault::Other),
    ] {
        assert_eq!(Fault::of(code, message), fault, "{code} {message}");
    }
}

/// The tables in `docs/RETRIES.md`, which are made by this: `UPDATE_DOCS=1` writes them.
#[test]
fn the_documentation_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/RETRIES.md");
    let text = std::fs::read_to_string(path).unwrap();
    let made = with_tables(&text);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    } else {
        assert_eq!(text, made, "run `UPDATE_DOCS=1 cargo test --lib the_documentation`");
    }
}

const BEGIN: &str = "<!-- codes -->\n";
const END: &str = "<!-- end of codes -->\n";

fn with_tables(text: &str) -> String {
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let mut table =
        "| code | name | from | only if it says | class | decision |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for row in CODES {
        let says: Vec<String> = row.says.iter().map(|words| format!("\"{words}\"")).collect();
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {:?} | {} |",
            row.code,
            row.name,
            row.from,
            says.join(" or "),
            row.fault,
            name(row.fault.decision())
        );
    }
    let _ = writeln!(
        table,
        "| any other | | | | {:?} | {} |",
        Fault::Other,
        name(Fault::Other.decision())
    );
    format!("{before}{BEGIN}{table}{END}{after}")
}

fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Retry => "retry",
        Decision::Wait => "wait",
        Decision::Ambiguous => "ambiguous",
        Decision::Split => "split",
        Decision::Name => "name the rows",
        Decision::GiveUp => "give up",
    }
}
