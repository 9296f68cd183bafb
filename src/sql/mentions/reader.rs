//! A position in the tokens of a statement.

use super::TableName;
use crate::sql::tokens::{Spanned, Token};

#[derive(Clone, Copy)]
pub(super) struct Reader<'t, 'a> {
    pub(super) rest: &'t [Spanned<'a>],
    default_db: &'t str,
}

/// The database of a name that has none.
pub(super) fn default(default_db: &str) -> Option<String> {
    (!default_db.is_empty()).then(|| default_db.to_owned())
}

impl<'t, 'a> Reader<'t, 'a> {
    pub(super) fn new(rest: &'t [Spanned<'a>], default_db: &'t str) -> Self {
        Self { rest, default_db }
    }

    pub(super) fn next(&mut self) -> Option<Spanned<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn peek(&self, keyword: &str) -> bool {
        self.rest.first().is_some_and(|t| t.is_word(keyword))
    }

    pub(super) fn peek_any(&self, keywords: &[&str]) -> bool {
        self.rest.first().is_some_and(|t| t.is_any(keywords))
    }

    pub(super) fn eat(&mut self, keyword: &str) -> bool {
        self.eat_any(&[keyword])
    }

    pub(super) fn eat_any(&mut self, keywords: &[&str]) -> bool {
        let matched = self.peek_any(keywords);
        if matched {
            self.next();
        }
        matched
    }

    pub(super) fn eat_symbol(&mut self, symbol: char) -> bool {
        let matched = self.rest.first().is_some_and(|t| t.is_symbol(symbol));
        if matched {
            self.next();
        }
        matched
    }

    pub(super) fn at_number(&self) -> bool {
        matches!(self.rest.first(), Some(t) if matches!(t.token, Token::Number(_)))
    }

    pub(super) fn identifier(&mut self) -> Option<String> {
        self.next()?.identifier().map(std::borrow::Cow::into_owned)
    }

    /// `t` or `db.t`.
    pub(super) fn table(&mut self) -> Option<TableName> {
        let first = self.identifier()?;
        if self.eat_symbol('.') {
            let name = self.identifier()?;
            Some((Some(first), name))
        } else {
            Some((default(self.default_db), first))
        }
    }

    /// `IF EXISTS` and `IF NOT EXISTS`.
    pub(super) fn eat_if_exists(&mut self) {
        if self.eat("IF") {
            self.eat("NOT");
            self.eat("EXISTS");
        }
    }

    /// MariaDB's `WAIT n` and `NOWAIT`.
    pub(super) fn eat_wait(&mut self) {
        if self.eat("WAIT") {
            self.next();
        } else {
            self.eat("NOWAIT");
        }
    }

    /// `AND [NO] CHAIN` and `[NO] RELEASE`, which speak about the session.
    pub(super) fn eat_completion(&mut self) {
        if self.eat("AND") {
            self.eat("NO");
            self.eat("CHAIN");
        }
        self.eat("NO");
        self.eat("RELEASE");
    }

    /// Whether `[NO_WRITE_TO_BINLOG | LOCAL] TABLE` follows.
    pub(super) fn maintains_table(&self) -> bool {
        let mut r = *self;
        r.eat_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
        r.eat_any(&["TABLE", "TABLES"])
    }

    /// `gtrid [, bqual [, formatID]]`, without whitespace.
    pub(super) fn xid(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let mut t = self.next()?;
            if let Token::Word(introducer) = t.token {
                text.push_str(introducer);
                t = self.next()?;
                if !matches!(t.token, Token::Str(_)) {
                    return None;
                }
            }
            let (Token::Str(part) | Token::Number(part)) = t.token else {
                return None;
            };
            text.push_str(part);
            if !self.eat_symbol(',') {
                return Some(text);
            }
            text.push(',');
        }
    }
}
