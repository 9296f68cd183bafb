//! Names of tables, columns and indexes: mostly plain, sometimes nasty.

use crate::rng::Rng;

const NASTY: [&str; 30] = [
    "select",
    "a`b",
    "it's",
    "a b",
    "100%",
    "do.t",
    "ünï",
    "名前",
    "generated",
    "primary",
    "key",
    "\"quoted\"",
    "CaMeL",
    "index",
    "--x",
    "/*c*/",
    "#h",
    "$1",
    "?",
    "@v",
    "a;b",
    "after",
    "first",
    "column",
    "{t}",
    "a\\b",
    "☃",
    "to",
    "1",
    "unique",
];

/// A name that begins with `plain`, and so is unique if `plain` is.
pub(crate) fn name(rng: &Rng, plain: &str) -> String {
    match rng.below(100) {
        0..85 => plain.to_owned(),
        85..97 => format!("{}{}", rng.one(&NASTY), plain),
        97 => format!("{plain}{}", "x".repeat(64 - plain.chars().count())),
        98 => format!("{plain}{}", "é".repeat(64 - plain.chars().count())),
        _ => (rng.one(&NASTY)).to_owned(),
    }
}

pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal. Hexadecimal where a client or a mode might see something else in it.
pub(crate) fn text(text: &str) -> String {
    if text.chars().all(|c| !c.is_control()) {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("_utf8mb4 {}", hex(text.as_bytes()))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|b| format!("{b:02X}")).collect();
    let digits = digits.concat();
    format!("X'{digits}'")
}
