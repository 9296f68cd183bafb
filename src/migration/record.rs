//! Reading the record that a run makes in its state table of what it is going to create.

use crate::inspect::ServerInfo;
use crate::sql::{Ident, TableName};

/// The table that a record is about: its second line.
pub(crate) fn recorded_table(body: &str) -> Option<TableName> {
    let (_, rest) = body.split_once("\ntable ")?;
    let (schema, rest) = quoted(rest)?;
    let (table, rest) = quoted(rest.strip_prefix('.')?)?;
    rest.starts_with('\n').then(|| TableName::new(Ident::new(schema), Ident::new(table)))
}

/// Whether a record is that of a run on this table, and names the tables that such a run makes.
pub(crate) fn is_of(server: &ServerInfo, body: &str, table: &TableName) -> bool {
    recorded_table(body).is_some_and(|recorded| {
        server.same_table(&recorded, table)
            && body.contains(&format!("\nghost {}\nold {}\n", recorded.ghost(), recorded.old()))
    })
}

/// A name in backquotes, and what comes behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('`')?;
    loop {
        let (part, behind) = rest.split_once('`')?;
        name.push_str(part);
        match behind.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, table: &str) -> TableName {
        TableName::new(Ident::new(schema), Ident::new(table))
    }

    #[test]
    fn the_table_of_a_record() {
        let body = |table: &TableName| format!("online-alter 1\ntable {table}\nghost x\n");
        for odd in [name("s", "t"), name("a`b", "c\n`d"), name("ghost", "\ntable `x`.`y`\n")] {
            assert_eq!(recorded_table(&body(&odd)), Some(odd));
        }
        for bad in ["", "online-alter 1\n", "\ntable `a", "\ntable `a`.b\n", "\ntable `a`.`b`"] {
            assert_eq!(recorded_table(bad), None, "{bad:?}");
        }
    }
}
