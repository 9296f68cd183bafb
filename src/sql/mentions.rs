//! What a statement found in the binlog does, and which tables it names.
//!
//! This polices statements that could change the migrated table behind the back of the row events.
//! For DDL that is fully understood the tables are exact. For everything else they are every
//! identifier in the text: naming the table is then enough to be stopped, and a statement that is
//! stopped for nothing does less harm than one that is let through.

use std::collections::HashSet;

use crate::sql::tokens::{Dialect, Spanned, Token, fold, tokenize, tokenize_body};

mod ddl;
mod reader;
#[cfg(test)]
mod tests;

use reader::Reader;

/// A table, and its database unless the session had none.
pub(crate) type TableName = (Option<String>, String);

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: the text is empty, or a comment.
    None,
    TransactionControl(Control),
    /// Reads or writes rows, or may: calls and queries can run functions that write.
    Dml,
    Ddl(DdlKind),
    /// About the session or the server.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    /// Undoes the changes since the savepoint; the transaction goes on.
    RollbackTo(String),
    Release(String),
    XaStart(String),
    XaEnd(String),
    XaPrepare(String),
    XaCommit {
        xid: String,
        one_phase: bool,
    },
    XaRollback(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DdlKind {
    /// Also lists the new name of the table, tables exchanged with, and tables referenced.
    AlterTable,
    DropTable,
    TruncateTable,
    /// Old and new names, in order.
    RenameTable(Vec<(TableName, TableName)>),
    CreateIndex,
    DropIndex,
    CreateTrigger,
    /// The trigger; which table it was on, the statement does not say.
    DropTrigger(TableName),
    /// Also lists the table it is like, and tables referenced.
    CreateTable,
    /// Also `CREATE OR REPLACE DATABASE`. Lists no tables: all of the database go.
    DropDatabase(String),
    /// The tables are the view's own name.
    CreateView,
    AlterView,
    DropView,
    /// `OPTIMIZE` and `REPAIR`.
    Optimize,
    /// Changes no table, and lists none.
    Harmless,
    /// Not understood: the tables are every identifier.
    Unknown,
}

/// A statement, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    pub(crate) tables: Vec<TableName>,
    /// False if the text could not be cut into tokens. `tables` is then a guess, and only a search
    /// of the text for the name is certain, which is what [`Statement::names`] does.
    pub(crate) readable: bool,
    text: String,
}

impl Statement {
    /// Whether the statement names the table or drops its database, or may. Ignores case, as some
    /// servers do.
    pub(crate) fn names(&self, db: &str, table: &str) -> bool {
        let (db, table) = (fold(db), fold(table));
        if !self.readable {
            // A backtick in a name is doubled in the text.
            let bare = |text: &str| fold(text).replace('`', "");
            return bare(&self.text).contains(&bare(&table));
        }
        if let Effect::Ddl(DdlKind::DropDatabase(dropped)) = &self.effect {
            return fold(dropped) == db;
        }
        self.tables.iter().any(|(in_db, name)| {
            fold(name) == table && in_db.as_ref().is_none_or(|in_db| fold(in_db) == db)
        })
    }
}

/// More executable comments than this are not tried in every combination.
const MOST_READINGS: u32 = 4;

