//! Foreign keys from and to a table, in whichever schema.

use serde::{Deserialize, Serialize};

use super::server::ServerInfo;
use crate::db::{Flavor, Session};
use crate::error::Result;
use crate::fault::Fault;
use crate::obstacle::{Obstacle, ObstacleKind};
use crate::sql::statements::join;
use crate::sql::{Ident, TableName, literal};

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForeignKey {
    pub(crate) name: Ident,
    /// The child.
    pub(crate) table: TableName,
    pub(crate) columns: Vec<Ident>,
    pub(crate) parent: TableName,
    pub(crate) parent_columns: Vec<Ident>,
    pub(crate) on_delete: Rule,
    pub(crate) on_update: Rule,
}

/// What becomes of a row whose parent is deleted or gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rule {
    /// What the server does where nothing is said: `NO ACTION` on MySQL, `RESTRICT` on MariaDB.
    Default,
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl Rule {
    fn parse(text: &str, flavor: Flavor) -> Self {
        match (text, flavor) {
            ("CASCADE", _) => Rule::Cascade,
            ("SET NULL", _) => Rule::SetNull,
            ("SET DEFAULT", _) => Rule::SetDefault,
            ("RESTRICT", Flavor::MySql) => Rule::Restrict,
            ("NO ACTION", Flavor::MariaDb) => Rule::NoAction,
            _ => Rule::Default,
        }
    }

    /// From the flags that InnoDB keeps.
    fn of_flags(flags: u64, cascade: u64, set_null: u64, no_action: u64, flavor: Flavor) -> Self {
        let has = |flag| flags & flag != 0;
        match flavor {
            _ if has(cascade) => Rule::Cascade,
            _ if has(set_null) => Rule::SetNull,
            Flavor::MariaDb if has(no_action) => Rule::NoAction,
            Flavor::MySql if !has(no_action) => Rule::Restrict,
            _ => Rule::Default,
        }
    }

    /// Whether it changes rows of the child.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Rule::Cascade | Rule::SetNull | Rule::SetDefault)
    }

    fn clause(self, event: &str) -> String {
        let action = match self {
            Rule::Default => return String::new(),
            Rule::NoAction => "NO ACTION",
            Rule::Restrict => "RESTRICT",
            Rule::Cascade => "CASCADE",
            Rule::SetNull => "SET NULL",
            Rule::SetDefault => "SET DEFAULT",
        };
        format!(" ON {event} {action}")
    }
}

impl ForeignKey {
    /// Whether rows of the child are changed when the parent is.
    pub(crate) fn cascades(&self) -> bool {
        self.on_delete.writes() || self.on_update.writes()
    }

    /// `ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES p (b) ON DELETE CASCADE`
    pub(crate) fn add_clause(&self) -> String {
        format!(
            "ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
            self.name,
            join(self.columns.iter()),
            self.parent,
            join(self.parent_columns.iter()),
            self.on_delete.clause("DELETE"),
            self.on_update.clause("UPDATE"),
        )
    }

    /// `DROP FOREIGN KEY c`
    pub(crate) fn drop_clause(&self) -> String {
        format!("DROP FOREIGN KEY {}", self.name)
    }

    pub(crate) fn obstacle(&self, kind: ObstacleKind) -> Obstacle {
        let Self { name, table, columns, parent, parent_columns, .. } = self;
        Obstacle {
            kind,
            name: name.as_str().to_owned(),
            table: table.to_string(),
            what: format!(
                "foreign key {name} of {table} ({}) to {parent} ({})",
                join(columns.iter()),
                join(parent_columns.iter())
            ),
            remove: format!("ALTER TABLE {table} {}", self.drop_clause()),
            restore: vec![format!("ALTER TABLE {table} {}", self.add_clause())],
        }
    }
}

/// The foreign keys from and to the table, in any schema; and whether those which the user has no
/// privilege to see are among them.
pub(crate) fn read(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
) -> Result<(Vec<ForeignKey>, bool)> {
    let (schema, name) = names(table);
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, \
         REFERENCED_TABLE_NAME, COLUMN_NAME, REFERENCED_COLUMN_NAME \
         FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND \
         (TABLE_SCHEMA = {schema} AND TABLE_NAME = {name} OR REFERENCED_TABLE_SCHEMA = {schema} \
         AND REFERENCED_TABLE_NAME = {name}) ORDER BY 1, 2, 3, ORDINAL_POSITION"
    );
    let mut found: Vec<ForeignKey> = Vec::new();
    for row in session.rows(&sql)? {
        let get = |i: usize| Ident::new(row.get(i).cloned().flatten().unwrap_or_default());
        let key = ForeignKey {
            name: get(2),
            table: TableName::new(get(0), get(1)),
            columns: vec![get(5)],
            parent: TableName::new(get(3), get(4)),
            parent_columns: vec![get(6)],
            on_delete: Rule::Default,
            on_update: Rule::Default,
        };
        // The server may have compared the names without regard to case.
        if !server.same_table(&key.table, table) && !server.same_table(&key.parent, table) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.name == key.name && last.table == key.table => {
                last.columns.extend(key.columns);
                last.parent_columns.extend(key.parent_columns);
            }
            _ => found.push(key),
        }
    }
    for key in &mut found {
        read_rules(session, server, key)?;
    }
    // The above shows only what the user has a privilege on; the engine's own list needs PROCESS.
    let all_seen = match hidden(session, server, table)? {
        Some(keys) => {
            let known = |key: &ForeignKey| {
                found.iter().any(|k| k.name == key.name && server.same_table(&k.table, &key.table))
            };
            let unknown: Vec<ForeignKey> = keys.into_iter().filter(|key| !known(key)).collect();
            found.extend(unknown);
            true
        }
        None => false,
    };
    Ok((found, all_seen))
}

