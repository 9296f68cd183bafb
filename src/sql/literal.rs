//! Literals. Everything that is not plainly harmless is written in hexadecimal, so that neither
//! `NO_BACKSLASH_ESCAPES` nor `ANSI_QUOTES` nor the connection's charset can change its meaning.

use std::fmt::Write as _;

/// A string literal: `'plain'` or `_utf8mb4 X'..'`.
pub(crate) fn text(value: &str) -> String {
    if value.bytes().all(is_plain) {
        format!("'{value}'")
    } else {
        format!("_utf8mb4 {}", hex(value.as_bytes()))
    }
}

/// `X'..'`
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("X'{}'", digits(bytes))
}

/// Two hexadecimal digits for each byte.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out
}

/// Whether this is one literal of the forms that are written here and for key values, and nothing else: what was stored
/// as text goes into statements again.
pub(crate) fn is_one(text: &str) -> bool {
    let is_hex = |text: &str| {
        let text = match text.strip_prefix('_').and_then(|text| text.split_once(' ')) {
            Some((charset, rest)) if is_charset(charset) => rest,
            _ => text,
        };
        let digits = text.strip_prefix("X'").and_then(|text| text.strip_suffix('\''));
        digits.is_some_and(is_digits)
    };
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    quoted.is_some_and(|text| text.bytes().all(is_plain)) || is_number(text) || is_hex(text)
}

/// `-12.50`
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    text.split_once('.').map_or_else(|| digits(text), |(a, b)| digits(a) && digits(b))
}

/// Whether these are the hexadecimal digits of bytes.
pub(crate) fn is_digits(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_charset(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" _-.:/@,=()+".contains(&byte)
}

#[cfg(test)]
mod tests {
    #[test]
    fn knows_what_it_writes_from_anything_else() {
        let texts = ["", "a", "it's", "x\\", "\u{e9}"].map(super::text);
        let hex = super::hex(&[0, 255]);
        let others = ["-1", "12.50", "_latin1 X'61'", &hex].map(str::to_owned);
        for literal in texts.iter().chain(&others) {
            assert!(super::is_one(literal), "{literal}");
        }
        for no in [
            "", "'", "'a'b'", "1 OR 1", "1.", "-", "x", "X'6G'", "X'6'", "_ X'61'", "_a b X''",
            "'a\\'", "1) --", "NULL",
        ] {
            assert!(!super::is_one(no), "{no}");
        }
    }

    #[test]
    fn only_harmless_text_is_quoted_as_it_is() {
        assert_eq!(super::text("db_1"), "'db_1'");
        assert_eq!(super::text("a'b"), "_utf8mb4 X'612762'");
        assert_eq!(super::text("a\\"), "_utf8mb4 X'615C'");
        assert_eq!(super::text("\u{e9}"), "_utf8mb4 X'C3A9'");
        assert_eq!(super::text(""), "''");
    }
}
