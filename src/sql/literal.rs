//! Literals. Everything that is not plainly harmless is written in hexadecimal, so that neither
//! `NO_BACKSLASH_ESCAPES` nor `ANSI_QUOTES` nor the connection's charset can change its meaning.

use std::fmt::Write as _;

/// A string literal: `'plain'` or `_utf8mb4 X'..'`.
pub(crate) fn text(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" _-.:/@,=()+".contains(&b);
    if value.bytes().all(plain) {
        format!("'{value}'")
    } else {
        format!("_utf8mb4 {}", hex(value.as_bytes()))
    }
}

/// `X'..'`
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2 + 3);
    out.push_str("X'");
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_harmless_text_is_quoted_as_it_is() {
        assert_eq!(super::text("db_1"), "'db_1'");
        assert_eq!(super::text("a'b"), "_utf8mb4 X'612762'");
        assert_eq!(super::text("a\\"), "_utf8mb4 X'615C'");
        assert_eq!(super::text("\u{e9}"), "_utf8mb4 X'C3A9'");
        assert_eq!(super::text(""), "''");
    }
}
