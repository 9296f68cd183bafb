//! Data definition: exact lists of tables where the statement is understood to its end.

use super::reader::Reader;
use super::{DdlKind, Effect, TableName};
use crate::sql::tokens::Token;

type Understood = Option<(DdlKind, Vec<TableName>)>;

/// Objects that are not tables, and whose statements change none.
const HARMLESS: [&str; 17] = [
    "USER",
    "ROLE",
    "FUNCTION",
    "PROCEDURE",
    "EVENT",
    "SERVER",
    "TABLESPACE",
    "LOGFILE",
    "RESOURCE",
    "INSTANCE",
    "REFERENCE",
    "PACKAGE",
    "LIBRARY",
    "AGGREGATE",
    "UNDO",
    "DATABASE",
    "SCHEMA",
];

/// What the statement that begins with `verb` does; no list if it is not certain.
pub(super) fn understand(verb: &str, r: Reader<'_, '_>) -> (Effect, Option<Vec<TableName>>) {
    let understood = match verb {
        "ALTER" => alter(r),
        "CREATE" => create(r),
        "DROP" => drop(r),
        "RENAME" => rename(r),
        "TRUNCATE" => truncate(r),
        "OPTIMIZE" | "REPAIR" => optimize(r),
        "ANALYZE" | "CHECK" | "CHECKSUM" | "CACHE" | "FLUSH" | "GRANT" | "REVOKE" | "INSTALL"
        | "UNINSTALL" | "PURGE" => harmless(),
        _ => None,
    };
    match understood {
        Some((kind, tables)) => (Effect::Ddl(kind), Some(tables)),
        None => (Effect::Ddl(DdlKind::Unknown), None),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "stands beside others that may not understand")]
fn harmless() -> Understood {
    Some((DdlKind::Harmless, Vec::new()))
}

fn alter(mut r: Reader<'_, '_>) -> Understood {
    modifiers(&mut r)?;
    r.eat_any(&["ONLINE", "OFFLINE"]);
    r.eat("IGNORE");
    if r.eat("VIEW") {
        let view = r.table()?;
        return Some((DdlKind::AlterView, vec![view]));
    }
    if r.peek_any(&HARMLESS) {
        return harmless();
    }
    if !r.eat("TABLE") {
        return None;
    }
    r.eat_if_exists();
    let mut tables = vec![r.table()?];
    r.eat_wait();
    while let Some(t) = r.next() {
        if t.is_word("RENAME") {
            if r.peek_any(&["COLUMN", "INDEX", "KEY"]) {
                continue;
            }
            let _ = r.eat_any(&["TO", "AS"]) || r.eat_symbol('=');
            tables.push(r.table()?);
        } else if t.is_any(&["TABLE", "REFERENCES"]) {
            r.eat_if_exists();
            tables.push(r.table()?);
        } else if t.is_word("UNION") || t.is_symbol(';') {
            return None;
        }
    }
    Some((DdlKind::AlterTable, tables))
}

/// Skips what may stand between CREATE or ALTER and the kind of object.
fn modifiers(r: &mut Reader<'_, '_>) -> Option<()> {
    loop {
        if r.eat("ALGORITHM") {
            r.eat_symbol('=');
            r.next()?;
        } else if r.eat("DEFINER") {
            r.eat_symbol('=');
            definer(r)?;
        } else if r.eat("SQL") {
            if !r.eat("SECURITY") {
                return None;
            }
            r.next()?;
        } else {
            return Some(());
        }
    }
}

/// `'user'@'host'`, or a function that tells it.
fn definer(r: &mut Reader<'_, '_>) -> Option<()> {
    r.next()?;
    if r.eat_symbol('(') {
        return r.eat_symbol(')').then_some(());
    }
    if r.eat_symbol('@') {
        r.next()?;
        while r.eat_symbol('.') {
            r.next()?;
        }
    }
    Some(())
}

