use super::*;
use proptest::prelude::*;

fn shapes(text: &str, dialect: Dialect) -> Vec<Token<'_>> {
    tokenize(text, dialect).unwrap().into_iter().map(|t| t.token).collect()
}

fn plain(text: &str) -> Vec<Token<'_>> {
    shapes(text, Dialect::default())
}

#[test]
fn sql_modes() {
    assert_eq!(Dialect::from_sql_mode(""), Dialect::default());
    let d = Dialect::from_sql_mode("STRICT_TRANS_TABLES, ansi_quotes,NO_BACKSLASH_ESCAPES");
    assert!(d.ansi_quotes && d.no_backslash_escapes);
    assert!(Dialect::from_sql_mode("ANSI").ansi_quotes);
}

#[test]
fn words_and_numbers() {
    use Token::{Number, Symbol, Word};
    assert_eq!(
        plain("1a 1e5 1e 0x1F 0X1F 0b12"),
        [Word("1a"), Number("1e5"), Word("1e"), Number("0x1F"), Word("0X1F"), Word("0b12"),]
    );
    assert_eq!(plain("db.1t"), [Word("db"), Symbol('.'), Word("1t")]);
    assert_eq!(plain("db.1"), [Word("db"), Symbol('.'), Word("1")]);
    assert_eq!(
        plain("(.5,1.,1.5e-3)"),
        [
            Symbol('('),
            Number(".5"),
            Symbol(','),
            Number("1."),
            Symbol(','),
            Number("1.5e-3"),
            Symbol(')'),
        ]
    );
    assert_eq!(plain("prix_€$\u{a0}x"), [Word("prix_€$\u{a0}x")]);
    assert_eq!(plain("_utf8mb4'x'"), [Word("_utf8mb4"), Token::Str("'x'")]);
    assert_eq!(plain("x'61'"), [Word("x"), Token::Str("'61'")]);
}

#[test]
fn quotes() {
    assert_eq!(plain(r"'it''s \' fine'"), [Token::Str(r"'it''s \' fine'")]);
    assert_eq!(plain(r#""a'b""#), [Token::Str(r#""a'b""#)]);
    let ansi = Dialect { ansi_quotes: true, no_backslash_escapes: true };
    assert_eq!(shapes(r#""a""b" '\'"#, ansi), [Token::Quoted(r#""a""b""#), Token::Str(r"'\'"),]);
    let all = tokenize("`a``b` `` ", ansi).unwrap();
    assert_eq!(all[0].identifier().unwrap(), "a`b");
    assert_eq!(all[1].identifier().unwrap(), "");
    let all = tokenize(r#""a""b""#, ansi).unwrap();
    assert_eq!(all[0].identifier().unwrap(), "a\"b");
    assert_eq!(all[0].end, 6);
}

#[test]
fn comments() {
    assert_eq!(plain("a -- b\nc"), [Token::Word("a"), Token::Word("c")]);
    assert_eq!(plain("a --"), [Token::Word("a")]);
    assert_eq!(plain("a --\tb"), [Token::Word("a")]);
    assert_eq!(plain("5--1").len(), 4);
    assert_eq!(plain("a#b\n/* 'c /* */d"), [Token::Word("a"), Token::Word("d")]);
    assert_eq!(plain("/*!50100 a */"), [Token::Executable(" a ")]);
    assert_eq!(plain("/*!100100 a */"), [Token::Executable(" a ")]);
    assert_eq!(plain("/*M! a */"), [Token::Executable(" a ")]);
    assert_eq!(plain("/*!40 */"), [Token::Executable("40 ")]);
    assert_eq!(plain("/*+ x */"), [Token::Hint(" x ")]);
}

#[test]
fn errors_tell_where() {
    let err = |text| tokenize(text, Dialect::default()).unwrap_err();
    assert_eq!(err("a 'b"), LexError::UnterminatedString(2));
    assert_eq!(err(r"'b\'"), LexError::UnterminatedString(0));
    assert_eq!(err("é `b"), LexError::UnterminatedIdentifier(3));
    assert_eq!(err("/* b"), LexError::UnterminatedComment(0));
    assert_eq!(err("/*/"), LexError::UnterminatedComment(0));
    assert_eq!(err("a \0"), LexError::Nul(2));
    assert_eq!(err("# x \0 y"), LexError::Nul(4));
    for text in ["/*! '*/' */", "/*! /* */ */", "/*! -- */\n*/", "/*! # */\n*/"] {
        assert_eq!(err(text), LexError::AmbiguousComment(0), "{text}");
    }
}

#[test]
fn folding() {
    assert_eq!(fold("ÀbC"), fold("àBc"));
    assert_eq!(fold("İ"), "i");
    for (a, b, same) in [
        ("ab", "AB", Some(true)),
        ("é", "É", Some(true)),
        ("Ж", "ж", Some(true)),
        ("e", "é", Some(false)),
        ("größe", "größe", Some(true)),
        ("a", "ab", Some(false)),
        ("σ", "ς", None),
        ("µ", "μ", None),
        ("ı", "i", None),
        ("İ", "i", None),
        ("ẞ", "ß", None),
        ("\u{212a}", "k", None),
        ("ა", "Ა", None),
    ] {
        assert_eq!(same_name(a, b), same, "{a} {b}");
        assert_eq!(same_name(b, a), same, "{b} {a}");
    }
}

proptest! {
    #[test]
    fn spans_are_exact(text in "\\PC*|[-a'\"`#/*!+.0-9eE \\\\\n]{0,40}", ansi: bool, raw: bool) {
        let dialect = Dialect { ansi_quotes: ansi, no_backslash_escapes: raw };
        let Ok(tokens) = tokenize(&text, dialect) else { return Ok(()) };
        let mut at = 0;
        for t in tokens {
            prop_assert!(t.start >= at && t.end > t.start);
            at = t.end;
            let slice = &text[t.start..t.end];
            match t.token {
                Token::Word(s) | Token::Quoted(s) | Token::Str(s) | Token::Number(s) => {
                    prop_assert_eq!(s, slice);
                }
                Token::Symbol(c) => prop_assert_eq!(c.to_string(), slice),
                Token::Executable(s) | Token::Hint(s) => prop_assert!(slice.contains(s)),
            }
            if matches!(t.token, Token::Word(_) | Token::Quoted(_)) {
                prop_assert!(t.identifier().is_some());
            }
        }
        prop_assert!(at <= text.len());
    }
}