/// Reads a statement that ran with `default_db` as the current database, empty if none.
pub(crate) fn classify(sql: &str, default_db: &str, dialect: Dialect) -> Statement {
    let statement = |effect, tables, readable| Statement {
        effect,
        tables,
        readable,
        text: if readable { String::new() } else { sql.to_owned() },
    };
    let Ok(tokens) = tokenize(sql, dialect) else {
        return statement(Effect::Ddl(DdlKind::Unknown), words(sql, default_db), false);
    };
    let mut bodies: u32 = 0;
    for t in &tokens {
        match t.token {
            Token::Executable(_) => bodies += 1,
            // The servers read quotes in a hint, so its end could be elsewhere.
            Token::Hint(hint) if tokenize_body(hint, t.start, dialect).is_err() => {
                return statement(Effect::Ddl(DdlKind::Unknown), words(sql, default_db), false);
            }
            _ => {}
        }
    }
    let all = expand(&tokens, u32::MAX, dialect);
    let every = identifiers(&all, default_db);
    if bodies == 0 {
        let (effect, tables) = understand(&all, default_db);
        return statement(effect, tables.unwrap_or(every), true);
    }
    // Which of the executable comments ran depends on the server that wrote the statement.
    let effect = if bodies > MOST_READINGS {
        Effect::Ddl(DdlKind::Unknown)
    } else {
        let (full, _) = understand(&all, default_db);
        let same = (0..1_u32 << bodies)
            .all(|mask| understand(&expand(&tokens, mask, dialect), default_db).0 == full);
        if same { full } else { Effect::Ddl(DdlKind::Unknown) }
    };
    statement(effect, every, true)
}

/// The tokens with those executable comments opened whose bit is set in `mask`.
fn expand<'a>(tokens: &[Spanned<'a>], mask: u32, dialect: Dialect) -> Vec<Spanned<'a>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut bit = 0_u32;
    for t in tokens {
        match t.token {
            Token::Executable(body) => {
                if mask.checked_shr(bit).unwrap_or(u32::MAX) & 1 == 1 {
                    out.extend(tokenize_body(body, t.start, dialect).unwrap_or_default());
                }
                bit += 1;
            }
            Token::Hint(_) => {}
            _ => out.push(*t),
        }
    }
    while out.last().is_some_and(|t| t.is_symbol(';')) {
        out.pop();
    }
    out
}