fn create(mut r: Reader<'_, '_>) -> Understood {
    let replaces = r.eat("OR") && r.eat("REPLACE");
    modifiers(&mut r)?;
    r.eat("TEMPORARY");
    if r.eat_any(&["DATABASE", "SCHEMA"]) {
        r.eat_if_exists();
        return if replaces {
            Some((DdlKind::DropDatabase(r.identifier()?), Vec::new()))
        } else {
            harmless()
        };
    }
    if r.eat("TABLE") {
        return create_table(r);
    }
    if r.eat("VIEW") {
        r.eat_if_exists();
        return Some((DdlKind::CreateView, vec![r.table()?]));
    }
    if r.eat("TRIGGER") {
        r.eat_if_exists();
        r.table()?;
        if !r.eat_any(&["BEFORE", "AFTER"]) {
            return None;
        }
        return Some((DdlKind::CreateTrigger, vec![table_after_on(&mut r)?]));
    }
    r.eat_any(&["ONLINE", "OFFLINE"]);
    r.eat_any(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"]);
    if r.eat("INDEX") {
        let table = table_after_on(&mut r)?;
        return Some((DdlKind::CreateIndex, vec![table]));
    }
    if r.peek_any(&HARMLESS) {
        return harmless();
    }
    None
}

/// Skips to the keyword ON, which is reserved, and reads the table after it.
fn table_after_on(r: &mut Reader<'_, '_>) -> Option<TableName> {
    loop {
        if r.next()?.is_word("ON") {
            return r.table();
        }
    }
}

fn create_table(mut r: Reader<'_, '_>) -> Understood {
    r.eat_if_exists();
    let mut tables = vec![r.table()?];
    let mut like = r;
    like.eat_symbol('(');
    if like.eat("LIKE") {
        tables.push(like.table()?);
        return Some((DdlKind::CreateTable, tables));
    }
    while let Some(t) = r.next() {
        if t.is_word("REFERENCES") {
            tables.push(r.table()?);
        } else if t.is_any(&["SELECT", "UNION", "TABLE"]) || t.is_symbol(';') {
            return None;
        }
    }
    Some((DdlKind::CreateTable, tables))
}

fn drop(mut r: Reader<'_, '_>) -> Understood {
    if r.eat_any(&["DATABASE", "SCHEMA"]) {
        r.eat_if_exists();
        let name = r.identifier()?;
        return ended(r, DdlKind::DropDatabase(name), Vec::new());
    }
    let temporary = r.eat("TEMPORARY");
    if r.eat_any(&["TABLE", "TABLES"]) {
        r.eat_if_exists();
        let tables = list(&mut r)?;
        let kind = if temporary {
            return ended(r, DdlKind::Harmless, Vec::new());
        } else {
            DdlKind::DropTable
        };
        return ended(r, kind, tables);
    }
    if r.eat("VIEW") {
        r.eat_if_exists();
        let tables = list(&mut r)?;
        return ended(r, DdlKind::DropView, tables);
    }
    if r.eat("TRIGGER") {
        r.eat_if_exists();
        let trigger = r.table()?;
        return ended(r, DdlKind::DropTrigger(trigger), Vec::new());
    }
    r.eat_any(&["ONLINE", "OFFLINE"]);
    if r.eat("INDEX") {
        let table = table_after_on(&mut r)?;
        return Some((DdlKind::DropIndex, vec![table]));
    }
    r.eat("SPATIAL");
    if r.peek_any(&HARMLESS) {
        return harmless();
    }
    None
}

/// Tables with commas between, and what may end a DROP.
fn list(r: &mut Reader<'_, '_>) -> Option<Vec<TableName>> {
    let mut tables = vec![r.table()?];
    while r.eat_symbol(',') {
        tables.push(r.table()?);
    }
    r.eat_wait();
    r.eat_any(&["RESTRICT", "CASCADE"]);
    Some(tables)
}

fn ended(r: Reader<'_, '_>, kind: DdlKind, tables: Vec<TableName>) -> Understood {
    r.rest.is_empty().then_some((kind, tables))
}

fn rename(mut r: Reader<'_, '_>) -> Understood {
    if r.eat("USER") {
        return harmless();
    }
    if !r.eat_any(&["TABLE", "TABLES"]) {
        return None;
    }
    r.eat_if_exists();
    let mut pairs = Vec::new();
    loop {
        let old = r.table()?;
        r.eat_wait();
        if !r.eat("TO") {
            return None;
        }
        pairs.push((old, r.table()?));
        if !r.eat_symbol(',') {
            break;
        }
    }
    let tables = pairs.iter().flat_map(|(old, new)| [old.clone(), new.clone()]).collect();
    ended(r, DdlKind::RenameTable(pairs), tables)
}

fn truncate(mut r: Reader<'_, '_>) -> Understood {
    // TABLE is reserved, so it is not the name.
    r.eat("TABLE");
    let table = r.table()?;
    r.eat_wait();
    ended(r, DdlKind::TruncateTable, vec![table])
}

fn optimize(mut r: Reader<'_, '_>) -> Understood {
    r.eat_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
    if r.eat("VIEW") {
        return harmless();
    }
    if !r.eat_any(&["TABLE", "TABLES"]) {
        return None;
    }
    let tables = list(&mut r)?;
    // WAIT n, QUICK, EXTENDED, USE_FRM, FORCE.
    while matches!(r.rest.first(), Some(t) if matches!(t.token, Token::Word(_))) {
        r.next();
    }
    ended(r, DdlKind::Optimize, tables)
}
