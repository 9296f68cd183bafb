//! The parts of a clause, and a position in one.

use super::AlterError;
use crate::sql::tokens::{Spanned, Token};

pub(super) struct Item<'t, 'a> {
    pub(super) tokens: &'t [Spanned<'a>],
    pub(super) start: usize,
}

/// Cuts at the commas outside parentheses.
pub(super) fn split<'t, 'a>(tokens: &'t [Spanned<'a>]) -> Result<Vec<Item<'t, 'a>>, AlterError> {
    let mut items = Vec::new();
    let mut open = Vec::new();
    let (mut from, mut start) = (0, 0);
    for (at, t) in tokens.iter().enumerate() {
        match t.token {
            Token::Symbol('(') => open.push(t.start),
            Token::Symbol(')') if open.pop().is_none() => {
                return Err(AlterError::Unbalanced { offset: t.start });
            }
            Token::Symbol(',') if open.is_empty() => {
                items.push(Item { tokens: tokens.get(from..at).unwrap_or_default(), start });
                (from, start) = (at + 1, t.end);
            }
            _ => {}
        }
    }
    if let Some(offset) = open.pop() {
        return Err(AlterError::Unbalanced { offset });
    }
    items.push(Item { tokens: tokens.get(from..).unwrap_or_default(), start });
    Ok(items)
}

/// A position in the tokens of an item.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t, 'a> {
    pub(super) rest: &'t [Spanned<'a>],
    pub(super) offset: usize,
}

impl<'t, 'a> Cursor<'t, 'a> {
    pub(super) fn new(rest: &'t [Spanned<'a>], start: usize) -> Self {
        Self { rest, offset: rest.first().map_or(start, |t| t.start) }
    }

    pub(super) fn next(&mut self) -> Option<Spanned<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.offset = rest.first().map_or(first.end, |t| t.start);
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn peek_word(&self, keyword: &str) -> bool {
        self.rest.first().is_some_and(|t| t.is_word(keyword))
    }

    pub(super) fn peek_words(&self, keywords: &[&str]) -> bool {
        self.rest.len() >= keywords.len()
            && keywords.iter().zip(self.rest).all(|(k, t)| t.is_word(k))
    }

    pub(super) fn peek_any(&self, keywords: &[&str]) -> bool {
        self.rest.first().is_some_and(|t| t.is_any(keywords))
    }

    pub(super) fn peek_symbol(&self, symbol: char) -> bool {
        self.rest.first().is_some_and(|t| t.is_symbol(symbol))
    }

    pub(super) fn eat(&mut self, keyword: &str) -> bool {
        self.eat_all(&[keyword])
    }

    pub(super) fn eat_all(&mut self, keywords: &[&str]) -> bool {
        let matched = self.peek_words(keywords);
        if matched {
            for _ in keywords {
                self.next();
            }
        }
        matched
    }

    pub(super) fn eat_symbol(&mut self, symbol: char) -> bool {
        let matched = self.peek_symbol(symbol);
        if matched {
            self.next();
        }
        matched
    }

    /// Skips what is in parentheses, if the cursor is at one that opens.
    pub(super) fn eat_parens(&mut self) -> Option<Cursor<'t, 'a>> {
        if !self.eat_symbol('(') {
            return None;
        }
        let inside = *self;
        let mut depth = 1_usize;
        let mut len = 0;
        while let Some(t) = self.next() {
            match t.token {
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            len += 1;
        }
        Some(Cursor { rest: inside.rest.get(..len).unwrap_or_default(), offset: inside.offset })
    }

    pub(super) fn unsure<T>(&self, what: &str) -> Result<T, AlterError> {
        Err(AlterError::Unsure { what: what.to_owned(), offset: self.offset })
    }

    /// The name of a column. `t.c` is refused: which part is the column would be a guess.
    pub(super) fn name(&mut self, what: &str) -> Result<String, AlterError> {
        let here = *self;
        let name = self.next().and_then(|t| t.identifier());
        match name {
            Some(name) if !self.peek_symbol('.') => Ok(name.into_owned()),
            _ => here.unsure(what),
        }
    }

    /// The end of the item, or partitioning, which may follow without a comma.
    pub(super) fn end(&self, what: &str) -> Result<(), AlterError> {
        if self.rest.is_empty() {
            Ok(())
        } else if self.at_partitioning() {
            check_versioning(*self)
        } else {
            self.unsure(what)
        }
    }

    pub(super) fn at_partitioning(&self) -> bool {
        self.peek_words(&["PARTITION", "BY"]) || self.peek_words(&["REMOVE", "PARTITIONING"])
    }
}

/// Refuses what makes a table, or a column, keep the history of its rows.
pub(super) fn check_versioning(mut cursor: Cursor<'_, '_>) -> Result<(), AlterError> {
    while !cursor.rest.is_empty() {
        if cursor.peek_words(&["SYSTEM", "VERSIONING"])
            || cursor.peek_words(&["AS", "ROW", "START"])
            || cursor.peek_words(&["AS", "ROW", "END"])
            || cursor.peek_words(&["BY", "SYSTEM_TIME"])
            || cursor.peek_words(&["FOR", "SYSTEM_TIME"])
        {
            return Err(AlterError::SystemVersioning { offset: cursor.offset });
        }
        cursor.next();
    }
    Ok(())
}
