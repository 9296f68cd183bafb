//! A tokeniser for the SQL text of MySQL and MariaDB.
//!
//! It exists so that words in strings, comments and quoted identifiers are never mistaken for
//! syntax. It knows no grammar. Where the same text can be cut in two ways depending on which
//! server reads it, it reports an error rather than choose.

use std::borrow::Cow;

mod names;
#[cfg(test)]
mod tests;

pub(crate) use names::{fold, same_name};

/// The settings of `sql_mode` that change where tokens begin and end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// `"x"` is an identifier rather than a string.
    pub(crate) ansi_quotes: bool,
    /// A backslash in a string is an ordinary character.
    pub(crate) no_backslash_escapes: bool,
}

impl Dialect {
    /// Reads the value of `@@sql_mode`.
    pub(crate) fn from_sql_mode(sql_mode: &str) -> Self {
        // The servers expand the combined modes when they are set; naming them here costs nothing
        // and keeps a mode taken from a configuration file right.
        const ANSI: [&str; 7] =
            ["ANSI_QUOTES", "ANSI", "ORACLE", "MSSQL", "DB2", "POSTGRESQL", "MAXDB"];
        let mut dialect = Self::default();
        for mode in sql_mode.split(',').map(str::trim) {
            if ANSI.iter().any(|name| mode.eq_ignore_ascii_case(name)) {
                dialect.ansi_quotes = true;
            }
            if mode.eq_ignore_ascii_case("NO_BACKSLASH_ESCAPES") {
                dialect.no_backslash_escapes = true;
            }
        }
        dialect
    }
}

/// What a piece of SQL text is. Strings and quoted identifiers keep their quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword or an identifier without quotes.
    Word(&'a str),
    /// An identifier in quotes, with them.
    Quoted(&'a str),
    /// A string in quotes, with them.
    Str(&'a str),
    Number(&'a str),
    Symbol(char),
    /// What is inside `/*! */` or `/*M! */`, without the version: SQL to some servers, and a
    /// comment to others.
    Executable(&'a str),
    /// What is inside `/*+ */`: hints after `SELECT` and the like, a comment elsewhere.
    Hint(&'a str),
}

/// A token and where it is in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Spanned<'a> {
    /// Whether this is `keyword`, in any case, without quotes.
    pub(crate) fn is_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether this is one of `keywords`.
    pub(crate) fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is_word(keyword))
    }

    /// The keyword or unquoted identifier this is, or an empty text.
    pub(crate) fn word(&self) -> &'a str {
        match self.token {
            Token::Word(word) => word,
            _ => "",
        }
    }

    pub(crate) fn is_symbol(&self, symbol: char) -> bool {
        self.token == Token::Symbol(symbol)
    }

    /// The identifier this is or can be, without its quotes.
    pub(crate) fn identifier(&self) -> Option<Cow<'a, str>> {
        match self.token {
            Token::Word(word) => Some(Cow::Borrowed(word)),
            Token::Quoted(raw) => {
                let quote = raw.chars().next()?;
                let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
                if inner.contains(quote) {
                    let mut doubled = String::from(quote);
                    doubled.push(quote);
                    Some(Cow::Owned(inner.replace(&doubled, quote.encode_utf8(&mut [0; 4]))))
                } else {
                    Some(Cow::Borrowed(inner))
                }
            }
            _ => None,
        }
    }
}

/// Text that cannot be cut into tokens with certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LexError {
    #[error("a string that begins at byte {0} does not end")]
    UnterminatedString(usize),
    #[error("a quoted identifier that begins at byte {0} does not end")]
    UnterminatedIdentifier(usize),
    #[error("a comment that begins at byte {0} does not end")]
    UnterminatedComment(usize),
    #[error(
        "the executable comment or hint at byte {0} contains a quote or a comment that may reach past its end"
    )]
    AmbiguousComment(usize),
    #[error("a NUL character at byte {0} is outside a string")]
    Nul(usize),
}

/// Cuts `text` into tokens. Whitespace and ordinary comments are left out.
pub(crate) fn tokenize(text: &str, dialect: Dialect) -> Result<Vec<Spanned<'_>>, LexError> {
    Lexer::new(text, 0, dialect, false).run()
}

/// Cuts the inside of an executable comment, which begins at byte `base` of the whole text.
pub(crate) fn tokenize_body(
    body: &str,
    base: usize,
    dialect: Dialect,
) -> Result<Vec<Spanned<'_>>, LexError> {
    Lexer::new(body, base, dialect, true).run()
}

fn is_identifier_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