/// Every identifier, `a.b` as one table. Of `a.b.c` both pairs are given.
fn identifiers(tokens: &[Spanned<'_>], default_db: &str) -> Vec<TableName> {
    let mut found = Mentioned::default();
    for (at, t) in tokens.iter().enumerate() {
        let Some(name) = t.identifier() else { continue };
        let before = |back: usize| at.checked_sub(back).and_then(|i| tokens.get(i));
        let db = match (before(1), before(2).and_then(Spanned::identifier)) {
            (Some(dot), Some(db)) if dot.is_symbol('.') => Some(db.into_owned()),
            _ => reader::default(default_db),
        };
        let is_db = tokens.get(at + 1).is_some_and(|t| t.is_symbol('.'))
            && tokens.get(at + 2).and_then(Spanned::identifier).is_some();
        let after_dot = before(1).is_some_and(|t| t.is_symbol('.'));
        if after_dot || !is_db {
            found.add((db, name.into_owned()));
        }
    }
    found.names
}

/// Every run of characters that could be a name, wherever it is.
fn words(sql: &str, default_db: &str) -> Vec<TableName> {
    let mut found = Mentioned::default();
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    for word in sql.split(|c| !is_name(c)).filter(|w| !w.is_empty()) {
        found.add((reader::default(default_db), word.to_owned()));
    }
    found.names
}

/// Names in the order of their first mention. A statement may have as many as its megabytes hold.
#[derive(Default)]
struct Mentioned {
    names: Vec<TableName>,
    seen: HashSet<TableName>,
}

impl Mentioned {
    fn add(&mut self, name: TableName) {
        if !self.seen.contains(&name) {
            self.seen.insert(name.clone());
            self.names.push(name);
        }
    }
}

/// The effect, and the exact tables if they are certain.
fn understand(tokens: &[Spanned<'_>], default_db: &str) -> (Effect, Option<Vec<TableName>>) {
    let mut r = Reader::new(tokens, default_db);
    while r.eat_symbol('(') {}
    let Some(first) = r.next() else {
        return (Effect::None, Some(Vec::new()));
    };
    let Token::Word(word) = first.token else {
        return (Effect::Ddl(DdlKind::Unknown), None);
    };
    let word = word.to_ascii_uppercase();
    if let Some(control) = control(&word, r) {
        return (Effect::TransactionControl(control), Some(Vec::new()));
    }
    match word.as_str() {
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "SELECT" | "WITH" | "TABLE" | "VALUES"
        | "LOAD" | "CALL" | "DO" | "HANDLER" | "EXECUTE" | "MERGE" => (Effect::Dml, None),
        // MariaDB's ANALYZE runs the statement that follows.
        "ANALYZE" if !r.maintains_table() => (Effect::Dml, None),
        "SET" if r.eat("STATEMENT") => {
            while let Some(t) = r.next() {
                if t.is_word("FOR") {
                    return understand(r.rest, default_db);
                }
            }
            (Effect::Ddl(DdlKind::Unknown), None)
        }
        "SET" if r.eat("PASSWORD") => (Effect::Ddl(DdlKind::Harmless), Some(Vec::new())),
        "SET" | "USE" | "SHOW" | "EXPLAIN" | "DESCRIBE" | "DESC" | "LOCK" | "UNLOCK"
        | "PREPARE" | "DEALLOCATE" | "KILL" | "RESET" | "HELP" | "SIGNAL" | "RESIGNAL"
        | "SHUTDOWN" | "RESTART" => (Effect::Other, None),
        "XA" if r.peek("RECOVER") => (Effect::Other, None),
        // MariaDB's two-phase ALTER may prefix the statement proper.
        "START" | "COMMIT" | "ROLLBACK" if r.peek("ALTER") => {
            let mut inner = r;
            inner.next();
            while inner.at_number() {
                inner.next();
            }
            if inner.peek("ALTER") || inner.peek("CREATE") || inner.peek("DROP") {
                r = inner;
            }
            let verb = r.next().map_or("", |t| t.word()).to_ascii_uppercase();
            ddl::understand(&verb, r)
        }
        _ => ddl::understand(&word, r),
    }
}

fn control(first: &str, mut r: Reader<'_, '_>) -> Option<Control> {
    let control = match first {
        "BEGIN" => {
            r.eat("WORK");
            Control::Begin
        }
        "START" if r.eat("TRANSACTION") => return Some(Control::Begin),
        "COMMIT" | "ROLLBACK" if r.peek("ALTER") => return None,
        "COMMIT" => {
            r.eat("WORK");
            r.eat_completion();
            Control::Commit
        }
        "ROLLBACK" => {
            r.eat("WORK");
            if r.eat("TO") {
                r.eat("SAVEPOINT");
                Control::RollbackTo(r.identifier()?)
            } else {
                r.eat_completion();
                Control::Rollback
            }
        }
        "SAVEPOINT" => Control::Savepoint(r.identifier()?),
        "RELEASE" if r.eat("SAVEPOINT") => Control::Release(r.identifier()?),
        "XA" => xa(&mut r)?,
        _ => return None,
    };
    r.rest.is_empty().then_some(control)
}

fn xa(r: &mut Reader<'_, '_>) -> Option<Control> {
    let verb = r.next()?.word().to_ascii_uppercase();
    if verb == "RECOVER" {
        return None;
    }
    let xid = r.xid()?;
    Some(match verb.as_str() {
        "START" | "BEGIN" => {
            let _ = r.eat("JOIN") || r.eat("RESUME");
            Control::XaStart(xid)
        }
        "END" => {
            if r.eat("SUSPEND") && r.eat("FOR") {
                r.eat("MIGRATE");
            }
            Control::XaEnd(xid)
        }
        "PREPARE" => Control::XaPrepare(xid),
        "COMMIT" => {
            let one_phase = r.eat("ONE") && r.eat("PHASE");
            Control::XaCommit { xid, one_phase }
        }
        "ROLLBACK" => Control::XaRollback(xid),
        _ => return None,
    })
}