/// The names of all foreign keys in the schema, in lower case, but for those of a ghost that an earlier run left: no other
/// may have one of them.
pub(crate) fn names_in_schema(session: &mut Session, table: &TableName) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS \
         WHERE CONSTRAINT_SCHEMA = {} AND TABLE_NAME <> {}",
        literal::text(table.schema.as_str()),
        literal::text(table.ghost().table.as_str())
    );
    let names = session.rows(&sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(names.map(|name| name.to_lowercase()).collect())
}

fn read_rules(session: &mut Session, server: &ServerInfo, key: &mut ForeignKey) -> Result<()> {
    let (schema, table) = names(&key.table);
    let sql = format!(
        "SELECT DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS \
         WHERE CONSTRAINT_SCHEMA = {schema} AND TABLE_NAME = {table} AND CONSTRAINT_NAME = {}",
        literal::text(key.name.as_str())
    );
    let row = session.rows(&sql)?.into_iter().next().unwrap_or_default();
    let get =
        |i: usize| Rule::parse(&row.get(i).cloned().flatten().unwrap_or_default(), server.flavor);
    (key.on_delete, key.on_update) = (get(0), get(1));
    Ok(())
}

/// Foreign keys that refer to the table, from InnoDB's dictionary; `None` if that is not allowed.
fn hidden(
    session: &mut Session,
    server: &ServerInfo,
    table: &TableName,
) -> Result<Option<Vec<ForeignKey>>> {
    let prefix = match server.flavor {
        Flavor::MySql => "INNODB",
        Flavor::MariaDb => "INNODB_SYS",
    };
    let name = literal::text(&format!("{}/{}", table.schema.as_str(), table.table.as_str()));
    // MariaDB has the names here as the files have them: `a-b` is a@002db.
    let encoded = match server.flavor {
        Flavor::MySql => String::new(),
        Flavor::MariaDb => {
            let (schema, table) = names(table);
            let file = |name| format!("CAST(CONVERT({name} USING filename) AS BINARY)");
            format!(", CONCAT({}, '/', {})", file(schema), file(table))
        }
    };
    let sql = format!(
        "SELECT ID, FOR_NAME, TYPE FROM information_schema.{prefix}_FOREIGN \
         WHERE REF_NAME IN ({name}{encoded}) ORDER BY ID"
    );
    let rows = match session.rows(&sql) {
        Ok(rows) => rows,
        Err(error) if error.fault() == Some(Fault::Access) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut keys = Vec::new();
    for row in rows {
        let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let (id, child, flags) = (get(0), get(1), get(2).parse().unwrap_or(0));
        let (schema, child) = child.split_once('/').unwrap_or(("", &child));
        let columns = session.rows(&format!(
            "SELECT FOR_COL_NAME, REF_COL_NAME FROM information_schema.{prefix}_FOREIGN_COLS \
             WHERE ID = {} ORDER BY POS",
            literal::text(&id)
        ))?;
        let column = |i: usize| {
            let name = |row: &Vec<Option<String>>| row.get(i).cloned().flatten();
            columns.iter().filter_map(name).map(Ident::new).collect()
        };
        let (of_child, of_parent) = (column(0), column(1));
        let flavor = server.flavor;
        keys.push(ForeignKey {
            name: Ident::new(id.split_once('/').map_or(id.as_str(), |(_, name)| name)),
            table: TableName::new(
                from_file_name(session, flavor, schema)?,
                from_file_name(session, flavor, child)?,
            ),
            columns: of_child,
            parent: table.clone(),
            parent_columns: of_parent,
            on_delete: Rule::of_flags(flags, 1, 2, 16, flavor),
            on_update: Rule::of_flags(flags, 4, 8, 32, flavor),
        });
    }
    Ok(Some(keys))
}

fn from_file_name(session: &mut Session, flavor: Flavor, name: &str) -> Result<Ident> {
    if flavor == Flavor::MySql || !name.contains('@') {
        return Ok(Ident::new(name));
    }
    let sql = format!("SELECT CONVERT(_filename {} USING utf8mb4)", literal::hex(name.as_bytes()));
    Ok(Ident::new(session.scalar(&sql)?.unwrap_or_else(|| name.to_owned())))
}

fn names(table: &TableName) -> (String, String) {
    (literal::text(table.schema.as_str()), literal::text(table.table.as_str()))
}