struct Lexer<'a> {
    text: &'a str,
    base: usize,
    at: usize,
    dialect: Dialect,
    /// Inside an executable comment, where a comment within may swallow the outer one's end.
    nested: bool,
    out: Vec<Spanned<'a>>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, base: usize, dialect: Dialect, nested: bool) -> Self {
        Self { text, base, at: 0, dialect, nested, out: Vec::new() }
    }

    fn run(mut self) -> Result<Vec<Spanned<'a>>, LexError> {
        while let Some(c) = self.rest().chars().next() {
            self.step(c)?;
        }
        Ok(self.out)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self, c: char) -> Result<(), LexError> {
        let rest = self.rest();
        match c {
            '\0' => Err(LexError::Nul(self.base + self.at)),
            _ if is_space(c) => {
                self.at += c.len_utf8();
                Ok(())
            }
            '#' => self.line_comment(),
            '-' if Self::opens_dash_comment(rest) => self.line_comment(),
            '/' if rest.starts_with("/*") => self.block_comment(),
            '`' => self.quoted('`'),
            '"' if self.dialect.ansi_quotes => self.quoted('"'),
            '\'' | '"' => self.string(c),
            _ if is_identifier_char(c) || c == '.' => {
                self.word_or_number(c);
                Ok(())
            }
            _ => {
                self.push(Token::Symbol(c), c.len_utf8());
                Ok(())
            }
        }
    }

    fn push(&mut self, token: Token<'a>, len: usize) {
        let start = self.base + self.at;
        self.at += len;
        self.out.push(Spanned { token, start, end: self.base + self.at });
    }

    /// `--` opens a comment only before whitespace or a control character: `5--1` is arithmetic.
    fn opens_dash_comment(rest: &str) -> bool {
        rest.strip_prefix("--").is_some_and(|after| {
            after.chars().next().is_none_or(|c| is_space(c) || c.is_ascii_control())
        })
    }

    fn line_comment(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        // A NUL ends a line comment for the servers and not for a reader, so it gets no meaning.
        let end = rest.find(['\n', '\0']).unwrap_or(rest.len());
        if self.nested && end == rest.len() {
            return Err(LexError::AmbiguousComment(self.base + self.at));
        }
        self.at += end;
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), LexError> {
        let start = self.base + self.at;
        if self.nested {
            return Err(LexError::AmbiguousComment(start));
        }
        let rest = self.rest();
        let inner = rest.get(2..).unwrap_or_default();
        let Some(len) = inner.find("*/") else {
            return Err(LexError::UnterminatedComment(start));
        };
        let whole = len + 4;
        let inner = inner.get(..len).unwrap_or_default();
        let body =
            inner.strip_prefix('!').or_else(|| inner.strip_prefix("M!")).map(without_version);
        if let Some(body) = body {
            // A server that runs the comment reads its quotes; one that skips it does not. Both
            // find the same end only if nothing inside is left open there.
            let base = start + 2 + (len - body.len());
            tokenize_body(body, base, self.dialect)
                .map_err(|_| LexError::AmbiguousComment(start))?;
            self.push(Token::Executable(body), whole);
        } else if let Some(hint) = inner.strip_prefix('+') {
            self.push(Token::Hint(hint), whole);
        } else if inner.contains('\0') {
            return Err(LexError::Nul(start));
        } else {
            self.at += whole;
        }
        Ok(())
    }

    /// Finds the end of a quoted text that begins at the cursor.
    fn quoted_len(&self, quote: char, escapes: bool) -> Option<usize> {
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|&(_, next)| next == quote) {
                    chars.next();
                } else {
                    return Some(at + c.len_utf8());
                }
            }
        }
        None
    }

    fn quoted(&mut self, quote: char) -> Result<(), LexError> {
        let start = self.base + self.at;
        let len = self.quoted_len(quote, false).ok_or(LexError::UnterminatedIdentifier(start))?;
        let raw = self.rest().get(..len).unwrap_or_default();
        if raw.contains('\0') {
            return Err(LexError::Nul(start));
        }
        self.push(Token::Quoted(raw), len);
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), LexError> {
        let len = self
            .quoted_len(quote, !self.dialect.no_backslash_escapes)
            .ok_or(LexError::UnterminatedString(self.base + self.at))?;
        let raw = self.rest().get(..len).unwrap_or_default();
        self.push(Token::Str(raw), len);
        Ok(())
    }

    fn word_or_number(&mut self, first: char) {
        let rest = self.rest();
        let after_dot = self.out.last().is_some_and(|last| last.is_symbol('.'));
        // After a name, a dot separates: `db.1t` is no fraction.
        let after_name = self.out.last().is_some_and(|last| {
            last.end == self.base + self.at
                && matches!(last.token, Token::Word(_) | Token::Quoted(_))
        });
        let number =
            if after_dot || (first == '.' && after_name) { None } else { number_len(rest) };
        if let Some(len) = number {
            self.push(Token::Number(rest.get(..len).unwrap_or_default()), len);
        } else if first == '.' {
            self.push(Token::Symbol('.'), 1);
        } else {
            let len = word_len(rest);
            self.push(Token::Word(rest.get(..len).unwrap_or_default()), len);
        }
    }
}

/// The version that opens an executable comment has five or six digits.
fn without_version(body: &str) -> &str {
    let digits = digits_len(body).min(6);
    if digits >= 5 { body.get(digits..).unwrap_or_default() } else { body }
}

fn word_len(text: &str) -> usize {
    text.find(|c| !is_identifier_char(c)).unwrap_or(text.len())
}

fn digits_len(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of the number `text` begins with, or nothing if it begins with a word: `1a` and
/// `0X1` are identifiers.
fn number_len(text: &str) -> Option<usize> {
    let run = text.get(..word_len(text))?;
    for (prefix, radix) in [("0x", 16), ("0b", 2)] {
        if run
            .strip_prefix(prefix)
            .is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
        {
            return Some(run.len());
        }
    }
    let whole = digits_len(text);
    let mut len = whole;
    if let Some(fraction) = text.get(len..)?.strip_prefix('.') {
        let digits = digits_len(fraction);
        if whole == 0 && digits == 0 {
            return None;
        }
        len += 1 + digits;
    } else if whole == 0 {
        return None;
    }
    let exponent = exponent_len(text.get(len..)?);
    if exponent == 0 && len == whole && run.len() > whole {
        return None;
    }
    if exponent > 0 && len == whole && run.len() > whole + exponent {
        return None;
    }
    Some(len + exponent)
}

fn exponent_len(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['e', 'E']) else {
        return 0;
    };
    let sign = usize::from(after.starts_with(['+', '-']));
    match digits_len(after.get(sign..).unwrap_or_default()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}
